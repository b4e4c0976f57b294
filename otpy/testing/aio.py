"""The assertions that wait, for coroutines: the functions of the same names, to ``await``.

For tests of pytest-asyncio and of anyio with asyncio. The fixtures are the same as elsewhere;
``await start_supervised(...)`` and ``await stop_supervised(...)`` is what those two are there.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from otpy.bridges import aio
from otpy.runtime._current import current_or_none, running_loop
from otpy.terms.errors import BadArgument, ReceiveTimeout
from otpy.testing.assertions import (
    WAIT,
    Catching,
    Expected,
    Where,
    assert_received,
    missing,
    refute_received,
    unexpected,
)
from otpy.testing.waiting import STEP, Probing

T = TypeVar("T")


async def assert_receive(
    *what: Any, where: Where | None = None, timeout: float = WAIT, message: str | None = None
) -> Any:
    """Wait ``timeout`` seconds for a message and take it out, as ``testing.assert_receive``.

    Raises ``AssertionError``, and ``BadArgument`` in a task that is not the test's own and no
    process: ``async with aio.attached()`` makes it one.
    """
    expected = Expected(what, where)
    try:
        return await aio.receive(where=expected.matches, timeout=timeout)
    except ReceiveTimeout:
        pass
    raise missing(expected, timeout, message)


async def refute_receive(
    *what: Any, where: Where | None = None, timeout: float = WAIT, message: str | None = None
) -> None:
    """Wait ``timeout`` seconds; a matching message fails the test. Raises as ``assert_receive``."""
    expected = Expected(what, where)
    try:
        found = await aio.receive(where=expected.matches, timeout=timeout)
    except ReceiveTimeout:
        return
    raise unexpected(expected, found, message)


async def catch_exit(awaited: Awaitable[Any]) -> Any:
    """The reason with which ``await awaited`` exits: ``await catch_exit(aio.call(pid, "x"))``.

    As ``testing.catch_exit``. Raises ``AssertionError`` if it does not exit.
    """
    if not isinstance(awaited, Awaitable):
        raise BadArgument(
            f"catch_exit({awaited!r}): expected what can be awaited, as aio.call(...)"
        )
    with Catching() as caught:
        await awaited
    return caught.reason


async def eventually(
    probe: Callable[[], Awaitable[T]] | Callable[[], T], timeout: float = 5.0
) -> T:
    """The first true result of ``probe``, which may be async, as ``testing.eventually``."""
    me = current_or_none()
    loop = running_loop()
    assert loop is not None
    probing: Probing[T] = Probing(timeout, loop.time if me is None else me.node.clock.now)
    while True:
        try:
            result: Any = probe()
            if inspect.isawaitable(result):
                result = await result
            probing.saw(result)
        except AssertionError as error:
            probing.failed(error)
        if probing.over:
            return probing.result()
        await aio.sleep(STEP)


__all__ = [
    "assert_receive",
    "assert_received",
    "catch_exit",
    "eventually",
    "refute_receive",
    "refute_received",
]
