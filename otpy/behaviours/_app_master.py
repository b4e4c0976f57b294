"""The process that holds one application that runs: OTP's application master.

It runs the callbacks, is linked to the top process and ends after it. What it ends with is
("shutdown", ("application", reason)), which the controller reads: only an end from outside
has another form.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours._app_report import LOG
from otpy.behaviours._app_spec import Application, ApplicationSpec
from otpy.behaviours._own_server import OwnServer
from otpy.behaviours.results import Ok, Stop
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.body import reason_of
from otpy.runtime.node import Node
from otpy.terms.errors import Ignored, ProcessExit, StartError
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid
from otpy.terms.reasons import KILL, SHUTDOWN
from otpy.terms.values import is_tuple

NORMAL_START = "normal"  # the other types are those of distributed applications


def ended(reason: Any) -> tuple[str, tuple[str, Any]]:
    """How a master ends with ``reason``."""
    return (SHUTDOWN, ("application", reason))


def reason_told(reason: Any) -> Any:
    """Why the application ended, from its master's exit reason."""
    match reason:
        case ("shutdown", ("application", why)):
            return why
        case _:
            return reason


@dataclass(slots=True)
class Job:
    """What a master is to hold; a phase has the classes and arguments to run it with."""

    name: str
    cls: type[Application]
    args: Any
    controller: Pid
    phases: list[tuple[str, list[tuple[type[Application], Any]]]] = field(
        default_factory=list[tuple[str, list[tuple[type[Application], Any]]]]
    )


def phases_of(
    spec: ApplicationSpec, loaded: dict[str, ApplicationSpec]
) -> list[tuple[str, list[tuple[type[Application], Any]]]]:
    """Who runs which phase: the application, then those included that have that phase too."""
    family: list[ApplicationSpec] = []
    waiting = list(spec.included_applications)
    while waiting:
        one = loaded.get(waiting.pop(0))
        if one is not None and one not in family:
            family.append(one)
            waiting = [*one.included_applications, *waiting]
    found: list[tuple[str, list[tuple[type[Application], Any]]]] = []
    for phase, args in spec.start_phases:
        runs = [(spec.mod[0], args)]
        for one in family:
            own = dict(one.start_phases)
            if phase in own and one.mod is not None:
                runs.append((one.mod[0], own[phase]))
        found.append((phase, runs))
    return found


@dataclass(slots=True)
class Held:
    """The application while it runs."""

    job: Job
    app: Application = field(default_factory=Application)
    top: Pid | None = None
    state: Any = None
    started: bool = False


class Master(OwnServer[Held], green=False):
    """The process; on a thread of its own, so that callbacks may block."""

    log = LOG
    title = "Application master"

    def callback_class(self) -> type:
        return Application

    def init(self, job: Job) -> Any:
        process.flag(trap_exit=True)
        return Ok(Held(job), continue_="start")

    def handle_continue(self, arg: Any, held: Held) -> Any:
        why = _start(held)
        for phase, runs in held.job.phases if why is None else []:
            for cls, args in runs:
                why = why or _phase(held, cls, (phase, NORMAL_START, args))
        if why is not None:
            return Stop(ended(why))
        held.started = True
        gen_server.cast(held.job.controller, ("started", held.job.name, process.self_pid()))
        return None

    def handle_cast(self, request: Any, held: Held) -> Any:
        match request:
            case str("stop"):
                return Stop(ended("stopped"))
            case _:
                return super().handle_cast(request, held)

    def handle_info(self, message: Any, held: Held) -> Any:
        match message:
            case Exit(Pid() as pid, reason) if pid == held.top:
                _prepare_stop(held)
                held.top = None
                return Stop(ended(reason))
            case _:
                return None  # what else is linked to it was the callbacks' own doing

    def terminate(self, reason: Any, held: Held) -> None:
        if held.top is not None:
            _prepare_stop(held)
            process.exit(held.top, SHUTDOWN)
            process.receive(Exit, where=lambda exit_: exit_.pid == held.top)
        if held.started:
            _safely(held.app.stop, held.state)
        me = current()
        for pid in descendants(me.node, me.pid):
            process.exit(pid, KILL)


def _start(held: Held) -> Any:
    """Run ``start``; why it failed, or None."""
    job = held.job
    callback = (job.cls, "start", (NORMAL_START, job.args))

    def run() -> Any:
        held.app = job.cls()
        return held.app.start(NORMAL_START, job.args)

    ok, result = _called(callback, run)
    if not ok:
        return result
    pid, state = result if is_tuple(result) and len(result) == 2 else (result, None)
    if not isinstance(pid, Pid):
        return ("bad_return", (callback, result))
    process.link(pid)
    held.top, held.state = pid, state
    return None


def _phase(held: Held, cls: type[Application], told: tuple[str, str, Any]) -> Any:
    """Run one start phase; why it failed, or None."""
    callback = (cls, "start_phase", told)
    app = held.app if cls is held.job.cls else cls()
    ok, result = _called(callback, lambda: app.start_phase(*told))
    if not ok:
        return result
    return None if result is None else ("bad_return", (callback, result))


def _called(callback: tuple[Any, ...], run: Callable[[], Any]) -> tuple[bool, Any]:
    """``(True, result)``, or False and OTP's reason for what was raised."""
    try:
        return True, run()
    except Ignored:
        return False, ("bad_return", (callback, "ignore"))
    except StartError as failed:
        return False, (failed.reason, callback)
    except ProcessExit as left:
        current()  # raises if this process was ended; else the callback did it, by itself
        return False, ("bad_return", (callback, ("EXIT", left.reason)))
    except Exception as error:  # noqa: BLE001 - whatever a callback raises is a failed start
        return False, ("bad_return", (callback, ("EXIT", reason_of(error))))


def _prepare_stop(held: Held) -> None:
    if held.started:
        state = _safely(held.app.prep_stop, held.state)
        held.state = held.state if state is None else state


def _safely(callback: Callable[[Any], Any], state: Any) -> Any:
    """Run a callback of the end; one that raises is logged, and the end goes on, as in OTP."""
    try:
        return callback(state)
    except ProcessExit as left:
        current()  # raises if this process was ended
        LOG.error("%s exited: %r", callback.__qualname__, left.reason)
    except Exception:  # noqa: BLE001 - the rest of the application must stop all the same
        LOG.exception("%s raised; the application goes on stopping", callback.__qualname__)
    return None


def descendants(node: Node, master: Pid) -> list[Pid]:
    """The processes that go back to this master, over nine generations at most."""
    return [proc.pid for proc in list(node.procs.values()) if master in proc.ancestors]
