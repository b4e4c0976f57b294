"""Supervisor: starts its children, restarts them by a strategy, stops them in reverse order.

The decisions are ``machines/restart.py``; this drives them. A supervisor runs
green on the kernel scheduler, so that no user code delays it.
"""

from dataclasses import replace
from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours._child_report import LOG, progress, report
from otpy.behaviours._children import (
    ChildCount,
    ChildInfo,
    Raised,
    ended_badly,
    row,
    start_error,
    started,
)
from otpy.behaviours._children import start as start_child_process
from otpy.behaviours._flags import Flags, check_significant, flags_of, init
from otpy.behaviours._module import SupervisorClass
from otpy.behaviours._own_server import OwnServer, entry, told
from otpy.behaviours._supervisor_change import change
from otpy.behaviours.child_spec import ChildSpec, check, child_spec, keyed, of_class
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import Ignore, Ok, Reply, Stop
from otpy.machines.restart import (
    AutoShutdown,
    Child,
    Restarts,
    Shutdown,
    StartChild,
    Step,
    StopChild,
    Strategy,
)
from otpy.runtime import process
from otpy.runtime._current import current, waiter
from otpy.runtime.arguments import check_flag
from otpy.runtime.process import Dest
from otpy.terms.errors import (
    AlreadyStarted,
    BadArgument,
    BadChildSpec,
    BadFlags,
    ChildError,
    ReceiveTimeout,
)
from otpy.terms.messages import Down, Exit
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import KILL, KILLED, SHUTDOWN, is_shutdown
from otpy.terms.values import is_hashable, is_tuple


class Supervisor(SupervisorClass, kernel=True):
    """A module-based supervisor: ``init(arg)`` returns ``supervisor.init(children, ...)``."""

    def init(self, arg: Any, /) -> Flags | Ignore:
        """What the supervisor is: ``supervisor.init(...)``, or ``IGNORE``."""
        raise NotImplementedError(f"{type(self).__name__} has no init")

    @classmethod
    def start_link(cls, arg: Any = None, /) -> Pid:
        return start_link(cls, arg)

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        return of_class(cls, arg, type="supervisor")


class Driver(OwnServer[Restarts], kernel=True):
    """The process behind a supervisor."""

    log = LOG
    title = "Supervisor"
    callback: type = Supervisor
    arg: Any = None

    def callback_class(self) -> type:
        return self.callback

    def init(self, arg: tuple[type[Supervisor] | None, Any]) -> Any:
        process.flag(trap_exit=True)
        module, given = arg
        self.callback, self.arg = module or Supervisor, given
        flags = flags_of(module, given, Flags)
        if not isinstance(flags, Flags):
            return flags
        state = Restarts(
            flags.strategy,
            flags.max_restarts,
            flags.max_seconds,
            flags.auto_shutdown,
        )
        for spec in flags.children:
            child = _new_child(spec)
            state.add(child)
            ok, value = _start(child)
            if not ok:
                report(child, "start_error", value, "failed to start")
                self.terminate(SHUTDOWN, state)
                return Stop((SHUTDOWN, ("failed_to_start_child", spec.id, value)))
            _began(child, value[0], state)
        return Ok(state)

    def changed_to(self, module: type, old_vsn: Any, state: Restarts, extra: Any) -> Any:
        self.callback = change(self.callback, self.arg, module, state)
        return self, state

    def handle_info(self, message: Any, state: Restarts) -> Any:
        match message:
            case Exit(Pid() as pid, reason):
                child = state.by_pid.get(pid)
                if child is None:
                    return None
                if ended_badly(child, reason):
                    report(child, "child_terminated", reason, "terminated")
                return self._perform(state.exited(pid, reason, _now()), state, child)
            case (str("$retry"), child_id):
                child = entry(state.children, child_id)
                if child is None or not child.restarting:
                    return None
                return self._perform(state.retry(child, _now()), state, child)
            case _:
                return super().handle_info(message, state)

    def _perform(self, steps: list[Step], state: Restarts, cause: Child) -> Any:
        for number, step in enumerate(steps):
            match step:
                case StopChild(child):
                    _stop(child)
                    state.stopped(child)
                case StartChild(child):
                    ok, value = _start(child)
                    if ok:
                        _began(child, value[0], state)
                        continue
                    report(child, "start_error", value, "failed to start")
                    rest = [
                        later.child
                        for later in steps[number + 1 :]
                        if isinstance(later, StartChild)
                    ]
                    state.failed(child, rest)
                    process.send(process.self_pid(), ("$retry", child.id))
                    return None
                case Shutdown(why):
                    if why == "reached_max_restart_intensity":
                        report(cause, "shutdown", why, "caused shutdown")
                    return Stop(SHUTDOWN)
        return None

    def terminate(self, reason: Any, state: Restarts) -> None:
        for child in reversed(state.running()):
            _stop(child)
            child.pid = None

    def handle_call(self, request: Any, from_: Any, state: Restarts) -> Any:
        match told(request):
            case ("which_children",):
                rows = [row(child) for child in reversed(state.children.values())]
                return Reply(rows)
            case ("count_children",):
                return Reply(_count(state))
            case ("start_child", spec):
                return Reply(self._start_child(spec, state))
            case ("terminate_child" | "restart_child" | "delete_child" as what, child_id):
                child = entry(state.children, child_id)
                return Reply((False, "not_found") if child is None else _ADMIN[what](child, state))
            case ("get_childspec", child_id):
                child = entry(state.children, child_id)
                return Reply((True, child.spec) if child else (False, "not_found"))
            case ("get_callback_module",):
                return Reply(self.callback)
            case _:
                return super().handle_call(request, from_, state)

    def _start_child(self, spec: Any, state: Restarts) -> tuple[bool, Any]:
        try:
            spec = check(keyed(spec))  # anybody may have sent it
            check_significant(spec, state.auto_shutdown)
        except BadChildSpec as bad:
            return False, ("bad_spec", bad.reason, str(bad))
        known = state.children.get(spec.id)
        if known is not None:
            if known.pid is not None:
                return False, ("already_started", known.pid)
            return False, "already_present"
        child = _new_child(spec)
        ok, value = _start(child)
        if not ok:
            return False, ("start", value)
        if child.restart == "temporary":
            # It is never started again: what it was started with may go, as in OTP.
            child.spec = replace(spec, start=(spec.start[0], ()))
        state.add(child)
        _began(child, value[0], state)
        return True, value


