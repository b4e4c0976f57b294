"""Erlang's ``timer``: what is to be done later, or again and again.

There is no timer server: everything runs on the node's own timers. What is more than a
message to a process of this node is done by a process that is started when the time comes.
Times are seconds. None of these functions waits, but ``sleep``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from otpy.runtime import process, units
from otpy.runtime._current import current
from otpy.runtime.arguments import check_function, check_seconds
from otpy.runtime.names import where
from otpy.runtime.node import Node
from otpy.runtime.process import Dest, sleep
from otpy.runtime.record import Process
from otpy.runtime.spawning import launch
from otpy.runtime.units import hours, minutes, seconds
from otpy.terms.errors import BadArgument, NodeStopped, NotRegistered, ReceiveTimeout
from otpy.terms.messages import Down
from otpy.terms.names import At, Global, Via, check_via, local_key
from otpy.terms.pid import Pid, Ref

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TRef:
    """What ``cancel`` takes: OTP's ``tref()``. ``pid``: of a process that does the sending."""

    ref: Ref
    pid: Pid | None = None


@overload
def send_after(time: float, message: Any, /) -> TRef: ...
@overload
def send_after(time: float, dest: Dest, message: Any, /) -> TRef: ...
def send_after(time: float, *rest: Any) -> TRef:
    """Send a message in ``time`` seconds, to this process or to ``dest``:
    ``timer:send_after/2,3``.

    ``dest``: a pid or a name, here or on another node. A name is resolved when the time comes;
    then it is no error if nobody has it. Raises ``BadArgument`` or ``NotAName``.
    """
    me, dest, message = _addressed("send_after", time, rest)
    when = me.node.clock.now() + time
    target = _local(me, dest)
    if target is not None:
        return _arm(me.node, when, target, message)
    return _arm(me.node, when, None, action=_later(me, dest, _send, dest, message))


@overload
def send_interval(time: float, message: Any, /) -> TRef: ...
@overload
def send_interval(time: float, dest: Dest, message: Any, /) -> TRef: ...
def send_interval(time: float, *rest: Any) -> TRef:
    """Send a message every ``time`` seconds, more than 0: ``timer:send_interval/2,3``.

    It ends when the receiver ends, also if nobody has the name at the beginning. The times do
    not drift: each is counted from when the one before was due. Raises ``BadArgument``.
    """
    me, dest, message = _addressed("send_interval", time, rest)
    _check_interval("send_interval", time)
    node = me.node
    first = node.clock.now() + time
    if isinstance(dest, Pid) and node.is_here(dest):
        return _arm(node, first, dest, message, period=time)
    kind = "green" if isinstance(dest, Via) else "kernel"
    proc, _ = launch(me, kind, _keep_sending, (dest, message, first, time))
    return TRef(node.new_ref(), proc.pid)


def apply_after(time: float, fn: Callable[..., Any], *args: Any) -> TRef:
    """Run ``fn(*args)`` in ``time`` seconds, in a process of its own: ``timer:apply_after/4``.

    Raises ``BadArgument``.
    """
    me = _checked("apply_after", time, fn)
    return _arm(
        me.node, me.node.clock.now() + time, None, action=_later(me, None, process.spawn, fn, *args)
    )


def apply_interval(time: float, fn: Callable[..., Any], *args: Any) -> TRef:
    """Run ``fn(*args)`` every ``time`` seconds, more than 0: ``timer:apply_interval/4``.

    Each time in a process of its own, also while the one before still runs. It ends when this
    process ends, and does not drift. Raises ``BadArgument``.
    """
    me = _checked("apply_interval", time, fn)
    _check_interval("apply_interval", time)
    first = me.node.clock.now() + time
    return _arm(
        me.node, first, me.pid, period=time, action=_later(me, None, process.spawn, fn, *args)
    )


@overload
def exit_after(time: float, reason: Any, /) -> TRef: ...
@overload
def exit_after(time: float, dest: Dest, reason: Any, /) -> TRef: ...
def exit_after(time: float, *rest: Any) -> TRef:
    """Send an exit signal in ``time`` seconds: ``timer:exit_after/2,3``.

    To this process, or to ``dest``, a pid or a name; it is no error if that has ended. Raises
    ``BadArgument``.
    """
    me, dest, reason = _addressed("exit_after", time, rest)
    return _exit_after(me, time, dest, reason)


def kill_after(time: float, dest: Dest | None = None) -> TRef:
    """``exit_after`` with "kill": ``timer:kill_after/1,2``."""
    me, dest, reason = _addressed("kill_after", time, ("kill",) if dest is None else (dest, "kill"))
    return _exit_after(me, time, dest, reason)


