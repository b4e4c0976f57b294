"""Processes: Elixir's ``Process`` module and the parts of ``Kernel`` that belong to it.

Every function works on the current process; a plain thread gets an implicit
process on the default node. Time is float seconds. In a process that has been
ended from outside, each of them raises ``ProcessExit``. Here are messages, links, monitors
and exits; the rest comes from the modules of its topic.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from otpy.runtime._current import current, waiter
from otpy.runtime.actor_refs import actor_ref
from otpy.runtime.arguments import (
    check_seconds,
    check_timeout,
    check_wanted,
    checked_pid,
    checked_ref,
)
from otpy.runtime.belongings import controlling_process, disown, own
from otpy.runtime.busy import is_busy
from otpy.runtime.dictionary import delete, get, get_keys, put
from otpy.runtime.info import alive, info, list_
from otpy.runtime.names import register, registered, unregister, where, whereis
from otpy.runtime.outside import await_coroutine, blocking
from otpy.runtime.record import ANY, Alias, Monitor, Process
from otpy.runtime.spawning import spawn, spawn_link, spawn_monitor, spawn_request
from otpy.runtime.times import (
    cancel_timer,
    monotonic_time,
    read_timer,
    send_after,
    sleep_until,
    start_timer,
)
from otpy.terms.errors import (
    BadArgument,
    NoProcess,
    NotRegistered,
    ProcessExit,
    ReceiveTimeout,
)
from otpy.terms.messages import Down
from otpy.terms.names import MAX_NAME, At, Global, Via, local_key
from otpy.terms.pid import Pid, Ref
from otpy.terms.signals import (
    DemonitorSignal,
    ExitSignal,
    LinkSignal,
    Message,
    MonitorSignal,
    UnlinkSignal,
)

T = TypeVar("T")
Dest = Pid | Ref | str | type | Global | Via | At
Sent = Literal["ok", "nosuspend", "noconnect"]
AliasMode = Literal["explicit_unalias", "reply", "demonitor", "reply_demonitor"]
ALIAS_MODES = ("explicit_unalias", "reply", "demonitor", "reply_demonitor")


def self_pid() -> Pid:
    """The current process's pid: ``self()``."""
    return current().pid


def make_ref() -> Ref:
    """A reference that was never used before, on any node: ``make_ref/0``."""
    return current().node.new_ref()


# Sending and receiving.


@overload
def send(dest: Dest, message: T) -> T: ...


@overload
def send(dest: Dest, message: object, *, nosuspend: bool, noconnect: bool = ...) -> Sent: ...


@overload
def send(dest: Dest, message: object, *, noconnect: bool) -> Sent: ...


def send(dest: Dest, message: Any, *, nosuspend: bool = False, noconnect: bool = False) -> Any:
    """Send ``message`` to a pid, an alias or a name; gives the message back: ``send/2``.

    A dead pid and ``At(name, node)`` swallow it without a word, as in OTP. Where more than a
    megabyte waits for the other node, the caller waits until half of that is gone. Raises
    ``NotRegistered`` for a local, global or via name that nobody has, and ``NotSendable`` for a
    message that cannot go to another node; in a coroutine ``Busy`` where it would have to wait.

    With an option it is ``Process.send/3``: "ok", or "nosuspend" if it would have to wait, or
    "noconnect" if the other node is not connected; then the message was not sent.
    """
    me = current()
    if nosuspend or noconnect:
        return _send_if(me, dest, message, nosuspend, noconnect)
    node = me.node
    if type(dest) is Pid:
        proc = node.procs.get(dest)
        if proc is not None:
            node.put(me, proc, message)
        elif dest.node != node.name and dest.node != node.home.node:
            node.stream(me, dest, False, message)
        return message
    if type(dest) is At and not node.is_here(dest):
        node.stream(me, dest, False, message)
        return message
    if isinstance(dest, (Ref, At)):
        node.send_signal(me, Message(me.pid, dest, message))
        return message
    return send(_found(me, dest), message)


def _found(me: Process, dest: Dest) -> Pid:
    pid = where(me, dest)
    if pid is None:
        raise NotRegistered(f"no process is registered as {dest!r}")
    return pid


def _send_if(me: Process, dest: Dest, message: Any, nosuspend: bool, noconnect: bool) -> Sent:
    goal = dest if isinstance(dest, (Pid, Ref, At)) else _found(me, dest)
    router = me.node.router
    if router is not None and not me.node.is_here(goal):
        if noconnect and goal.node not in router.nodes("all"):
            return "noconnect"
        if nosuspend and is_busy(me.node, me, goal.node):
            return "nosuspend"
    send(goal, message)
    return "ok"


