"""Starting a node of a cluster with all that belongs to it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from otpy.cluster import global_
from otpy.cluster._meeting import meet
from otpy.cluster.global_ import NAMES_PER_MINUTE
from otpy.cluster.lease import LEASE_TIME
from otpy.distribution.discovery import Opens, Strategy
from otpy.distribution.memory import Network
from otpy.distribution.start import start_mesh
from otpy.machines.auto_connect import AutoConnect
from otpy.runtime.arguments import check_seconds
from otpy.runtime.node import Node


def start_node(
    name: str,
    *,
    cookie: str | None = None,
    directory: str | Path | None = None,
    discovery: Sequence[Strategy | Opens] | None = None,
    host: str | None = None,
    port: int = 0,
    net_ticktime: float = 10.0,
    auto_connect: AutoConnect = "always",
    sync_nodes_timeout: float = 2.0,
    lease_time: float = LEASE_TIME,
    state_dir: str | Path | None = None,
    names_per_minute: int | None = NAMES_PER_MINUTE,
    network: Network | None = None,
    refused: Iterable[str] = (),
    hidden: bool = False,
    prevent_overlapping_partitions: bool = True,
) -> Node:
    """Start a node with its mesh and the cluster's names: ``elixir --name NAME --cookie COOKIE``.

    It connects to the nodes that it finds and that have the same cookie; without ``cookie``,
    ``directory`` and ``discovery`` these are all nodes of this machine and user.
    ``discovery=[Dns("app.default.svc", 9100)]`` finds them elsewhere (``otpy.discovery`` has the
    strategies). ``with`` stops it::

        with start_node("a@127.0.0.1") as node, node.attached():
            supervisor.start_link(children, strategy="one_for_one")

    It returns when it has met the nodes that it finds at first and knows the names
    they hold, so what it starts next does not lead beside their leaders; a node that does not
    answer is waited for ``sync_nodes_timeout`` seconds (``kernel``'s ``sync_nodes_optional``), 0
    waits for none. Nodes that start at the same instant may still miss each other. Tests that
    start a node on one side of a netsplit give as ``refused`` the nodes of the other.

    ``hidden`` (``-hidden``): all its connections are hidden. It connects to a node when something
    is sent there or ``node.connect`` says so, nobody connects to it because it was found, and no
    names, locks, leases or groups are shared over such a connection.

    ``prevent_overlapping_partitions`` (``kernel``'s): where two nodes cannot see each other for
    half of ``net_ticktime``, those that see both part with the one that started later, until the
    two do. On all nodes alike.

    ``host`` and ``auto_connect`` are those of ``start_mesh``. With "never" it meets nobody.

    ``lease_time`` and ``state_dir`` are for names with a quorum, and above ``names_per_minute``
    there is a warning, see ``global_.start``.

    Raises ``NodeError`` for a bad name, ``BadArgument``, and what ``start_mesh`` raises:
    ``AddressInUse``, ``NodeNameTaken``, ``WeakCookie``.
    """
    check_seconds("sync_nodes_timeout", sync_nodes_timeout)
    node = Node(name).start()
    try:
        mesh = start_mesh(
            node,
            network=network,
            host=host,
            port=port,
            cookie=cookie,
            directory=directory,
            discovery=discovery,
            net_ticktime=net_ticktime,
            auto_connect=auto_connect,
            refused=refused,
            hidden=hidden,
            prevent_overlapping_partitions=prevent_overlapping_partitions,
        )
        global_.start(
            node, lease_time=lease_time, state_dir=state_dir, names_per_minute=names_per_minute
        )
        if network is None and sync_nodes_timeout > 0 and not hidden:
            meet(node, mesh, sync_nodes_timeout)
    except BaseException:
        node.stop()
        raise
    return node
