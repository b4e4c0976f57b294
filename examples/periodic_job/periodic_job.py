"""A job that is done again and again: the periodic work of Elixir's GenServer guide.

The next time is set when the work is done, so two runs never overlap. A job that fails is
begun anew by its supervisor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otpy import GenServer, Next, NoReply, Ok, Pid, TimerFired, gen_server, process, self_pid


@dataclass(frozen=True, slots=True)
class Job:
    """``work()`` is called after every ``seconds``, counted from the end of the last call."""

    name: str
    seconds: float
    work: Callable[[], object]


class PeriodicJob(GenServer[Job]):
    """It has a thread of its own, so the work may block."""

    @classmethod
    def start_link(cls, job: Job, /) -> Pid:
        return gen_server.start_link(cls, job, name=job.name)

    def init(self, arg: Job) -> Ok[Job]:
        later(arg)
        return Ok(arg)

    def handle_info(self, message: Any, state: Job) -> Next[Job]:
        match message:
            case TimerFired(_, "work"):
                state.work()
                later(state)
        return NoReply(state)


def later(job: Job) -> None:
    process.start_timer(self_pid(), "work", job.seconds)
