"""What a node does when a session with another one begins or ends, on the I/O thread."""

from typing import TYPE_CHECKING, Any

from otpy.runtime.ports import NodeType
from otpy.runtime.record import NodeGone, Process
from otpy.terms.messages import NodeDown, NodeUp
from otpy.terms.pid import Creation, Pid

if TYPE_CHECKING:
    from otpy.runtime.node import Node


def is_of(which: NodeType, hidden: bool) -> bool:
    """Whether a connection is one of these."""
    return which == "all" or (which == "hidden") == hidden


def visible(node: "Node") -> list[str]:
    """The connected nodes that share names, locks, leases and groups with this one."""
    return [name for name in list(node.peers) if name not in node.hidden]


def watch(proc: "Process") -> list[str]:
    """Let a server of the cluster hear of ``visible`` nodes from now on; those that there are."""
    proc.node.node_watchers[proc.pid] = {"visible": 1}
    return visible(proc.node)


def sees(node: "Node", name: str) -> bool:
    """Whether a node is one of the ``visible``."""
    return name in node.peers and name not in node.hidden


def came_up(node: "Node", creation: Creation, hidden: bool) -> None:
    """A session with another node began."""
    if hidden:
        node.hidden[creation.node] = None
    node.peers[creation.node] = creation
    node.events.emit("node_up", node=creation.node)
    _tell_watchers(node, NodeUp(creation.node, "hidden" if hidden else "visible"))


def went_down(node: "Node", creation: Creation, reason: Any) -> None:
    """A session ended; everything that came in it has been handed in.

    What hangs on it breaks first: a process hears of the node after every ``Down`` and
    ``Exit`` of it, since what is brought to one process keeps its order.
    """
    peer = creation.node
    node.peers.pop(peer, None)
    hidden = peer in node.hidden
    node.hidden.pop(peer, None)
    for pid in list(node.peer_users.pop(peer, {})):
        proc = node.procs.get(pid)
        if proc is not None:
            if proc.peers is not None:
                proc.peers.pop(peer, None)
            proc.submit(NodeGone(pid, peer))
    node.events.emit("node_down", node=peer, reason=reason)
    down = NodeDown(peer, reason, "hidden" if hidden else "visible")
    for pid, times in node.node_monitors.take(peer):
        _tell(node, pid, down, times)
    _tell_watchers(node, down)


def unreachable(node: "Node", peer: str, pid: Pid, number: int) -> None:
    """A node could not be reached, for the sake of a process's monitor of that number."""
    if node.node_monitors.drop(peer, pid, number):
        _tell(node, pid, NodeDown(peer, "connection_setup_failed"))


def _tell_watchers(node: "Node", message: NodeUp | NodeDown) -> None:
    hidden = message.node_type == "hidden"
    for pid, watched in list(node.node_watchers.items()):
        times = sum(times for which, times in list(watched.items()) if is_of(which, hidden))
        if times:
            _tell(node, pid, message, times)


def _tell(node: "Node", pid: Pid, message: NodeUp | NodeDown, times: int = 1) -> None:
    if (proc := node.procs.get(pid)) is not None:
        proc.put_many([message] * times)
