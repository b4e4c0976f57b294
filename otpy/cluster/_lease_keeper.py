"""The process that starts the lease server of a node, and starts it again when it has ended.

It is no supervisor, for it never gives up: a node whose lease server stays away would go on to
count as a member and grant nothing.

| the lease server                | what becomes of the leases that the node's processes hold  |
|---------------------------------|------------------------------------------------------------|
| ended, was killed               | over at once: the next server begins with that             |
| cannot start (its disk is gone) | the same; it is tried again after ``PAUSE`` seconds        |
| ends because this process did   | over at once: it says so in ``terminate``                  |
"""

import logging
from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok
from otpy.cluster._lease_contests import SERVER, Service
from otpy.cluster._lease_server import LeaseServer
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.terms.errors import StartError
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid

LOG = logging.getLogger("otpy.global")
PAUSE = 1.0  # seconds until the next try


class LeaseKeeper(GenServer[Pid | None]):
    """The process. Its state is the lease server, when there is one."""

    kind = "cluster"  # as the server that it keeps: at a node's end both are killed in order

    def init(self, arg: Service) -> Ok[Pid | None]:
        process.flag(trap_exit=True)
        self.service = arg
        return Ok(gen_server.start_link(LeaseServer, arg, name=SERVER))

    def handle_info(self, message: Any, state: Pid | None) -> Any:
        match message:
            case Exit(pid, reason) if pid == state:
                LOG.error(
                    "%s: the lease server ended: %r. No process of this node holds a lease any "
                    "more; it is started again",
                    current().node.name,
                    reason,
                )
                return self._start()
            case ("again",) if state is None:
                return self._start()
            case _:
                return None  # garbage is ignored, as by the lease server

    def _start(self) -> Any:
        try:
            return NoReply(gen_server.start_link(LeaseServer, self.service, name=SERVER))
        except StartError as error:
            LOG.error(
                "%s: the lease server does not start: %s; this node grants nothing. Trying again "
                "in %s s",
                current().node.name,
                error,
                PAUSE,
            )
            process.send_after(process.self_pid(), ("again",), PAUSE)
            return NoReply(None)
