"""Starting processes: ``spawn`` here; ``spawn_request`` also elsewhere, without waiting."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from otpy.runtime._current import current
from otpy.runtime.arguments import check_flag, check_function, checked_node
from otpy.runtime.record import Monitor, Process, Server, SpawnRequest
from otpy.terms.errors import BadArgument, ProcessExit
from otpy.terms.names import At, local_key
from otpy.terms.pid import Pid, Ref
from otpy.terms.signals import SpawnedSignal, SpawnSignal

if TYPE_CHECKING:
    from otpy.runtime.node import Node

ReplyMode = Literal["yes", "no", "error_only", "success_only"]
REPLIES: dict[ReplyMode, tuple[bool, ...]] = {
    "yes": (True, False),
    "no": (),
    "error_only": (False,),
    "success_only": (True,),
}
SPAWNER = "spawn"  # what stands for the name in a spawn signal's address


def kind_of(fn: Callable[..., Any], green: bool) -> str:
    """How a process with this body runs: "async", "green" or "thread"."""
    check_flag("green", green)
    return "async" if inspect.iscoroutinefunction(fn) else "green" if green else "thread"


@overload
def spawn(
    fn: Callable[..., Any],
    *args: Any,
    link: bool = ...,
    monitor: Literal[False] = ...,
    green: bool = ...,
    name: str | type | None = ...,
) -> Pid: ...
@overload
def spawn(
    fn: Callable[..., Any],
    *args: Any,
    link: bool = ...,
    monitor: Literal[True],
    green: bool = ...,
    name: str | type | None = ...,
) -> tuple[Pid, Ref]: ...
def spawn(
    fn: Callable[..., Any],
    *args: Any,
    link: bool = False,
    monitor: bool = False,
    green: bool = False,
    name: str | type | None = None,
) -> Pid | tuple[Pid, Ref]:
    """Start a process that runs ``fn(*args)``: on a thread, green, or as a task if ``fn`` is async.

    Returns its pid, with ``monitor=True`` the pid and the monitor's reference.
    """
    check_function("spawn", fn)
    check_flag("link", link)
    check_flag("monitor", monitor)
    me = current()
    proc, ref = launch(me, kind_of(fn, green), fn, args, link=link, monitor=monitor, name=name)
    return proc.pid if ref is None else (proc.pid, ref)


def launch(
    me: Process,
    kind: str,
    fn: Callable[..., Any] | None,
    args: tuple[Any, ...] = (),
    *,
    server: Server | None = None,
    link: bool = False,
    monitor: bool = False,
    name: object = None,
    attach: Callable[[Process], None] | None = None,
) -> tuple[Process, Ref | None]:
    """Make and start a process; link, monitor and ``attach(proc)`` are done before it runs."""
    node = me.node
    proc = node.make(kind, fn, args, server)
    if attach is not None:
        attach(proc)
    pid = proc.pid
    if name is not None:
        try:
            node.names.register(name, pid)
        except BaseException:
            node.procs.pop(pid, None)
            raise
        proc.name = local_key(name)
    proc.ancestors = (me.name or me.pid, *me.ancestors[:8])
    ref = None
    with me.owned:
        if not me.alive:
            node.forget(proc)
            me.raise_dead()
        if link:
            if me.links is None:
                me.links = {}
            me.links[pid] = None
            proc.links = {me.pid: None}
        if monitor:
            ref = node.new_ref(me.pid.number)
            if me.monitors is None:
                me.monitors = {}
            me.monitors[ref] = Monitor(pid, None)
            proc.monitored_by = {ref: (me.pid, False)}
    proc.start()
    return proc, ref


def spawn_link(fn: Callable[..., Any], *args: Any, green: bool = False) -> Pid:
    """``spawn`` with a link from the start."""
    return spawn(fn, *args, link=True, green=green)


def spawn_monitor(fn: Callable[..., Any], *args: Any, green: bool = False) -> tuple[Pid, Ref]:
    """``spawn`` with a monitor from the start; the pid and the monitor's reference."""
    return spawn(fn, *args, monitor=True, green=green)


def spawn_request(
    fn: Callable[..., Any],
    *args: Any,
    node: str | None = None,
    link: bool = False,
    monitor: bool = False,
    green: bool = False,
    reply_tag: Any = "spawn_reply",
    reply: ReplyMode = "yes",
) -> Ref:
    """Ask for a process that runs ``fn(*args)``, here or on another node, and go on.

    ``SpawnReply(ref, ok, what, reply_tag)`` comes: ``what`` is the pid, or the reason why
    not ("noconnection"). It precedes every signal of the new process. With ``monitor`` the
    reference is the monitor's too. On another node ``fn`` must be a function of a module
    loaded there; else the process ends at once with ("undef", text). Raises
    ``BadArgument`` and ``NotSendable``: ``erlang:spawn_request``.
    """
    check_function("spawn_request", fn)
    me = current()
    here = me.node
    place = checked_node(node) if node is not None else here.name
    if not (isinstance(reply, str) and reply in REPLIES):
        raise BadArgument(f"reply={reply!r}; expected one of {', '.join(REPLIES)}")
    ref = here.new_ref(me.pid.number)
    dest = At(SPAWNER, place)
    kind = kind_of(fn, green)
    told = REPLIES[reply]
    with me.owned:
        if me.monitors is None:
            me.monitors = {}
        if told or link or monitor:
            me.monitors[ref] = SpawnRequest(dest, reply_tag, link, monitor, told)
    try:
        here.send_signal(me, SpawnSignal(me.pid, dest, ref, (fn, args), link, monitor, kind))
    except BaseException:
        with me.owned:
            me.monitors.pop(ref, None)
        raise
    return ref


def spawn_here(node: "Node", signal: SpawnSignal) -> None:
    """Start what another process, here or elsewhere, asked for."""
    fn, args = signal.args
    proc: Process = node.make(signal.kind, fn, tuple(args))
    sender = signal.sender
    proc.ancestors = (sender,)
    if signal.link:
        proc.links = {sender: None}
    if signal.monitor:
        proc.monitored_by = {signal.ref: (sender, False)}
    if not node.is_here(sender):
        node.note_peer(proc, sender.node)
    node.signal(SpawnedSignal(sender, signal.ref, proc.pid, None))
    proc.start()


def undefined(text: str) -> None:
    """The body of a process whose function is not known on its node."""
    raise ProcessExit(("undef", text))
