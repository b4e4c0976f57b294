"""Waiting for answers that come as messages: those of ``send_request`` and of ``erpc``.

An answer is known by the reference of its request. While it is out, the reference stands
among the process's monitors; it leaves them in the instant in which the answer enters the
mailbox.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.runtime.arguments import check_seconds
from otpy.runtime.record import ANY, Process
from otpy.runtime.times import check_instant
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Ref
from otpy.terms.values import is_tuple

if TYPE_CHECKING:
    from otpy.runtime.tasks import TaskProcess

Within = float | tuple[str, float] | None  # seconds, ("abs", instant), None for ever
Find = Callable[[Process], Any]  # an answer taken from the mailbox, or None


def deadline_of(me: Process, timeout: Within) -> float | None:
    """The instant at which a wait ends, by the node's clock; None for never.

    Raises ``BadArgument`` unless it is seconds, None or ``("abs", instant)``.
    """
    if timeout is None:
        return None
    if is_tuple(timeout):
        if len(timeout) != 2 or timeout[0] != "abs":
            raise BadArgument(f"timeout={timeout!r}; expected seconds, None or ('abs', instant)")
        instant: float = timeout[1]
        check_instant(instant)
        return instant
    check_seconds("timeout", timeout)
    return me.node.clock.now() + timeout  # type: ignore[operator]  # a number: just checked


def out(me: Process, ref: Ref) -> bool:
    """Whether an answer to the request has still to come into the mailbox."""
    return me.monitors is not None and ref in me.monitors


def await_answer(me: Process, find: Find, deadline: float | None) -> Any:
    """What ``find`` finds in the mailbox, None if it does not come in time."""
    waited = False
    while True:
        seen = len(me.mailbox)
        answer = find(me)
        if answer is not None:
            return answer
        if deadline is not None and me.node.clock.now() >= deadline:
            if not waited:
                me.give_way()
            return None
        me.park(ANY, deadline, seen)
        waited = True


async def await_answer_later(me: "TaskProcess", find: Find, deadline: float | None) -> Any:
    """``await_answer`` for a process that is a task."""
    waited = False
    while True:
        seen = len(me.mailbox)
        answer = find(me)
        if answer is not None:
            return answer
        if deadline is not None and me.node.clock.now() >= deadline:
            if not waited:
                await me.give_way_later()
            return None
        await me.wait(ANY, deadline, seen)
        waited = True
