"""Waiting for what must come true."""

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from otpy.runtime import process
from otpy.runtime._current import check_may_wait, current_or_none, running_loop
from otpy.runtime.arguments import check_function, check_seconds

T = TypeVar("T")
STEP = 0.001


class Probing(Generic[T]):
    """What repeated looks have shown, until one is true or the time is over."""

    def __init__(self, timeout: float, now: Callable[[], float]) -> None:
        self._timeout = timeout
        self._now = now
        self._until = now() + timeout
        self._value: Any = None
        self._error: AssertionError | None = None

    def saw(self, value: T) -> None:
        """A look gave this."""
        self._value, self._error = value, None

    def failed(self, error: AssertionError) -> None:
        """A look failed: not yet."""
        self._value, self._error = None, error

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return bool(self._value) or self._now() >= self._until

    def result(self) -> T:
        """What was true. Raises ``AssertionError`` if nothing was."""
        if self._value:
            value: T = self._value
            return value
        late = f"never true within {self._timeout} seconds: {self._value!r}"
        raise self._error or AssertionError(late)


def eventually(probe: Callable[[], T], timeout: float = 5.0) -> T:
    """The first true result of ``probe``, asked again and again for ``timeout`` seconds.

    An ``AssertionError`` counts as not yet; the last one is raised in the end. A green
    or simulated process lets the others run meanwhile, by its node's clock. In a coroutine it
    is ``await otpy.testing.aio.eventually``.
    """
    check_function("eventually", probe)
    check_seconds("timeout", timeout)
    check_may_wait("testing.eventually")
    return probed(probe, timeout)


def probed(probe: Callable[[], T], timeout: float) -> T:
    """``eventually``; on the thread of an event loop it holds up the loop."""
    me = current_or_none() if running_loop() is None else None
    probing: Probing[T] = Probing(timeout, time.monotonic if me is None else me.node.clock.now)
    while True:
        try:
            probing.saw(probe())
        except AssertionError as error:
            probing.failed(error)
        if probing.over:
            return probing.result()
        if me is None:
            time.sleep(STEP)
        else:
            process.sleep(STEP)
