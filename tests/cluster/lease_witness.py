"""A leader by lease that keeps watch over its own lease, for tests that harm its OS process.

All instants are of the clock of leases, which the processes of one machine share.
"""

from typing import Any

from otpy import GenServer, Global, Ok, Pid, gen_server, global_, process
from otpy.runtime.ports import SystemClock

NAMES = tuple(f"{short}@127.0.0.1" for short in "abc")
LEADER = Global("leader", quorum=NAMES)

now = SystemClock.boottime


class Seen:
    """When this OS process won, was told last that it is valid, and then that it is over."""

    won: float | None = None
    valid: float | None = None
    over: float | None = None


def watch(lease: global_.Lease) -> None:
    """Look again and again, without a pause, so that it is what was stopped and goes on first."""
    while True:
        before = now()
        if not lease.valid():
            Seen.over = before
            return
        Seen.valid = before


class Witness(GenServer[global_.Lease]):
    @classmethod
    def start_link(cls, arg: Any = None, /) -> Pid:
        return gen_server.start_link(cls, arg, name=LEADER)

    def init(self, arg: Any, /) -> Ok[global_.Lease]:
        lease = global_.lease("leader")
        Seen.won = now()
        process.spawn(watch, lease)
        return Ok(lease)

    def handle_call(self, request: Any, from_: Any, state: global_.Lease, /) -> Any:
        raise NotImplementedError


def seen() -> list[float | None]:
    """Won, last valid, over."""
    return [Seen.won, Seen.valid, Seen.over]
