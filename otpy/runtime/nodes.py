"""This node and the others: Elixir's ``Node``, reached as ``otpy.node`` (``cluster/node.py``).

Node names are ``"name@host"``. A node is on the net once it has a mesh
(``start_mesh``); before that it is not ``alive()`` and reaches nobody. What waits for
another node waits in a process of any kind; in a coroutine it raises ``WouldBlockLoop``
before anything is done, and ``await aio.ping(...)`` and so on do the same.
"""

import logging
from collections.abc import Callable
from typing import Any, Literal

from otpy.runtime import peers
from otpy.runtime._current import current, waiter
from otpy.runtime.arguments import check_function, check_seconds
from otpy.runtime.node import Node
from otpy.runtime.outside import Begin, outside
from otpy.runtime.ports import NodeType, Router
from otpy.runtime.process import receive
from otpy.runtime.record import REPLY, Process
from otpy.runtime.reports import function_name
from otpy.runtime.spawning import kind_of, launch, spawn_request
from otpy.runtime.view import View, viewing
from otpy.terms.errors import BadArgument, NotDistributed, ProcessExit
from otpy.terms.messages import SpawnReply
from otpy.terms.names import NODE_EXPECTED, At, is_node_name
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOPROC

LOG = logging.getLogger("otpy.process")
NODE_TYPES = ("visible", "hidden", "all")
Which = Literal["visible", "hidden", "connected", "this", "known"]


def checked(what: str, name: object) -> str:
    """``name`` if it can be a node's name; raises ``BadArgument``."""
    if not is_node_name(name):
        raise BadArgument(f"{what}({name!r:.80}): expected a node's name, {NODE_EXPECTED}")
    return name


def router_of(node: Node, what: str) -> Router:
    """The way to other nodes; raises ``NotDistributed``."""
    if node.router is None:
        raise NotDistributed(
            f"{what}: {node.name} has no mesh; call node.start or start_mesh first"
        )
    return node.router


# Who is there.


def self_() -> str:
    """This node's name, ``"nonode@nohost"`` for the default node: ``Node.self/0``."""
    return current().node.name


def alive() -> bool:
    """Whether this node is on the net, that is, has a mesh: ``Node.alive?/0``."""
    return current().node.router is not None


def list_(which: Which | list[Which] = "visible") -> list[str]:
    """The names of nodes, sorted; the visible ones by default: ``Node.list/0,1``.

    ``which``: "visible" are those of the mesh, "hidden" those connected by hidden connections
    (``start_node(..., hidden=True)``), "connected" both; "this" is this node, "known" this and
    the connected ones; a list of them gives all of these. Raises ``BadArgument``.
    """
    node = current().node
    connected = node.router.nodes("all") if node.router is not None else []
    hidden = node.router.nodes("hidden") if node.router is not None else []
    groups = {
        "visible": [name for name in connected if name not in hidden],
        "hidden": hidden,
        "connected": connected,
        "this": [node.name],
        "known": [node.name, *connected],
    }
    asked: list[Any] = which if isinstance(which, list) else [which]  # checked below
    for word in asked:
        if not isinstance(word, str) or word not in groups:
            raise BadArgument(f"list_({which!r}): expected {', '.join(groups)}, or a list of them")
    return sorted(dict.fromkeys(name for word in asked for name in groups[word]))


def view(timeout: float = 5.0) -> View:
    """Who sees whom: asks every connected node, and waits ``timeout`` seconds at most.

    One that does not answer by then is named in the ``View``. Its I/O thread answers, so a node
    whose processes are all busy does, and one that is paused does not. A node that is not on the
    net sees nobody. Raises ``BadArgument``. OTP has no such function.
    """
    me = waiter("node.view")
    check_seconds("timeout", timeout)
    return outside(me, viewing(me.node, timeout))


# Connections.