def _matches(item: Any, types: tuple[type, ...], where: Callable[[Any], bool] | None) -> bool:
    return (not types or isinstance(item, types)) and (where is None or where(item))


def scan(
    proc: Process, seen: int, types: tuple[type, ...], where: Callable[[Any], bool] | None
) -> tuple[bool, Any, int]:
    """Look for a message from the place ``seen`` on: whether it was there, it, where to go on."""
    mailbox = proc.mailbox
    while seen < len(mailbox):
        item = mailbox[seen]
        if _matches(item, types, where):
            with proc.owned:
                del mailbox[seen]
            return True, item, seen
        seen += 1
    return False, None, seen


def take(*types: type, where: Callable[[Any], bool]) -> Any:
    """As ``receive`` with a time-out of 0, for otpy's own code: nobody else runs meanwhile."""
    found, item, _ = scan(current(), 0, types, where)
    if not found:
        raise no_message(types, 0)
    return item


def receive(
    *types: type,
    where: Callable[[Any], bool] | None = None,
    timeout: float | None = None,
) -> Any:
    """Take the first message that is of one of ``types`` and satisfies ``where``.

    Waits ``timeout`` seconds, for ever if None; 0 looks once, and if nothing is there, lets others
    run. Messages that do not match stay where they are, in order. Raises ``ReceiveTimeout``, and
    in a coroutine ``WouldBlockLoop`` unless ``timeout`` is 0; then nothing else runs there.
    """
    check_timeout(timeout)
    proc = current() if timeout == 0 else waiter("process.receive")
    deadline = None if timeout is None else proc.node.clock.now() + timeout
    seen = 0
    waited = False
    while True:
        try:
            found, item, seen = scan(proc, seen, types, where)
        except TypeError:
            check_wanted(types, where)
            raise
        if found:
            return item
        check_wanted(types, where)  # here, as what has been found was wanted
        if deadline is not None and proc.node.clock.now() >= deadline:
            if not waited:
                proc.give_way()  # who polls is not to keep out what it polls for
            raise no_message(types, timeout)
        proc.park(ANY, deadline, seen)
        waited = True


def no_message(types: tuple[type, ...], timeout: float | None) -> ReceiveTimeout:
    """What a receive raises to which no message of ``types`` came in time."""
    names = ", ".join(map(_name, types)) or "any message"
    return ReceiveTimeout(f"no matching message ({names}) within {timeout} seconds")


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind)


def sleep(seconds: float) -> None:
    """Wait ``seconds`` (``float("inf")`` for ever); messages stay in the mailbox.

    0 lets others run. Raises ``WouldBlockLoop`` in a coroutine.
    """
    check_seconds("seconds", seconds)
    proc = waiter("process.sleep")
    now = proc.node.clock.now
    sleep_until(proc, now, now() + seconds)


# Links and monitors.


def link(pid: Pid) -> None:
    """Link the current process to ``pid``, both ways; twice is once.

    Raises ``NoProcess`` if it is a dead process of this node, unless the caller
    traps exits: then ``Exit(pid, "noproc")`` arrives.
    """
    checked_pid(pid, "link")
    me = current()
    if pid == me.pid:
        return
    node = me.node
    if node.is_here(pid) and pid not in node.procs and not me.trap_exit:
        raise NoProcess(f"cannot link to {pid!r}: it is not alive")
    with me.owned:
        if me.links is None:
            me.links = {}
        if pid in me.links:
            return
        me.links[pid] = None
        if me.unlinking:
            me.unlinking.pop(pid, None)
    node.send_signal(me, LinkSignal(me.pid, pid))


def unlink(pid: Pid) -> None:
    """Take the link away; no ``Exit`` of ``pid`` arrives after this returns."""
    checked_pid(pid, "unlink")
    me = current()
    number = next(me.node.numbers)
    with me.owned:
        linked = me.links is not None and me.links.pop(pid, 0) is None
        if linked:
            if me.unlinking is None:
                me.unlinking = {}
            me.unlinking[pid] = number
    if linked:
        me.node.send_signal(me, UnlinkSignal(me.pid, pid, number))


