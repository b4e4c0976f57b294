"""Threads that a test leaves behind."""

import threading
import time

PATIENCE = 1.0  # seconds that threads which are about to end may take
STEP = 0.001


class Threads:
    """The threads that were there when the test began."""

    def __init__(self) -> None:
        self._known = set(threading.enumerate())

    def left_behind(self) -> list[str]:
        """Which threads of the test run on, as failures."""
        until = time.monotonic() + PATIENCE
        while new := self._new():
            if time.monotonic() > until:
                return [f"threads still running after the test: {', '.join(new)}"]
            time.sleep(STEP)
        return []

    def _new(self) -> list[str]:
        return sorted(
            thread.name
            for thread in threading.enumerate()
            if thread not in self._known and thread.is_alive()
        )
