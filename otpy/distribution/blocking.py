"""Waiting on a thread for what the I/O thread does."""

import threading
from collections.abc import Callable


def blocking(begin: Callable[[Callable[[bool], None]], None], timeout: float) -> bool:
    """What ``begin`` tells its argument; False if that takes longer than ``timeout`` seconds."""
    result: list[bool] = []
    ready = threading.Event()

    def done(value: bool) -> None:
        result.append(value)
        ready.set()

    begin(done)
    return ready.wait(timeout) and result[0]
