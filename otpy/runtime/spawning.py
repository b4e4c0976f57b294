"""Starting processes without waiting, and on other nodes: ``spawn_request``."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.runtime._current import current
from otpy.runtime.record import Process, SpawnRequest
from otpy.terms.errors import BadArgument, ProcessExit
from otpy.terms.names import At
from otpy.terms.pid import Ref
from otpy.terms.signals import SpawnedSignal, SpawnSignal

if TYPE_CHECKING:
    from otpy.runtime.node import Node

REPLIES = {"yes": (True, False), "no": (), "error_only": (False,), "success_only": (True,)}
SPAWNER = "spawn"  # what stands for the name in a spawn signal's address


def check_function(what: str, fn: object) -> None:
    """Raise ``BadArgument`` unless ``fn`` can be the body of a process."""
    if not callable(fn):
        raise BadArgument(f"{what}({fn!r}): expected a function")


def kind_of(fn: Callable[..., Any], green: bool) -> str:
    """How a process with this body runs: "async", "green" or "thread"."""
    return "async" if inspect.iscoroutinefunction(fn) else "green" if green else "thread"


def spawn_request(
    fn: Callable[..., Any],
    *args: Any,
    node: str | None = None,
    link: bool = False,
    monitor: bool = False,
    green: bool = False,
    reply_tag: Any = "spawn_reply",
    reply: str = "yes",
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
    place = node if node is not None else here.name
    if not isinstance(place, str) or place.count("@") != 1:
        raise BadArgument(f"node={place!r}; expected 'name@host'")
    if reply not in REPLIES:
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
    if sender.node != node.name:
        node.note_peer(proc, sender.node)
    node.signal(SpawnedSignal(sender, signal.ref, proc.pid, None))
    proc.start()


def undefined(text: str) -> None:
    """The body of a process whose function is not known on its node."""
    raise ProcessExit(("undef", text))