class _GreenDriver(Driver, green=True):
    """The same beside its green children: no hop between threads for each start and stop."""


def _now() -> float:
    return current().node.clock.now()


def _new_child(spec: ChildSpec) -> Child:
    return Child(spec.id, spec.restart, spec.significant, spec=spec)


def _start(child: Child) -> tuple[bool, Any]:
    ok, value = start_child_process(child)
    return ok, ("EXIT", value.reason) if isinstance(value, Raised) else value


def _began(child: Child, pid: Pid | None, state: Restarts) -> None:
    state.started(child, pid)
    progress(child)


def _stop(child: Child) -> None:
    """Stop one child by its specification; returns when it is gone. OTP's ``shutdown/1``."""
    pid, patience = child.pid, child.spec.patience
    if pid is None:
        return
    ref = process.monitor(pid)
    process.exit(pid, KILL if patience == 0.0 else SHUTDOWN)
    expected = KILLED if patience == 0.0 else SHUTDOWN
    try:
        down = _down(ref, None if patience == 0.0 else patience)
    except ReceiveTimeout:
        process.exit(pid, KILL)
        down = _down(ref, None)
    # It may have ended by itself just before: then its exit has the reason, and is dealt with.
    process.unlink(pid)
    try:
        reason = process.take(Exit, where=lambda exit_: exit_.pid == pid).reason
    except ReceiveTimeout:
        reason = down.reason
    orderly = child.restart != "permanent" and is_shutdown(reason)
    if reason != expected and not orderly:
        report(child, "shutdown_error", reason, "shut down abnormally")


def _down(ref: Ref, timeout: float | None) -> Any:
    return process.receive(Down, where=lambda down: down.ref == ref, timeout=timeout)


def _count(state: Restarts) -> ChildCount:
    children = list(state.children.values())
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    # As in OTP, one whose exit has not been dealt with yet is not counted; its spec is.
    active = sum(child.pid is not None and _lives(child.pid) for child in children)
    return ChildCount(len(children), active, supervisors, len(children) - supervisors)


def _lives(pid: Pid) -> bool:
    return not current().node.is_here(pid) or process.alive(pid)


def _terminate_child(child: Child, state: Restarts) -> tuple[bool, Any]:
    _stop(child)
    state.stopped(child)
    return True, None


def _restart_child(child: Child, state: Restarts) -> tuple[bool, Any]:
    if child.pid is not None:
        return False, "running"
    if child.restarting:
        return False, "restarting"
    ok, value = _start(child)
    if not ok:
        return False, ("start", value)
    _began(child, value[0], state)
    return True, value


def _delete_child(child: Child, state: Restarts) -> tuple[bool, Any]:
    if child.pid is not None or child.restarting:
        return False, "running" if child.pid is not None else "restarting"
    del state.children[child.id]
    return True, None


_ADMIN = {
    "terminate_child": _terminate_child,
    "restart_child": _restart_child,
    "delete_child": _delete_child,
}


# The public functions.

DEFAULTS = {"strategy": None, "max_restarts": 3, "max_seconds": 5.0, "auto_shutdown": "never"}


def start_link(
    children: list[Any] | tuple[Any, ...] | type[Supervisor],
    arg: Any = None,
    *,
    name: str | type | Global | Via | None = None,
    strategy: Strategy | None = None,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
    green: bool = False,
) -> Pid:
    """Start a supervisor with these children, or a ``Supervisor`` class with ``arg``.

    The flags are those of ``init``, and not for a class, whose ``init`` gives them.
    With ``green=True`` (or ``class S(Supervisor, green=True)``) it runs on the user
    scheduler: for tens of thousands of green children. Else user code cannot delay it.

    Raises ``BadFlags``, ``BadChildSpec``, ``AlreadyStarted`` or ``StartError``; the reason
    of a child that does not start is ("shutdown", ("failed_to_start_child", id, why)).
    In a coroutine it raises ``WouldBlockLoop``, as every function here that asks a supervisor.
    """
    waiter("supervisor.start_link")
    driver, start = plan(
        children,
        arg,
        green,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
        auto_shutdown=auto_shutdown,
    )
    return gen_server.start_link(driver, start, name=name)


