"""The mesh: a node's router. Sessions with every node it knows, a full mesh of them."""

import logging
import os
from collections.abc import Callable
from typing import Any, assert_never

from otpy.distribution import hello
from otpy.distribution.blocking import blocking
from otpy.distribution.codec import DecodeError
from otpy.distribution.contacts import Contacts
from otpy.distribution.delivery import hand_in_frame, hand_in_piece
from otpy.distribution.discovery._strategy import Finding
from otpy.distribution.fragments import Assembly
from otpy.distribution.membership import FRAMES, Membership
from otpy.distribution.peer import FIRST_RETRY, Peer
from otpy.distribution.renaming import latest_life, routing_of
from otpy.distribution.transport import BUSY_LIMIT, Handler, Link, Transport
from otpy.machines.auto_connect import AutoConnect
from otpy.machines.discovery import Entry, tcp
from otpy.machines.session import Deliver, Down, Effect, Session, Up
from otpy.runtime.node import Node
from otpy.runtime.ports import NodeType
from otpy.terms.pid import Creation
from otpy.terms.signals import Signal

LOG = logging.getLogger("otpy.mesh")
# Parts of net_ticktime: a tick every 4th; ended after 12 to 14 16ths of silence, so within it.
TICK, LOOK, SILENCE = 1 / 4, 1 / 16, 3 / 4
PIECE = ord("F")
PATIENCE = 5.0  # seconds that messages wait for a connection


