"""Crash reports, as OTP prints them, through ``logging`` (logger ``otpy.process``).

Each record carries its data in ``record.otpy_report``.
"""

import logging
from typing import TYPE_CHECKING, Any

from otpy.terms.reasons import Crash

if TYPE_CHECKING:
    from otpy.runtime.record import Process

LOG = logging.getLogger("otpy.process")


def function_name(fn: Any) -> str:
    """How a function is shown in reports: ``module.qualname``."""
    return f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', repr(fn))}"


def shown_reason(reason: Any) -> str:
    """An exit reason as reports print it: ``(ValueError) text`` or ``(stop) 'reason'``."""
    return str(reason) if isinstance(reason, Crash) else f"(stop) {reason!r}"


def report_crash(proc: "Process", error: BaseException) -> None:
    """Tell that a process's code raised and nothing caught it."""
    report = {
        "label": "process_crash",
        "pid": proc.pid,
        "registered_name": proc.name,
        "initial_call": function_name(proc.fn) if proc.fn is not None else None,
        "error": Crash.of(error),
        "crash_reason": error,
        "ancestors": proc.ancestors,
        "message_queue_len": len(proc.mailbox),
        "links": list(proc.links or ()),
        "dictionary": dict(proc.dictionary or {}),
        "trap_exit": proc.trap_exit,
    }
    LOG.error(
        "Process %r raised an exception\n** %s\n    Initial Call: %s\n    Ancestors: %s",
        proc.name or proc.pid,
        shown_reason(report["error"]),
        report["initial_call"],
        list(proc.ancestors),
        exc_info=(type(error), error, error.__traceback__),
        extra={"otpy_report": report},
    )
