"""What connected nodes tell each other of the others, and what follows: a mesh, no overlaps.

| frame | holds                       | when                          | the hearer                 |
|-------|-----------------------------|-------------------------------|----------------------------|
| M     | the connected nodes         | two meet; each ``TELL`` s     | connects to those it lacks |
| V     | whom the teller accounts for | that changes; nil if it drains | ``machines/overlaps.py``   |

Only visible connections carry them and are told of. All on the I/O thread.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from otpy.distribution import hello
from otpy.distribution.peer import Peer
from otpy.distribution.transport import Transport
from otpy.machines.overlaps import Overlaps, Rejoin
from otpy.runtime.node import Node
from otpy.terms.pid import Creation

LOG = logging.getLogger("otpy.mesh")
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
        """A session began; ``connected`` has yet to hear of it."""
        if not peer.hidden:
            self._tell(peer)
            self._rejoin(self.overlaps.up(life))

    def went_down(self, peer: Peer) -> None:
        """A session ended."""
        self._rejoin(self.overlaps.down(peer.name))

    def heard(self, peer: Peer, kind: bytes, data: bytes) -> None:
        """An M or V frame."""
        if peer.hidden:
            return  # it may have said so before it knew
        if kind == b"M":
            self._heard_members(data)
        else:
            self._heard_accounts(peer, data)

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

    def _heard_members(self, data: bytes) -> None:
        members = hello.read(data, hello.Members)
        if isinstance(members, str):
            LOG.warning("a peer sent no proper list of members: %s", members)
            return
        for name, address in members:
            self.seek(name, address)

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

    def _heard_accounts(self, peer: Peer, data: bytes) -> None:
        told = hello.read(data, hello.Accounts) if data else None
        if isinstance(told, str):
            LOG.warning("%s sent no proper list of those it sees: %s", peer.name, told)
        elif self.settle is not None:
            self._rejoin(self.overlaps.told(peer.name, told), changed=False)

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
