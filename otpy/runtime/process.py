"""Processes: Elixir's ``Process`` module and the parts of ``Kernel`` that belong to it.

Every function works on the current process; a plain thread gets an implicit
process on the default node. Time is float seconds. In a process that has been
ended from outside, each of them raises ``ProcessExit``.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from otpy.runtime._current import HERE, current, may_wait, waiter
from otpy.runtime.actor_refs import actor_ref as actor_ref
from otpy.runtime.outside import await_coroutine as await_coroutine
from otpy.runtime.outside import blocking as blocking
from otpy.runtime.outside import outside
from otpy.runtime.record import ANY, REPLY, Alias, Monitor, Process, Server
from otpy.runtime.reports import initial_call
from otpy.runtime.scheduler import GreenProcess
from otpy.runtime.spawning import check_function, kind_of
from otpy.runtime.spawning import spawn_request as spawn_request
from otpy.runtime.times import cancel_timer as cancel_timer
from otpy.runtime.times import check_instant as check_instant
from otpy.runtime.times import check_seconds as check_seconds
from otpy.runtime.times import monotonic_time as monotonic_time
from otpy.runtime.times import read_timer as read_timer
from otpy.runtime.times import send_after as send_after
from otpy.runtime.times import start_timer as start_timer
from otpy.terms.errors import (
    BadArgument,
    NameTaken,
    NoProcess,
    NotRegistered,
    ProcessExit,
    ReceiveTimeout,
)
from otpy.terms.messages import Down
from otpy.terms.names import At, Global, Via, local_key
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
AliasMode = Literal["explicit_unalias", "reply", "demonitor", "reply_demonitor"]
ALIAS_MODES = ("explicit_unalias", "reply", "demonitor", "reply_demonitor")


def self_pid() -> Pid:
    """The current process's pid: ``self()``."""
    return current().pid


# Sending and receiving.


def send(dest: Dest, message: T) -> T:
    """Send ``message`` to a pid, an alias or a name; gives the message back: ``send/2``.

    A dead pid and ``At(name, node)`` swallow it without a word, as in OTP. Raises
    ``NotRegistered`` for a local, global or via name that nobody has, and
    ``NotSendable`` for a message that cannot go to another node.
    """
    me = current()
    node = me.node
    if type(dest) is Pid:
        proc = node.procs.get(dest)
        if proc is not None:
            node.put(me, proc, message)
        elif dest.node != node.name:
            node.stream(me, dest, False, message)
        return message
    if type(dest) is At and dest.node != node.name:
        node.stream(me, dest, False, message)
        return message
    if isinstance(dest, (Ref, At)):
        node.send_signal(me, Message(me.pid, dest, message))
        return message
    pid = where(me, dest)
    if pid is None:
        raise NotRegistered(f"no process is registered as {dest!r}")
    return send(pid, message)


def where(me: Process, dest: Any) -> Pid | None:
    """Who has the name: local, ``Global`` or ``Via``."""
    if isinstance(dest, Pid):
        return dest
    if isinstance(dest, Global):
        service = me.node.name_services.get("global")
        if service is None:
            from otpy.terms.errors import NotDistributed

            raise NotDistributed(
                f"{dest!r} needs the cluster's names: start otpy.global_ on {me.node.name} first"
            )
        found: Pid | None = service.whereis_name(dest.name)
        return found
    if isinstance(dest, Via):
        located: Pid | None = dest.module.whereis_name(dest.key)
        return located
    return me.node.names.whereis(dest)


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


def receive(
    *types: type,
    where: Callable[[Any], bool] | None = None,
    timeout: float | None = None,
) -> Any:
    """Take the first message that is of one of ``types`` and satisfies ``where``.

    Waits ``timeout`` seconds, for ever if None; 0 looks once. Messages that do
    not match stay where they are, in order. Raises ``ReceiveTimeout``, and in a coroutine
    ``WouldBlockLoop`` unless ``timeout`` is 0.
    """
    if timeout is not None:
        check_seconds("timeout", timeout)
    proc = current() if timeout == 0 else waiter("process.receive")
    deadline = None if timeout is None else proc.node.clock.now() + timeout
    seen = 0
    while True:
        found, item, seen = scan(proc, seen, types, where)
        if found:
            return item
        if deadline is not None and proc.node.clock.now() >= deadline:
            names = ", ".join(kind.__name__ for kind in types) or "any message"
            raise ReceiveTimeout(f"no matching message ({names}) within {timeout} seconds")
        proc.park(ANY, deadline, seen)


def sleep(seconds: float) -> None:
    """Wait ``seconds`` (``float("inf")`` for ever); messages stay in the mailbox.

    Raises ``WouldBlockLoop`` in a coroutine.
    """
    check_seconds("seconds", seconds)
    proc = waiter("process.sleep")
    deadline = proc.node.clock.now() + seconds
    while proc.node.clock.now() < deadline:
        proc.park(REPLY, deadline if seconds != float("inf") else None)


