"""The report of a GenServer that ends for another reason than an orderly one."""

import logging
from typing import TYPE_CHECKING, Any

from otpy.runtime.mail import Call, Cast
from otpy.runtime.reports import shown_reason
from otpy.runtime.scheduler import TimedOut
from otpy.terms.reasons import Crash

if TYPE_CHECKING:
    from otpy.behaviours._loop import Loop

LOG = logging.getLogger("otpy.gen_server")


def _shown_state(loop: "Loop", reason: Any) -> Any:
    try:
        return loop.module.format_status("terminate", {"state": loop.state, "reason": reason})[
            "state"
        ]
    except Exception as error:  # noqa: BLE001 - a broken format_status must not hide the crash it reports on
        return f"format_status raised {type(error).__name__}: {error}"


def report_termination(loop: "Loop", reason: Any, error: BaseException | None, item: Any) -> None:
    """Log who ended, why, on which message, in which state, and who was waiting."""
    proc = loop.proc
    state = _shown_state(loop, reason)
    lines = [f"GenServer {proc.name or proc.pid!r} terminating", f"** {shown_reason(reason)}"]
    client = None
    last: Any = item
    if isinstance(item, Call):
        client, last = item.from_.pid, item.request
        lines.append(f"Last message (from {client!r}): {last!r}")
    elif isinstance(item, Cast):
        last = ("$gen_cast", item.request)
        lines.append(f"Last message: {last!r}")
    elif item is not None:
        last = "timeout" if isinstance(item, TimedOut) else item
        lines.append(f"Last message: {last!r}")
    lines.append(f"State: {state!r}")
    if client is not None and client.node == proc.node.name:
        caller = proc.node.procs.get(client)
        shown = repr(client) if caller is None else repr(caller.name or client)
        lines.append(f"Client {shown} is {'alive' if caller is not None else 'dead'}")
    report = {
        "label": "gen_server_terminate",
        "pid": proc.pid,
        "registered_name": proc.name,
        "module": type(loop.module),
        "reason": reason,
        "last_message": last,
        "state": state,
        "client": client,
        "ancestors": proc.ancestors,
        "links": list(proc.links or ()),
        "crash_reason": error if isinstance(reason, Crash) and error is not None else reason,
    }
    info = (type(error), error, error.__traceback__) if error is not None else None
    LOG.error("\n".join(lines), exc_info=info, extra={"otpy_report": report})
