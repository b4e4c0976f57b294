"""DynamicSupervisor: children that are started one by one, while it runs, and kept by pid.

Elixir's ``DynamicSupervisor``; Erlang's ``simple_one_for_one``. Ids of children mean
nothing to it: many may have the same, and each is known by its pid. The decisions are
``machines/dynamic.py``; this drives them. It runs on the kernel scheduler, with
``green=True`` on the user scheduler, beside its green children.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from otpy.behaviours import gen_server
from otpy.behaviours._child_report import LOG, report
from otpy.behaviours._children import (
    ChildCount,
    ChildInfo,
    Raised,
    ended_badly,
    row,
    start,
    start_error,
    started,
)
from otpy.behaviours._flags import check_intensity, flags_of, wrong_flag
from otpy.behaviours._module import SupervisorClass
from otpy.behaviours._own_server import OwnServer, entry, told
from otpy.behaviours._stop_children import stop_children
from otpy.behaviours.child_spec import ChildSpec, keywords, of_class
from otpy.behaviours.child_spec import child_spec as checked
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import Ignore, Ok, Reply, Stop
from otpy.machines.dynamic import Dynamic, Step
from otpy.machines.restart import Child, Shutdown, StartChild
from otpy.runtime import process
from otpy.runtime._current import current, waiter
from otpy.runtime.arguments import check_flag
from otpy.runtime.process import Dest
from otpy.terms.errors import BadArgument, BadChildSpec, BadFlags, ChildError
from otpy.terms.messages import Exit
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid
from otpy.terms.reasons import SHUTDOWN
from otpy.terms.values import is_whole

ID = "undefined"  # of every child, in rows and reports, as in Elixir


@dataclass(frozen=True, slots=True)
class Flags:
    """What ``dynamic_supervisor.init`` returns: how children are kept."""

    strategy: Literal["one_for_one"]
    max_restarts: int
    max_seconds: float
    max_children: int | None
    extra_arguments: tuple[Any, ...]


def init(
    *,
    strategy: Literal["one_for_one"] = "one_for_one",
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    max_children: int | None = None,
    extra_arguments: tuple[Any, ...] | list[Any] = (),
) -> Flags:
    """Checked flags, for ``DynamicSupervisor.init`` to return.

    ``max_children`` is None for no limit; ``extra_arguments`` come before the arguments of
    every child's start function, at restarts too. Raises ``BadFlags``.
    """
    if strategy != "one_for_one":
        raise wrong_flag("invalid_strategy", strategy, "the strategy one_for_one")
    check_intensity(max_restarts, max_seconds)
    if max_children is not None and not is_whole(max_children, 0):
        raise wrong_flag(
            "invalid_max_children", max_children, "max_children, an int of at least 0, or None"
        )
    if not isinstance(extra_arguments, (tuple, list)):
        raise wrong_flag(
            "invalid_extra_arguments", extra_arguments, "extra_arguments, a tuple or a list"
        )
    return Flags(strategy, max_restarts, max_seconds, max_children, tuple(extra_arguments))


class DynamicSupervisor(SupervisorClass, kernel=True):
    """As a child: ``(DynamicSupervisor, {"name": "jobs", "max_children": 10})``.

    Module-based, a subclass: its ``init(arg)`` returns ``dynamic_supervisor.init(...)``.
    """

    def init(self, arg: Any, /) -> Flags | Ignore:
        """What the supervisor is: ``dynamic_supervisor.init(...)``, or ``IGNORE``."""
        raise NotImplementedError(f"{type(self).__name__} has no init")

    @classmethod
    def start_link(cls, arg: Any = None, /) -> Pid:
        """Start it without a name, unless ``arg`` of ``DynamicSupervisor`` itself has one."""
        if cls is DynamicSupervisor:
            return start_link(**_options(arg))
        return start_link(cls, arg)

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        """Its specification; the id is the name if there is one, else the class."""
        name = _options(arg).get("name") if cls is DynamicSupervisor else None
        return of_class(cls, arg, id=cls if name is None else name, type="supervisor")


def _options(arg: Any) -> dict[str, Any]:
    if arg is None:
        return {}
    return keywords("DynamicSupervisor", "dynamic_supervisor.start_link, or None", arg)


class _Driver(OwnServer[Dynamic], kernel=True):
    """The process behind a dynamic supervisor."""

    log = LOG
    title = "DynamicSupervisor"
    callback: type = DynamicSupervisor
    extra: tuple[Any, ...] = ()

    def callback_class(self) -> type:
        return self.callback

    def init(self, arg: tuple[type[DynamicSupervisor] | None, Any]) -> Any:
        process.flag(trap_exit=True)
        module, given = arg
        self.callback = module or DynamicSupervisor
        flags = flags_of(module, given, Flags)
        if not isinstance(flags, Flags):
            return flags
        self.extra = flags.extra_arguments
        return Ok(Dynamic(flags.max_restarts, flags.max_seconds, flags.max_children))

    def handle_info(self, message: Any, state: Dynamic) -> Any:
        match message:
            case Exit(Pid() as pid, reason):
                child = state.children.get(pid)
                if child is None:
                    return None
                if ended_badly(child, reason):
                    self._report(child, "child_terminated", reason, "terminated")
                return self._perform(state.exited(pid, reason, _now()), state, child)
            case (str("$retry"), Pid() as pid):
                child = state.children.get(pid)
                if child is None or not child.restarting:
                    return None
                return self._perform(state.retry(child, _now()), state, child)
            case _:
                return super().handle_info(message, state)

    def _perform(self, steps: list[Step], state: Dynamic, cause: Child) -> Any:
        for step in steps:
            match step:
                case StartChild(child):
                    ok, value = start(child, self.extra)
                    if ok:
                        state.started(child, value[0])
                        continue
                    state.failed(child)
                    self._report(child, "start_error", _why(value), "failed to start")
                    process.send(process.self_pid(), ("$retry", child.pid))
                case Shutdown(why):
                    self._report(cause, "shutdown", why, "caused shutdown")
                    return Stop(SHUTDOWN)
        return None

    def _report(self, child: Child, label: str, reason: Any, what: str) -> None:
        report(child, label, reason, what, self.extra)

    def terminate(self, reason: Any, state: Dynamic) -> None:
        self._stop(list(state.children.values()))

    def _stop(self, children: list[Child]) -> None:
        for child, reason in stop_children(children):
            self._report(child, "shutdown_error", reason, "shut down abnormally")

    def handle_call(self, request: Any, from_: Any, state: Dynamic) -> Any:
        match told(request):
            case ("which_children",):
                return Reply([row(child) for child in reversed(state.children.values())])
            case ("count_children",):
                return Reply(_count(state))
            case ("start_child", spec):
                return Reply(self._start_child(spec, state))
            case ("terminate_child", pid):
                child = entry(state.children, pid)
                if child is None:
                    return Reply((False, "not_found"))
                self._stop([child])
                state.forget(child)
                return Reply((True, None))
            case _:
                return super().handle_call(request, from_, state)

    def _start_child(self, spec: Any, state: Dynamic) -> tuple[bool, Any]:
        try:
            spec = check_child(spec)  # anybody may have sent it
        except BadChildSpec as bad:
            return False, ("bad_spec", bad.reason, str(bad))
        if state.full():
            return False, "max_children"
        child = Child(ID, spec.restart, spec=spec)
        ok, value = start(child, self.extra)
        if not ok:
            return False, ("start", _why(value))
        if child.restart == "temporary" and spec.start[1]:
            # It is never started again: what it was started with may go, as in Elixir.
            child.spec = replace(spec, start=(spec.start[0], ()))
        state.started(child, value[0])
        return True, value


class _GreenDriver(_Driver, green=True):
    """The same beside its green children: no hop between threads for each start and stop."""


def _now() -> float:
    return current().node.clock.now()


def _why(value: Any) -> Any:
    return value.reason if isinstance(value, Raised) else value


def _count(state: Dynamic) -> ChildCount:
    children = state.children.values()
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    active = sum(not child.restarting for child in children)
    return ChildCount(len(children), active, supervisors, len(children) - supervisors)


# The public functions.


def start_link(
    module: type[DynamicSupervisor] | None = None,
    arg: Any = None,
    *,
    name: str | type | Global | Via | None = None,
    strategy: Literal["one_for_one"] = "one_for_one",
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    max_children: int | None = None,
    extra_arguments: tuple[Any, ...] | list[Any] = (),
    green: bool = False,
) -> Pid:
    """Start a dynamic supervisor; without children, or a ``DynamicSupervisor`` class with ``arg``.

    The flags are those of ``init``, and not for a class, whose ``init`` gives them. With
    ``green=True`` (or ``class S(DynamicSupervisor, green=True)``) it runs on the user
    scheduler: for tens of thousands of green children. Else user code cannot delay it.

    Raises ``BadFlags``, ``AlreadyStarted`` or ``StartError``. In a coroutine it raises
    ``WouldBlockLoop``, as every function here that asks a supervisor.
    """
    waiter("dynamic_supervisor.start_link")
    driver, given = plan(
        module,
        arg,
        green,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
        max_children=max_children,
        extra_arguments=extra_arguments,
    )
    return gen_server.start_link(driver, given, name=name)


def plan(
    module: type[DynamicSupervisor] | None, arg: Any, green: bool, **flags: Any
) -> tuple[type[GenServer[Dynamic]], Any]:
    """The server behind one, and what it is started with; ``flags`` as for ``init``."""
    check_flag("green", green)
    checked_flags = init(**flags)
    if module is None:
        return _GreenDriver if green else _Driver, (None, checked_flags)
    if not (isinstance(module, type) and issubclass(module, DynamicSupervisor)):
        raise BadFlags(
            ("not_a_dynamic_supervisor", module), f"{module!r} is not a DynamicSupervisor class"
        )
    if checked_flags != init():
        raise BadFlags(
            ("flags_of_a_class", module),
            f"{module.__qualname__}.init gives the flags; start_link takes none beside it",
        )
    return _GreenDriver if green or module.kind == "green" else _Driver, (module, arg)


def child_spec(arg: Mapping[str, Any] | None = None, /, **options: Any) -> ChildSpec:
    """The specification of a dynamic supervisor as a child; options as for ``start_link``.

    Its id is the name; several without a name need ids of their own.
    """
    return DynamicSupervisor.child_spec({**_options(arg), **options})


def check_child(child: Any) -> ChildSpec:
    """The specification of a child to be started. Raises ``BadChildSpec``."""
    spec = checked(child)
    if spec.significant:
        raise BadChildSpec(
            ("invalid_significant", True),
            f"child {spec.id!r} is significant, which means nothing to a dynamic supervisor",
        )
    return spec


def _ask(supervisor: Dest, *request: Any) -> Any:
    waiter(f"dynamic_supervisor.{request[0]}")
    answer: Any = gen_server.call(supervisor, request, timeout=None)
    return answer


def done(answer: tuple[bool, Any]) -> Any:
    """The value of a dynamic supervisor's answer; raises what a refusal stands for."""
    ok, value = answer
    if ok:
        return value
    match value:
        case ("start", reason):
            raise start_error(reason)
        case ("bad_spec", reason, text):
            raise BadChildSpec(reason, text)
        case _:
            raise ChildError(value)


