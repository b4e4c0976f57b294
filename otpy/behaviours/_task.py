"""The process of a task: how it starts, what it runs, what is logged when it fails."""

import inspect
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from otpy.behaviours._module import FunctionClass
from otpy.behaviours.child_spec import ChildSpec, of_class
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.arguments import check_function
from otpy.runtime.body import reason_of
from otpy.runtime.record import ANY, Alias, Monitor, Process
from otpy.runtime.reports import details, facts, function_name, shown_reason
from otpy.runtime.spawning import kind_of, launch
from otpy.terms.errors import BadArgument, ProcessExit, ReceiveTimeout
from otpy.terms.messages import Down
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import SHUTDOWN, Crash, is_shutdown
from otpy.terms.signals import ExitSignal

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
LOG = logging.getLogger("otpy.task")
PATIENCE = 5.0  # seconds a supervised task waits for its owner, as in OTP


@dataclass(frozen=True, slots=True)
class Order:
    """What a supervised task waits for: its owner, and the reference to reply to."""

    owner: Pid
    ref: Ref


@dataclass(frozen=True)
class Task(FunctionClass, Generic[T_co]):
    """A task that was started by ``async_``: who owns it, its process, its reference.

    The reply comes to ``owner`` as the message ``(ref, result)``; ``function`` is the text
    of what runs. ``pid`` is None for a ``completed`` task.

    As a base class it is ``use Task``: a child that runs ``run`` once. Class options as
    for GenServer: ``restart`` ("temporary" unless given), ``shutdown``, ``id``, ``green``.
    ``(Task, fn)`` is a child that runs ``fn()``.
    """

    owner: Pid
    pid: Pid | None
    ref: Ref
    function: str

    @classmethod
    def run(cls, arg: Any, /) -> Any:
        """What the task does; may be ``async``. To be overridden."""
        raise NotImplementedError(f"{cls.__name__} has no run")

    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        """Start it linked to the caller; override to do otherwise."""
        if cls is Task:
            return start("start_link", arg, (), False)
        return start("start_link", cls.run, (arg,), cls.green)

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        """The child specification for a supervisor; restart is "temporary" unless given."""
        if cls is Task:
            check_function("Task.child_spec", arg)
        return of_class(cls, arg, restart="temporary")


def own(task: Task[Any], me: Process) -> None:
    """Raise ``BadArgument`` unless it is a task and ``me`` its owner."""
    if not isinstance(task, Task):
        raise BadArgument(f"{task!r} is not a Task; expected what async_ returned")
    if task.owner != me.pid:
        raise BadArgument(
            f"task {task!r} must be queried from the owner but was queried from {me.pid!r}"
        )


# What runs in the process.


class Body:
    """Runs a user's function as a task and sends its result to ``ref``, if there is one.

    One that a supervisor started for an ``owner`` first waits to hear ``ref`` from it: then
    the owner is linked to it or monitors it, and misses nothing.
    """

    __slots__ = ("__wrapped__", "args", "is_async", "owner", "ref", "starter")

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        starter: Any,
        *,
        ref: Ref | None = None,
        owner: Pid | None = None,
    ) -> None:
        self.__wrapped__ = fn
        self.is_async = inspect.iscoroutinefunction(fn)
        self.args = args
        self.starter = starter
        self.ref = ref
        self.owner = owner

    def kind(self, green: bool) -> str:
        """How its process runs."""
        return kind_of(self.__wrapped__, green)

    def __call__(self) -> Any:
        """Sync functions run here; of an async one this gives the coroutine to await."""
        if self.is_async:
            return self._run_async()
        if self.owner is not None:
            watch = process.monitor(self.owner)
            with suppress(ReceiveTimeout):
                self._heard(watch, process.receive(where=self._is_for_me(watch), timeout=PATIENCE))
            self._check_order()
        try:
            result = self.__wrapped__(*self.args)
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self._fail(error)
        self._tell(result)
        return None

    async def _run_async(self) -> None:
        if self.owner is not None:
            await self._wait_for_order(self.owner)
        try:
            result = await self.__wrapped__(*self.args)
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self._fail(error)
        self._tell(result)

    async def _wait_for_order(self, owner: Pid) -> None:
        me: Any = current()  # a coroutine's: it can wait
        watch = process.monitor(owner)
        now = me.node.clock.now
        deadline = now() + PATIENCE
        found, item, seen = process.scan(me, 0, (), self._is_for_me(watch))
        while not found and now() < deadline:
            await me.wait(ANY, deadline, seen)
            found, item, seen = process.scan(me, seen, (), self._is_for_me(watch))
        if found:
            self._heard(watch, item)
        self._check_order()

    def _is_for_me(self, watch: Ref) -> Callable[[Any], bool]:
        def check(item: Any) -> bool:
            if type(item) is Down:
                return item.ref == watch
            return type(item) is Order and item.owner == self.owner

        return check

    def _heard(self, watch: Ref, item: "Order | Down") -> None:
        process.demonitor(watch, flush=True)
        if isinstance(item, Down):
            raise ProcessExit((SHUTDOWN, item.reason))
        self.ref = item.ref

    def _check_order(self) -> None:
        if self.ref is None:
            raise ProcessExit("timeout")

    def _tell(self, result: Any) -> None:
        if self.ref is not None:
            process.send(self.ref, (self.ref, result))

    def _fail(self, error: BaseException) -> NoReturn:
        me = current()  # raises for a process that was ended from outside: that is no failure
        reason = reason_of(error)
        if not is_shutdown(reason):
            _report(me, self, reason, error)
        raise ProcessExit(reason) from None


