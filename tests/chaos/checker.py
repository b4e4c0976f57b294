"""What a receiver may see of other nodes: the mesh's promises, checked as events come.

A session is what lies between ``NodeUp`` and ``NodeDown`` of a node. In it

- all messages come from one life of the node, none older than one seen before;
- those of a *blind* sender, which sends without looking, are consecutive;
- those of an *aware* sender, which counts its own ``NodeUp``s as epochs, sends only
  while it believes the node is up and starts each epoch at 0, are 0, 1, 2 and so on
  of one epoch, after a few left over of the epoch before: what it sent between the
  end of the session before and the arrival of its ``NodeDown``.

Outside a session nothing comes, and a stream never goes back, from session to session.
"""

from collections import deque
from dataclasses import dataclass, field

BLIND, AWARE = "blind", "aware"
LEFT_OVER = 30  # messages of an aware sender, a tenth of a second's
MOST = 20  # violations kept
PAST = 12  # events of a peer that a violation recalls


@dataclass(slots=True)
class Stream:
    """One sender's messages: the last one, and how many came in this session."""

    last: tuple[int, int]  # epoch and number
    count: int = 0
    whole: bool = False  # whether the session's first message, or the epoch's, was seen
    changed: bool = False  # whether a new epoch began in this session


@dataclass(slots=True)
class Peer:
    """Another node, as the receiver sees it."""

    up: bool = False
    sessions: int = 0
    life: int = 0  # the newest seen; grows with every restart
    session_life: int = 0  # 0 until a message of the session came
    streams: dict[str, Stream] = field(default_factory=dict[str, Stream])
    past: deque[str] = field(default_factory=lambda: deque(maxlen=PAST))


class Checker:
    """Takes a receiver's messages in order; ``violations`` says what was not right."""

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}
        self.violations: list[str] = []
        self.total = 0
        self.downs = 0

    def node_up(self, node: str) -> None:
        """``NodeUp`` came."""
        peer = self.peers.setdefault(node, Peer())
        if peer.up:
            self._wrong(node, "NodeUp without a NodeDown before it")
        peer.past.append("NodeUp")
        peer.up = True
        peer.sessions += 1
        peer.session_life = 0
        for stream in peer.streams.values():
            stream.count = 0

    def node_down(self, node: str) -> None:
        """``NodeDown`` came."""
        peer = self.peers.setdefault(node, Peer())
        if not peer.up:
            self._wrong(node, "NodeDown without a NodeUp before it")
        peer.past.append("NodeDown")
        peer.up = False
        self.downs += 1

    def message(self, node: str, life: int, who: str, epoch: int, number: int) -> None:
        """A message of a sender came."""
        self.total += 1
        peer = self.peers.setdefault(node, Peer())
        said = f"{who} {(epoch, number)}"
        if not peer.up:
            self._wrong(node, f"{said} outside a session, after {peer.sessions} of them")
        self._life(node, peer, life, said)
        peer.past.append(said)
        stream = peer.streams.setdefault(who, Stream((-1, -1)))
        if (epoch, number) <= stream.last:
            self._wrong(node, f"{said} after {stream.last}: sent before it, or twice")
        elif not self._follows(who, stream, epoch, number):
            self._wrong(node, f"{said}, the session's number {stream.count}: a gap")
        stream.last = (epoch, number)
        stream.count += 1

    def _life(self, node: str, peer: Peer, life: int, said: str) -> None:
        if life < peer.life:
            self._wrong(node, f"{said} of a life that was over")
        if peer.session_life not in (0, life):
            self._wrong(node, f"{said} of another life than the session's")
        if life > peer.life:
            peer.streams.clear()
        peer.life = max(peer.life, life)
        peer.session_life = life

    @staticmethod
    def _follows(who: str, stream: Stream, epoch: int, number: int) -> bool:
        before, last = stream.last
        if stream.count == 0:
            stream.whole = who == BLIND or number == 0
            stream.changed = False
            return True
        if who == AWARE and epoch > before and number == 0:
            once, stream.changed, stream.whole = not stream.changed, True, True
            return once and stream.count <= LEFT_OVER
        if (epoch, number) != (before, last + 1):
            return False
        return stream.whole or stream.count < LEFT_OVER

    def _wrong(self, node: str, text: str) -> None:
        if len(self.violations) < MOST:
            past = ", ".join(self.peers[node].past)
            self.violations.append(f"{node}: {text}; {past}")
