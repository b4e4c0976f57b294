"""What a node does when a session with another one begins or ends, on the I/O thread."""

from typing import TYPE_CHECKING, Any

from otpy.runtime.record import NodeGone
from otpy.terms.messages import NodeDown, NodeUp
from otpy.terms.pid import Creation, Pid

if TYPE_CHECKING:
    from otpy.runtime.node import Node


def came_up(node: "Node", creation: Creation) -> None:
    """A session with another node began."""
    node.peers[creation.node] = creation
    node.events.emit("node_up", node=creation.node)
    _tell_watchers(node, NodeUp(creation.node))


def went_down(node: "Node", creation: Creation, reason: Any) -> None:
    """A session ended; everything that came in it has been handed in.

    What hangs on it breaks first: a process hears of the node after every ``Down`` and
    ``Exit`` of it, since what is brought to one process keeps its order.
    """
    peer = creation.node
    node.peers.pop(peer, None)
    for pid in list(node.peer_users.pop(peer, {})):
        proc = node.procs.get(pid)
        if proc is not None:
            if proc.peers is not None:
                proc.peers.pop(peer, None)
            proc.submit(NodeGone(pid, peer))
    node.events.emit("node_down", node=peer, reason=reason)
    down = NodeDown(peer, reason)
    for pid, times in node.node_monitors.take(peer):
        _tell(node, pid, down, times)
    _tell_watchers(node, down)


def unreachable(node: "Node", peer: str, pid: Pid, number: int) -> None:
    """A node could not be reached, for the sake of a process's monitor of that number."""
    if node.node_monitors.drop(peer, pid, number):
        _tell(node, pid, NodeDown(peer, "connection_setup_failed"))


def _tell_watchers(node: "Node", message: NodeUp | NodeDown) -> None:
    for pid, times in list(node.node_watchers.items()):
        _tell(node, pid, message, times)


def _tell(node: "Node", pid: Pid, message: NodeUp | NodeDown, times: int = 1) -> None:
    if (proc := node.procs.get(pid)) is not None:
        proc.put_many([message] * times)
