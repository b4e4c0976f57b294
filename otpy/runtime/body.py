"""How a body ends: exit reasons from exceptions, and the report of a crash."""

from typing import TYPE_CHECKING, Any

from otpy.runtime.reports import report_crash
from otpy.terms.errors import CallExit, ProcessExit
from otpy.terms.reasons import NORMAL, Crash

if TYPE_CHECKING:
    from otpy.runtime.record import Process


def reason_of(error: BaseException) -> Any:
    """The exit reason that an exception leaving a body stands for."""
    if isinstance(error, ProcessExit):
        return error.reason
    if isinstance(error, CallExit):
        return error.exit_reason
    return Crash.of(error)


def outcome(proc: "Process", error: BaseException | None) -> Any:
    """The reason a body ended with; reports it if an exception was not an exit."""
    if error is None:
        return NORMAL
    if not isinstance(error, ProcessExit) and proc.alive:
        report_crash(proc, error)
    return reason_of(error)
