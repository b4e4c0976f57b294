"""An asyncio event loop at virtual time, driven by the simulated scheduler.

Rules: what one process scheduled runs in the order in which it did so, as asyncio promises;
which process comes next is drawn from the seed, as among green ones; and a task or future is
hashed by its number, so that asyncio's own sets have the same order in every run.
"""

import asyncio
import contextvars
import heapq
import itertools
import logging
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, TypeVarTuple, cast
from weakref import WeakSet

from otpy.runtime._current import HERE, IN_TASK, running_loop
from otpy.runtime._default import keep
from otpy.runtime.fence import refuse
from otpy.runtime.outside import await_coroutine
from otpy.runtime.scheduler import GreenProcess
from otpy.terms.errors import NodeError

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.simulated import SimulatedScheduler

LOG = logging.getLogger("asyncio")
SHOWN = ("message", "exception")  # what an error's text shows by itself
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
CoroutineLike = Generator[Any, None, T] | Coroutine[Any, Any, T]
ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class NumberedFuture(asyncio.Future[T]):
    """A future whose hash is its number: the same one in every run."""

    def __init__(self, number: int, *, loop: "SimulatedLoop") -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class NumberedTask(asyncio.Task[T]):
    """A task whose hash is its number: a ``TaskGroup`` cancels in the same order in every run."""

    def __init__(self, number: int, coro: CoroutineLike[T], **options: Any) -> None:
        self.number = number  # first: asyncio puts the task into a set when it is made
        super().__init__(coro, **options)
        self._log_destroy_pending = False  # a simulation that is over leaves tasks, and may

    def __hash__(self) -> int:
        return self.number


class Turn:
    """What one process has scheduled on a loop; it stands among the ready processes."""

    __slots__ = ("body", "context", "handles", "loop", "node", "owner")

    def __init__(self, loop: "SimulatedLoop", owner: Any) -> None:
        self.loop = loop
        self.node = loop.node
        self.owner = owner
        self.handles: deque[asyncio.Handle] = deque()
        self.body = None  # as a green process that holds no stack
        self.context: contextvars.Context | None = None


