"""Nodes that tell of themselves in datagrams: what is said, what is believed, for how long.

A packet is a mark, an HMAC-SHA256 and a MessagePack array. It is believed when the HMAC is
of our key, and when it is the latest of its node: each says of which life of the node it is
and how many came before, and nothing older than what was heard counts. So a stranger can say
nothing, and whoever repeats what a node once said brings nobody back while that is remembered;
beyond that he makes us dial an address where nobody, or somebody else, answers.

| heard                     | of its node                           |
|---------------------------|---------------------------------------|
| a packet that is newer    | where it is, for ``expire_after``     |
| one that says it leaves   | nothing, from now on                  |
| anything else             | nothing has changed                   |
"""

import hashlib
import hmac
from dataclasses import dataclass, field

import msgspec

from otpy.machines.discovery import Entry, wrong
from otpy.terms.pid import Creation

MARK = b"otpy gossip 1\n"
MAC = 32  # bytes
MAX_PACKET = 1024  # bytes: a name and a host are 255 at most
MOST = 1000  # nodes that are remembered


class Packet(msgspec.Struct, frozen=True, array_like=True):
    """What a node says: its life, the number of the packet in it, where it listens."""

    name: str
    started: int
    bits: int
    number: int
    host: str
    port: int
    leaving: bool
    hidden: bool = False


@dataclass(slots=True)
class Heard:
    """The latest of one node."""

    packet: Packet
    when: float


@dataclass(slots=True)
class Gossip:
    """One node's part; ``expire_after`` is in seconds, ``key`` is the same for all of them."""

    key: bytes
    life: Creation
    host: str
    port: int
    expire_after: float
    hidden: bool = False
    number: int = 0
    heard: dict[str, Heard] = field(default_factory=dict[str, Heard])

    def say(self, leaving: bool = False) -> bytes:
        """The next packet of this node."""
        self.number += 1
        me = self.life
        words = Packet(
            me.node,
            me.started,
            me.bits,
            self.number,
            self.host,
            self.port,
            leaving,
            self.hidden,
        )
        data = msgspec.msgpack.encode(words)
        return MARK + self._mac(data) + data

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self.key, MARK + data, hashlib.sha256)

    def hear(self, datagram: bytes, now: float) -> bool:
        """Take what came in; whether it tells of a node, or of a life of it, that is new here."""
        packet = self._read(datagram)
        if packet is None or packet.name == self.life.node:
            return False
        before = self.heard.get(packet.name)
        if before is not None and _order(packet) <= _order(before.packet):
            return False
        if before is None and len(self.heard) >= MOST:
            self._forget_one()
        self.heard[packet.name] = Heard(packet, now)
        new = before is None or before.packet.bits != packet.bits or self._over(before, now)
        return new and not packet.leaving

    def _read(self, datagram: bytes) -> Packet | None:
        if len(datagram) > MAX_PACKET or not datagram.startswith(MARK):
            return None
        mac, data = datagram[len(MARK) : len(MARK) + MAC], datagram[len(MARK) + MAC :]
        if not hmac.compare_digest(mac, self._mac(data)):
            return None
        try:
            packet = msgspec.msgpack.decode(data, type=Packet)
        except msgspec.MsgspecError:
            return None  # of our key, and another version
        return packet if wrong(_entry(packet)) is None else None

    def _forget_one(self) -> None:
        oldest = min(self.heard, key=lambda name: self.heard[name].when)
        del self.heard[oldest]

    def _over(self, heard: Heard, now: float) -> bool:
        return heard.packet.leaving or now - heard.when >= self.expire_after

    def entries(self, now: float) -> list[Entry]:
        """The nodes that were heard not too long ago, by name."""
        fresh = [heard for _, heard in sorted(self.heard.items()) if not self._over(heard, now)]
        return [_entry(heard.packet) for heard in fresh]


def _order(packet: Packet) -> tuple[int, int, int]:
    return packet.started, packet.bits, packet.number


def _entry(packet: Packet) -> Entry:
    return Entry(packet.name, packet.host, packet.port, hidden=packet.hidden)
