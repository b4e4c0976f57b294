"""``otpy.task_supervisor`` for coroutines.

Each function raises what that of the same name raises. The tasks belong to the coroutine's
process, as those of ``aio.task``.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, overload

from otpy.behaviours import task_supervisor as plain
from otpy.behaviours._task import Task, origin
from otpy.behaviours._task_stream import OnTaskTimeout, options
from otpy.behaviours.child_spec import ChildSpec
from otpy.behaviours.dynamic_supervisor import init
from otpy.behaviours.task_supervisor import Name, Restart, Shutdown, TaskSupervisor
from otpy.bridges.aio import _task, dynamic_supervisor
from otpy.bridges.aio._task_stream import AsyncStream
from otpy.runtime.node import Node
from otpy.runtime.process import Dest
from otpy.terms.errors import ChildError
from otpy.terms.pid import Pid

A = TypeVar("A")
T = TypeVar("T")


async def start_link(
    *,
    name: Name = None,
    max_children: int | None = None,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """Start a supervisor of tasks, linked to the task's process; it stops when the task ends."""
    flags = init(max_children=max_children, max_restarts=max_restarts, max_seconds=max_seconds)
    return await dynamic_supervisor.start_link(
        TaskSupervisor, flags, name=name, green=green, node=node
    )


async def _start(supervisor: Dest, child: ChildSpec) -> Pid:
    try:
        pid: Pid = await dynamic_supervisor.start_child(supervisor, child)
    except ChildError as refused:
        raise plain.full(plain.FULL, refused) from None
    return pid


async def _async(
    what: str,
    supervisor: Dest,
    fn: Callable[..., T],
    args: tuple[Any, ...],
    link: bool,
    shutdown: Shutdown,
    green: bool,
) -> Task[T]:
    me = _task.lasting(None)
    called = f"task_supervisor.{what}"
    child = plain.spec(called, origin(me), me.pid, fn, args, shutdown=shutdown, green=green)
    return plain.adopted(me, await _start(supervisor, child), fn, link)


@overload
async def async_(
    supervisor: Dest,
    fn: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
@overload
async def async_(
    supervisor: Dest,
    fn: Callable[..., T],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
async def async_(
    supervisor: Dest,
    fn: Callable[..., Any],
    *args: Any,
    shutdown: Shutdown = plain.PATIENCE,
    green: bool = False,
) -> Task[Any]:
    """Start a task of this coroutine under a supervisor, linked to both."""
    return await _async("async_", supervisor, fn, args, True, shutdown, green)


@overload
async def async_nolink(
    supervisor: Dest,
    fn: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
@overload
async def async_nolink(
    supervisor: Dest,
    fn: Callable[..., T],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
async def async_nolink(
    supervisor: Dest,
    fn: Callable[..., Any],
    *args: Any,
    shutdown: Shutdown = plain.PATIENCE,
    green: bool = False,
) -> Task[Any]:
    """As ``async_``, without a link to this coroutine."""
    return await _async("async_nolink", supervisor, fn, args, False, shutdown, green)


async def start_child(
    supervisor: Dest,
    fn: Callable[..., Any],
    *args: Any,
    restart: Restart = "temporary",
    shutdown: Shutdown = plain.PATIENCE,
    green: bool = False,
) -> Pid:
    """Start ``fn(*args)`` as a child that replies to nobody; its pid."""
    async with _task.process() as me:
        child = plain.spec(
            "task_supervisor.start_child",
            origin(me),
            None,
            fn,
            args,
            restart=restart,
            shutdown=shutdown,
            green=green,
        )
        return await _start(supervisor, child)


def async_stream(
    supervisor: Dest,
    enumerable: Iterable[A],
    fn: Callable[..., Any],
    *args: Any,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: OnTaskTimeout = "exit",
    zip_input_on_exit: bool = False,
    shutdown: Shutdown = plain.PATIENCE,
    green: bool = False,
) -> AsyncStream[A]:
    """As ``aio.task.async_stream``, with the tasks as children of ``supervisor``."""
    called = "task_supervisor.async_stream"
    given = options(
        called,
        fn,
        args,
        max_concurrency=max_concurrency,
        ordered=ordered,
        timeout=timeout,
        on_timeout=on_timeout,
        zip_input_on_exit=zip_input_on_exit,
        green=green,
        begin=plain.begins(called, supervisor, fn, True, shutdown, green),
    )
    return AsyncStream(enumerable, given, None)


def async_stream_nolink(
    supervisor: Dest,
    enumerable: Iterable[A],
    fn: Callable[..., Any],
    *args: Any,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: OnTaskTimeout = "exit",
    zip_input_on_exit: bool = False,
    shutdown: Shutdown = plain.PATIENCE,
    green: bool = False,
) -> AsyncStream[A]:
    """As ``async_stream``; a task that fails gives ``Exited(reason)``, and ends nobody."""
    called = "task_supervisor.async_stream_nolink"
    given = options(
        called,
        fn,
        args,
        max_concurrency=max_concurrency,
        ordered=ordered,
        timeout=timeout,
        on_timeout=on_timeout,
        zip_input_on_exit=zip_input_on_exit,
        green=green,
        begin=plain.begins(called, supervisor, fn, False, shutdown, green),
    )
    return AsyncStream(enumerable, given, None)


async def children(supervisor: Dest) -> list[Pid]:
    """The pids of its tasks."""
    return plain.pids(supervisor, await dynamic_supervisor.which_children(supervisor))


async def terminate_child(supervisor: Dest, pid: Pid) -> None:
    """Stop a task."""
    await dynamic_supervisor.terminate_child(supervisor, pid)


async def stop(supervisor: Dest, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it, and all its tasks at once."""
    await dynamic_supervisor.stop(supervisor, reason, timeout)


__all__ = [
    "async_",
    "async_nolink",
    "async_stream",
    "async_stream_nolink",
    "children",
    "start_child",
    "start_link",
    "stop",
    "terminate_child",
]
