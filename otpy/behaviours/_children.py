"""What every kind of supervisor does for one child: start it, and tell of it."""

from typing import Any, NamedTuple

from otpy.behaviours.child_spec import Modules
from otpy.behaviours.results import Ignore
from otpy.machines.restart import Child, is_demotion
from otpy.runtime._current import current
from otpy.runtime.body import reason_of
from otpy.terms.errors import AlreadyStarted, Ignored, ProcessExit, StartError
from otpy.terms.pid import Pid
from otpy.terms.reasons import is_shutdown
from otpy.terms.values import is_tuple


class ChildInfo(NamedTuple):
    """One row of ``which_children``; ``pid`` is None, or "restarting", when there is none.

    ``standby`` holds the pid of the holder when the child waits for its name.
    """

    id: Any
    pid: Any
    type: str
    modules: Modules
    standby: Pid | None = None


class ChildCount(NamedTuple):
    """``count_children``."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Raised:
    """A start function ended with an exception or an exit: ``reason`` stands for it."""

    __slots__ = ("reason",)

    def __init__(self, reason: Any) -> None:
        self.reason = reason


def start(child: Child, extra: tuple[Any, ...] = ()) -> tuple[bool, Any]:
    """``(True, (pid or None, info))``, ``(False, reason)`` or ``(False, Raised)``.

    ``extra`` comes before the child's own arguments. Children may go into standby.
    """
    me = current()
    function, args = child.spec.start
    me.standby_allowed = child.restart
    try:
        result = function(*extra, *args)
    except Ignored:
        return True, (None, None)
    except StartError as failed:
        if is_demotion(failed.reason) and child.restart != "temporary":
            return start(child, extra)  # it lost its name while it started: now it stands by
        return False, failed.reason
    except ProcessExit as exit_:
        if not me.alive:
            raise  # the supervisor itself was ended
        return False, Raised(exit_.reason)
    except Exception as error:  # noqa: BLE001 - whatever a start function raises is a failed start, as in OTP
        return False, Raised(reason_of(error))
    finally:
        me.standby_allowed = None
    if isinstance(result, Pid):
        return True, (result, None)
    if isinstance(result, Ignore) or result is None:
        return True, (None, None)
    if is_tuple(result) and len(result) == 2 and isinstance(result[0], Pid):
        return True, result
    return False, result


def ended_badly(child: Child, reason: Any) -> bool:
    """Whether a child's end is reported: it is neither orderly nor the loss of its name."""
    orderly = is_shutdown(reason) and child.restart != "permanent"
    return not orderly and not is_demotion(reason)


def start_error(reason: Any) -> StartError:
    """What ``start_child`` raises for a start that failed."""
    match reason:
        case ("already_started", Pid() as pid):
            return AlreadyStarted(pid)
        case _:
            return StartError(reason)


def started(value: tuple[Any, Any]) -> Any:
    """What a function that starts a child returns."""
    pid, info = value
    return pid if info is None else (pid, info)


def row(child: Child) -> ChildInfo:
    """What ``which_children`` tells of one child."""
    spec = child.spec
    pid: Any = "restarting" if child.restarting else child.pid
    return ChildInfo(child.id, pid, spec.type, spec.code, _holder(child.pid))


def _holder(pid: Pid | None) -> Pid | None:
    if pid is None:
        return None
    proc = current().node.procs.get(pid)
    waiting = getattr(proc.server, "standby", None) if proc is not None else None
    return waiting.holder if waiting is not None else None
