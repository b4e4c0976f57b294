"""``process`` for coroutines."""

from collections.abc import Callable
from typing import Any, TypeVar

from otpy.bridges.aio import _task
from otpy.runtime.arguments import check_function, check_seconds, check_timeout, check_wanted
from otpy.runtime.outside import apart, outside_later
from otpy.runtime.process import no_message, scan
from otpy.runtime.record import ANY, REPLY

T = TypeVar("T")


async def receive(
    *types: type, where: Callable[[Any], bool] | None = None, timeout: float | None = None
) -> Any:
    """``process.receive``, of what is sent to ``self_pid()``. Raises ``ReceiveTimeout``.

    Raises ``BadArgument`` for what cannot say which message is wanted, and in a task that is no
    process yet, so that nothing can have been sent to it, or that acts for the process that
    started it: ``async with aio.attached()`` makes it one.
    """
    check_wanted(types, where)
    check_timeout(timeout)
    me = _task.receiver()
    now = me.node.clock.now
    deadline = None if timeout is None else now() + timeout
    seen = 0
    waited = False
    while True:
        found, item, seen = scan(me, seen, types, where)
        if found:
            return item
        if deadline is not None and now() >= deadline:
            if not waited:
                await me.give_way_later()
            raise no_message(types, timeout)
        await me.wait(ANY, deadline, seen)
        waited = True


async def sleep(seconds: float) -> None:
    """``process.sleep``; ends at once when the process is ended from outside."""
    check_seconds("seconds", seconds)
    async with _task.process() as me:
        now = me.node.clock.now
        deadline = now() + seconds
        waited = False
        while now() < deadline:
            await me.wait(REPLY, deadline if seconds != float("inf") else None)
            waited = True
        if not waited:
            await me.give_way_later()


async def blocking(fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """``process.blocking``: ``fn`` may wait; it runs on a pool thread, as a process of its own.

    So whatever has no function here can be awaited too:
    ``await aio.blocking(global_.register_name, "cache", pid)``.
    """
    check_function("aio.blocking", fn)
    async with _task.process() as me:
        begin = apart(me.node, lambda: fn(*args, **kwargs))
        return await outside_later(me, begin)
