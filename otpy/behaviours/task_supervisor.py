"""Task.Supervisor: tasks that are children of a supervisor, so that none outlives it unseen.

The names and guarantees are Elixir's ``Task.Supervisor``: a ``dynamic_supervisor`` whose children
are tasks. The tasks of ``async_`` and ``async_nolink`` are the caller's, to be used with the
functions of ``task``. What waits raises ``WouldBlockLoop`` in a coroutine: there it is
``await aio.task_supervisor.async_(...)``.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Literal, TypeVar, overload

from otpy.behaviours import _task, dynamic_supervisor
from otpy.behaviours._children import ChildInfo
from otpy.behaviours._task import Origin, Task, adopt, origin
from otpy.behaviours._task_stream import Begin, OnTaskTimeout, Stream, options
from otpy.behaviours.child_spec import ChildSpec, keywords, of_class
from otpy.behaviours.dynamic_supervisor import DynamicSupervisor, Flags
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_flag, check_function
from otpy.runtime.process import Dest
from otpy.runtime.record import Process
from otpy.terms.errors import BadArgument, ChildError
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid
from otpy.terms.reasons import KILL
from otpy.terms.signals import ExitSignal
from otpy.terms.values import is_list

A = TypeVar("A")
T = TypeVar("T")
Name = str | type | Global | Via | None
Shutdown = float | Literal["brutal_kill", "infinity"]
Restart = Literal["permanent", "transient", "temporary"]
PATIENCE = 5.0
FULL = (
    "reached the maximum number of tasks for this task supervisor; its max_children, given to "
    "task_supervisor.start_link, says how many run at the same time"
)
FULL_STREAM = (
    f"{FULL}. With async_stream max_concurrency must not be more than that, and other tasks under "
    "the same supervisor count too"
)


class TaskSupervisor(DynamicSupervisor):
    """As a child: ``(TaskSupervisor, {"name": "jobs", "max_children": 10})``."""

    def init(self, arg: Flags, /) -> Flags:
        return arg

    @classmethod
    def start_link(cls, arg: Any = None, /) -> Pid:
        """Start one with the keywords of ``task_supervisor.start_link`` in a dict."""
        return start_link(**_options(arg))

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        """Its specification; the id is the name if there is one, else the class."""
        name = _options(arg).get("name")
        return of_class(cls, arg, id=cls if name is None else name, type="supervisor")


def _options(arg: Any) -> dict[str, Any]:
    if arg is None:
        return {}
    return keywords("TaskSupervisor", "task_supervisor.start_link, or None", arg)


def start_link(
    *,
    name: Name = None,
    max_children: int | None = None,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    green: bool = False,
) -> Pid:
    """Start a supervisor of tasks, linked to the caller; without tasks.

    ``max_children`` is None for no limit, ``max_seconds`` in seconds. With ``green=True`` it runs
    on the user scheduler, beside its green tasks. Raises ``BadFlags``, ``AlreadyStarted``.
    ``Task.Supervisor.start_link``.
    """
    waiter("task_supervisor.start_link")
    flags = dynamic_supervisor.init(
        max_children=max_children, max_restarts=max_restarts, max_seconds=max_seconds
    )
    return dynamic_supervisor.start_link(TaskSupervisor, flags, name=name, green=green)


# What a task is to its supervisor.


def spec(
    called: str,
    origin: Origin,
    owner: Pid | None,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    restart: Restart = "temporary",
    shutdown: Shutdown = PATIENCE,
    green: bool = False,
) -> ChildSpec:
    """The child that a task is; for an ``owner``, who is to ``adopt`` it, or for nobody."""
    check_function(called, fn)
    check_flag("green", green)
    start = (_task.start_child, (origin.starter, owner, origin.callers, fn, args, green))
    return dynamic_supervisor.check_child(
        ChildSpec(Task, start, restart=restart, shutdown=shutdown)
    )


def adopted(me: Process, pid: Pid, fn: Callable[..., T], link: bool) -> Task[T]:
    """The task of ``me`` that its supervisor has started; if that fails it does not run."""
    try:
        return adopt(me, pid, fn, link)
    except BaseException:
        me.node.signal(ExitSignal(me.pid, pid, KILL, False))
        raise


def full(text: str, refused: ChildError) -> ChildError:
    """The same refusal, with what to do about it."""
    return ChildError(refused.reason, text) if refused.reason == "max_children" else refused


def _begin(
    me: Process,
    supervisor: Dest,
    child: ChildSpec,
    fn: Callable[..., T],
    link: bool,
    text: str,
) -> Task[T]:
    try:
        pid = dynamic_supervisor.start_child(supervisor, child)
    except ChildError as refused:
        raise full(text, refused) from None
    return adopted(me, pid, fn, link)


def _async(
    what: str,
    supervisor: Dest,
    fn: Callable[..., T],
    args: tuple[Any, ...],
    link: bool,
    shutdown: Shutdown,
    green: bool,
) -> Task[T]:
    called = f"task_supervisor.{what}"
    me = waiter(called)
    child = spec(called, origin(me), me.pid, fn, args, shutdown=shutdown, green=green)
    return _begin(me, supervisor, child, fn, link, FULL)


@overload
def async_(
    supervisor: Dest,
    fn: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
@overload
def async_(
    supervisor: Dest,
    fn: Callable[..., T],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
def async_(
    supervisor: Dest,
    fn: Callable[..., Any],
    *args: Any,
    shutdown: Shutdown = PATIENCE,
    green: bool = False,
) -> Task[Any]:
    """As ``task.async_``, as a temporary child of ``supervisor``: linked to it and to the caller.

    ``shutdown``: seconds that the task has when the supervisor stops, "brutal_kill" or "infinity".
    Raises ``ChildError("max_children")``, ``CallExit``, ``BadArgument``.
    ``Task.Supervisor.async``.
    """
    return _async("async_", supervisor, fn, args, True, shutdown, green)


@overload
def async_nolink(
    supervisor: Dest,
    fn: Callable[..., Coroutine[Any, Any, T]],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
@overload
def async_nolink(
    supervisor: Dest,
    fn: Callable[..., T],
    *args: Any,
    shutdown: Shutdown = ...,
    green: bool = ...,
) -> Task[T]: ...
def async_nolink(
    supervisor: Dest,
    fn: Callable[..., Any],
    *args: Any,
    shutdown: Shutdown = PATIENCE,
    green: bool = False,
) -> Task[Any]:
    """As ``async_``, without a link to the caller: if the task fails it gets a ``Down`` only.

    ``Task.Supervisor.async_nolink``.
    """
    return _async("async_nolink", supervisor, fn, args, False, shutdown, green)


def start_child(
    supervisor: Dest,
    fn: Callable[..., Any],
    *args: Any,
    restart: Restart = "temporary",
    shutdown: Shutdown = PATIENCE,
    green: bool = False,
) -> Pid:
    """Start ``fn(*args)`` as a child that replies to nobody; its pid.

    Raises ``ChildError("max_children")``, ``CallExit``, ``BadChildSpec``, ``BadArgument``.
    ``Task.Supervisor.start_child``.
    """
    called = "task_supervisor.start_child"
    me = waiter(called)
    child = spec(
        called, origin(me), None, fn, args, restart=restart, shutdown=shutdown, green=green
    )
    try:
        pid: Pid = dynamic_supervisor.start_child(supervisor, child)
    except ChildError as refused:
        raise full(FULL, refused) from None
    return pid


def begins(
    called: str,
    supervisor: Dest,
    fn: Callable[..., Any],
    link: bool,
    shutdown: Shutdown,
    green: bool,
) -> Begin:
    """How the monitor of a stream starts its tasks."""

    def begin(me: Process, given: tuple[Any, ...], origin: Origin) -> Task[Any]:
        child = spec(called, origin, me.pid, fn, given, shutdown=shutdown, green=green)
        return _begin(me, supervisor, child, fn, link, FULL_STREAM)

    return begin


def async_stream(
    supervisor: Dest,
    enumerable: Iterable[A],
    fn: Callable[..., T],
    *args: Any,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: OnTaskTimeout = "exit",
    zip_input_on_exit: bool = False,
    shutdown: Shutdown = PATIENCE,
    green: bool = False,
) -> Stream[A, T]:
    """As ``task.async_stream``, with the tasks as children of ``supervisor``.

    The iterator raises ``ChildError("max_children")`` when there are too many.
    ``Task.Supervisor.async_stream``.
    """
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
        begin=begins(called, supervisor, fn, True, shutdown, green),
    )
    return Stream(enumerable, given)


def async_stream_nolink(
    supervisor: Dest,
    enumerable: Iterable[A],
    fn: Callable[..., T],
    *args: Any,
    max_concurrency: int | None = None,
    ordered: bool = True,
    timeout: float | None = 5.0,
    on_timeout: OnTaskTimeout = "exit",
    zip_input_on_exit: bool = False,
    shutdown: Shutdown = PATIENCE,
    green: bool = False,
) -> Stream[A, T]:
    """As ``async_stream``; a task that fails gives ``Exited(reason)``, and ends nobody.

    If the caller ends, its tasks go on. ``Task.Supervisor.async_stream_nolink``.
    """
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
        begin=begins(called, supervisor, fn, False, shutdown, green),
    )
    return Stream(enumerable, given)


def children(supervisor: Dest) -> list[Pid]:
    """The pids of its tasks. ``Task.Supervisor.children``."""
    waiter("task_supervisor.children")
    return pids(supervisor, dynamic_supervisor.which_children(supervisor))


def pids(supervisor: Dest, rows: object) -> list[Pid]:
    """Of the rows of ``which_children``; raises ``BadArgument`` if it answered something else."""
    if not is_list(rows) or not all(isinstance(row, ChildInfo) for row in rows):
        raise BadArgument(f"{supervisor!r} is no task supervisor: it answered {rows!r:.80}")
    return [row.pid for row in rows if isinstance(row.pid, Pid)]


def terminate_child(supervisor: Dest, pid: Pid) -> None:
    """Stop a task. ``ChildError("not_found")``. ``Task.Supervisor.terminate_child``."""
    waiter("task_supervisor.terminate_child")
    dynamic_supervisor.terminate_child(supervisor, pid)


def stop(supervisor: Dest, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it, and all its tasks at once."""
    waiter("task_supervisor.stop")
    dynamic_supervisor.stop(supervisor, reason, timeout)


def child_spec(arg: Mapping[str, Any] | None = None, /, **options: Any) -> ChildSpec:
    """The specification of a task supervisor as a child; options as for ``start_link``."""
    return TaskSupervisor.child_spec({**_options(arg), **options})


__all__ = [
    "Task",
    "TaskSupervisor",
    "async_",
    "async_nolink",
    "async_stream",
    "async_stream_nolink",
    "child_spec",
    "children",
    "start_child",
    "start_link",
    "stop",
    "terminate_child",
]
