"""Waiting for what must come true."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STEP = 0.001


def eventually(probe: Callable[[], T], timeout: float = 5.0) -> T:
    """The first true result of ``probe``, asked again and again for ``timeout`` seconds.

    An ``AssertionError`` counts as not yet; the last one is raised in the end.
    """
    until = time.monotonic() + timeout
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
        if time.monotonic() >= until:
            raise failed or AssertionError(f"never true within {timeout} seconds: {value!r}")
        time.sleep(STEP)
