"""What a mesh knows of one other node, and when it tries again to reach it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import tenacity

from otpy.distribution.fragments import Assembly
from otpy.distribution.transport import Link
from otpy.machines.session import Session
from otpy.runtime.ports import Entropy
from otpy.terms.pid import Creation
from otpy.terms.signals import Signal

FIRST_RETRY, LAST_RETRY = 0.01, 1.0  # seconds between attempts, before the jitter
TOLD = 300.0  # seconds for which a node is dialed that was told of, and is not found


class Backoff:
    """How long to wait before the next attempt: twice as long each time, up to a limit.

    The series is tenacity's; its jitter would be drawn from a global, so that of the
    node is used.
    """

    def __init__(self) -> None:
        waits = tenacity.wait_exponential(multiplier=FIRST_RETRY, max=LAST_RETRY)
        self._retrying = tenacity.Retrying(wait=waits)
        self.reset()

    def reset(self) -> None:
        """The last attempt succeeded."""
        self._state = tenacity.RetryCallState(self._retrying, None, (), {})

    def next(self, entropy: Entropy) -> float:
        """Seconds until the next attempt; the one after that waits longer."""
        wait = float(self._retrying.wait(self._state))
        self._state.prepare_for_next_attempt()
        return wait * (0.5 + entropy.random())


@dataclass(slots=True)
class Peer:
    """One other node."""

    name: str
    address: str
    link: Link | None = None
    session: Session | None = None
    in_id: bytes | None = None
    in_creation: Creation | None = None
    waiting: list[tuple[Signal, list[bytes]]] = field(
        default_factory=list[tuple[Signal, list[bytes]]]
    )
    waiting_size: int = 0  # bytes
    assembly: Assembly = field(default_factory=Assembly)
    backoff: Backoff = field(default_factory=Backoff)
    trying: bool = False
    complained: bool = False
    hidden: bool = False  # it said so, or this node is: their connection is
    told_until: float = 0.0  # another node named it, so it is tried again although not found
    wanted: list[Callable[[bool], None]] = field(default_factory=list[Callable[[bool], None]])

    def afresh(self) -> None:
        """What kept it away is over: try at once, and often again."""
        self.backoff.reset()
        self.trying = False

    def told(self, now: float) -> None:
        """Another node named it."""
        self.told_until = max(self.told_until, now + TOLD)

    def take_waiting(self) -> list[tuple[Signal, list[bytes]]]:
        """The signals that waited for a session, in order."""
        waiting, self.waiting, self.waiting_size = self.waiting, [], 0
        return waiting

    def tell(self, connected: bool) -> None:
        """Answer those who wanted it connected."""
        wanted, self.wanted = self.wanted, []
        for done in wanted:
            done(connected)

    def give_up(self, done: Callable[[bool], None]) -> None:
        """One of those who wanted it connected waits no longer."""
        if done in self.wanted:  # else it has been told, and others wait since
            self.wanted.remove(done)
            done(False)
