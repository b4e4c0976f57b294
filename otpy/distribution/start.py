"""Giving a node its mesh."""

from collections.abc import Callable
from pathlib import Path

from otpy.behaviours import _remote as _remote  # what other nodes ask this one to run
from otpy.behaviours import _rex as _rex
from otpy.distribution.cookie import check_strength, default_cookie, secret_key
from otpy.distribution.directory import Directory
from otpy.distribution.memory import Network
from otpy.distribution.mesh import Mesh
from otpy.distribution.transport import Handler, Transport
from otpy.runtime.node import Node
from otpy.terms.errors import NodeError


def start_mesh(
    node: Node,
    *,
    network: Network | None = None,
    host: str | None = None,
    port: int = 0,
    cookie: str | None = None,
    directory: str | Path | None = None,
    net_ticktime: float = 10.0,
) -> Mesh:
    """Give a node its mesh: listen, and connect to every node of the directory.

    ``host`` is the part of the node's name after the ``@`` unless given; ``port`` 0 takes
    a free one; ``cookie`` is the user's own unless given. Raises ``AddressInUse``,
    ``NodeNameTaken`` and ``WeakCookie``. With a ``network`` (``distribution.memory``)
    the node reaches the other nodes of that network only, without sockets; cookie and
    directory do not matter then.
    """
    node.check()
    if node.router is not None:
        raise NodeError(f"{node.name} has a mesh already")
    host = host or node.name.split("@")[1]
    if network is not None:
        mesh = Mesh(node, host, network, net_ticktime, network.transport)
    else:
        mesh = Mesh(
            node,
            host,
            Directory(directory),
            net_ticktime,
            _sockets(node, host, cookie, net_ticktime),
        )
    mesh.start(port)
    node.router = mesh
    return mesh


def _sockets(
    node: Node, host: str, cookie: str | None, tick: float
) -> Callable[[Handler], Transport]:
    from otpy.distribution.zeromq import Wire

    secret = cookie if cookie is not None else default_cookie()
    check_strength(secret, host)
    key = secret_key(secret)
    return lambda handler: Wire(key, node.clock, handler, tick)
