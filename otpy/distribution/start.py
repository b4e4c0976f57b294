"""Giving a node its mesh."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import get_args

from otpy.behaviours import _remote as _remote  # what other nodes ask this one to run
from otpy.behaviours import _rex as _rex
from otpy.distribution.cookie import check_strength, default_cookie, secret_key
from otpy.distribution.discovery import LocalDirectory, Opens, Strategy
from otpy.distribution.discovery._looking import Looking, check_strategies
from otpy.distribution.discovery._strategy import Finding
from otpy.distribution.memory import Network, NetworkFinding
from otpy.distribution.mesh import Mesh
from otpy.distribution.transport import Handler, Transport
from otpy.machines.auto_connect import AutoConnect
from otpy.runtime.arguments import check_flag
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument, NodeError
from otpy.terms.values import is_whole

MAX_PORT = 65535
MAX_TICK = 3600.0  # seconds


def start_mesh(
    node: Node,
    *,
    network: Network | None = None,
    host: str | None = None,
    port: int = 0,
    cookie: str | None = None,
    directory: str | Path | None = None,
    discovery: Sequence[Strategy | Opens] | None = None,
    net_ticktime: float = 10.0,
    auto_connect: AutoConnect = "always",
    refused: Iterable[str] = (),
    hidden: bool = False,
    prevent_overlapping_partitions: bool = True,
) -> Mesh:
    """Give a node its mesh: listen, and connect to every node that its discovery finds.

    ``host`` is the part of the node's name after the ``@`` unless given; a node that listens on
    all addresses ("0.0.0.0", "::") tells others that part. ``port`` 0 takes a free one; ``cookie``
    is the user's own unless given. ``discovery`` is a list of strategies (``otpy.discovery``);
    without it the local directory at ``directory``, the user's own unless given.

    ``auto_connect`` is ``kernel``'s ``dist_auto_connect``: with "never" the node connects to nobody
    but by ``node.connect``; with "once" not again to one with which a session has ended, until
    ``node.connect``. It lets others in all the same. With either it takes no part in preventing
    overlapping partitions: it may be apart from others by choice.

    ``refused``: nodes that are cut off from the start, as by ``Mesh.cut``. With a ``network``
    (``distribution.memory``) the node reaches the other nodes of that network only, without
    sockets; cookie and directory do not matter then, and there can be no other discovery.
    ``hidden`` and ``prevent_overlapping_partitions``: see ``start_node``.

    Raises ``BadArgument``, ``AddressInUse``, ``NodeError`` for a host that is not this machine's
    or an address that others cannot use, ``NodeNameTaken`` and ``WeakCookie``.
    """
    node.check()
    _check(host, port, cookie, net_ticktime)
    check_flag("hidden", hidden)
    check_flag("prevent_overlapping_partitions", prevent_overlapping_partitions)
    if auto_connect not in get_args(AutoConnect):
        raise BadArgument(
            f"auto_connect={auto_connect!r}; expected {', '.join(get_args(AutoConnect))}"
        )
    strategies = _strategies(discovery, directory, network)
    if node.router is not None:
        raise NodeError(f"{node.name} has a mesh already")
    host = host or node.name.split("@")[1]
    told = _told(node.name, host)
    finding: Finding
    transport: Callable[[Handler], Transport]
    if network is not None:
        finding, transport = NetworkFinding(network), network.transport
    else:
        secret = cookie if cookie is not None else default_cookie()
        check_strength(secret, host)
        finding = Looking(strategies, secret, node.clock)
        transport = _sockets(node, secret, net_ticktime)
    mesh = Mesh(
        node,
        host,
        finding,
        net_ticktime,
        transport,
        told,
        auto_connect,
        hidden=hidden,
        prevent_overlapping_partitions=prevent_overlapping_partitions,
    )
    mesh.refused.update(dict.fromkeys(refused))
    mesh.start(port)
    node.router = mesh
    return mesh


def _told(name: str, host: str) -> str:
    """The host under which the others are to reach a node that listens on ``host``.

    An address that stands for all of this machine's means to each of them a machine of its own.
    """
    if not _is_all(host):
        return host
    told = name.partition("@")[2]
    if _is_all(told):
        raise NodeError(
            f"{name} listens on {host}, and its name does not say where others reach it; "
            "expected an address or a host name after the @"
        )
    return told


def _is_all(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == "*"  # as ZeroMQ has it


def _check(host: object, port: object, cookie: object, tick: object) -> None:
    if host is not None and not (isinstance(host, str) and host):
        raise BadArgument(f"host={host!r}; expected an address or a name of this machine")
    if not is_whole(port, 0) or port > MAX_PORT:
        raise BadArgument(f"port={port!r}; expected an int from 0 to {MAX_PORT}")
    if cookie is not None and not (isinstance(cookie, str) and cookie):
        raise BadArgument(f"the cookie is {_kind(cookie)}; expected a str that is not empty")
    if isinstance(tick, bool) or not isinstance(tick, (int, float)) or not 0 < tick <= MAX_TICK:
        raise BadArgument(
            f"net_ticktime={tick!r}; expected seconds, above 0 and at most {MAX_TICK}"
        )


def _strategies(
    discovery: Sequence[Strategy | Opens] | None,
    directory: str | Path | None,
    network: Network | None,
) -> Sequence[Strategy | Opens]:
    if discovery is None:
        return [LocalDirectory(directory)]
    if network is not None:
        raise BadArgument("discovery= and network=: the nodes of a network find each other in it")
    if directory is not None:
        raise BadArgument(
            "discovery= and directory=: give discovery=[LocalDirectory(directory), ...]"
        )
    return check_strategies(discovery)


def _kind(cookie: object) -> str:
    return "empty" if cookie == "" else f"of type {type(cookie).__name__}"  # never the secret


def _sockets(node: Node, secret: str, tick: float) -> Callable[[Handler], Transport]:
    from otpy.distribution.zeromq import Wire

    key = secret_key(secret)
    return lambda handler: Wire(key, node.cluster, node.clock, handler, tick)
