"""The thread executor: a process is a ``pykka.ThreadingActor`` with our mailbox and our loop."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pykka

from otpy.runtime._current import HERE
from otpy.runtime.body import outcome
from otpy.runtime.locked import LockedProcess
from otpy.runtime.record import ANY, RUNNING, Server
from otpy.runtime.scheduler import TIMED_OUT

if TYPE_CHECKING:
    import asyncio

    from otpy.runtime.node import Node


def _own_cpu_clock() -> int | None:
    """The clock of what the calling thread computes; None where there is none (macOS)."""
    clock_of: Callable[[int], int] | None = getattr(time, "pthread_getcpuclockid", None)
    return None if clock_of is None else clock_of(threading.get_ident())


class Parking(LockedProcess):
    """A process whose thread stops while it waits, until somebody rings its bell."""

    __slots__ = ()
    _bell: threading.Lock  # taken, but for the instant after a ring

    def wake(self) -> None:
        self.waiting = RUNNING
        self._bell.release()

    def park(self, mode: int, deadline: float | None, seen: int = 0) -> None:
        with self.lock:
            if not self.alive:
                self.raise_dead()
            if self.reply is not None or (mode == ANY and len(self.mailbox) > seen):
                return
            self.waiting = mode
        self._sleep(deadline)
        if not self.alive:
            self.raise_dead()

    def _sleep(self, deadline: float | None) -> None:
        if deadline is None:
            self._bell.acquire()
            return
        left = deadline - self.node.clock.now()
        if left > 0 and self._bell.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            return
        with self.lock:
            if self.waiting:
                self.waiting = RUNNING
                return
        self._bell.acquire()  # somebody woke us at the same instant: take that ring away

    def end(self, reason: Any) -> None:
        belongings = self.node.belongings
        try:
            if belongings.table:
                belongings.body_over(self)
        finally:
            LockedProcess.end(self, reason)
            if belongings.table:
                belongings.body_over(self)  # what it was given in its last instant


class ThreadProcess(Parking):
    """A process with an OS thread of its own for its whole life (or a borrowed one: implicit)."""

    __slots__ = ("_bell", "actor", "cpu_clock", "on_loop", "thread")
    kind = "thread"
    turn = 0  # what the thread is at: this process, from its beginning to its end

    def __init__(self, node: "Node", pid: Any, fn: Callable[..., Any] | None, args: Any) -> None:
        super().__init__(node, pid, fn, args)
        self._bell = threading.Lock()
        self._bell.acquire()
        self.actor: ThreadActor | None = None
        self.thread: threading.Thread | None = None
        self.cpu_clock: int | None = None
        self.on_loop: asyncio.AbstractEventLoop | None = None  # which ran as the thread became it

    def start(self) -> None:
        self.actor = ThreadActor(self)
        self.actor.begin()

    def run(self) -> None:
        """The thread's whole life."""
        HERE.proc = self
        error: BaseException | None = None
        try:
            if self.server is not None:
                self.server.begin()
                self.serve(self.server)
            elif self.fn is not None:
                self.fn(*self.args)
        except BaseException as raised:  # noqa: BLE001 - a body's end, whatever it is, is its own
            error = raised
        reason = outcome(self, error)
        HERE.proc = None
        self.end(reason)
        self.node.body_ended(self)

    def serve(self, server: Server) -> None:
        lock = self.lock
        clock = self.node.clock
        while self.alive:
            with lock:
                item = self.mailbox.popleft() if self.mailbox else None
            if item is not None:
                server.handle(item)
                continue
            idle = server.idle_timeout
            deadline = None if idle is None else clock.now() + idle
            if idle is None or idle > 0:
                self.park(ANY, deadline)
            if deadline is not None and not self.mailbox and clock.now() >= deadline:
                server.handle(TIMED_OUT)


class ThreadActor(pykka.ThreadingActor):
    """The Pykka actor that a thread process is."""

    use_daemon_thread = True

    def __init__(self, proc: ThreadProcess) -> None:
        super().__init__()
        self.proc = proc

    def begin(self) -> None:
        """Start the thread; the actor does not enter ``pykka.ActorRegistry``."""
        self._start_actor_loop()

    def _actor_loop(self) -> None:
        self.proc.thread = threading.current_thread()
        # Here, by the thread itself: to ask for that of a thread that ends may crash the program.
        self.proc.cpu_clock = _own_cpu_clock()
        self.proc.run()
        self.actor_stopped.set()
