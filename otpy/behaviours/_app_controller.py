"""The application controller: the process of a node that starts and stops applications.

It never waits for an application. A master tells it that the start is through; its exit tells
the rest. So callbacks may themselves start and stop other applications.
"""

from dataclasses import dataclass, field
from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours._app_master import Job, Master, descendants, phases_of, reason_told
from otpy.behaviours._app_report import LOG, STOPPED, report_exited, report_started, shown_end
from otpy.behaviours._app_spec import ApplicationSpec
from otpy.behaviours._app_tables import Tables
from otpy.behaviours._own_server import OwnServer, reply, told
from otpy.behaviours.results import NoReply, Ok, Reply
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.runtime.node import Node
from otpy.terms.errors import AlreadyStarted, CallExit
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid
from otpy.terms.reasons import KILL, NORMAL, is_word
from otpy.terms.values import is_seconds

NAME = "application_controller"
TYPES = ("temporary", "transient", "permanent")
Answer = tuple[bool, Any]
SHUTTING_DOWN: Answer = (False, "shutting_down")


@dataclass(slots=True)
class Desk:
    """What the controller has in hand."""

    tables: Tables
    masters: dict[Pid, str] = field(default_factory=dict[Pid, str])
    kinds: dict[str, str] = field(default_factory=dict[str, str])  # of those that are starting
    starters: dict[str, list[From]] = field(default_factory=dict[str, list[From]])
    stoppers: dict[str, list[From]] = field(default_factory=dict[str, list[From]])
    closers: list[From] = field(default_factory=list[From])
    deadline: float | None = None  # of the stop of all of them, once that has begun


class Controller(OwnServer[Desk], kernel=True):
    """The process."""

    log = LOG
    title = "Application controller"

    def init(self, tables: Tables) -> Any:
        process.flag(trap_exit=True)
        for table in (tables.started, tables.running, tables.starting):
            table.clear()  # of a controller that was killed; its masters have ended with it
        return Ok(Desk(tables))

    def handle_call(self, request: Any, from_: From, desk: Desk) -> Any:
        match told(request):
            case ("start", str(name), str(kind)) if kind in TYPES:
                answer = _start(desk, name, kind, from_)
            case ("stop", str(name), timeout) if timeout is None or is_seconds(timeout):
                answer = _stop(desk, name, timeout, from_)
            case ("stop_all", seconds) if is_seconds(seconds):
                desk.closers.append(from_)
                if desk.deadline is None:
                    desk.deadline = current().node.clock.now() + seconds
                _stop_next(desk)
                answer = None
            case _:
                return super().handle_call(request, from_, desk)
        return NoReply() if answer is None else Reply(answer)

    def handle_cast(self, request: Any, desk: Desk) -> None:
        match request:
            case (str("started"), str(name), Pid() as pid) if (
                desk.masters.get(pid) == name and name in desk.tables.starting
            ):
                with desk.tables.lock:
                    del desk.tables.starting[name]
                    desk.tables.running[name] = pid
                _started(desk, name, desk.kinds.pop(name))
            case _:
                pass  # of a master that has been killed since

    def handle_info(self, message: Any, desk: Desk) -> None:
        match message:
            case Exit(Pid() as pid, reason) if pid in desk.masters:
                _ended(desk, pid, reason_told(reason))
            case (str("$kill"), str(name), Pid() as pid) if desk.masters.get(pid) == name:
                LOG.error("application %s did not stop in time; what is left is killed", name)
                for one in (*descendants(current().node, pid), pid):
                    process.exit(one, KILL)
            case _:
                pass  # a timer of what has ended since, or an exit that is none of a master


def _start(desk: Desk, name: str, kind: str, from_: From) -> Answer | None:
    """Begin a start; the answer if there is one already."""
    tables = desk.tables
    if desk.deadline is not None:
        return SHUTTING_DOWN
    if name in tables.starting:
        desk.starters[name].append(from_)
        return None
    if name in tables.running:
        return False, ("already_started", name)
    with tables.lock:  # who unloads looks at the same tables
        spec = tables.loaded.get(name)
        if spec is None:
            return False, ("not_loaded", name)
        lacking = _lacking(spec, tables)
        if lacking is not None:
            return False, lacking
        if spec.mod is None:
            tables.running[name] = None
        else:
            tables.starting[name] = None  # from now on it is not unloaded
    desk.starters[name] = [from_]
    if spec.mod is None:
        _started(desk, name, kind)
        return None
    cls, args = spec.mod
    job = Job(name, cls, args, process.self_pid(), phases_of(spec, tables.loaded))
    pid = gen_server.start_link(Master, job)
    tables.starting[name] = pid
    desk.masters[pid] = name
    desk.kinds[name] = kind
    return None