def monitor(target: Dest, alias: AliasMode | None = None, tag: Any = None) -> Ref:
    """Get a ``Down`` when ``target`` ends, or at once with "noproc" if it is not alive.

    A monitor set by name reports ``At(name, node)``. ``alias`` makes the reference an
    alias too; ``tag`` is put into the ``Down``.
    """
    me = current()
    node = me.node
    if alias is not None and alias not in ALIAS_MODES:
        raise BadArgument(f"alias={alias!r}; expected one of {', '.join(ALIAS_MODES)}")
    goal: Pid | At
    if isinstance(target, (Pid, At)):
        goal = target
    elif isinstance(target, (Global, Via)):
        goal = where(me, target) or At(str(target)[:MAX_NAME], node.name)
    elif isinstance(target, Ref):
        raise BadArgument(f"monitor({target!r}): expected a Pid or a name")
    else:
        goal = At(local_key(target), node.name)
    ref = node.new_ref(me.pid.number)
    if goal == me.pid:
        return ref
    with me.owned:
        if me.monitors is None:
            me.monitors = {}
        me.monitors[ref] = Monitor(goal, tag)
        if alias is not None:
            if me.aliases is None:
                me.aliases = {}
            me.aliases[ref] = Alias(alias)
    node.send_signal(me, MonitorSignal(me.pid, goal, ref))
    return ref


def demonitor(ref: Ref, flush: bool = False, info: bool = False) -> bool:
    """Take a monitor away; no new ``Down`` of it arrives after this returns.

    ``flush`` also removes one already in the mailbox. True, except that with
    ``info`` it tells whether the monitor was still active.
    """
    checked_ref(ref, "demonitor")
    me = current()
    with me.owned:
        held = me.monitors.get(ref) if me.monitors else None
        if type(held) is not Monitor:
            held = None  # it is no monitor, or not one before the reply
        if held is not None and me.monitors is not None:
            del me.monitors[ref]
        if me.aliases is not None:
            alias = me.aliases.get(ref)
            if alias is not None and held is not None and alias.mode != "explicit_unalias":
                del me.aliases[ref]
    if held is not None:
        me.node.send_signal(me, DemonitorSignal(me.pid, held.target, ref))
    elif flush:
        scan(me, 0, (Down,), lambda down: down.ref == ref)
    return held is not None if info else True


def alias(mode: Literal["explicit_unalias", "reply"] = "explicit_unalias") -> Ref:
    """A reference that messages can be sent to until ``unalias``; with "reply", only one."""
    if mode not in ("explicit_unalias", "reply"):
        raise BadArgument(f"alias({mode!r}): expected 'explicit_unalias' or 'reply'")
    me = current()
    ref = me.node.new_ref(me.pid.number)
    with me.owned:
        if me.aliases is None:
            me.aliases = {}
        me.aliases[ref] = Alias(mode)
    return ref


def unalias(ref: Ref) -> bool:
    """Deactivate an alias of the current process; whether it was active."""
    checked_ref(ref, "unalias")
    me = current()
    with me.owned:
        return me.aliases is not None and me.aliases.pop(ref, None) is not None


# Exits.


def exit(target: Any = "normal", *reason: Any) -> None:
    """``exit(reason)`` ends the current process; ``exit(pid, reason)`` sends an exit signal.

    "kill" cannot be trapped and arrives elsewhere as "killed"; "normal" from another
    process is ignored unless trapped.
    """
    if not reason:
        raise ProcessExit(target)
    pid = checked_pid(target, "exit")
    me = current()
    me.node.send_signal(me, ExitSignal(me.pid, pid, reason[0], False))
    if not me.alive:
        me.raise_dead()


def flag(*, trap_exit: bool) -> bool:
    """Set whether exit signals become ``Exit`` messages; the value it had before."""
    if not isinstance(trap_exit, bool):
        raise BadArgument(f"trap_exit={trap_exit!r}; expected True or False")
    me = current()
    with me.owned:
        before, me.trap_exit = me.trap_exit, trap_exit
    return before


__all__ = [
    "AliasMode",
    "Dest",
    "actor_ref",
    "alias",
    "alive",
    "await_coroutine",
    "blocking",
    "cancel_timer",
    "controlling_process",
    "delete",
    "demonitor",
    "disown",
    "exit",
    "flag",
    "get",
    "get_keys",
    "info",
    "link",
    "list_",
    "make_ref",
    "monitor",
    "monotonic_time",
    "own",
    "put",
    "read_timer",
    "receive",
    "register",
    "registered",
    "self_pid",
    "send",
    "send_after",
    "sleep",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "spawn_request",
    "start_timer",
    "unalias",
    "unlink",
    "unregister",
    "whereis",
]
