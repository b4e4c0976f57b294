"""Waiting for a cluster to form: ``cluster_ready``, and ``ClusterReady``, the child that does it.

Nodes that start at one instant may miss each other in ``start_node``: each is alone for a moment,
and what it starts then leads beside the others' leaders. OTP has ``kernel``'s
``sync_nodes_mandatory``, a list of names; this is a number.
"""

from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours.child_spec import ChildSpec, keywords
from otpy.behaviours.results import IGNORE, Ignore
from otpy.cluster._global_server import SERVER, server_of
from otpy.runtime import nodes, process
from otpy.runtime._current import check_may_wait, current
from otpy.runtime.arguments import check_seconds
from otpy.terms.errors import (
    BadArgument,
    ClusterNotReady,
    NodeStopped,
    ReceiveTimeout,
    StartError,
)
from otpy.terms.messages import Down, NodeDown, NodeUp, Response
from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOPROC, is_word
from otpy.terms.values import is_whole

# The name servers that are asked about one node, in this order: ours answers when it has told that
# node our names, that node's when it has told us its own, and ours again when it has heard them.
THEIRS, OURS_AGAIN = 1, 2


def cluster_ready(min_nodes: int, timeout: float) -> list[str]:
    """Wait until a cluster of ``min_nodes`` is there, this node included; its nodes, sorted.

    So many are connected to this node, and it and each of them know the names that the other had
    for ``global_``: what is started next does not lead beside a leader of theirs. A node that is
    connected and has no name server has no names. One that is connected and does not answer is
    waited for until its session ends (``net_ticktime``), or, if there are enough without it,
    for ``timeout`` seconds.

    Raises ``ClusterNotReady``, a ``TimeoutError`` that says who is there, after ``timeout``
    seconds; ``BadArgument``, ``NotDistributed``, ``WouldBlockLoop``.
    """
    check_may_wait("cluster_ready")
    if not is_whole(min_nodes, 1):
        raise BadArgument(f"min_nodes={min_nodes!r}; expected an int of at least 1")
    check_seconds("timeout", timeout)
    me = current()
    server_of(me.node)
    # A process of its own: what it hears of nodes must not get into our mailbox.
    _, ref = process.spawn_monitor(_await, me.pid, min_nodes, float(timeout), green=True)
    down: Down = process.receive(Down, where=lambda down: down.ref == ref)
    match down.reason:
        case ("ready", found):
            return [*found]
        case ("late", found, connected):
            raise ClusterNotReady(min_nodes, float(timeout), [*found], [*connected])
        case reason:
            raise NodeStopped(f"cluster_ready: {me.node.name} stops ({reason})")


class ClusterReady:
    """The first child of a supervisor whose others must not start before the cluster is there.

    ::

        children = [(ClusterReady, {"min_nodes": 2, "timeout": 30.0}), (LeaderWorker, {})]

    No process is left of it, and it is not started again with its siblings. If the cluster is not
    ready in time the supervisor does not start: the reason has
    ``("cluster_not_ready", nodes, min_nodes)``.
    """

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        """The specification; ``arg`` is a dict with the keywords of ``cluster_ready``.

        Raises ``BadArgument``, and ``TypeError`` for other keywords.
        """
        return _spec(**keywords("ClusterReady", "cluster_ready", arg))


def _spec(min_nodes: int, timeout: float) -> ChildSpec:
    return ChildSpec(ClusterReady, (_first, (min_nodes, timeout)), restart="temporary")


def _first(min_nodes: int, timeout: float) -> Ignore:
    try:
        cluster_ready(min_nodes, timeout)
    except ClusterNotReady as error:
        raise StartError(("cluster_not_ready", error.nodes, min_nodes), str(error)) from error
    return IGNORE


def _await(caller: Pid, min_nodes: int, timeout: float) -> None:
    """The process that waits. It tells the outcome by its exit reason."""
    nodes.monitor_nodes(True)
    process.monitor(caller)
    deadline = process.monotonic_time() + timeout
    meeting = Meeting()
    for peer in nodes.list_():
        meeting.begin(peer)
    while meeting.asked or len(meeting.met) + 1 < min_nodes:
        try:
            message = process.receive(timeout=max(0.0, deadline - process.monotonic_time()))
        except ReceiveTimeout:
            break
        if isinstance(message, Down):
            return  # the caller ended
        meeting.take(message)
    found = tuple(sorted([nodes.self_(), *meeting.met]))
    if len(found) >= min_nodes:
        process.exit(("ready", found))
    process.exit(("late", found, tuple(nodes.list_())))


class Meeting:
    """Whom this node has met, and who is being asked."""

    def __init__(self) -> None:
        self.met: dict[str, None] = {}
        self.asked: dict[Ref, tuple[str, int]] = {}  # about which node, and which step it is

    def begin(self, peer: str) -> None:
        """A session with a node began."""
        self.end(peer)
        self.ask(peer, 0)

    def end(self, peer: str) -> None:
        """A session ended; answers of it come too late."""
        self.met.pop(peer, None)
        self.asked = {ref: about for ref, about in self.asked.items() if about[0] != peer}

    def ask(self, peer: str, step: int) -> None:
        """Ask the name server whose turn it is; its answer is a message."""
        place = peer if step == THEIRS else nodes.self_()
        self.asked[gen_server.send_request(At(SERVER, place), ("sync",)).ref] = (peer, step)

    def take(self, message: Any) -> None:
        """A message came."""
        match message:
            case NodeUp(peer):
                self.begin(peer)
            case NodeDown(peer):
                self.end(peer)
            case Response(ref, ok, value) if ref in self.asked:
                peer, step = self.asked.pop(ref)
                if step < OURS_AGAIN:
                    if ok or is_word(value, NOPROC):  # else its session has ended, as we shall hear
                        self.ask(peer, step + 1)
                else:
                    self.met[peer] = None
            case _:
                pass  # an answer of a session that has ended
