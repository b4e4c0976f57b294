"""Crash reports, as OTP prints them, through ``logging`` (logger ``otpy.process``).

Each record carries its data in ``record.otpy_report``. At level debug the text of a
report has everything that the data has.
"""

import logging
from typing import TYPE_CHECKING, Any

from otpy.terms.pid import Pid
from otpy.terms.reasons import Crash

if TYPE_CHECKING:
    from otpy.runtime.record import Process

LOG = logging.getLogger("otpy.process")
MAX_NEIGHBOURS = 15  # as in OTP


def function_name(fn: Any) -> str:
    """How a function is shown in reports: ``module.qualname``."""
    return f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', repr(fn))}"


def initial_call(proc: "Process") -> str | None:
    """The user's function that a process began with; a behaviour's is its class's ``init``."""
    if proc.server is not None:
        return proc.server.initial_call
    return function_name(user_function(proc.fn)) if proc.fn is not None else None


def user_function(fn: Any) -> Any:
    """What a body that is otpy's own runs for the user; any other function as it is."""
    return getattr(fn, "__wrapped__", fn)


def shown_reason(reason: Any) -> str:
    """An exit reason as reports print it: ``(ValueError) text`` or ``(stop) 'reason'``."""
    return str(reason) if isinstance(reason, Crash) else f"(stop) {reason!r}"


def unhandled(proc: "Process") -> list[Any]:
    """What it has not handled yet; in OTP a suspended behaviour leaves that in its mailbox."""
    return [*(getattr(proc.server, "held", None) or ()), *proc.mailbox]


def facts(proc: "Process") -> dict[str, Any]:
    """What OTP's crash reports tell of the process itself; asked by the process."""
    with proc.owned:
        found = {
            "pid": proc.pid,
            "registered_name": proc.name,
            "initial_call": initial_call(proc),
            "ancestors": proc.ancestors,
            "message_queue_len": len(unhandled(proc)),
            "messages": unhandled(proc),
            "links": list(proc.links or ()),
            "dictionary": dict(proc.dictionary or {}),
            "trap_exit": proc.trap_exit,
            "status": "running",
        }
    return {**found, "neighbours": neighbours(proc)}


def neighbours(proc: "Process") -> list[dict[str, Any]]:
    """The processes that die with this one: linked, at any distance, and not trapping exits.

    Their records belong to others, so each value is right for some instant only.
    """
    seen: dict[Pid, None] = {proc.pid: None}
    waiting = list(proc.links or ())
    found: list[dict[str, Any]] = []
    while waiting and len(found) < MAX_NEIGHBOURS:
        pid = waiting.pop(0)
        other = proc.node.procs.get(pid)
        if pid in seen or other is None or other.trap_exit:
            continue
        seen[pid] = None
        links = list(other.links or ())
        found.append(
            {
                "pid": pid,
                "registered_name": other.name,
                "initial_call": initial_call(other),
                "ancestors": other.ancestors,
                "message_queue_len": len(unhandled(other)),
                "links": links,
                "trap_exit": False,
                "status": "waiting" if other.waiting else "running",
            }
        )
        waiting.extend(links)
    return found


def details(report: dict[str, Any]) -> list[str]:
    """The lines that level debug adds to the report of a process."""
    return [
        f"    Message Queue Length: {report['message_queue_len']}",
        f"    Messages: {report['messages']!r}",
        f"    Links: {report['links']!r}",
        f"    Dictionary: {report['dictionary']!r}",
        f"    Trapping Exits: {report['trap_exit']!r}",
        f"    Status: {report['status']}",
        f"    Neighbours: {[near['pid'] for near in report['neighbours']]!r}",
    ]


def report_crash(proc: "Process", error: BaseException) -> None:
    """Tell that a process's code raised and nothing caught it."""
    report = {
        "label": "process_crash",
        **facts(proc),
        "error": Crash.of(error),
        "crash_reason": error,
    }
    lines = [
        f"Process {proc.name or proc.pid!r} raised an exception",
        f"** {shown_reason(report['error'])}",
        f"    Initial Call: {report['initial_call']}",
        f"    Ancestors: {list(proc.ancestors)!r}",
    ]
    if LOG.isEnabledFor(logging.DEBUG):
        lines += details(report)
    LOG.error(
        "\n".join(lines),
        exc_info=(type(error), error, error.__traceback__),
        extra={"otpy_report": report},
    )
