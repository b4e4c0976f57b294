"""Time, and messages that come later: the timers of ``Process``."""

from collections.abc import Callable
from typing import Any

from otpy.runtime._current import current
from otpy.runtime.arguments import check_seconds, checked_ref
from otpy.runtime.record import REPLY, Process
from otpy.terms.errors import BadArgument
from otpy.terms.messages import TimerCancelled, TimerFired, TimerRead
from otpy.terms.names import local_key
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import is_instant


def check_instant(value: object) -> None:
    """Raise ``BadArgument`` unless ``value`` can be a time of ``monotonic_time``."""
    if not is_instant(value):
        raise BadArgument(f"abs: {value!r}; expected an instant of process.monotonic_time()")


def sleep_until(me: Process, now: Callable[[], float], deadline: float) -> None:
    """Park ``me`` until ``now()`` shows ``deadline``; if it does already, let others run."""
    waited = False
    while now() < deadline:
        me.park(REPLY, None if deadline == float("inf") else deadline)
        waited = True
    if not waited:
        me.give_way()


def monotonic_time() -> float:
    """The node's clock, in seconds since some instant: ``System.monotonic_time``."""
    return current().node.clock.now()


def _arm(dest: Pid | str | type, seconds: float, abs: bool, make: Callable[[Ref], Any]) -> Ref:
    node = current().node
    if abs:
        check_instant(seconds)
    else:
        check_seconds("seconds", seconds)
        seconds += node.clock.now()
    if isinstance(dest, Pid):
        if not node.is_here(dest):
            raise BadArgument(f"timer to {dest!r}: it belongs to another node")
        target: Pid | str = dest
    else:
        target = local_key(dest)
    ref = node.new_ref()
    node.timers.arm(seconds, ref, target, make(ref))
    return ref


def send_after(dest: Pid | str | type, message: Any, seconds: float, *, abs: bool = False) -> Ref:
    """Send ``message`` in ``seconds``; the timer's reference: ``Process.send_after/3,4``.

    With ``abs`` it is sent when ``monotonic_time()`` is ``seconds``, at once if that is over.
    A name is resolved when the time comes; a timer to a pid is dropped when it dies.
    """
    return _arm(dest, seconds, abs, lambda _: message)


def start_timer(dest: Pid | str | type, message: Any, seconds: float, *, abs: bool = False) -> Ref:
    """As ``send_after``, but ``TimerFired(ref, message)`` arrives: ``erlang:start_timer/3,4``."""
    return _arm(dest, seconds, abs, lambda ref: TimerFired(ref, message))


def cancel_timer(ref: Ref, *, async_: bool = False, info: bool = True) -> float | None:
    """Disarm a timer: the seconds that were left, None if it fired or was cancelled.

    With ``async_`` it gives None, and ``TimerCancelled(ref, those seconds or None)`` arrives;
    without ``info`` nobody is told: ``Process.cancel_timer/2``.
    """
    checked_ref(ref, "cancel_timer")
    me = current()
    left = me.node.timers.cancel(ref, me.node.clock.now())
    if not info:
        return None
    if not async_:
        return left
    me.put(TimerCancelled(ref, left))
    return None


def read_timer(ref: Ref, *, async_: bool = False) -> float | None:
    """The seconds left, None if the timer is not armed.

    With ``async_`` it gives None, and ``TimerRead(ref, those seconds or None)`` arrives.
    """
    checked_ref(ref, "read_timer")
    me = current()
    left = me.node.timers.read(ref, me.node.clock.now())
    if not async_:
        return left
    me.put(TimerRead(ref, left))
    return None
