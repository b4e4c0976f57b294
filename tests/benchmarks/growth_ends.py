"""What the rows about growth run in OS processes of their own (``worker.py``)."""

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from otpy import (
    ChildSpec,
    Down,
    Node,
    Pid,
    Via,
    dynamic_supervisor,
    gen_server,
    process,
    registry,
    self_pid,
    task,
)
from otpy.tools import garbage
from tests.benchmarks.peers import Green

NAME = "Bench"
ASKED = 10  # servers that are looked up and called, wherever they are: so few stay in the cache
EXTRA = 1_000  # children that start and stop while pauses are watched


def timed(count: int, work: Callable[[], Any]) -> float:
    """Seconds of the processor for one operation, in this thread: the user scheduler's.

    It does all the work here, and this does not tell how busy the machine is with others'.
    """
    start = time.thread_time()
    work()
    return (time.thread_time() - start) / count


def start_named(key: int) -> Pid:
    """A server that has its name in the registry."""
    return gen_server.start_link(Green, 0, name=Via(registry, (NAME, key)))


def same(n: int) -> int:
    return n


def sleeper() -> None:
    process.receive()


class Grown:
    """A node with so many servers, all named, all children of one dynamic supervisor."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.stack = ExitStack()
        self.node = self.stack.enter_context(Node("bench@127.0.0.1", watchdog=False))
        with self.node.attached():
            # They outlive this block, and with it the process that starts them.
            process.unlink(registry.start_link(keys="unique", name=NAME))
            self.boss = dynamic_supervisor.start_link(green=True)
            process.unlink(self.boss)
        self.within(self._fill)

    def _fill(self, _count: int = 0) -> float:
        for key in range(self.size):
            dynamic_supervisor.start_child(self.boss, ChildSpec("x", (start_named, (key,))))
        return 0.0

    def within(self, body: Callable[[int], float], count: int = 0) -> float:
        """What a body says that runs as a green process."""
        with self.node.attached():
            me = self_pid()
            process.spawn_link(lambda: process.send(me, body(count)), green=True)
            seconds: float = process.receive(float)
            return seconds

    def measure(self, what: str, count: int) -> float:
        """Seconds for one operation."""
        gc.collect()
        return self.within(getattr(self, what), count)

    def _key(self, number: int) -> int:
        return (number % ASKED) * self.size // ASKED

    def lookup(self, count: int) -> float:
        keys = [self._key(number) for number in range(count)]
        return timed(count, lambda: [registry.lookup(NAME, key) for key in keys])

    def register(self, count: int) -> float:
        def work() -> None:
            for number in range(count):
                registry.register(NAME, ("new", number), 1)
                registry.unregister(NAME, ("new", number))

        registry.register(NAME, "own", 1)
        taken = timed(count, work)
        registry.unregister(NAME, "own")
        return taken

    def via(self, count: int) -> float:
        names = [Via(registry, (NAME, self._key(n))) for n in range(count)]
        return timed(count, lambda: [gen_server.call(name, "get") for name in names])

    def dynamic(self, count: int) -> float:
        """A child starts and is terminated."""
        spec = ChildSpec("x", (Green.start_link, (0,)))

        def work() -> None:
            for _ in range(count):
                pid = dynamic_supervisor.start_child(self.boss, spec)
                dynamic_supervisor.terminate_child(self.boss, pid)

        return timed(count, work)

    def task(self, count: int) -> float:
        def work() -> None:
            for n in range(count):
                task.await_(task.async_(same, n, green=True))

        return timed(count, work)

    def monitors(self, _count: int) -> float:
        """One process has as many monitors as there are servers, and ends: for each of them."""
        pid = process.spawn(sleeper, green=True)

        def work() -> None:
            for _ in range(self.size):
                process.monitor(pid)
            process.exit(pid, "kill")
            for _ in range(self.size):
                process.receive(Down)

        return timed(self.size, work)

    def pause(self, freeze: bool) -> float:
        """Seconds of the worst pause: a full collection, and those beside some work."""
        if freeze:
            garbage.freeze()
        pauses: list[float] = []
        began = [0.0]

        def watch(phase: str, _info: Any) -> None:
            if phase == "start":
                began[0] = time.perf_counter()
            else:
                pauses.append(time.perf_counter() - began[0])

        gc.callbacks.append(watch)
        try:
            self.within(self.dynamic, EXTRA)
            gc.collect()
        finally:
            gc.callbacks.remove(watch)
            gc.unfreeze()
        return max(pauses)

    def close(self) -> None:
        self.stack.close()
