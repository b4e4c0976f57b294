"""One session with a peer: both directions acknowledged, or nothing.

Each side opens a connection of its own and says HELLO on it; the other answers
ACK with the HELLO's session id. A session is up when our HELLO was acknowledged
and the peer's has been received. It ends, once, with the first of: our connection
closed, BYE, a HELLO with another id, silence. What arrives before it is up is kept;
what arrives from an unknown session is not of it.

| in       | out acked, in known | effect                                |
|----------|---------------------|---------------------------------------|
| hello    | -                   | ack; ``Up`` when acked                |
| ack      | id matches          | ``Up`` when the peer's hello is known |
| data     | in id matches       | ``Deliver``, or kept until up         |
| bye, closed, other hello, silence | | ``Down`` if it was up             |
"""

from dataclasses import dataclass, field
from typing import Any

from otpy.terms.pid import Creation

PROTOCOL = 1
Frame = bytes | memoryview


@dataclass(slots=True)
class Up:
    """The session begins."""

    peer: Creation


@dataclass(slots=True)
class Deliver:
    """One frame for the node."""

    data: Frame


@dataclass(slots=True)
class Down:
    """The session is over; ``was_up`` tells whether anybody heard of it."""

    peer: Creation | None
    reason: Any
    was_up: bool


Effect = Up | Deliver | Down


@dataclass(slots=True)
class Session:
    """Our session with one peer; ``out_id`` is ours, ``in_id`` the peer's."""

    out_id: bytes
    acked: bool = False
    in_id: bytes | None = None
    peer: Creation | None = None
    heard: float = 0.0
    doubted: bool = False  # the last look found it silent
    ended: bool = False
    kept: list[Frame] = field(default_factory=list[Frame])

    @property
    def up(self) -> bool:
        """Whether messages may go."""
        return self.acked and self.in_id is not None and not self.ended

    def hello(self, in_id: bytes, peer: Creation, now: float) -> list[Effect]:
        """The peer's HELLO came in."""
        if self.ended:
            return []
        if (self.in_id is not None and self.in_id != in_id) or (
            self.peer is not None and self.peer != peer
        ):
            return self.end("restarted")
        before = self.up
        self.in_id, self.peer, self.heard = in_id, peer, now
        return self._began(before)

    def ack(self, out_id: bytes, peer: Creation, now: float) -> list[Effect]:
        """The peer acknowledged a HELLO of ours."""
        if self.ended or out_id != self.out_id:
            return []
        if self.peer is not None and self.peer != peer:
            return self.end("restarted")
        before = self.up
        self.acked, self.peer, self.heard = True, peer, now
        return self._began(before)

    def _began(self, before: bool) -> list[Effect]:
        if before or not self.up:
            return []
        assert self.peer is not None
        kept, self.kept = self.kept, []
        return [Up(self.peer), *(Deliver(data) for data in kept)]

    def data(self, in_id: bytes, data: Frame, now: float) -> list[Effect] | None:
        """A frame came in; None when it belongs to no session of ours."""
        if self.ended or in_id != self.in_id:
            return None
        self.heard = now
        if not self.up:
            self.kept.append(data)
            return []
        return [Deliver(data)]

    def tick(self, in_id: bytes, now: float) -> None:
        """The peer is there."""
        if in_id == self.in_id:
            self.heard = now

    def silent(self, now: float, limit: float) -> list[Effect]:
        """End it when two looks in a row find that nothing was heard for ``limit`` seconds.

        A program that was stopped looks before it reads what came in meanwhile; the second look
        is after that.
        """
        doubted, self.doubted = self.doubted, self.up and now - self.heard > limit
        return self.end("net_tick_timeout") if doubted and self.doubted else []

    def end(self, reason: Any) -> list[Effect]:
        """BYE, or our connection closed."""
        if self.ended:
            return []
        was_up = self.up
        self.ended = True
        self.kept = []
        return [Down(self.peer, reason, was_up)]
