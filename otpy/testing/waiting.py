"""Waiting for what must come true."""

import time
from collections.abc import Callable
from typing import TypeVar

from otpy.runtime import process
from otpy.runtime._current import current_or_none
from otpy.runtime.arguments import check_function, check_seconds

T = TypeVar("T")
STEP = 0.001


def eventually(probe: Callable[[], T], timeout: float = 5.0) -> T:
    """The first true result of ``probe``, asked again and again for ``timeout`` seconds.

    An ``AssertionError`` counts as not yet; the last one is raised in the end. A green
    or simulated process lets the others run meanwhile, by its node's clock.
    """
    check_function("eventually", probe)
    check_seconds("timeout", timeout)
    me = current_or_none()
    now = time.monotonic if me is None else me.node.clock.now
    until = now() + timeout
    failed: AssertionError | None = None
    while True:
        value: T | None = None
        try:
            value = probe()
            failed = None
        except AssertionError as error:
            failed = error
        if value:
            return value
        if now() >= until:
            raise failed or AssertionError(f"never true within {timeout} seconds: {value!r}")
        if me is None:
            time.sleep(STEP)
        else:
            process.sleep(STEP)