def plan(
    children: list[Any] | tuple[Any, ...] | type[Supervisor], arg: Any, green: bool, **flags: Any
) -> tuple[type[GenServer[Restarts]], Any]:
    """The server behind a supervisor, and what it is started with; ``flags`` as for ``init``."""
    check_flag("green", green)
    if isinstance(children, type):
        if not issubclass(children, Supervisor):
            raise BadFlags(
                ("not_a_supervisor", children), f"{children!r} is not a Supervisor class"
            )
        if flags != DEFAULTS:
            raise BadFlags(
                ("flags_of_a_class", children),
                f"{children.__qualname__}.init gives the flags; start_link takes none beside it, "
                f"got {_given(flags)}",
            )
        driver = _GreenDriver if green or children.kind == "green" else Driver
        return driver, (children, arg)
    return _GreenDriver if green else Driver, (None, init(children, **flags))


def _given(flags: dict[str, Any]) -> str:
    given = {key: value for key, value in flags.items() if value != DEFAULTS[key]}
    return ", ".join(f"{key}={value!r}" for key, value in given.items())


def _ask(supervisor: Dest, *request: Any) -> Any:
    waiter(f"supervisor.{request[0]}")
    answer: Any = gen_server.call(supervisor, request, timeout=None)
    return answer


def done(answer: tuple[bool, Any]) -> Any:
    """The value of a supervisor's answer; raises what a refusal stands for."""
    ok, value = answer
    if ok:
        return value
    if is_tuple(value) and value[0] == "already_started":
        raise AlreadyStarted(value[1])
    if is_tuple(value) and value[0] == "start":
        raise start_error(value[1])
    if is_tuple(value) and value[0] == "bad_spec":
        raise BadChildSpec(value[1], value[2])
    raise ChildError(value)


def which_children(supervisor: Dest) -> list[ChildInfo]:
    """A row for each child, the newest first."""
    rows: list[ChildInfo] = _ask(supervisor, "which_children")
    return rows


def count_children(supervisor: Dest) -> ChildCount:
    """How many child specs, live children, supervisors and workers there are."""
    count: ChildCount = _ask(supervisor, "count_children")
    return count


def start_child(supervisor: Dest, child: Any) -> Any:
    """Add a child and start it: its pid, ``(pid, info)``, or None if it wanted no process.

    Raises ``AlreadyStarted`` (the id runs), ``ChildError("already_present")``,
    ``StartError`` or ``BadChildSpec``.
    """
    return started(done(_ask(supervisor, "start_child", keyed(child_spec(child)))))


def _ask_of(supervisor: Dest, what: str, child_id: Any) -> Any:
    return done(_ask(supervisor, what, check_id(what, child_id)))


def check_id(what: str, child_id: Any) -> Any:
    """``child_id`` if a child can have it, for the function ``what``; raises ``BadArgument``."""
    if not is_hashable(child_id):
        raise BadArgument(f"{what}: id {child_id!r}; expected a value that has a hash")
    return child_id


def terminate_child(supervisor: Dest, child_id: Any) -> None:
    """Stop a child; its spec stays, unless it is temporary. ``ChildError("not_found")``."""
    _ask_of(supervisor, "terminate_child", child_id)


def restart_child(supervisor: Dest, child_id: Any) -> Any:
    """Start a stopped child. ``ChildError``: "running", "restarting" or "not_found"."""
    return started(_ask_of(supervisor, "restart_child", child_id))


def delete_child(supervisor: Dest, child_id: Any) -> None:
    """Forget a stopped child. ``ChildError``: "running", "restarting" or "not_found"."""
    _ask_of(supervisor, "delete_child", child_id)


def get_childspec(supervisor: Dest, child_id: Any) -> ChildSpec:
    """A child's specification. ``ChildError("not_found")``."""
    spec: ChildSpec = _ask_of(supervisor, "get_childspec", child_id)
    return spec


def get_callback_module(supervisor: Dest) -> type:
    """The ``Supervisor`` class it was started with; ``Supervisor`` itself if with a list."""
    module: type = _ask(supervisor, "get_callback_module")
    return module


def stop(supervisor: Dest, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it: its children get "shutdown", it ends with ``reason``."""
    waiter("supervisor.stop")
    gen_server.stop(supervisor, reason, timeout)


__all__ = [
    "ChildCount",
    "ChildInfo",
    "ChildSpec",
    "Flags",
    "Supervisor",
    "child_spec",
    "count_children",
    "delete_child",
    "get_callback_module",
    "get_childspec",
    "init",
    "restart_child",
    "start_child",
    "start_link",
    "stop",
    "terminate_child",
    "which_children",
]