def which_children(supervisor: Dest) -> list[ChildInfo]:
    """A row for each child, the newest first; every id is "undefined"."""
    rows: list[ChildInfo] = _ask(supervisor, "which_children")
    return rows


def count_children(supervisor: Dest) -> ChildCount:
    """How many children, live children, supervisors and workers there are."""
    count: ChildCount = _ask(supervisor, "count_children")
    return count


def start_child(supervisor: Dest, child: Any) -> Any:
    """Start a child: its pid, ``(pid, info)``, or None if it wanted no process.

    Raises ``BadChildSpec``, ``ChildError("max_children")``, or ``StartError``
    (``AlreadyStarted`` if its name is taken).
    """
    return started(done(_ask(supervisor, "start_child", check_child(child))))


def check_pid(pid: Any) -> Pid:
    """Raise ``BadArgument`` unless it is a pid: ids name no child here."""
    if not isinstance(pid, Pid):
        raise BadArgument(f"terminate_child({pid!r}): expected the Pid of a child")
    return pid


def terminate_child(supervisor: Dest, pid: Pid) -> None:
    """Stop a child for good, also one that is being restarted, by the pid it had.

    ``ChildError("not_found")``; ``BadArgument`` for anything that is no pid.
    """
    done(_ask(supervisor, "terminate_child", check_pid(pid)))


def stop(supervisor: Dest, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it: all children get "shutdown" at once, it ends with ``reason``."""
    waiter("dynamic_supervisor.stop")
    gen_server.stop(supervisor, reason, timeout)


__all__ = [
    "ChildCount",
    "ChildInfo",
    "ChildSpec",
    "DynamicSupervisor",
    "Flags",
    "child_spec",
    "count_children",
    "init",
    "start_child",
    "start_link",
    "stop",
    "terminate_child",
    "which_children",
]