# Starting.


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


# Links and monitors.


def _pid(value: object, what: str) -> Pid:
    if not isinstance(value, Pid):
        raise BadArgument(f"{what}({value!r}): expected a Pid")
    return value


def link(pid: Pid) -> None:
    """Link the current process to ``pid``, both ways; twice is once.

    Raises ``NoProcess`` if it is a dead process of this node, unless the caller
    traps exits: then ``Exit(pid, "noproc")`` arrives.
    """
    _pid(pid, "link")
    me = current()
    if pid == me.pid:
        return
    node = me.node
    if pid.node == node.name and pid not in node.procs and not me.trap_exit:
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
    _pid(pid, "unlink")
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
        goal = where(me, target) or At(str(target), node.name)
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
    if not isinstance(ref, Ref):
        raise BadArgument(f"demonitor({ref!r}): expected a Ref")
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
    pid = _pid(target, "exit")
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


def alive(pid: Pid) -> bool:
    """Whether a process of this node is alive."""
    me = current()
    if _pid(pid, "alive").node != me.node.name:
        raise BadArgument(f"alive({pid!r}): it belongs to another node; monitor it, or ask there")
    return pid in me.node.procs


# Names.


def register(pid: Pid, name: str | type) -> None:
    """Give a process of this node a local name.

    Raises ``NameTaken``, ``NotAName`` or ``NoProcess``.
    """
    node = current().node
    proc = node.procs.get(_pid(pid, "register"))
    if proc is None:
        raise NoProcess(f"cannot register {pid!r}: it is not a live process of {node.name}")
    if proc.name is not None:
        raise NameTaken(f"{pid!r} is registered already, as {proc.name!r}")
    node.names.register(name, pid)
    proc.name = local_key(name)
    if not proc.alive:
        node.names.release(proc.name, pid)


def unregister(name: str | type) -> None:
    """Take a local name away. Raises ``NotRegistered``."""
    node = current().node
    proc = node.procs.get(node.names.unregister(name))
    if proc is not None:
        proc.name = None


def whereis(name: str | type) -> Pid | None:
    """Who has a local name."""
    return current().node.names.whereis(name)


def registered() -> list[str]:
    """The local names in use."""
    return sorted(current().node.names.table)


def list_() -> list[Pid]:
    """The live processes of this node: ``Process.list()``."""
    return list(current().node.procs)


INFO: dict[str, Callable[[Process], Any]] = {
    "registered_name": lambda proc: proc.name,
    "messages": lambda proc: list(proc.mailbox),
    "message_queue_len": lambda proc: len(proc.mailbox),
    "links": lambda proc: list(proc.links or ()),
    "monitors": lambda proc: [held.target for held in (proc.monitors or {}).values()],
    "monitored_by": lambda proc: [holder for holder, _ in (proc.monitored_by or {}).values()],
    "trap_exit": lambda proc: proc.trap_exit,
    "status": lambda proc: "waiting" if proc.waiting else "running",
    "kind": lambda proc: proc.kind,
    "dictionary": lambda proc: dict(proc.dictionary or {}),
    "ancestors": lambda proc: proc.ancestors,
    "initial_call": initial_call,
}


def info(pid: Pid, *items: str) -> dict[str, Any] | None:
    """What is known of a process of this node, in the order asked; None if it is not alive."""
    unknown = [item for item in items if item not in INFO]
    if unknown:
        raise BadArgument(f"info item {unknown[0]!r}; expected one of {', '.join(INFO)}")
    me = current()
    proc = me.node.procs.get(_pid(pid, "info"))
    if proc is None:
        return None
    target = proc

    def look() -> dict[str, Any] | None:
        with target.owned:
            return {item: INFO[item](target) for item in items or INFO} if target.alive else None

    elsewhere = HERE.sched is not proc.sched and me.kind == "thread"
    if isinstance(proc, GreenProcess) and elsewhere and may_wait():
        # Asked on its scheduler's thread, so that what was sent before is there.
        sched = proc.sched

        def begin(done: Callable[[Callable[[], dict[str, Any] | None]], None]) -> None:
            sched.post(None, lambda: done(look))

        return outside(me, begin)
    return look()


# The process dictionary.


def put(key: Any, value: Any) -> Any:
    """Set a value of the process dictionary; the one it replaces, or None."""
    me = current()
    if me.dictionary is None:
        me.dictionary = {}
    before = me.dictionary.get(key)
    me.dictionary[key] = value
    return before


def get(key: Any, default: Any = None) -> Any:
    """A value of the process dictionary."""
    return (current().dictionary or {}).get(key, default)


def get_keys(value: Any) -> list[Any]:
    """The keys of the process dictionary that have ``value``."""
    return [key for key, held in (current().dictionary or {}).items() if held == value]


def delete(key: Any) -> Any:
    """Remove a key of the process dictionary; the value it had, or None."""
    return (current().dictionary or {}).pop(key, None)
