"""What the tests of the watchdog watch: green processes that do not let go."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from otpy import GenServer, Ok, Pid, Reply, gen_server


class Holder(GenServer[Any], green=True):
    """Keeps its scheduler for as long as the function takes that is cast to it."""

    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg, name="holder")

    def init(self, arg: Any) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return Reply(request)

    def handle_cast(self, request: Callable[[], Any], state: Any) -> None:
        request()


def spin() -> None:
    """Computes for ever."""
    while True:
        pass


def spin_deeper(depth: int = 0) -> int:
    """Computes for ever without a loop."""
    if depth == 200:
        return 1
    return spin_deeper(depth + 1) + spin_deeper(depth + 1)


def spin_until(done: threading.Event) -> None:
    """Computes until told."""
    while not done.is_set():
        pass


def compute(seconds: float) -> None:
    """Computes for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(100))


def brief(rounds: int) -> int:
    """Computes for nothing, or up to some milliseconds."""
    total = 0
    for number in range(rounds * 500):
        total += number
    return total


def refuse(times: int) -> None:
    """Swallows whatever comes up, so many times."""
    for _ in range(times):
        try:
            spin()
        except BaseException:  # noqa: BLE001 - that is the point
            pass
    spin()


class Kept(logging.Handler):
    """A log handler that writes nowhere."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do what the standard handlers do, but for the file."""
        self.format(record)


class Toolbox:
    """Locks of the standard library, as user code meets them."""

    def __init__(self) -> None:
        self.handler = Kept()
        self.log = logging.getLogger("tests.toolbox")
        self.log.propagate = False
        self.log.setLevel(logging.DEBUG)
        self.log.handlers = [self.handler]
        self.jobs: queue.Queue[int] = queue.Queue()
        self.lock = threading.Lock()
        self.tree = threading.RLock()
        self.changed = threading.Condition()
        self.room = threading.Semaphore(1)

    def use(self) -> None:
        """Use them all, for ever."""
        while True:
            self.log.debug("one %s", "line")
            self.jobs.put(1)
            self.jobs.get()
            with self.changed:
                self.changed.notify_all()
            with self.room, self.tree:
                self._count()
            self.lock.acquire()
            try:
                self._count()
            finally:
                self.lock.release()

    def _count(self) -> int:
        return sum(number for number in range(3))

    def check_free(self) -> None:
        """Raise ``AssertionError`` for what another thread can no longer have."""
        locks: dict[str, Any] = {
            "a lock": self.lock,
            "a reentrant lock": self.tree,
            "a condition": self.changed,
            "a semaphore": self.room,
            "a queue": self.jobs.mutex,
            "a queue's condition": self.jobs.not_empty,
            "a log handler": self.handler.lock,
            "logging": logging._lock,  # type: ignore[attr-defined]  # pyright: ignore
        }
        for name, lock in locks.items():
            assert lock.acquire(timeout=5), f"{name} was left held"
            lock.release()
