"""What a supervisor logs of its children, as Elixir prints it (logger ``otpy.supervisor``).

Progress is on level info. Each record carries its data in ``record.otpy_report``.
"""

import logging
from typing import Any

from otpy.behaviours.child_spec import ChildSpec
from otpy.machines.restart import Child
from otpy.runtime._current import current
from otpy.runtime.record import Process
from otpy.runtime.reports import function_name, shown_reason
from otpy.terms.names import Global, Via

LOG = logging.getLogger("otpy.supervisor")


def report(child: Child, label: str, reason: Any, what: str, extra: tuple[Any, ...] = ()) -> None:
    """A child did not start, ended, stopped otherwise than asked, or was one too many.

    ``extra`` are the arguments that its supervisor puts before the child's own.
    """
    shown = shown_reason(reason) if not isinstance(reason, str) else repr(reason)
    _log(
        logging.ERROR, child, {"label": label, "reason": reason}, what, extra, f"** (exit) {shown}"
    )


def progress(child: Child) -> None:
    """A child was started."""
    if LOG.isEnabledFor(logging.INFO) and child.pid is not None:
        _log(logging.INFO, child, {"label": "progress"}, "started", ())


def _log(
    level: int,
    child: Child,
    facts: dict[str, Any],
    what: str,
    extra: tuple[Any, ...],
    *more: str,
) -> None:
    me = current()
    spec: ChildSpec = child.spec
    function, args = spec.start
    start = f"{function_name(function)}({', '.join(map(repr, (*extra, *args)))})"
    pid: Any = ("restarting", child.pid) if child.pid and child.restarting else child.pid
    lines = [f"Child {child.id!r} of Supervisor {_shown_name(me)} {what}", *more]
    if pid is not None:
        lines.append(f"Pid: {pid!r}")
    lines.append(f"Start Call: {start}")
    shutdown = "infinity" if spec.patience is None else spec.shutdown or spec.patience
    if LOG.isEnabledFor(logging.DEBUG):
        lines += [f"Restart: {spec.restart!r}", f"Shutdown: {shutdown!r}", f"Type: {spec.type!r}"]
    told = {
        **facts,
        "supervisor": me.name or me.pid,
        "child": child.id,
        "pid": pid,
        "start": start,
        "restart": spec.restart,
        "shutdown": shutdown,
        "type": spec.type,
    }
    LOG.log(level, "\n".join(lines), extra={"otpy_report": told})


def _shown_name(me: Process) -> str:
    """A supervisor's name of whichever form, bare; without one its pid and callback class."""
    if me.name is not None:
        return repr(me.name)
    loop: Any = me.server
    match loop.name:
        case Global(name) | Via(_, name):
            return repr(name)
        case _:
            return f"{me.pid!r} ({loop.module.callback_class().__qualname__})"
