"""The process that a test is, in its body and in its fixtures, be they coroutines or not.

pytest runs a test's thread; a coroutine of the test, and of each async fixture, is a task of
its own to pytest-asyncio. All of them are this one process: it waits by stopping its thread
where no loop runs, and by awaiting in the task that it is at the moment.
"""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from types import MethodType
from typing import Any

from otpy.runtime._current import HERE, IN_TASK, running_task
from otpy.runtime.node import Node
from otpy.runtime.reports import shown_reason
from otpy.runtime.tasks import TaskProcess
from otpy.runtime.threads import Parking
from otpy.terms.errors import ProcessExit


class Exited(Exception):
    """A coroutine of the test exited, by itself or because its process was ended."""

    def __init__(self, reason: Any) -> None:
        super().__init__(f"exited: {shown_reason(reason)}")


class CaseProcess(Parking, TaskProcess):
    """The test as a process."""

    __slots__ = ("_bell",)
    kind = "thread"

    def __init__(self, node: Node) -> None:
        # It awaits on whichever loop its task is of; until then it has none.
        super().__init__(node, node.new_pid(), None, (), None)  # type: ignore[arg-type]
        self._bell = threading.Lock()
        self._bell.acquire()
        node.procs[self.pid] = self

    def wake(self) -> None:
        if self._future is None:
            Parking.wake(self)
        else:
            TaskProcess.wake(self)

    @contextlib.contextmanager
    def as_task(self) -> Generator[None, None, None]:
        """The running asyncio task is this process while the block runs."""
        before = (self.task, self.loop)
        self.task, self.loop = asyncio.current_task(), asyncio.get_running_loop()
        token = IN_TASK.set(self)
        try:
            yield
        except ProcessExit as exit_:
            # An exit is no Exception: it would end the task in which anyio runs all of a test.
            raise Exited(exit_.reason) from None
        finally:
            IN_TASK.reset(token)
            self.task, self.loop = before


def _as_the_test() -> contextlib.AbstractContextManager[None]:
    """The running task is the test's process, if this thread has one."""
    proc = HERE.proc
    if isinstance(proc, CaseProcess) and running_task() is not None:  # none: a loop of trio's
        return proc.as_task()
    return contextlib.nullcontext()


def as_the_test(fn: Any) -> Any:
    """The test or fixture function ``fn``, which runs as the test's process if it is async."""
    if isinstance(fn, MethodType):
        return MethodType(as_the_test(fn.__func__), fn.__self__)
    if inspect.iscoroutinefunction(fn):
        return _coroutine(fn)
    if inspect.isasyncgenfunction(fn):
        return _generator(fn)
    return fn


def _coroutine(fn: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with _as_the_test():
            return await fn(*args, **kwargs)

    return run


def _generator(fn: Callable[..., AsyncGenerator[Any, None]]) -> Any:
    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        # Its two halves may be run by two tasks.
        made = fn(*args, **kwargs)
        while True:
            try:
                with _as_the_test():
                    value = await anext(made)
            except StopAsyncIteration:
                return
            yield value

    return run
