"""Nodes that hear each other on the local network, by UDP broadcast or multicast."""

import ipaddress
import socket
from typing import Any

from otpy.distribution.cookie import check_strength, gossip_key
from otpy.distribution.discovery._strategy import Here
from otpy.machines import gossip
from otpy.machines.discovery import MAX_PORT, Entry
from otpy.runtime.arguments import check_seconds
from otpy.terms.errors import BadArgument, NodeError
from otpy.terms.values import is_whole

# The first look listens so often for so many seconds: others answer a newcomer at their next tick.
LISTENS, LISTEN = 6, 0.1
READS = 2000  # datagrams read at one look, so that a flood does not hold it for ever
MAX_HOPS = 255


class Gossip:
    """Nodes with the same cookie that send to and listen at the same address and port.

    ``address`` is an IPv4 multicast group (sent by ``interface``, the address of one of this
    machine's, over at most ``ttl`` routers plus one) or a broadcast address; libcluster's group
    unless given. A node tells of itself every ``interval`` seconds, and at once when it hears a
    new one; who was not heard for ``expire_after`` seconds is not found any more. Packets are
    signed with a key made from the cookie, and can be read by everybody: they say which nodes
    there are and where they listen.

    Raises ``BadArgument``; at the start of the node ``WeakCookie`` beyond loopback, and
    ``NodeError`` when the address cannot be used here.
    """

    def __init__(
        self,
        address: str = "233.252.1.32",
        port: int = 45892,
        *,
        interface: str = "0.0.0.0",
        ttl: int = 1,
        interval: float = 1.0,
        expire_after: float = 10.0,
    ) -> None:
        self.multicast = _ipv4("address", address).is_multicast
        _ipv4("interface", interface)
        if not is_whole(port, 1) or port > MAX_PORT:
            raise BadArgument(f"port={port!r}; expected an int from 1 to {MAX_PORT}")
        if not is_whole(ttl, 0) or ttl > MAX_HOPS:
            raise BadArgument(f"ttl={ttl!r}; expected an int from 0 to {MAX_HOPS}")
        check_seconds("interval", interval)
        check_seconds("expire_after", expire_after)
        if not 0 < interval < expire_after:
            raise BadArgument(
                f"interval={interval!r}, expire_after={expire_after!r}; expected an interval "
                "above 0 and shorter than what is heard stays"
            )
        self.address, self.port = address, port
        self.interface, self.ttl = interface, ttl
        self.interval, self.expire_after = interval, expire_after

    def open(self, here: Here) -> "OpenGossip":
        """Begin to speak and to listen for a node."""
        check_strength(here.cookie, self.address)
        return OpenGossip(self, here)

    def __repr__(self) -> str:
        return f"Gossip({self.address!r}, {self.port})"


def _ipv4(what: str, address: object) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(str(address))
    except ValueError:
        raise BadArgument(f"{what}={address!r:.80}; expected an IPv4 address") from None


class OpenGossip:
    """One node's socket and what it has heard."""

    def __init__(self, config: Gossip, here: Here) -> None:
        self.config = config
        self.clock = here.clock
        self.machine = gossip.Gossip(
            gossip_key(here.cookie),
            here.life,
            here.entry.host,
            here.entry.port,
            config.expire_after,
            here.entry.hidden,
        )
        self.due = float("-inf")
        self.first = True
        self.socket = _socket(config)

    def found(self) -> list[Entry]:
        """The nodes that were heard; speaks if it is time. Raises when it cannot be sent."""
        for _ in range(LISTENS if self.first else 1):
            if self.clock.now() >= self.due:
                self._say()
            self._hear(LISTEN if self.first else 0.0)
        self.first = False
        return self.machine.entries(self.clock.now())

    def _say(self, leaving: bool = False) -> None:
        self.due = self.clock.now() + self.config.interval
        packet = self.machine.say(leaving)
        self.socket.sendto(packet, (self.config.address, self.config.port))

    def _hear(self, seconds: float) -> None:
        until = self.clock.now() + seconds
        for _ in range(READS):
            self.socket.settimeout(max(0.0, until - self.clock.now()))
            try:
                # One byte more than there may be: what is longer is seen to be so.
                datagram = self.socket.recv(gossip.MAX_PACKET + 1)
            except (BlockingIOError, TimeoutError):
                return
            if self.machine.hear(datagram, self.clock.now()):
                self.due = float("-inf")  # it shall hear us soon

    def leave(self) -> None:
        """Say that this node is to be found no more."""
        self._say(leaving=True)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _socket(config: Gossip) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others of this machine listen
        if config.multicast:
            _multicast(made, config)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        # Bound to the address itself, it gets nothing that is sent elsewhere.
        made.bind((config.address, config.port))
    except OSError as error:
        made.close()
        raise NodeError(f"{config!r} cannot be used here: {error}") from error
    return made


def _multicast(made: Any, config: Gossip) -> None:
    interface = socket.inet_aton(config.interface)
    membership = socket.inet_aton(config.address) + interface
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, config.ttl)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