def _exit_after(me: Process, time: float, dest: Any, reason: Any) -> TRef:
    if isinstance(dest, At):
        raise BadArgument(f"exit to {dest!r}: it belongs to another node; expected a pid")
    owner = dest if isinstance(dest, Pid) and me.node.is_here(dest) else None
    when = me.node.clock.now() + time
    return _arm(me.node, when, owner, action=_later(me, dest, _exit, dest, reason))


def cancel(tref: TRef) -> None:
    """Undo any of these; one that is over or was cancelled is no error: ``timer:cancel/1``.

    A message that was sent stays, and what is under way in this instant may still come.
    Raises ``BadArgument`` for what is no ``TRef``.
    """
    if not isinstance(tref, TRef):
        raise BadArgument(f"cancel({tref!r}): expected what a function of timer gave")
    node = current().node
    if tref.pid is None:
        node.timers.cancel(tref.ref, node.clock.now())
    else:
        process.exit(tref.pid, "kill")


def tc(fn: Callable[..., T], *args: Any) -> tuple[float, T]:
    """``(seconds, fn(*args))``: how long it took, and its value: ``timer:tc/1,2,3``.

    What ``fn`` raises comes out.
    """
    check_function("tc", fn)
    now = current().node.clock.now
    began = now()
    value = fn(*args)
    return now() - began, value


def hms(hours: float, minutes: float, seconds: float) -> float:
    """Hours, minutes and seconds in seconds: ``timer:hms/3``."""
    return units.hours(hours) + units.minutes(minutes) + units.seconds(seconds)


# What is armed.


def _arm(
    node: Node,
    when: float,
    dest: Pid | str | None,
    message: Any = None,
    period: float | None = None,
    action: Callable[[], None] | None = None,
) -> TRef:
    ref = node.new_ref()
    node.timers.arm(when, ref, dest, message, period, action)
    return TRef(ref)


def _later(me: Process, dest: Any, fn: Callable[..., Any], *args: Any) -> Callable[[], None]:
    """What starts the process that does ``fn(*args)`` when the time has come.

    On the kernel scheduler, which nobody holds up; not where a user's registry is asked.
    """
    node = me.node
    kind = "green" if isinstance(dest, Via) else "kernel"
    ancestors = (me.name or me.pid, *me.ancestors[:8])

    def begin() -> None:
        try:
            proc = node.make(kind, fn, args)
        except NodeStopped:
            return  # the timers go with their node
        proc.ancestors = ancestors
        proc.start()

    return begin


def _send(dest: Any, message: Any) -> None:
    try:
        process.send(dest, message)
    except NotRegistered:
        pass  # as OTP: nobody is there to be told


def _exit(dest: Any, reason: Any) -> None:
    pid = dest if isinstance(dest, Pid) else where(current(), dest)
    if pid is not None:
        process.exit(pid, reason)


def _keep_sending(dest: Any, message: Any, first: float, time: float) -> None:
    """Send until the receiver's ``Down`` comes."""
    now, due = current().node.clock.now, first
    process.monitor(dest)
    while True:
        try:
            process.receive(Down, timeout=max(0.0, due - now()))
        except ReceiveTimeout:
            _send(dest, message)
            due += time
        else:
            return


# What is asked for, checked.


def _addressed(what: str, time: object, rest: tuple[Any, ...]) -> tuple[Process, Any, Any]:
    check_seconds(what, time)
    if not 1 <= len(rest) <= 2:
        raise BadArgument(f"{what}: expected a time, then what is sent, or to whom and what")
    me = current()
    dest = me.pid if len(rest) == 1 else rest[0]
    if isinstance(dest, Via):
        check_via(dest)
    if not isinstance(dest, (Pid, At, Global, Via)):
        dest = local_key(dest)
    if isinstance(dest, At) and me.node.is_here(dest):
        dest = dest.name
    return me, dest, rest[-1]


def _local(me: Process, dest: Any) -> Pid | str | None:
    """Whom the node's timers can send to by themselves."""
    if isinstance(dest, str) or (isinstance(dest, Pid) and me.node.is_here(dest)):
        return dest
    return None


def _check_interval(what: str, time: float) -> None:
    if not 0 < time < float("inf"):
        raise BadArgument(f"{what}: {time!r}; expected seconds, a finite number above 0")


def _checked(what: str, time: object, fn: object) -> Process:
    check_seconds(what, time)
    check_function(what, fn)
    return current()


__all__ = [
    "TRef",
    "apply_after",
    "apply_interval",
    "cancel",
    "exit_after",
    "hms",
    "hours",
    "kill_after",
    "minutes",
    "seconds",
    "send_after",
    "send_interval",
    "sleep",
    "tc",
]
