"""Waiting for what is done outside the process: on a pool, on a loop, by the I/O thread."""

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_function
from otpy.runtime.record import NO_REPLY, REPLY, Process
from otpy.terms.errors import BadArgument
from otpy.terms.signals import ReplySignal

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.tasks import TaskProcess

T = TypeVar("T")


def blocking(fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run ``fn`` on a pool thread while the process waits; its result, or what it raised.

    Raises ``WouldBlockLoop`` in a coroutine.
    """
    check_function("process.blocking", fn)
    me = waiter("process.blocking")
    if me.kind == "thread":
        return fn(*args, **kwargs)
    context = contextvars.copy_context()

    def begin(done: Callable[[Callable[[], T]], None]) -> None:
        me.node.pool.submit(lambda: done(lambda: context.run(fn, *args, **kwargs)))

    return outside(me, begin)


def await_coroutine(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the node's asyncio loop while the current process waits.

    Raises ``WouldBlockLoop`` in a coroutine, and leaves ``coro`` as it is.
    """
    if not inspect.iscoroutine(coro):
        raise BadArgument(f"process.await_coroutine({coro!r}): expected a coroutine")
    me = waiter("process.await_coroutine")
    loop = me.node.loop

    def begin(done: Callable[[Callable[[], T]], None]) -> None:
        future = asyncio.run_coroutine_threadsafe(coro, loop)
        future.add_done_callback(lambda finished: done(finished.result))

    return outside(me, begin)


Begin = Callable[[Callable[[Callable[[], T]], None]], None]


def outside(me: Process, begin: Begin[T]) -> T:
    """Wait, as the current process, for work done elsewhere.

    ``begin(done)`` starts it; whoever finishes it calls ``done(result)``, from any
    thread; ``result()`` gives the value or raises.
    """
    start_outside(me, begin)
    while me.reply is None:
        me.park(REPLY, None)
    return outcome_outside(me, begin)


def start_outside(me: Process, begin: Begin[T]) -> None:
    """Start work done elsewhere: ``me.reply`` is there when it has been done."""
    tag = next(me.node.numbers)
    me.reply = NO_REPLY
    me.call_tag = tag
    ref = me.pid.request(tag)
    belongings = me.node.belongings
    told = bool(belongings.table) and belongings.outside_begins(me.pid)

    def done(result: Callable[[], T]) -> None:
        try:
            value: tuple[bool, Any] = (True, result())
        except BaseException as error:  # noqa: BLE001 - handed to the process that waits
            value = (False, error)
        if told:
            belongings.outside_over(me.pid)
        me.submit(ReplySignal(me.pid, ref, True, value))

    try:
        begin(done)
    except BaseException:
        if told:
            belongings.outside_over(me.pid)
        raise


def outcome_outside(me: Process, _begin: Begin[T]) -> T:
    """What ``start_outside(me, begin)`` led to: the value, or it raises."""
    reply, me.reply = me.reply, None
    assert reply is not None
    ok, value = reply[1]
    if not ok:
        raise value
    result: T = value
    return result


async def outside_later(me: "TaskProcess", begin: Begin[T]) -> T:
    """``outside`` for a process that is a task."""
    start_outside(me, begin)
    try:
        while me.reply is None:
            await me.wait(REPLY, None)
    except asyncio.CancelledError:
        with me.owned:
            me.call_tag = 0
        me.reply = None
        raise
    return outcome_outside(me, begin)


def apart(node: "Node", fn: Callable[[], T]) -> Begin[T]:
    """To run ``fn`` outside, on a pool thread that is a process of its own meanwhile."""
    context = contextvars.copy_context()

    def work() -> T:
        # A job of a simulated node is a process already.
        with nullcontext() if node.simulated else node.attached():
            return fn()

    def begin(done: Callable[[Callable[[], T]], None]) -> None:
        node.pool.submit(lambda: done(lambda: context.run(work)))

    return begin
