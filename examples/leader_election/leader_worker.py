"""A worker that runs once in the whole cluster, whichever nodes are up."""

from typing import Any

from otpy import (
    GenServer,
    Global,
    InitResult,
    Next,
    NoReply,
    Ok,
    Pid,
    gen_server,
    minutes,
    process,
    self_pid,
)

Opts = dict[str, Any]


class LeaderWorker(GenServer[Opts]):
    @classmethod
    def start_link(cls, opts: Opts) -> Pid:
        return gen_server.start_link(cls, opts, name=Global(cls))

    def init(self, opts: Opts) -> InitResult[Opts]:
        self.schedule_work()
        return Ok(opts)

    def handle_info(self, message: object, state: Opts) -> Next[Opts]:
        match message:
            case "do_work":
                perform_leader_task()
                self.schedule_work()
        return NoReply(state)

    def schedule_work(self) -> None:
        process.send_after(self_pid(), "do_work", minutes(1))


def perform_leader_task() -> None:
    """What only one node may do."""


children: list[tuple[type[LeaderWorker], Opts]] = [
    (LeaderWorker, {})
]  # the same list on every node