class Mesh:
    """The router of a node. Made by ``start_mesh``."""

    def __init__(
        self,
        node: Node,
        host: str,
        discovery: Finding,
        tick: float,
        transport: Callable[[Handler], Transport],
        told: str,
        auto_connect: AutoConnect,
        *,
        hidden: bool = False,
        prevent_overlapping_partitions: bool = True,
    ) -> None:
        self.node = node
        self.host = host
        self.told = told  # the host that the others hear, who cannot reach "0.0.0.0"
        self.discovery = discovery
        self.contacts = Contacts(node, discovery, auto_connect, hidden, self._apart)
        self.dialing, self.auto = self.contacts.dialing, self.contacts.auto
        self.peers, self.connected = self.contacts.peers, self.contacts.connected
        self.refused = self.contacts.refused
        self.tick = tick
        self.hidden = hidden
        self.by_rid: dict[bytes, Peer] = {}
        self.turned_away: dict[str, str] = {}  # whose hello was refused, and why: said once
        self.stopped = False
        self.wire = transport(self)
        self.routing, self.inward = routing_of(node, self.wire, self._route_later, self._overloaded)
        self.route, self.stream = self.routing.route, self.routing.stream
        self.when_free = self.routing.when_free
        # Who stays apart by choice would look like half of a broken pair.
        takes_part = prevent_overlapping_partitions and auto_connect == "always"
        settle = tick / 2 if takes_part else None
        self.membership = Membership(
            node, self.wire, self.connected, hidden, settle, self._end, self._seek
        )
        self.views = self.membership.views.ask
        self.port = 0

    def _apart(self, name: str) -> bool:
        return self.membership.apart(name)

    # The router port, from any thread. ``route``, ``stream`` and ``when_free`` are of ``routing``.

    def _route_later(self, name: str, signal: Signal, buffers: list[bytes]) -> None:
        peer = self.contacts.known(name)
        may = name in self.connected or (self._may(name) and self.auto.may(name))
        if peer is None or not may:
            self.node.unreachable(signal)
        elif peer.link is not None and name in self.connected:
            self.routing.queue(peer.link, signal, buffers)
        else:
            peer.waiting.append((signal, buffers))
            peer.waiting_size += sum(map(len, buffers))
            if peer.waiting_size > BUSY_LIMIT:
                self.routing.busy(name)
            self._try(peer)

    def _overloaded(self, name: str) -> None:
        """Our own processes never wait for a busy peer: what they send must not pile up."""
        peer = self.peers.get(name)
        if peer is not None:
            self.node.events.emit("peer_overloaded", peer=name)
            LOG.warning("%s: %s takes too little, session ended", self.node.name, name)
            self._end(peer, "overloaded")

    def nodes(self, which: NodeType = "visible") -> list[str]:
        """The connected nodes, by name."""
        return self.contacts.names(which)

    def connect(self, node: str, timeout: float = PATIENCE) -> bool:
        """Connect to a known node; whether it is connected. Blocks its thread."""
        return blocking(lambda done: self.reach(node, done, True), timeout)

    def reach(self, node: str, done: Callable[[bool], None], asked: bool = False) -> None:
        """Connect to a known node and tell ``done`` whether it is connected.

        ``asked``: somebody says so, and ``auto_connect`` does not matter.
        """

        def begin() -> None:
            if node == self.node.name or node in self.connected:
                done(True)
                return
            peer = self.contacts.known(node)
            barred = self.contacts.shut(node) or self.dialing.draining or self.stopped
            if peer is None or barred or not (asked or self.auto.may(node)):
                done(False)
                return
            if asked:
                self.auto.ask(node)
            peer.wanted.append(done)
            peer.trying = False  # do not wait for the next attempt
            self._try(peer)
            self.wire.later(PATIENCE, lambda: self._give_up(peer, done))

        self.wire.soon(begin)

    def _give_up(self, peer: Peer, done: Callable[[bool], None]) -> None:
        peer.give_up(done)
        if not peer.wanted and peer.name not in self.connected:
            self.auto.give_up(peer.name)

    def join(self, node: str, address: str) -> None:
        """Stay connected to a node that is not found otherwise, at ``tcp://host:port``."""

        def begin() -> None:
            peer = self.contacts.peer(node, address)
            peer.told_until = float("inf")
            self.auto.ask(node)
            self._try(peer)

        self.wire.soon(begin)

    def disconnect(self, node: str) -> bool:
        """End the session; messages connect again. Whether there was one. Blocks its thread."""
        return blocking(lambda done: self.leave(node, done), PATIENCE)

    def leave(self, node: str, done: Callable[[bool], None]) -> None:
        """End the session, if there is one, and tell ``done`` whether there was."""

        def end() -> None:
            had = node in self.connected
            peer = self.peers.get(node)
            if peer is not None:
                self._end(peer, "disconnect")
            done(had)

        self.wire.soon(end)

    def cut(self, node: str) -> None:
        """For tests and demos: drop the session and refuse the node until ``heal``."""

        def end() -> None:
            self.refused[node] = None
            peer = self.peers.get(node)
            if peer is not None:
                self._end(peer, "cut")

        self.wire.soon(end)

    def heal(self, node: str) -> None:
        """Undo ``cut``."""

        def begin() -> None:
            self.refused.pop(node, None)
            peer = self.contacts.known(node)
            if peer is not None and self.auto.may(node):
                peer.afresh()
                self._try(peer)

        self.wire.soon(begin)

    def drain(self) -> None:
        """Dial nobody any more and let nobody in; sessions that are up stay up."""

        def begin() -> None:
            self.dialing.draining = True
            self.membership.leave()
            for peer in self.peers.values():
                if peer.link is None:
                    self._give_up_waiting(peer)
                    peer.tell(False)

        self.discovery.leave()
        self.wire.soon(begin)

    def stop(self, drains: bool = True) -> None:
        """Say BYE to everybody and close; what is still routed is unreachable.

        ``drains``: the goodbye says that this life of the node does not come back.
        """
        if self.stopped:
            return
        self.discovery.leave()

        def end() -> None:
            self.stopped = True
            self.dialing.draining = self.dialing.draining or drains
            for peer in list(self.peers.values()):
                self._end(peer, "stopped")

        self.wire.stop(end)
        self.discovery.close()  # it may have to wait for a look-up, and the goodbye does not
        self.stopped = True
        self.routing.close()

    def crash(self) -> None:
        """For tests: close every connection without a word, as the end of the OS process does."""
        self.stopped = True
        self.discovery.close()
        self.wire.stop()

    # On the I/O thread.

    def start(self, port: int) -> None:
        """Listen, begin to find others and to connect. Raises what the discovery raises."""
        self.port = self.wire.bind(self.host, port)
        here = Entry(self.node.name, self.told, self.port, os.getpid(), self.hidden)
        try:
            self.discovery.open(here, latest_life(self.node), self.wire, self._found)
        except BaseException:
            self.wire.stop()
            raise
        self.wire.soon(self._ticks)
        self.wire.soon(self._look)
        self.wire.soon(self.membership.start)
        self.wire.start(self.node.name)

    def _found(self, entries: list[Entry]) -> None:
        """A tick: who there is, against who is connected."""
        for peer in self.contacts.found(entries):
            self._try(peer)

    def _seek(self, name: str, address: str | None) -> None:
        """Connect to a node that another one named, or from which this one kept apart."""
        peer = self.contacts.sought(name, address)
        if peer is not None:
            self._try(peer)

    def _may(self, name: str) -> bool:
        return not self.stopped and self.contacts.may(name)

    def _ticks(self) -> None:
        self.wire.later(self.tick * TICK, self._ticks)
        for peer in self.connected.values():
            if peer.link is not None:
                peer.link.control(b"T")

    def _look(self) -> None:
        self.wire.later(self.tick * LOOK, self._look)
        now = self.node.clock.now()
        for peer in list(self.connected.values()):
            if peer.session is not None:
                self._do(peer, peer.session.silent(now, self.tick * SILENCE))

    def _try(self, peer: Peer) -> None:
        if peer.link is not None or peer.trying or self.contacts.shut(peer.name):
            return
        if self.dialing.draining or self.stopped:
            return
        peer.link = link = self.wire.connect(peer.address, self.routing.lock)
        peer.session = Session(link.rid)
        if peer.in_id is not None and peer.in_creation is not None:
            peer.session.hello(peer.in_id, peer.in_creation, self.node.clock.now())
        self._hello(peer, link)
        self.wire.later(PATIENCE, lambda: self._impatient(peer, link))

    def _impatient(self, peer: Peer, link: Link) -> None:
        if peer.link is link and (peer.session is None or not peer.session.up):
            self._end(peer, "no answer")

    def _hello(self, peer: Peer, link: Link) -> None:
        address = tcp(self.told, self.port)
        link.control(hello.hello(self.node.creation, address, peer.name, self.hidden))

    def came_in(self, rid: bytes, data: bytes) -> None:
        """A frame on our ROUTER."""
        kind = data[:1]
        peer = self.by_rid.get(rid)
        if kind == b"H":
            self._heard_hello(rid, data[1:])
        elif peer is None or peer.session is None:
            self.wire.answer(rid, b"B")
        elif kind == b"D" or kind == b"F":
            effects = peer.session.data(rid, memoryview(data), self.node.clock.now())
            if effects is None:
                self.wire.answer(rid, b"B")
            else:
                self._do(peer, effects)
        elif kind in FRAMES:
            self.membership.heard(peer, kind, data[1:])
        elif kind == b"T":
            peer.session.tick(rid, self.node.clock.now())
        elif kind == b"B":
            self._heard_goodbye(peer, data[1:])

    def _heard_hello(self, rid: bytes, data: bytes) -> None:
        heard = hello.read_hello(data, self.node.name, self.routing.apart)
        if isinstance(heard, hello.Refusal):
            self._turn_away(rid, heard)
            return
        name, creation = heard.name, heard.creation
        if self.contacts.shut(name) or self.dialing.draining:
            self.wire.answer(rid, self._goodbye())
            return
        self.dialing.heard(creation)
        peer = self.contacts.peer(name, heard.address)
        if peer.in_id is not None and peer.in_id != rid:
            self._forget_in(peer)
            if peer.session is not None and peer.session.in_id is not None:
                self._end(peer, "restarted")
        peer.in_id, peer.in_creation = rid, creation
        peer.hidden = self.hidden or heard.hidden
        self.by_rid[rid] = peer
        self.wire.answer(rid, hello.ack(rid, self.node.creation))
        if peer.session is not None:
            self._do(peer, peer.session.hello(rid, creation, self.node.clock.now()))
        if peer.trying:
            # Soon, not at once: two nodes that answer each end with a new connection
            # at the same instant chase each other for ever.
            wait = FIRST_RETRY * self.node.entropy.random()
            self.wire.later(wait, lambda: self._again(peer))
        else:
            self._try(peer)

    def _goodbye(self) -> bytes:
        return hello.goodbye(self.node.creation if self.dialing.draining else None)

    def _heard_goodbye(self, peer: Peer, data: bytes) -> None:
        if data:
            said = hello.read(data, hello.Goodbye)
            if isinstance(said, str):
                LOG.warning("%s sent no proper goodbye: %s", peer.name, said)
            else:
                life = Creation(said.started, peer.name, said.bits)
                self.dialing.goodbye(life, self.node.clock.now())
        self._forget_in(peer)
        self._end(peer, "bye")

    def _turn_away(self, rid: bytes, refusal: hello.Refusal) -> None:
        self.wire.answer(rid, b"R" + refusal.why.encode())
        if self.turned_away.get(refusal.name) != refusal.why:
            self.turned_away[refusal.name] = refusal.why
            LOG.warning("%s refused %s: %s", self.node.name, refusal.name, refusal.why)

    def came_back(self, link: Link, data: bytes) -> None:
        """A frame on one of our DEALERs."""
        peer = next((peer for peer in self.peers.values() if peer.link is link), None)
        if peer is None or peer.session is None:
            return
        if data[:1] == b"A":
            ack = hello.read(data[1:], hello.Ack)
            if isinstance(ack, str):
                self._end(peer, "malformed")
                return
            creation = Creation(ack.started, peer.name, ack.bits)
            self._do(peer, peer.session.ack(ack.rid, creation, self.node.clock.now()))
        elif data[:1] == b"R":
            self._end(peer, "refused")
            self._turned_down(peer, f"refused: {data[1:].decode(errors='replace')}")
        elif data[:1] == b"B":
            self._heard_goodbye(peer, data[1:])

    def closed(self, link: Link, refused: bool) -> None:
        """One of our connections is gone."""
        peer = next((peer for peer in self.peers.values() if peer.link is link), None)
        if peer is None:
            link.close()
            return
        if refused:
            self._turned_down(peer, "handshake refused (wrong cookie?)")
        self._end(peer, "connection_closed")

    def _turned_down(self, peer: Peer, text: str) -> None:
        if not peer.complained:
            peer.complained = True
            LOG.warning("%s -> %s at %s: %s", self.node.name, peer.name, peer.address, text)
        peer.tell(False)

    def _forget_in(self, peer: Peer) -> None:
        if peer.in_id is not None:
            self.by_rid.pop(peer.in_id, None)
        peer.in_id = peer.in_creation = None

    def _end(self, peer: Peer, reason: Any) -> None:
        session, link = peer.session, peer.link
        if peer.name in self.connected:
            # First: who sees that it is not connected must not set a monitor of this session.
            self.node.node_monitors.end(peer.name)
            del self.connected[peer.name]
        self.routing.ended(peer.name, link)
        peer.session = peer.link = None
        peer.assembly = Assembly()
        if link is not None:
            if reason != "connection_closed":
                link.control(self._goodbye())
            self.wire.later(0.0, link.close)
        if peer.in_id is not None and reason != "restarted":
            self.wire.answer(peer.in_id, self._goodbye())
            self._forget_in(peer)
        if session is not None:
            self._do(peer, session.end(reason))
        self._give_up_waiting(peer)
        if not self.stopped and not peer.trying and not self.contacts.shut(peer.name):
            peer.trying = True
            wait = peer.backoff.next(self.node.entropy)
            self.wire.later(wait, lambda: self._again(peer))

    def _again(self, peer: Peer) -> None:
        if not peer.trying:
            return
        peer.trying = False
        if self.contacts.looked_for(peer) and self._may(peer.name):
            self._try(peer)
        else:
            self._give_up_waiting(peer)
            peer.tell(False)

    def _give_up_waiting(self, peer: Peer) -> None:
        waiting = peer.take_waiting()
        self.routing.free(peer.name)
        for signal, _ in waiting:
            self.node.unreachable(signal)

    def _do(self, peer: Peer, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Deliver(data):
                    try:
                        self._hand_in(peer, memoryview(data))
                    except DecodeError as error:
                        LOG.error(
                            "%s sent what cannot be read, session ended: %s", peer.name, error
                        )
                        self._end(peer, "malformed")
                        return
                case Up(creation):
                    self._came_up(peer, creation)
                case Down(creation, reason, was_up):
                    if peer.session is not None:
                        self._end(peer, reason)
                    if was_up and peer.told_until:
                        peer.told(self.node.clock.now())
                    if was_up and creation is not None:
                        self.membership.went_down(peer)
                        self.auto.down(peer.name)
                        LOG.info("%s: %s is down (%s)", self.node.name, peer.name, reason)
                        self.node.peer_down(creation, reason)
                case _:
                    assert_never(effect)

    def _hand_in(self, peer: Peer, data: memoryview) -> None:
        if data[0] == PIECE:
            hand_in_piece(self.node, peer.name, peer.assembly, data, self.inward)
        else:
            hand_in_frame(self.node, peer.name, data[1:], self.inward)

    def _came_up(self, peer: Peer, creation: Creation) -> None:
        link = peer.link
        assert link is not None
        peer.backoff.reset()
        peer.complained = False
        self.turned_away.pop(peer.name, None)
        LOG.info("%s: %s is up", self.node.name, peer.name)
        self.membership.came_up(peer, creation)
        self.routing.began(peer.name, link, peer.take_waiting())
        self.connected[peer.name] = peer
        self.node.peer_up(creation, peer.hidden)
        peer.tell(True)
