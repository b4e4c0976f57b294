"""The async executor: a process lives as a task on the node's asyncio loop."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.runtime._current import HERE, IN_TASK
from otpy.runtime.body import outcome
from otpy.runtime.locked import LockedProcess
from otpy.runtime.record import ANY, RUNNING, Server
from otpy.runtime.scheduler import TIMED_OUT
from otpy.terms.errors import WouldBlockLoop
from otpy.terms.reasons import NORMAL

if TYPE_CHECKING:
    from otpy.runtime.node import Node


class TaskProcess(LockedProcess):
    """A process that is a task; blocking calls in it are ``await aio.…``."""

    __slots__ = ("_future", "implicit", "loop", "task")
    kind = "async"

    def __init__(
        self,
        node: "Node",
        pid: Any,
        fn: Callable[..., Any] | None,
        args: Any,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(node, pid, fn, args)
        self.loop = loop
        self._future: asyncio.Future[None] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.implicit = False  # made for a task that was none, which starts other plain ones

    def wake(self) -> None:
        self.waiting = RUNNING
        future, self._future = self._future, None
        if future is not None:
            if asyncio._get_running_loop() is self.loop:
                _finish(future)
            else:
                self.loop.call_soon_threadsafe(_finish, future)

    def abandon(self) -> None:
        if self.waiting:
            self.wake()
        elif self.fn is not None and self.task is not None and not self.loop.is_closed():
            # It awaits something that is not otpy's, or runs. A task that only was made a
            # process for a while is somebody else's: it learns of it at its next otpy call.
            self.loop.call_soon_threadsafe(self.task.cancel)

    def park(self, mode: int, deadline: float | None, seen: int = 0) -> None:
        # What may wait asks before it does anything: only a foreign wait gets here.
        raise WouldBlockLoop(f"{self.pid!r} runs on an event loop, which this would block")

    async def wait(self, mode: int, deadline: float | None, seen: int = 0) -> None:
        """What ``park`` is elsewhere."""
        future = self.loop.create_future()
        with self.lock:
            if not self.alive:
                self.raise_dead()
            if self.reply is not None or (mode == ANY and len(self.mailbox) > seen):
                return
            self.waiting = mode
            self._future = future
        timer = None
        if deadline is not None:
            left = max(0.0, deadline - self.node.clock.now())
            timer = self.loop.call_later(left, _finish, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            with self.lock:
                self.waiting = RUNNING
                self._future = None
        if not self.alive:
            self.raise_dead()

    async def give_way_later(self) -> None:
        """What ``give_way`` is elsewhere."""
        await asyncio.sleep(0)
        if not self.alive:
            self.raise_dead()

    def start(self) -> None:
        if asyncio._get_running_loop() is self.loop:
            self._begin()
        else:
            self.loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        context = contextvars.copy_context()
        context.run(IN_TASK.set, self)  # before the task's first step: a simulated loop draws that
        name = f"otpy {self.pid!r}"
        self.task = context.run(lambda: self.loop.create_task(self._run(), name=name))

    async def _run(self) -> None:
        error: BaseException | None = None
        try:
            if self.server is not None:
                await _finished(self.server.begin())
                await self.serve_later(self.server)
            elif self.fn is not None:
                await self.fn(*self.args)
        except GeneratorExit:
            # Its loop is gone, and the garbage collector closes it within whatever runs here now,
            # whose context this is.
            raise
        except BaseException as raised:  # noqa: BLE001 - a body's end, whatever it is, is its own
            error = raised
        reason = outcome(self, error)
        try:
            if self.node.belongings.table:
                await self.node.belongings.task_over(self)
        finally:
            self.task = None
            IN_TASK.set(None)
            self.end(reason)

    def end(self, reason: Any) -> None:
        super().end(reason)
        if self.node.belongings.table:
            self.node.belongings.task_ended(self)

    async def serve_later(self, server: Server) -> None:
        """What ``serve`` is elsewhere."""
        clock = self.node.clock
        while self.alive:
            with self.lock:
                item = self.mailbox.popleft() if self.mailbox else None
            if item is not None:
                await _finished(server.handle(item))
                continue
            idle = server.idle_timeout
            deadline = None if idle is None else clock.now() + idle
            # Timers of a loop may be early by its clock's resolution.
            while not self.mailbox and (deadline is None or clock.now() < deadline):
                await self.wait(ANY, deadline)
            if deadline is not None and not self.mailbox and clock.now() >= deadline:
                await _finished(server.handle(TIMED_OUT))


def task_process(node: "Node") -> TaskProcess:
    """A process that the current task is from now on, until somebody ends it."""
    node.check()
    proc = TaskProcess(node, node.new_pid(), None, (), asyncio.get_running_loop())
    proc.task = asyncio.current_task()
    node.procs[proc.pid] = proc
    return proc


def become_process(node: "Node") -> TaskProcess:
    """The current task becomes a process until it ends: what an implicit one is to a thread."""
    proc = task_process(node)
    proc.implicit = True
    IN_TASK.set(proc)
    assert proc.task is not None
    proc.task.add_done_callback(lambda _: proc.end(NORMAL))
    return proc


async def _finished(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class LoopThread:
    """The node's own asyncio loop, on a thread of its own; made on first use."""

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.loop = asyncio.new_event_loop()
        name = f"otpy-loop-{node.name}"
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)
        self.thread.start()

    def _main(self) -> None:
        HERE.node = self.node
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def stop(self, timeout: float) -> None:
        """End the loop and its thread, after its tasks if they end in time."""
        asyncio.run_coroutine_threadsafe(self._finish(timeout), self.loop)
        self.thread.join(timeout + 1.0)

    async def _finish(self, timeout: float) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            _, late = await asyncio.wait(rest, timeout=timeout)
            for task in late:
                task.cancel()
        self.loop.call_soon(self.loop.stop)
