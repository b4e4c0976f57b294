"""The demo's child: on every node's supervisor, alive on one."""

from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok
from otpy.runtime import process
from otpy.runtime.units import minutes
from otpy.terms.names import Global
from otpy.terms.pid import Pid

Opts = dict[str, Any]


class LeaderWorker(GenServer[Opts]):
    """Does its task once a minute, on one node of the cluster."""

    @classmethod
    def start_link(cls, opts: Opts) -> Pid:
        return gen_server.start_link(cls, opts, name=Global(cls))

    def init(self, opts: Opts) -> Ok[Opts]:
        self.schedule_work()
        return Ok(opts)

    def handle_info(self, message: object, state: Opts) -> NoReply[Opts]:
        match message:
            case "do_work":
                self.schedule_work()
        return NoReply(state)

    def schedule_work(self) -> None:
        """Work again in a minute."""
        process.send_after(process.self_pid(), "do_work", minutes(1))
