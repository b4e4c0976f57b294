"""What each node of the cluster says of itself: a child of its supervisor."""

import logging
from dataclasses import dataclass

from otpy import From, GenServer, InitResult, Ok, Pid, Reply, Request, gen_server, process


@dataclass(frozen=True)
class Status:
    """How many processes a node has, how many messages wait for one at most, its log level."""

    processes: int
    longest_queue: int
    level: str


@dataclass(frozen=True)
class Ask(Request[Status]):
    """How the node is."""


@dataclass(frozen=True)
class Level(Request[Status]):
    """Log from this level on; how the node was before."""

    name: str


class Health(GenServer[None]):
    """``(Health, None)``; it has the same local name on every node."""

    @classmethod
    def start_link(cls, arg: None) -> Pid:
        return gen_server.start_link(cls, arg, name=cls)

    def init(self, arg: None) -> InitResult[None]:
        return Ok(None)

    def handle_call(self, request: Ask | Level, from_: From, state: None) -> Reply[None]:
        before = status()
        if isinstance(request, Level):
            logging.getLogger().setLevel(request.name)
        return Reply(before)


def status() -> Status:
    """That of this node."""
    pids = process.list_()
    found = [process.info(pid, "message_queue_len") for pid in pids]
    waiting = [info["message_queue_len"] for info in found if info is not None]
    level = logging.getLevelName(logging.getLogger().level)
    return Status(len(pids), max(waiting, default=0), level)
