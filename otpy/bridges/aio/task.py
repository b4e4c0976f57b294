"""``otpy.task`` for coroutines. Each function raises what that of the same name raises.

A task has an owner: a coroutine that is no process becomes one with ``async_``, ``completed`` or a
stream, until its asyncio task ends.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal, TypeVar, overload

from otpy.behaviours import _task, _task_waits
from otpy.behaviours import task as plain
from otpy.behaviours._task import Task
from otpy.behaviours._task_stream import OnTaskTimeout, options
from otpy.behaviours._task_waits import NOTHING, OnTimeout, Steps
from otpy.behaviours.results import Done, Exited
from otpy.bridges.aio import _task as _process
from otpy.bridges.aio._processes import receive
from otpy.bridges.aio._task_stream import AsyncStream
from otpy.runtime.arguments import check_function
from otpy.runtime.node import Node
from otpy.terms.errors import ReceiveTimeout

A = TypeVar("A")
T = TypeVar("T")


async def _run(steps: Steps[T]) -> T:
    async with _process.process():
        got: Any = None
        while True:
            try:
                wanted = steps.send(got)
            except StopIteration as over:
                result: T = over.value
                return result
            try:
                got = await receive(where=wanted.where, timeout=wanted.timeout)
            except ReceiveTimeout:
                got = NOTHING


@overload
def async_(
    fn: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    green: bool = ...,
    node: Node | None = ...,
) -> Task[T]: ...
@overload
def async_(
    fn: Callable[..., T], *args: Any, green: bool = ..., node: Node | None = ...
) -> Task[T]: ...
def async_(
    fn: Callable[..., Any], *args: Any, green: bool = False, node: Node | None = None
) -> Task[Any]:
    """Start ``fn(*args)`` as a task of this coroutine's process; to be awaited with ``await_``."""
    check_function("task.async_", fn)
    me = _process.lasting(node)
    return _task.start_async(me, fn, args, green, _task.origin(me))


def completed(result: T, *, node: Node | None = None) -> Task[T]:
    """A task with this result and without a process."""
    return _task.completed(_process.lasting(node), result)


async def await_(task: Task[T], timeout: float | None = 5.0) -> T:
    """The result of a task of this coroutine; once."""
    return await _run(_task_waits.await_(task, timeout))


async def await_many(tasks: Iterable[Task[T]], timeout: float | None = 5.0) -> list[T]:
    """The results in the order of the tasks; one ``timeout`` for all."""
    return await _run(_task_waits.await_many(tasks, timeout))


async def yield_(task: Task[T], timeout: float | None = 5.0) -> Done[T] | Exited | None:
    """``Done(result)``, ``Exited(reason)``, or None if it is still running after ``timeout``."""
    return await _run(_task_waits.yield_(task, timeout))


async def yield_many(
    tasks: Iterable[Task[T]],
    timeout: float | None = 5.0,
    *,
    limit: int | None = None,
    on_timeout: OnTimeout = "nothing",
) -> list[tuple[Task[T], Done[T] | Exited | None]]:
    """``(task, what yield_ gives)`` for each, in order, after at most ``timeout`` seconds."""
    return await _run(_task_waits.yield_many(tasks, timeout, limit, on_timeout))


async def shutdown(
    task: Task[T], timeout: float | Literal["brutal_kill"] | None = 5.0
) -> Done[T] | Exited | None:
    """Unlink and end a task."""
    return await _run(_task_waits.shutdown(task, timeout))


def async_stream(
    enumerable: Iterable[A],
    fn: Callable[..., Any],
    *args: Any,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: OnTaskTimeout = "exit",
    zip_input_on_exit: bool = False,
    green: bool = False,
    node: Node | None = None,
) -> AsyncStream[A]:
    """An asynchronous iterator over the results; ``fn`` may be async or not.

    After a ``break`` its tasks are killed an instant later; ``async with`` waits for that.
    """
    given = options(
        "task.async_stream",
        fn,
        args,
        max_concurrency=max_concurrency,
        ordered=ordered,
        timeout=timeout,
        on_timeout=on_timeout,
        zip_input_on_exit=zip_input_on_exit,
        green=green,
    )
    return AsyncStream(enumerable, given, node)


ignore = plain.ignore

__all__ = [
    "async_",
    "async_stream",
    "await_",
    "await_many",
    "completed",
    "ignore",
    "shutdown",
    "yield_",
    "yield_many",
]
