"""What connected nodes tell each other of the others, and what follows: a mesh, no overlaps.

| frame | holds                | when                               | the hearer                 |
|-------|----------------------|------------------------------------|----------------------------|
| M     | the connected nodes  | two meet, and every ``TELL`` s     | connects to those it lacks |
| V     | whom it accounts for | that changes; empty when it drains | ``machines/overlaps.py``   |
| Q, W  | question and answer  | ``node.view`` is called            | ``views.py``               |

Only visible connections carry M and V and are told of there. All on the I/O thread.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from otpy.distribution import hello
from otpy.distribution.peer import Peer
from otpy.distribution.transport import Transport
from otpy.distribution.views import Views
from otpy.machines.overlaps import Overlaps, Rejoin
from otpy.runtime.node import Node
from otpy.terms.pid import Creation

LOG = logging.getLogger("otpy.mesh")
FRAMES = (b"M", b"V", b"Q", b"W")
TELL = 30.0  # seconds after which nodes tell each other anew whom they are connected to
GATHER = 0.05  # seconds in which changes are gathered before the others are told of them
OVERLAPPING = "overlapping_partitions"  # the reason of a session that is ended for that


class Membership:
    """One node's part. ``settle`` is in seconds; None: overlapping partitions are not prevented.

    ``end(peer, reason)`` ends a session, ``seek(name, address)`` connects to a node that is
    named (the address is None if it was named before).
    """

    def __init__(
        self,
        node: Node,
        wire: Transport,
        connected: Mapping[str, Peer],
        hidden: bool,
        settle: float | None,
        end: Callable[[Peer, Any], None],
        seek: Callable[[str, str | None], None],
    ) -> None:
        self.node = node
        self.wire = wire
        self.connected = connected
        self.settle = settle
        self.end = end
        self.seek = seek
        self.overlaps = Overlaps(settle or 0.0)
        self.views = Views(wire, connected, hidden)
        self.telling = False
        self.leaving = False

    def start(self) -> None:
        """Begin to tell and to look."""
        self._tell_all()
        if self.settle is not None:
            self._look(self.settle / 5)

    def leave(self) -> None:
        """The node drains: that it is not connected to all from now on means nothing."""
        self.leaving = True
        self._changed()

    def apart(self, name: str) -> bool:
        """Whether this node keeps apart from another."""
        return name in self.overlaps.apart

    # Sessions.

    def came_up(self, peer: Peer, life: Creation) -> None:
        """A session began; ``connected`` has yet to hear of it. Both sides know if it is hidden."""
        if not peer.hidden:
            self._tell(peer)
            self._rejoin(self.overlaps.up(life))

    def went_down(self, peer: Peer) -> None:
        """A session ended."""
        self.views.went_down(peer)
        self._rejoin(self.overlaps.down(peer.name))

    def heard(self, peer: Peer, kind: bytes, data: bytes) -> None:
        """One of the frames above, but for its first byte; what cannot be read is logged."""
        wrong: str | None = None
        if kind == b"Q":
            wrong = self.views.heard_question(peer, data)
        elif kind == b"W":
            wrong = self.views.heard_answer(peer, data)
        else:
            heard = self._heard_members if kind == b"M" else self._heard_accounts
            wrong = heard(peer, data)
        if wrong is not None:
            LOG.warning("%s sent no proper frame %r: %s", peer.name, kind, wrong)

    # Whom else there is.

    def _tell_all(self) -> None:
        self.wire.later(TELL, self._tell_all)
        for peer in self._visible():
            self._tell(peer)

    def _visible(self) -> list[Peer]:
        return [peer for peer in self.connected.values() if not peer.hidden]

    def _tell(self, peer: Peer) -> None:
        others = [(other.name, other.address) for other in self._visible() if other is not peer]
        if others and peer.link is not None:
            peer.link.control(hello.members(others))

    def _heard_members(self, _peer: Peer, data: bytes) -> str | None:
        members = hello.read(data, hello.Members)
        if isinstance(members, str):
            return members
        for name, address in members:
            self.seek(name, address)
        return None

    # Overlapping partitions.

    def _changed(self) -> None:
        if self.settle is not None and not self.telling:
            self.telling = True
            self.wire.later(GATHER, self._tell_accounts)

    def _tell_accounts(self) -> None:
        self.telling = False
        frame = hello.accounts(None if self.leaving else self.overlaps.accounts())
        for peer in self._visible():
            if peer.link is not None:
                peer.link.control(frame)

    def _heard_accounts(self, peer: Peer, data: bytes) -> str | None:
        told = hello.read(data, hello.Accounts) if data else None
        if isinstance(told, str):
            return told
        if self.settle is not None:
            self._rejoin(self.overlaps.told(peer.name, told), changed=False)
        return None

    def _rejoin(self, rejoined: list[Rejoin], changed: bool = True) -> None:
        for rejoin in rejoined:
            self.seek(rejoin.peer, None)
        if changed or rejoined:
            self._changed()

    def _look(self, every: float) -> None:
        self.wire.later(every, lambda: self._look(every))
        heard = {peer.name: peer.session.heard for peer in self._visible() if peer.session}
        for part in self.overlaps.check(self.node.clock.now(), heard):
            self.node.events.emit("overlapping_partitions", peer=part.peer, unseen=part.unseen)
            LOG.warning(
                "%s: session with %s ended and kept so, to prevent overlapping partitions: "
                "it and %s do not see each other",
                self.node.name,
                part.peer,
                part.unseen,
            )
            self.end(self.connected[part.peer], OVERLAPPING)
