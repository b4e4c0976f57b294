"""Waiting for what is done outside the process: on a pool, on a loop, by the I/O thread."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from otpy.runtime._current import current
from otpy.runtime.locked import LockedProcess
from otpy.runtime.record import REPLY, Process
from otpy.runtime.tasks import TaskProcess
from otpy.terms.pid import Ref
from otpy.terms.signals import ReplySignal

T = TypeVar("T")


def blocking(fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run ``fn`` on a pool thread while the process waits; its result, or what it raised."""
    me = current()
    if isinstance(me, LockedProcess) and me.kind == "thread":
        return fn(*args, **kwargs)
    context = contextvars.copy_context()

    def begin(done: Callable[[Callable[[], T]], None]) -> None:
        me.node.pool.submit(lambda: done(lambda: context.run(fn, *args, **kwargs)))

    return outside(me, begin)


def await_coroutine(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the node's asyncio loop while the current process waits."""
    me = current()
    loop = me.node.loop

    def begin(done: Callable[[Callable[[], T]], None]) -> None:
        future = asyncio.run_coroutine_threadsafe(coro, loop)
        future.add_done_callback(lambda finished: done(finished.result))

    return outside(me, begin)


def outside(me: Process, begin: Callable[[Callable[[Callable[[], T]], None]], None]) -> T:
    """Wait, as the current process, for work done elsewhere.

    ``begin(done)`` starts it; whoever finishes it calls ``done(result)``, from any
    thread; ``result()`` gives the value or raises.
    """
    _begin(me, begin)
    while me.reply is None:
        me.park(REPLY, None)
    result: T = _result(me)
    return result


async def await_outside(
    me: TaskProcess, begin: Callable[[Callable[[Callable[[], T]], None]], None]
) -> T:
    """``outside`` for an async process."""
    _begin(me, begin)
    while me.reply is None:
        await me.wait(REPLY, None)
    result: T = _result(me)
    return result


def _begin(me: Process, begin: Callable[[Callable[[Callable[[], T]], None]], None]) -> None:
    tag = next(me.node.numbers)
    me.reply = None
    me.call_tag = tag
    ref = Ref(me.pid.started, me.pid.node, me.pid.bits, tag, me.pid.number)

    def done(result: Callable[[], T]) -> None:
        try:
            value: tuple[bool, Any] = (True, result())
        except BaseException as error:  # noqa: BLE001 - handed to the process that waits
            value = (False, error)
        me.submit(ReplySignal(me.pid, ref, True, value))

    begin(done)


def _result(me: Process) -> Any:
    assert me.reply is not None
    ok, value = me.reply[1]
    me.reply = None
    if not ok:
        raise value
    return value
