"""The report of a behaviour that ends for another reason than an orderly one."""

import logging
from typing import TYPE_CHECKING, Any

from otpy.behaviours import _system
from otpy.machines import statem_types
from otpy.machines.statem_types import Event
from otpy.runtime.mail import Call, Cast
from otpy.runtime.reports import details, facts, shown_reason
from otpy.runtime.scheduler import TimedOut
from otpy.terms.pid import Pid
from otpy.terms.reasons import Crash
from otpy.terms.values import is_tuple

if TYPE_CHECKING:
    from otpy.behaviours._loop import BehaviourLoop


class Continued(tuple[str, Any]):
    """What reports show as the last message of a ``handle_continue``."""

    __slots__ = ()


LOGS = {
    "gen_server_terminate": logging.getLogger("otpy.gen_server"),
    "gen_statem_terminate": logging.getLogger("otpy.gen_statem"),
}


def report_termination(
    loop: "BehaviourLoop", reason: Any, error: BaseException | None, item: Any
) -> None:
    """Log who ended, why, on which message, in which state, and who was waiting."""
    proc = loop.proc
    status = _system.formatted(
        loop,
        "terminate",
        {"message": _message(item), "reason": reason, "log": _system.logged(loop)},
    )
    shown, last = status["reason"], status["message"]
    client = _client(item)
    lines = [f"{loop.title} {proc.name or proc.pid!r} terminating", f"** {shown_reason(shown)}"]
    if is_tuple(shown) and len(shown) == 2 and shown[0] == "bad_return_value":
        lines.append(expected(loop, item))
    if item is not None:
        by = f" (from {client!r})" if client is not None else ""
        lines.append(f"Last message{by}: {last!r}")
    own = {key: status[key] for key in loop.shown()}
    lines += [f"{key.capitalize()}: {value!r}" for key, value in own.items()]
    if status["log"]:
        lines.append(f"Log: {status['log']!r}")
    if client is not None and proc.node.is_here(client):
        caller = proc.node.procs.get(client)
        who = repr(client) if caller is None else repr(caller.name or client)
        lines.append(f"Client {who} is {'alive' if caller is not None else 'dead'}")
    if shown is not reason:
        error = None  # format_status hides the reason; the exception would tell it all the same
    report: dict[str, Any] = {
        "label": loop.label,
        **facts(proc),
        "module": type(loop.module),
        "reason": shown,
        "last_message": last,
        **own,
        "log": status["log"],
        "client": client,
        "crash_reason": error if isinstance(shown, Crash) and error is not None else shown,
    }
    log = LOGS[loop.label]
    if log.isEnabledFor(logging.DEBUG):
        lines += details(report)
    info = (type(error), error, error.__traceback__) if error is not None else None
    log.error("\n".join(lines), exc_info=info, extra={"otpy_report": report})


def _client(item: Any) -> Pid | None:
    """Who waits for the answer to the last message."""
    if isinstance(item, Call):
        return item.from_.pid
    if isinstance(item, Event) and isinstance(item.type, statem_types.Call):
        return item.type.from_.pid
    return None


def expected(loop: "BehaviourLoop", item: Any) -> str:
    """What the callback that handled ``item`` may return."""
    if isinstance(item, Call):
        callback, results = "handle_call", "Reply, NoReply or Stop"
    else:
        results = "NoReply, Stop without a reply, or None"
        callback = "handle_info"
        if isinstance(item, Cast):
            callback = "handle_cast"
        elif isinstance(item, Continued):
            callback = "handle_continue"
    return (
        f"{type(loop.module).__qualname__}.{callback} may return {results}; a timeout= is "
        "seconds of at least 0, or None"
    )


def _message(item: Any) -> Any:
    if isinstance(item, Event):
        return (item.type, item.content)
    if isinstance(item, Call):
        return item.request
    if isinstance(item, Cast):
        return ("$gen_cast", item.request)
    return "timeout" if isinstance(item, TimedOut) else item
