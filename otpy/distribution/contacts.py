"""The other nodes that a mesh knows, and to whom of them it may connect.

| why a node is not dialed                                     | who says so                 |
|--------------------------------------------------------------|-----------------------------|
| it was cut off, or this node keeps apart: nor is it let in   | ``refused``, ``apart``      |
| it drained, or this node drains                              | ``machines/discovery.py``   |
| this node does not do so by itself                           | ``machines/auto_connect.py`` |
| one of the two is hidden, and nobody waits for it            | ``found``, ``looked_for``   |

On the I/O thread, but for ``names``.
"""

from collections.abc import Callable, Iterable

from otpy.distribution.discovery._strategy import Finding
from otpy.distribution.peer import Peer
from otpy.machines.auto_connect import AutoConnect, AutoConnecting
from otpy.machines.discovery import Dialing, Entry
from otpy.runtime.node import Node
from otpy.runtime.peers import is_of
from otpy.runtime.ports import NodeType


class Contacts:
    """Those of one node. ``apart(name)``: whether it keeps apart from another one."""

    def __init__(
        self,
        node: Node,
        discovery: Finding,
        auto_connect: AutoConnect,
        hidden: bool,
        apart: Callable[[str], bool],
    ) -> None:
        self.node = node
        self.discovery = discovery
        self.dialing = Dialing(node.name)
        self.auto = AutoConnecting(auto_connect)
        self.hidden = hidden
        self.apart = apart
        self.peers: dict[str, Peer] = {}
        self.connected: dict[str, Peer] = {}
        self.refused: dict[str, None] = {}

    def names(self, which: NodeType) -> list[str]:
        """The connected nodes, sorted. From any thread."""
        connected = list(self.connected.items())  # in one step: the I/O thread changes it
        return sorted(name for name, peer in connected if is_of(which, peer.hidden))

    def known(self, name: str) -> Peer | None:
        """A node that was met, told of or found."""
        peer = self.peers.get(name)
        if peer is not None:
            return peer
        entry = self.discovery.get(name)
        if entry is None or name == self.node.name:
            return None
        return self.peer(name, entry.address)

    def peer(self, name: str, address: str) -> Peer:
        """The node at that address from now on."""
        peer = self.peers.get(name)
        if peer is None:
            peer = self.peers[name] = Peer(name, address)
        peer.address = address
        return peer

    def shut(self, name: str) -> bool:
        """Whether a node is neither dialed nor let in."""
        return name in self.refused or self.apart(name)

    def may(self, name: str) -> bool:
        """Whether a node may be dialed, if somebody asks for it."""
        return not self.shut(name) and self.dialing.may(name, self.node.clock.now())

    def found(self, entries: Iterable[Entry]) -> list[Peer]:
        """Those of the found to dial at this tick. A hidden node connects when asked to."""
        if self.hidden:
            return []
        wanted = self.dialing.wanted(entries, self.connected, self.node.clock.now())
        peers = [self.peer(entry.name, entry.address) for entry in wanted]
        return [peer for peer in peers if self.auto.may(peer.name)]

    def sought(self, name: str, address: str | None) -> Peer | None:
        """A node that another one named, or from which this one kept apart: to be dialed."""
        if name == self.node.name or name in self.connected or not self.may(name):
            return None
        peer = self.peers.get(name) or (self.peer(name, address) if address else None)
        if peer is None:
            return None
        peer.told(self.node.clock.now())
        if not self.auto.may(name):
            return None
        if address is None:
            peer.afresh()
        return peer

    def looked_for(self, peer: Peer) -> bool:
        """Whether to try again: nobody seeks hidden nodes, nor do they, but for who waits."""
        if peer.in_id is not None:
            return True  # it dials us, and both connections are one session
        if not self.auto.may(peer.name):
            return False
        if peer.told_until > self.node.clock.now():
            return True
        entry = self.discovery.get(peer.name)
        if self.hidden or peer.hidden or (entry is not None and entry.hidden):
            return bool(peer.wanted or peer.waiting)
        return entry is not None
