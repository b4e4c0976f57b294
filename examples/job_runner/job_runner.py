"""Jobs of users: each is a process, and a runner that has enough of them refuses more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otpy import (
    ChildError,
    DynamicSupervisor,
    GenServer,
    Next,
    Ok,
    PartitionSupervisor,
    Pid,
    Stop,
    Via,
    dynamic_supervisor,
    gen_server,
    partition_supervisor,
    process,
    self_pid,
)

RUNNERS = "runners"


@dataclass(frozen=True)
class Done:
    """What the submitter of a job gets when it is done."""

    job: Pid
    result: Any


@dataclass(frozen=True)
class Work:
    """What a job has to do, and for whom."""

    function: Callable[[], Any]
    submitter: Pid


class Busy(Exception):
    """The user's runner has as many jobs as it may have; try again later."""


class Job(GenServer[Work], restart="temporary"):
    """Does its work once; a crash costs this job only."""

    @classmethod
    def start_link(cls, work: Work) -> Pid:
        return gen_server.start_link(cls, work)

    def init(self, work: Work) -> Ok[Work]:
        return Ok(work, continue_="work")

    def handle_continue(self, arg: object, work: Work) -> Next[Work]:
        process.send(work.submitter, Done(self_pid(), work.function()))
        return Stop("normal")


def children(
    max_jobs: int = 100, runners: int | None = None
) -> list[tuple[type[PartitionSupervisor], dict[str, Any]]]:
    """What an application's supervisor starts: the runners, each for ``max_jobs`` at a time."""
    runner = (DynamicSupervisor, {"max_children": max_jobs})
    return [
        (PartitionSupervisor, {"name": RUNNERS, "child_spec": runner, "partitions": runners}),
    ]


def runner_of(user: str) -> Via:
    """The runner of this user's jobs: always the same one."""
    return Via(partition_supervisor, (RUNNERS, user))


def submit(user: str, function: Callable[[], Any]) -> Pid:
    """Start a job; ``Done`` comes to the caller. Raises ``Busy``."""
    work = Work(function, self_pid())
    try:
        pid: Pid = dynamic_supervisor.start_child(runner_of(user), (Job, work))
    except ChildError as refused:
        raise Busy(f"{user}: {refused.reason}") from None
    return pid


def cancel(user: str, job: Pid) -> None:
    """Stop a job that is under way. Raises ``ChildError("not_found")``."""
    dynamic_supervisor.terminate_child(runner_of(user), job)


def running(user: str) -> int:
    """How many jobs this user's runner has at the moment, of all its users."""
    return dynamic_supervisor.count_children(runner_of(user)).active
