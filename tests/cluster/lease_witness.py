"""A leader by lease that keeps watch over its own lease, for tests that harm its OS process.

All instants are of the clock of leases, which the processes of one machine share.
"""

from dataclasses import dataclass
from typing import Any

from otpy import GenServer, Global, Ok, Pid, gen_server, global_, process
from otpy.runtime.ports import SystemClock

NAMES = tuple(f"{short}@127.0.0.1" for short in "abc")
LEADER = Global("leader", quorum=NAMES)

now = SystemClock.boottime


@dataclass
class Term:
    """When this OS process won, was told last that its lease is valid, and then that it is over."""

    won: float
    valid: float | None = None
    over: float | None = None


TERMS: list[Term] = []


def watch(lease: global_.Lease, term: Term) -> None:
    """Look again and again, without a pause, so that it is what was stopped and goes on first."""
    while True:
        before = now()
        if not lease.valid():
            term.over = now()
            return
        term.valid = before


class Witness(GenServer[None]):
    @classmethod
    def start_link(cls, arg: Any = None, /) -> Pid:
        return gen_server.start_link(cls, arg, name=LEADER)

    def init(self, arg: Any, /) -> Ok[None]:
        lease, term = global_.lease("leader"), Term(now())
        TERMS.append(term)
        process.spawn(watch, lease, term)
        return Ok(None)


def first_term() -> Term | None:
    """The first in which this OS process led."""
    return TERMS[0] if TERMS else None
