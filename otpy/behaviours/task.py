"""Task: one piece of work in a process of its own, and its result.

The names and guarantees are Elixir's ``Task``. ``async_`` runs ``fn(*args)`` on a thread, with
``green=True`` on the user scheduler, and as a task of the event loop if ``fn`` is async. Its
result comes to the owner as the message ``(task.ref, result)``, for ``await_`` or
``yield_`` to take; a GenServer may take it in ``handle_info``, and a ``Down`` after it.

What ``yield_``, ``shutdown``, ``ignore`` and ``async_stream`` give: ``Done(value)`` is Elixir's
``{:ok, value}``, ``Exited(reason)`` its ``{:exit, reason}``, None its nil. What waits raises
``WouldBlockLoop`` in a coroutine: there it is ``await aio.task.await_(...)``.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal, TypeVar, overload

from otpy.behaviours import _task, _task_waits
from otpy.behaviours._task import Task
from otpy.behaviours._task_stream import OnTaskTimeout, Stream, options
from otpy.behaviours._task_waits import OnTimeout, run
from otpy.behaviours.child_spec import ChildSpec
from otpy.behaviours.results import Done, Exited
from otpy.runtime._current import current, waiter
from otpy.runtime.arguments import check_function
from otpy.terms.pid import Pid

T = TypeVar("T")
A = TypeVar("A")


@overload
def async_(fn: Callable[..., Coroutine[Any, Any, T]], *args: Any, green: bool = ...) -> Task[T]: ...
@overload
def async_(fn: Callable[..., T], *args: Any, green: bool = ...) -> Task[T]: ...
def async_(fn: Callable[..., Any], *args: Any, green: bool = False) -> Task[Any]:
    """Start ``fn(*args)``, linked to the caller, who owns the task and its result.

    If it fails, the caller ends with its reason unless it traps exits.
    Raises ``BadArgument`` if ``fn`` is no function.
    """
    check_function("task.async_", fn)
    me = current()
    return _task.start_async(me, fn, args, green, _task.origin(me))


def start(fn: Callable[..., Any], *args: Any, green: bool = False) -> Pid:
    """Start ``fn(*args)`` with no link and no reply: for its effects. ``Task.start``."""
    return _task.start("start", fn, args, green)


def start_link(fn: Callable[..., Any], *args: Any, green: bool = False) -> Pid:
    """As ``start``, with a link: for a supervisor. ``Task.start_link``."""
    return _task.start("start_link", fn, args, green)


def await_(task: Task[T], timeout: float | None = 5.0) -> T:
    """The result of a task of the caller; once.

    ``timeout`` is in seconds, None for ever. Raises ``CallTimeout`` if it has passed (the task
    goes on, and its result vanishes), ``CallExit(reason)`` if the task ended without one, and
    ``BadArgument`` if the caller does not own it. ``Task.await``.
    """
    waiter("task.await_")
    return run(_task_waits.await_(task, timeout))


def await_many(tasks: Iterable[Task[T]], timeout: float | None = 5.0) -> list[T]:
    """The results in the order of the tasks; one ``timeout`` for all.

    Raises as ``await_`` at the first task that fails; nothing of the others arrives then.
    ``Task.await_many``.
    """
    waiter("task.await_many")
    return run(_task_waits.await_many(tasks, timeout))


def yield_(task: Task[T], timeout: float | None = 5.0) -> Done[T] | Exited | None:
    """``Done(result)``, ``Exited(reason)``, or None if it is still running after ``timeout``.

    May be asked again until it is not None. Raises ``CallExit(("nodedown", node))`` and
    ``BadArgument``. ``Task.yield``.
    """
    waiter("task.yield_")
    return run(_task_waits.yield_(task, timeout))


def yield_many(
    tasks: Iterable[Task[T]],
    timeout: float | None = 5.0,
    *,
    limit: int | None = None,
    on_timeout: OnTimeout = "nothing",
) -> list[tuple[Task[T], Done[T] | Exited | None]]:
    """``(task, what yield_ gives)`` for each, in order, after at most ``timeout`` seconds.

    With ``limit`` it waits for so many results only. Those that are not there then keep
    running; with ``on_timeout`` "ignore" they are unlinked and ignored, with "kill_task" killed.
    ``Task.yield_many``.
    """
    waiter("task.yield_many")
    return run(_task_waits.yield_many(tasks, timeout, limit, on_timeout))


def shutdown(
    task: Task[T], timeout: float | Literal["brutal_kill"] | None = 5.0
) -> Done[T] | Exited | None:
    """Unlink and end a task: "shutdown", after ``timeout`` seconds "kill".

    ``Done(result)`` if that had come before, ``Exited(reason)`` if it ended otherwise than
    asked ("noproc" if its end was told already), else None. Raises ``BadArgument`` for a task
    of another owner or without a process. ``Task.shutdown``.
    """
    waiter("task.shutdown")
    return run(_task_waits.shutdown(task, timeout))


def ignore(task: Task[T]) -> Done[T] | Exited | None:
    """Unlink a task, whose result is not wanted any more; what has come already, else None.

    Does not wait. Raises ``BadArgument`` as ``shutdown`` does. ``Task.ignore``.
    """
    return _task_waits.ignore(task)


def completed(result: T) -> Task[T]:
    """A task with this result and without a process. ``Task.completed``."""
    return _task.completed(current(), result)


def async_stream(
    enumerable: Iterable[A],
    fn: Callable[..., T],
    *args: Any,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: OnTaskTimeout = "exit",
    zip_input_on_exit: bool = False,
    green: bool = False,
) -> Stream[A, T]:
    """An iterator over ``Done(fn(item, *args))`` or ``Exited(reason)`` for each item.

    At most ``max_concurrency`` tasks run at once (by default as many as there are CPUs), and
    items are taken from ``enumerable`` as there is room for them. Results come in the order of the
    items, with ``ordered=False`` as they are ready. ``timeout`` is for each task, in seconds:
    if it has passed, the iterator raises ``CallTimeout`` (``on_timeout="exit"``), or the task is
    killed and its result is ``Exited("timeout")`` (``"kill_task"``). A task that fails ends the
    caller, or its result is ``Exited(reason)`` if the caller traps exits; with
    ``zip_input_on_exit`` that is ``Exited((item, reason))``.

    When the caller stops early, with ``break``, ``close()``, or an exception under ``with``, the
    tasks that still run are killed. The process that takes the first result takes them all.
    Raises ``BadArgument`` for a bad option. ``Task.async_stream``.
    """
    return Stream(
        enumerable,
        options(
            "task.async_stream",
            fn,
            args,
            max_concurrency=max_concurrency,
            ordered=ordered,
            timeout=timeout,
            on_timeout=on_timeout,
            zip_input_on_exit=zip_input_on_exit,
            green=green,
        ),
    )


def child_spec(arg: Callable[[], Any]) -> ChildSpec:
    """The child specification that ``(Task, fn)`` stands for. ``Task.child_spec``."""
    return Task.child_spec(arg)


__all__ = [
    "Done",
    "Exited",
    "Task",
    "async_",
    "async_stream",
    "await_",
    "await_many",
    "child_spec",
    "completed",
    "ignore",
    "shutdown",
    "start",
    "start_link",
    "yield_",
    "yield_many",
]
