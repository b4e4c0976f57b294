"""``otpy.node``: Elixir's ``Node``. Starting and stopping the distribution of a node that runs.

Everything else of it is ``runtime/nodes.py``. The mesh is imported on first use.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otpy.machines.auto_connect import AutoConnect
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_seconds, checked_node
from otpy.runtime.nodes import (
    View,
    Which,
    alive,
    connect,
    disconnect,
    list_,
    monitor,
    monitor_nodes,
    ping,
    self_,
    spawn,
    spawn_link,
    spawn_monitor,
    spawn_request,
    view,
)

if TYPE_CHECKING:
    from otpy.distribution.discovery import Opens, Strategy


def start(
    name: str,
    *,
    cookie: str | None = None,
    directory: str | Path | None = None,
    discovery: "Sequence[Strategy | Opens] | None" = None,
    host: str | None = None,
    port: int = 0,
    net_ticktime: float = 10.0,
    auto_connect: AutoConnect = "always",
    sync_nodes_timeout: float = 2.0,
    hidden: bool = False,
    prevent_overlapping_partitions: bool = True,
) -> None:
    """Put this node on the net as ``name``, while it runs: ``Node.start/3``.

    Its processes go on and keep their pids, whose ``node`` stays "nonode@nohost" on this node;
    others know them as processes of ``name``. The cluster's names are started, too, if they do not
    run. The options are those of ``start_node``; a node started so grants no leases from a disk
    (``state_dir``). It waits, as ``start_node`` does.

    Raises ``NodeError`` if this node has a mesh already (OTP: ``already_started``), has a name of
    its own that is another, or leases with a ``state_dir``; ``BadArgument`` for a bad name; what
    ``start_mesh`` raises: then the node is as it was. In a coroutine ``WouldBlockLoop``.
    """
    me = waiter("node.start")
    checked_node(name)
    check_seconds("sync_nodes_timeout", sync_nodes_timeout)
    from otpy.cluster import _dynamic

    options: dict[str, Any] = {
        "cookie": cookie,
        "directory": directory,
        "discovery": discovery,
        "host": host,
        "port": port,
        "net_ticktime": net_ticktime,
        "auto_connect": auto_connect,
        "hidden": hidden,
        "prevent_overlapping_partitions": prevent_overlapping_partitions,
    }
    _dynamic.start(me, name, sync_nodes_timeout, options)


def stop() -> None:
    """Take this node off the net again, while it runs on: ``Node.stop/0``.

    It says goodbye to the others. Links, monitors and calls to their processes end with
    "noconnection", ``NodeDown`` comes, and it is called as it was before ``start``. Its processes
    go on; global names that they hold are theirs again when the node is started anew. Leases are
    lost.

    Raises ``NotDistributed`` if it was not started (OTP: ``not_found``) and ``NodeError`` if it
    was on the net from its beginning, by ``start_node`` or ``start_mesh`` (OTP: ``not_allowed``):
    stop the node then. In a coroutine ``WouldBlockLoop``.
    """
    me = waiter("node.stop")
    from otpy.cluster import _dynamic

    _dynamic.stop(me)


__all__ = [
    "View",
    "Which",
    "alive",
    "connect",
    "disconnect",
    "list_",
    "monitor",
    "monitor_nodes",
    "ping",
    "self_",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "spawn_request",
    "start",
    "stop",
    "view",
]