class SimulatedPool:
    """The pool of a simulated node: a job is a process, and so runs when the seed says so."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` soon. It must not raise."""
        self._node.make("thread", job).start()

    def stop(self) -> None:
        """There are no threads to leave."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated node.

    What needs the world outside (sockets, pipes, signals, subprocesses, an executor of
    threads) raises ``NotSimulated``. The default executor is the node's simulated pool.
    """

    def __init__(self, node: "Node", sched: "SimulatedScheduler") -> None:
        self.node = node
        self.sched = sched
        self._numbers = itertools.count(1)
        self._turns: dict[Any, Turn] = {}  # by process; None for coroutines that are none
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Any]] = []
        self._factory: Any = None
        self._handler: ExceptionHandler | None = None
        self._guard: Any = None  # of the process of coroutines that are none themselves
        self._tasks: WeakSet[NumberedTask[Any]] = WeakSet()
        self._closed = False
        self._debug = False

    # Callbacks.

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As asyncio: in the order of the calls, among those of the same process."""
        self._check_open()
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(handle, context.get(IN_TASK))
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """``call_soon``; from outside the simulation when that next looks."""
        if HERE.sched is self.sched:
            return self.call_soon(callback, *args, context=context)
        self._check_open()
        context = contextvars.copy_context() if context is None else context
        handle = asyncio.Handle(callback, args, self, context)
        self.sched.post(None, lambda: self._enqueue(handle, context.get(IN_TASK)))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """In ``delay`` virtual seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """When the node's clock shows ``when``; of the same instant in the order of the calls."""
        self._check_open()
        context = contextvars.copy_context() if context is None else context
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        entry = (when, next(self._numbers), timer, context.get(IN_TASK))
        heapq.heappush(self._timers, entry)
        return timer

    def time(self) -> float:
        """The clock of the node, in seconds."""
        return self.node.clock.now()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Told by the timer itself; ``heap`` leaves it out."""

    def _enqueue(self, handle: asyncio.Handle, owner: Any) -> None:
        turn = self._turns.get(owner)
        if turn is None:
            turn = self._turns[owner] = Turn(self, owner)
            # The scheduler asks nothing of it but what a turn has.
            self.sched.ready.append(cast("GreenProcess", turn))
        turn.handles.append(handle)

    # What the scheduler calls.

    @property
    def heap(self) -> list[Any]:
        """The timers, the earliest first; no cancelled one is the earliest."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        return timers

    def fire(self, now: float) -> None:
        """Let the timers that are due take their turn."""
        while (timers := self.heap) and timers[0][0] <= now:
            _, _, timer, owner = heapq.heappop(timers)
            self._enqueue(timer, owner)

    def run_turn(self, turn: Turn) -> None:
        """Run one callback, as a running event loop."""
        handle = turn.handles.popleft()
        try:
            if not handle.cancelled():
                with self._running():
                    handle._run()
        finally:
            if turn.handles:
                self.sched.ready.append(cast("GreenProcess", turn))
            else:
                del self._turns[turn.owner]

    @contextmanager
    def _running(self) -> Generator[None, None, None]:
        outer, node, hooks = running_loop(), HERE.node, sys.get_asyncgen_hooks()
        guard = keep(self._guard)
        HERE.proc, HERE.node = None, self.node
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._finish_generator)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)
            HERE.node = node
            self._guard = keep(guard)

    def _finish_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        """An asynchronous generator was dropped in the midst of its work."""
        self.call_soon_threadsafe(self.create_task, generator.aclose())

    def crash(self) -> None:
        """The node is gone: its tasks end at once."""
        for task in sorted(self._tasks, key=hash):
            task.cancel()

    # Futures and tasks.

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return NumberedFuture(next(self._numbers), loop=self)

    def create_task(
        self, coro: CoroutineLike[T], *, name: object = None, **options: Any
    ) -> asyncio.Task[T]:
        """A task of this loop, named by its number in the simulation unless ``name`` is given."""
        self._check_open()
        number = next(self._numbers)
        shown = f"Task-{number}" if name is None else str(name)
        if self._factory is not None:
            made: asyncio.Task[T] = self._factory(self, coro, **options)
            made.set_name(shown)
            return made
        task = NumberedTask(number, coro, loop=self, name=shown, **options)
        self._tasks.add(task)
        return task

    def set_task_factory(self, factory: Any) -> None:
        """Let ``factory(loop, coro, ...)`` make the tasks; None for the loop's own."""
        self._factory = factory

    def get_task_factory(self) -> Any:
        """What ``set_task_factory`` was given."""
        return self._factory

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func(*args)`` as a process of the node; raises ``NotSimulated`` for an executor."""
        if executor is not None:
            refuse(f"loop.run_in_executor with {executor!r}")
        future: asyncio.Future[T] = self.create_future()

        def job() -> None:
            try:
                value = func(*args)
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(value)

        self.node.pool.submit(job)
        return future

    # Life. The scheduler runs it: there is nothing to start or stop.

    def run_until_complete(self, future: Any) -> Any:
        """Wait for a coroutine or future: a process waits, outside of any the simulation runs.

        Raises ``RuntimeError`` in a coroutine, and ``NodeError`` if it cannot come.
        """
        if running_loop() is not None:
            raise RuntimeError("this event loop is already running")
        if HERE.sched is self.sched:
            return await_coroutine(_awaited(future))
        task = asyncio.ensure_future(future, loop=self)
        self.sched.drive(task.done)
        if not task.done():
            raise NodeError(f"{task!r} waits for ever")
        return task.result()

    def is_running(self) -> bool:
        """Whether this is called in one of its callbacks."""
        return running_loop() is self

    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def close(self) -> None:
        """Take no more callbacks."""
        self._closed = True

    async def shutdown_asyncgens(self) -> None:
        """Each is finished when it is dropped: nothing is left to do."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There are no threads to wait for."""

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    # Errors.

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Call ``handler(loop, context)`` for what nobody catches; None to log it."""
        self._handler = handler

    def get_exception_handler(self) -> ExceptionHandler | None:
        """What ``set_exception_handler`` was given."""
        return self._handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log an error of a callback, as asyncio does."""
        error = context.get("exception")
        rest = [f"{key}: {context[key]!r}" for key in sorted(context) if key not in SHOWN]
        text = context.get("message") or "Unhandled exception in event loop"
        LOG.error("\n".join([text, *rest]), exc_info=error or False)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Hand an error that nobody catches to the handler."""
        if self._handler is None:
            self.default_exception_handler(context)
            return
        try:
            self._handler(self, context)
        except Exception as error:  # noqa: BLE001 - a handler is the user's, the loop goes on
            self.default_exception_handler(
                {"message": "Unhandled error in exception handler", "exception": error}
            )

    def get_debug(self) -> bool:
        """Whether asyncio's debug mode is on."""
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        """Switch asyncio's debug mode: handles and tasks remember where they were made."""
        self._debug = enabled


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _refusing(name: str) -> Callable[..., Any]:
    def refused(self: SimulatedLoop, *args: Any, **options: Any) -> NoReturn:
        refuse(f"loop.{name}")

    refused.__name__ = name
    refused.__doc__ = "Raises ``NotSimulated``."
    return refused


# Whatever a loop has and is not above, also what later versions of asyncio add.
for _name in vars(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(SimulatedLoop):
        setattr(SimulatedLoop, _name, _refusing(_name))
