"""The elastic pool behind ``blocking``: threads come on demand and leave when idle."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol

IDLE = 10.0  # seconds after which a thread without work leaves


class Jobs(Protocol):
    """Where blocking work is done: threads, or processes of a simulation."""

    def submit(self, job: Callable[[], None], /) -> None: ...
    def stop(self) -> None: ...


class Pool:
    """Runs jobs on threads; never makes a job wait for another one to end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._stopped = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` soon. It must not raise."""
        with self._lock:
            reuse = self._idle > 0
            if reuse:
                self._idle -= 1
        self._jobs.put(job)
        if not reuse:
            threading.Thread(target=self._work, name=self.name, daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE)
            except queue.Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                continue  # a job was promised to this thread at the last moment
            if job is None:
                return
            job()
            with self._lock:
                if self._stopped:
                    return
                self._idle += 1

    def stop(self) -> None:
        """Let the threads leave: the idle ones now, the others after their jobs."""
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)