def ping(name: str) -> Literal["pong", "pang"]:
    """Whether a node answers, after connecting to it if need be: ``Node.ping/1``.

    "pong" means that an answer came back. "pang" comes at once for a node that nobody
    knows, within 5 s for one that does not let us in, within ``net_ticktime`` for one
    that is connected and says nothing. This node answers itself if it is ``alive()``.
    Raises ``BadArgument``.
    """
    me = waiter("node.ping")
    if asks(me, name):
        begin_ping(me, name)
        while me.reply is None:
            me.park(REPLY, None)
    return answered(me, name)


def asks(me: Process, name: str) -> bool:
    """Whether a ping must travel; ``me.reply`` is empty then."""
    checked("ping", name)
    me.reply = None
    return me.node.router is not None and name != me.node.name


def begin_ping(me: Process, name: str) -> None:
    """Call a name that nobody has: that nobody has it is the sign of life."""
    pid, number = me.pid, next(me.node.numbers)
    me.ask(At(f"ping {number} of {pid.started}.{pid.bits}.{pid.number}", name), "call", None)


def answered(me: Process, name: str) -> Literal["pong", "pang"]:
    """What came back of a ping."""
    reply, me.reply = me.reply, None
    if reply is None:
        return "pong" if me.node.router is not None and name == me.node.name else "pang"
    return "pong" if reply == (False, NOPROC) else "pang"


def connect(name: str) -> bool:
    """Connect to a node; whether it is connected now: ``Node.connect/1``.

    At once if it is already, or if nobody knows it; after 5 s at most. It does so whatever
    ``auto_connect`` says. True for this node itself. Raises ``NotDistributed`` (OTP: ``ignored``)
    and ``BadArgument``.
    """
    me = waiter("node.connect")
    return outside(me, connecting(me.node, name))


def connecting(node: Node, name: str) -> Begin[bool]:
    """What ``connect`` waits for."""
    router = router_of(node, f"connect({checked('connect', name)!r})")
    return lambda done: router.reach(name, lambda up: done(lambda: up), True)


def disconnect(name: str) -> bool:
    """End the session with a node; whether there was one: ``Node.disconnect/1``.

    Links, monitors and calls between the two nodes end with "noconnection"; the
    processes live on. A node of the directory is connected again soon (departures.md).
    Raises ``NotDistributed`` (OTP: ``ignored``) and ``BadArgument``.
    """
    me = waiter("node.disconnect")
    return outside(me, disconnecting(me.node, name))


def disconnecting(node: Node, name: str) -> Begin[bool]:
    """What ``disconnect`` waits for."""
    router = router_of(node, f"disconnect({checked('disconnect', name)!r})")
    return lambda done: router.leave(name, lambda had: done(lambda: had))


# Hearing of nodes.


def monitor(name: str, flag: bool) -> None:
    """Hear when a node goes down, or no longer: ``Node.monitor/2``.

    Each call with True gives one ``NodeDown(name, reason)``: when the session ends, or
    when the node cannot be reached ("connection_setup_failed"; at once if nobody knows
    it, after 5 s at most). It follows every ``Down`` and ``Exit`` that the end of the
    session brings. Each call with False takes one back; without one it does nothing. It
    never waits, in any kind of process. This node itself is not monitored. Raises
    ``NotDistributed`` (OTP: ``notalive``) and ``BadArgument``.
    """
    me = current()
    node = me.node
    _check_flag("monitor", flag)
    if checked("monitor", name) == node.name:
        return
    router = router_of(node, f"monitor({name!r})")
    if not flag:
        node.node_monitors.drop(name, me.pid)
        return
    number = next(node.numbers)
    node.node_monitors.add(name, me.pid, number)
    if not me.alive:
        node.node_monitors.forget(me.pid)
        me.raise_dead()

    def tried(up: bool) -> None:
        if not up:
            peers.unreachable(node, name, me.pid, number)

    router.reach(name, tried)


