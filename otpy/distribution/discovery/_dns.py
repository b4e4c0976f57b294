"""Nodes found by the addresses of one DNS name, such as a headless service's."""

import ipaddress
from typing import TYPE_CHECKING, Any

from otpy.distribution.discovery._strategy import Here
from otpy.machines.discovery import MAX_PORT, Entry
from otpy.runtime.arguments import check_seconds
from otpy.terms.errors import BadArgument, NodeError
from otpy.terms.names import is_node_name
from otpy.terms.values import is_whole

if TYPE_CHECKING:
    from dns.resolver import Resolver

TYPES = ("A", "AAAA")


class Dns:
    """Every address of ``name`` is the node ``basename@address``, on ``port``.

    ``basename`` is that of the node itself unless given. The name is looked up every ``interval``
    seconds, by the machine's resolvers, or by the one at ``nameserver`` (an IP address) and
    ``nameserver_port``; a look-up takes at most ``timeout`` seconds. One that fails, or a name
    that does not exist, leaves what was found before. An address is believed only in so far as
    it is dialed: who answers there must have the cookie and the name.

    Needs dnspython: ``pip install 'otpy-actors[dns]'``; without it this raises ``NodeError``.
    Raises ``BadArgument`` too.
    """

    def __init__(
        self,
        name: str,
        port: int,
        *,
        basename: str | None = None,
        interval: float = 5.0,
        timeout: float = 2.0,
        nameserver: str | None = None,
        nameserver_port: int = 53,
    ) -> None:
        if not (isinstance(name, str) and name):
            raise BadArgument(f"Dns(name={name!r:.80}): expected a DNS name")
        _check_port("port", port)
        _check_port("nameserver_port", nameserver_port)
        if basename is not None and not is_node_name(f"{basename}@1"):
            raise BadArgument(f"basename={basename!r:.80}; expected what stands before a node's @")
        for what, seconds in (("interval", interval), ("timeout", timeout)):
            check_seconds(what, seconds)
        if timeout == 0:
            raise BadArgument("timeout=0; expected seconds, above 0: nothing answers at once")
        if nameserver is not None:
            _check_address(nameserver)
        self.name, self.port, self.basename = name, port, basename
        self.interval, self.timeout = interval, timeout
        self.nameserver, self.nameserver_port = nameserver, nameserver_port
        _dnspython()

    def open(self, here: Here) -> "OpenDns":
        """Begin to look for a node."""
        return OpenDns(self, here)

    def __repr__(self) -> str:
        return f"Dns({self.name!r}, {self.port})"


def _check_port(what: str, port: object) -> None:
    if not is_whole(port, 1) or port > MAX_PORT:
        raise BadArgument(f"{what}={port!r}; expected an int from 1 to {MAX_PORT}")


def _check_address(text: object) -> None:
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        raise BadArgument(f"nameserver={text!r:.80}; expected an IP address") from None


def _dnspython() -> Any:
    try:
        import dns.resolver
    except ImportError as error:
        raise NodeError(
            f"Dns needs dnspython ({error}); install it with: pip install 'otpy-actors[dns]'"
        ) from error
    return dns.resolver


class OpenDns:
    """The look-ups of one node."""

    def __init__(self, config: Dns, here: Here) -> None:
        self.config = config
        self.clock = here.clock
        self.basename = config.basename or here.entry.name.partition("@")[0]
        self.last: list[Entry] = []
        self.failure: Exception | None = None
        self.due = float("-inf")
        resolver: Resolver = _dnspython().Resolver(configure=config.nameserver is None)
        if config.nameserver is not None:
            resolver.nameservers = [config.nameserver]
            resolver.port = config.nameserver_port
        self.resolver = resolver

    def found(self) -> list[Entry]:
        """The nodes of the latest answer; asks again when it is time.

        A look-up that failed is raised until there is a better one: it fails all that time.
        """
        from dns.exception import DNSException

        now = self.clock.now()
        if now >= self.due:
            self.due = now + self.config.interval
            self.failure = None
            try:
                self.last = self._look_up(now + self.config.timeout)
            except DNSException as error:
                self.failure = error
        if self.failure is not None:
            raise self.failure
        return self.last

    def _look_up(self, deadline: float) -> list[Entry]:
        from dns.exception import DNSException
        from dns.resolver import NoAnswer

        addresses: list[str] = []
        failures: list[DNSException] = []
        for kind in TYPES:
            left = deadline - self.clock.now()
            if left <= 0:
                break
            try:
                answer = self.resolver.resolve(self.config.name, kind, lifetime=left, search=True)
                addresses += sorted(str(record) for record in answer)
            except NoAnswer:
                pass  # the name has no address of this kind
            except DNSException as error:
                failures.append(error)
        if failures and not addresses:
            raise failures[0]
        return [Entry(f"{self.basename}@{ip}", ip, self.config.port) for ip in addresses]

    def leave(self) -> None:
        """What DNS says of this node is not ours to change."""

    def close(self) -> None:
        """Nothing is held between look-ups."""
