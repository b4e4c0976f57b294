"""Starting and stopping the distribution of a node that runs: the work behind ``node.py``."""

import threading
from collections.abc import Callable
from typing import Any

from otpy.behaviours import gen_server
from otpy.cluster import global_
from otpy.cluster._global_server import SERVER
from otpy.cluster._lease_contests import SERVER as LEASE_SERVER
from otpy.cluster._meeting import meet
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from otpy.runtime.node import Node
from otpy.runtime.outside import apart, outside
from otpy.runtime.record import Process
from otpy.runtime.renaming import rename
from otpy.terms.errors import CallExit, NodeError, NotDistributed
from otpy.terms.names import NO_NODE


class Dynamic:
    """The distribution of a node that was started while it ran: what the node was called before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.before: str | None = None  # None: not started so


def start(me: Process, name: str, sync_nodes_timeout: float, options: dict[str, Any]) -> None:
    """What ``node.start`` does; ``options`` are those of ``start_mesh``."""
    node = me.node

    def begin() -> None:
        _check(node, name)
        before = node.name
        _call(node, name)
        try:
            mesh = start_mesh(node, **options)
        except BaseException:
            _call(node, before)
            raise
        node.own(Dynamic).before = before
        global_.start(node)
        if sync_nodes_timeout > 0 and not mesh.hidden:
            meet(node, mesh, sync_nodes_timeout)

    outside(me, apart(node, _alone(node, begin)))


def _check(node: Node, name: str) -> None:
    if node.router is not None:
        raise NodeError(f"start({name!r}): {node.name} has a mesh already")
    if node.name not in (NO_NODE, name):
        raise NodeError(f"start({name!r}): this is {node.name}; expected that name")
    service = node.name_services.get("global")
    if name != node.name and getattr(getattr(service, "leases", None), "store", None) is not None:
        raise NodeError(
            f"start({name!r}): what is in the state_dir of {node.name} was promised under that "
            "name; expected a node without leases, or start_node"
        )


def stop(me: Process) -> None:
    """What ``node.stop`` does."""
    node = me.node
    outside(me, apart(node, _alone(node, lambda: _stop(node))))


def _stop(node: Node) -> None:
    router, dynamic = node.router, node.own(Dynamic)
    if router is None:
        raise NotDistributed(f"stop: {node.name} is not on the net; call node.start first")
    before = dynamic.before
    if before is None or not isinstance(router, Mesh):
        raise NodeError(
            f"stop: {node.name} was on the net from its beginning, not by node.start; "
            "stop the node instead"
        )
    node.router = None  # first, so that nobody waits for what is going away
    router.stop(drains=False)
    dynamic.before = None
    _call(node, before)


def _alone(node: Node, work: Callable[[], None]) -> Callable[[], None]:
    """``work``, when no other start or stop of the node is under way."""

    def run() -> None:
        with node.own(Dynamic).lock:
            work()

    return run


def _call(node: Node, name: str) -> None:
    """Call a node without a mesh ``name`` from now on, and let its servers of names know."""
    if name == node.name:
        return
    rename(node, name)
    for server in (SERVER, LEASE_SERVER):
        if (pid := node.names.whereis(server)) is not None:
            try:
                gen_server.call(pid, ("renamed", name), timeout=None)
            except CallExit:
                continue  # it has just ended; the one after it begins with the new name