def _report(me: Process, body: Body, reason: Any, error: BaseException) -> None:
    function = function_name(body.__wrapped__)
    lines = [
        f"Task {me.name or me.pid!r} started from {body.starter!r} terminating",
        f"** {shown_reason(reason)}",
        f"Function: {function}",
        f"    Args: {list(body.args)!r}",
    ]
    report = {
        "label": "task_terminate",
        **facts(me),
        "starter": body.starter,
        "function": function,
        "args": body.args,
        "reason": reason,
        "callers": me.callers,
        "crash_reason": error if isinstance(reason, Crash) else reason,
    }
    if LOG.isEnabledFor(logging.DEBUG):
        lines += details(report)
    info = (type(error), error, error.__traceback__) if isinstance(reason, Crash) else None
    LOG.error("\n".join(lines), exc_info=info, extra={"otpy_report": report})


# Starting.


def callers_of(me: Process) -> tuple[Pid, ...]:
    """``$callers`` of a task that ``me`` starts."""
    return (me.pid, *me.callers)


def start(how: str, fn: Callable[..., Any], args: tuple[Any, ...], green: bool) -> Pid:
    """Start a task that replies to nobody: "start" or "start_link"."""
    check_function(f"task.{how}", fn)
    me = current()
    body = Body(fn, args, me.name or me.pid)
    return _launch(body, callers_of(me), how == "start_link", green)


def start_child(
    starter: Any,
    owner: Pid | None,
    callers: tuple[Pid, ...],
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    green: bool,
) -> Pid:
    """What a supervisor calls: a task for ``owner``, or without one that replies to nobody."""
    return _launch(Body(fn, args, starter, owner=owner), callers, True, green)


def _launch(body: Body, callers: tuple[Pid, ...], link: bool, green: bool) -> Pid:
    def attach(proc: Process) -> None:
        proc.callers = callers

    return launch(current(), body.kind(green), body, link=link, attach=attach)[0].pid


@dataclass(frozen=True, slots=True)
class Origin:
    """For whom a task is started: what its report and its ``$callers`` name."""

    starter: Any
    callers: tuple[Pid, ...]


def origin(me: Process) -> Origin:
    """A task that ``me`` starts for itself."""
    return Origin(me.name or me.pid, callers_of(me))


def start_async(
    me: Process, fn: Callable[..., T], args: tuple[Any, ...], green: bool, origin: Origin
) -> Task[T]:
    """Start a task of ``me``, linked and monitored, that replies to it."""
    ref = me.node.new_ref(me.pid.number)

    def attach(proc: Process) -> None:
        proc.callers = origin.callers
        proc.monitored_by = {ref: (me.pid, False)}
        _watch(me, proc.pid, ref)

    body = Body(fn, args, origin.starter, ref=ref)
    proc, _ = launch(me, body.kind(green), body, link=True, attach=attach)
    return Task(me.pid, proc.pid, ref, function_name(fn))


def _watch(me: Process, pid: Pid, ref: Ref) -> None:
    with me.owned:
        if me.monitors is None:
            me.monitors = {}
        me.monitors[ref] = Monitor(pid, None)
        if me.aliases is None:
            me.aliases = {}
        me.aliases[ref] = Alias("demonitor")


def adopt(me: Process, pid: Pid, fn: Callable[..., T], link: bool) -> Task[T]:
    """Make the supervised task ``pid``, which waits for that, one of ``me``."""
    if link:
        process.link(pid)
    ref = process.monitor(pid, alias="demonitor")
    process.send(pid, Order(me.pid, ref))
    return Task(me.pid, pid, ref, function_name(fn))


def completed(me: Process, result: T) -> Task[T]:
    """A task of ``me`` that has its result already, in the mailbox."""
    ref = me.node.new_ref(me.pid.number)
    me.node.put(me, me, (ref, result))
    return Task(me.pid, None, ref, "otpy.behaviours.task.completed")


# Ending.


def end(pid: Pid, reason: Any) -> None:
    """Send an exit signal to a task that is not to take the caller with it."""
    me = current()
    try:
        process.unlink(pid)
        process.exit(pid, reason)
    except ProcessExit:
        # Ended just now: after the unlink nobody else would end the task.
        me.node.signal(ExitSignal(me.pid, pid, reason, False))
        raise