def monitor_nodes(flag: bool, *, node_type: NodeType = "visible") -> None:
    """Hear of every node that comes up or goes down: ``net_kernel:monitor_nodes/1,2``.

    ``node_type``: "visible" nodes, "hidden" ones or "all"; the messages say which it is.

    ``NodeUp(name)`` comes before anything else of a new session, ``NodeDown(name,
    reason)`` after everything of it. Each call with True adds one of each per event; False
    ends all those of this ``node_type``. Raises ``BadArgument``.
    """
    _check_flag("monitor_nodes", flag)
    if node_type not in NODE_TYPES:
        raise BadArgument(f"monitor_nodes: node_type={node_type!r}; expected {NODE_TYPES}")
    me = current()
    watchers = me.node.node_watchers
    watched = watchers.setdefault(me.pid, {})
    if flag:
        watched[node_type] = watched.get(node_type, 0) + 1
    else:
        watched.pop(node_type, None)
    if not watched:
        watchers.pop(me.pid, None)
    if not me.alive:
        watchers.pop(me.pid, None)
        me.raise_dead()


def _check_flag(what: str, flag: object) -> None:
    if not isinstance(flag, bool):
        raise BadArgument(f"{what}: flag={flag!r}; expected True or False")


# Starting processes.


def spawn(name: str, fn: Callable[..., Any], *args: Any, green: bool = False) -> Pid:
    """Start a process that runs ``fn(*args)`` on a node; its pid: ``Node.spawn/2,4``.

    ``fn`` must be a function of a module that is loaded there, else the process ends at
    once with ("undef", text). For a node that cannot be reached the pid is that of a
    process here which ends with "noconnection". Raises ``BadArgument`` and
    ``NotSendable``.
    """
    return _spawn("spawn", name, fn, args, green)[0]


def spawn_link(name: str, fn: Callable[..., Any], *args: Any, green: bool = False) -> Pid:
    """``spawn`` with a link from the start: ``Node.spawn_link/2,4``."""
    return _spawn("spawn_link", name, fn, args, green)[0]


def spawn_monitor(
    name: str, fn: Callable[..., Any], *args: Any, green: bool = False
) -> tuple[Pid, Ref]:
    """``spawn`` with a monitor from the start; the pid and the monitor's reference:
    ``Node.spawn_monitor/2,4``."""
    pid, ref = _spawn("spawn_monitor", name, fn, args, green)
    assert ref is not None
    return pid, ref


def _spawn(
    how: str, name: str, fn: Callable[..., Any], args: tuple[Any, ...], green: bool
) -> tuple[Pid, Ref | None]:
    me = waiter(f"node.{how}")
    order = Order(how, name, fn, args, green)
    if order.node == me.node.name:
        return order.carry_out(me)
    ref = order.send()
    return order.settle(me, receive(SpawnReply, where=lambda reply: reply.ref == ref))


class Order:
    """A process that is wanted; ``how``: "spawn", "spawn_link" or "spawn_monitor".

    Raises ``BadArgument`` for a bad node name or function.
    """

    def __init__(
        self, how: str, node: str, fn: Callable[..., Any], args: tuple[Any, ...], green: bool
    ) -> None:
        check_function(how, fn)
        self.node = checked(how, node)
        self.fn = fn
        self.args = args
        self.green = green
        self.link = how == "spawn_link"
        self.monitor = how == "spawn_monitor"

    def carry_out(self, me: Process) -> tuple[Pid, Ref | None]:
        """Start it on this node."""
        return self._launch(me, kind_of(self.fn, self.green), self.fn, self.args)

    def send(self) -> Ref:
        """Ask its node for it: a ``SpawnReply`` with this reference will come."""
        return spawn_request(
            self.fn,
            *self.args,
            node=self.node,
            link=self.link,
            monitor=self.monitor,
            green=self.green,
        )

    def settle(self, me: Process, reply: SpawnReply) -> tuple[Pid, Ref | None]:
        """The process asked for; in its place one that ends at once, if there is none."""
        if reply.ok:
            return reply.what, reply.ref if self.monitor else None
        LOG.warning("cannot start %s on %s: %s", function_name(self.fn), self.node, reply.what)
        return self._launch(me, "green", _not_started, (reply.what,))

    def _launch(
        self, me: Process, kind: str, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> tuple[Pid, Ref | None]:
        proc, ref = launch(me, kind, fn, args, link=self.link, monitor=self.monitor)
        return proc.pid, ref


def _not_started(reason: Any) -> None:
    raise ProcessExit(reason)


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
    "view",
]