def _lacking(spec: ApplicationSpec, tables: Tables) -> tuple[str, str] | None:
    for needed in spec.applications:
        if needed in tables.running:
            continue
        if needed in tables.started:
            return ("not_running", needed)
        if needed not in spec.optional_applications or needed in tables.loaded:
            return ("not_started", needed)
    return None


def _started(desk: Desk, name: str, kind: str) -> None:
    with desk.tables.lock:
        desk.tables.started[name] = kind
    report_started(name, current().node.name)
    _answer(desk.starters.pop(name, []), (True, None))


def _stop(desk: Desk, name: str, timeout: float | None, from_: From) -> Answer | None:
    """Begin a stop; the answer if there is one already."""
    tables = desk.tables
    if name in desk.stoppers:
        desk.stoppers[name].append(from_)
        return None
    if name not in tables.started:
        return False, ("not_started", name)
    if name not in tables.running:  # it has crashed
        with tables.lock:
            del tables.started[name]
        return True, None
    if _begin_stop(desk, name, timeout, [from_]):
        return None
    return True, None


def _begin_stop(desk: Desk, name: str, timeout: float | None, from_: list[From]) -> bool:
    """Have an application stopped; False if it had no process, and is stopped now."""
    tables = desk.tables
    pid = tables.starting.get(name) or tables.running[name]
    if pid is None:
        _forget(desk, name)
        return False
    desk.stoppers[name] = from_
    gen_server.cast(pid, "stop")
    if timeout is not None:
        process.send_after(process.self_pid(), ("$kill", name, pid), timeout)
    return True


def _forget(desk: Desk, name: str) -> None:
    """An application has stopped, as it was told to."""
    tables = desk.tables
    with tables.lock:
        tables.running.pop(name, None)
        kind = tables.started.pop(name, NORMAL)
    report_exited(name, STOPPED, kind)


def _ended(desk: Desk, pid: Pid, why: Any) -> None:
    """A master has exited."""
    tables = desk.tables
    name = desk.masters.pop(pid)
    with tables.lock:
        failed = tables.starting.pop(name, None) is not None
        tables.running.pop(name, None)
    kind = desk.kinds.pop(name) if failed else tables.started.get(name, "temporary")
    stoppers = desk.stoppers.pop(name, None)
    if stoppers is not None and not failed:
        _forget(desk, name)
    else:
        report_exited(name, why, kind)
        _answer(desk.starters.pop(name, []), (False, why))
        if desk.deadline is None and takes_the_node_down(kind, why):
            label = "application_start_failure" if failed else "application_terminated"
            _take_down((label, name, why))
    _answer(stoppers or [], (True, None))
    if desk.deadline is not None:
        _stop_next(desk)


def takes_the_node_down(kind: str, why: Any) -> bool:
    """Whether an application of this type that ends by itself ends the node, too."""
    return kind == "permanent" or (kind == "transient" and not is_word(why, NORMAL))


def _take_down(reason: tuple[str, str, Any]) -> None:
    node = current().node
    label, name, why = reason
    LOG.critical("Node %s stops: (%s) %s: %s", node.name, label, name, shown_end(why))
    node.halt(reason)


def _stop_next(desk: Desk) -> None:
    """Have the application stopped that started last; when there is none, say so.

    While others wait it may take half of the time that is left, lest one that hangs leave
    them none.
    """
    assert desk.deadline is not None
    tables = desk.tables
    left = max(0.0, desk.deadline - current().node.clock.now())
    names = [*tables.running, *tables.starting]
    while names:
        name = names.pop()
        if name in desk.stoppers or _begin_stop(desk, name, left / 2 if names else left, []):
            return
    _answer(desk.closers, (True, None))
    desk.closers.clear()


def _answer(askers: list[From], answer: Answer) -> None:
    for from_ in askers:
        reply(from_, answer)


def controller() -> str:
    """The controller's name; it is started if it does not run."""
    node = current().node
    if node.names.whereis(NAME) is None:
        tables = node.own(Tables)
        with tables.lock:
            hooked, tables.hooked = tables.hooked, True
        if not hooked:
            node.before_stop(lambda _, seconds: stop_all(node, seconds))
        try:
            gen_server.start(Controller, tables, name=NAME)
        except AlreadyStarted:
            pass  # another process was faster, by an instant
    return NAME


def stop_all(node: Node, seconds: float) -> None:
    """Stop every application, the one started last first; what is left then is killed."""
    try:
        gen_server.call(NAME, ("stop_all", seconds), timeout=seconds + 1.0)
    except CallExit as failed:
        if failed.reason != "noproc":
            LOG.error("%s: the applications were not stopped: %s", node.name, failed)
