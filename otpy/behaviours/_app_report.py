"""What is logged of applications (logger ``otpy.application``), as Elixir prints it.

A start, and an end that was asked for, are on level info; any other end is an error. Each
record carries its data in ``record.otpy_report``.
"""

import logging
from typing import Any

from otpy.runtime.reports import shown_reason
from otpy.terms.reasons import Crash, is_shutdown, is_word
from otpy.terms.values import is_tuple

LOG = logging.getLogger("otpy.application")
STOPPED = "stopped"


def report_started(name: str, node: str) -> None:
    """An application has started."""
    told = {"label": "application_started", "application": name, "started_at": node}
    LOG.info("Application %s started at %s", name, node, extra={"otpy_report": told})


def report_exited(name: str, reason: Any, kind: str) -> None:
    """An application has ended, or has not started."""
    told = {"label": "application_exited", "application": name, "exited": reason, "type": kind}
    orderly = is_word(reason, STOPPED) or is_shutdown(reason)
    level = logging.INFO if orderly else logging.ERROR
    LOG.log(
        level, "Application %s exited: %s", name, shown_end(reason), extra={"otpy_report": told}
    )


def shown_end(reason: Any) -> str:
    """The reason of an application's end, with the callback that it came from."""
    match reason:
        case ("bad_return", ((cls, function, args), ("EXIT", why))):
            trace = f"\n{why.traceback_text}" if isinstance(why, Crash) else ""
            return f"{_shown_call(cls, function, args)} raised: {shown_reason(why)}{trace}"
        case ("bad_return", ((cls, function, args), value)):
            return f"{_shown_call(cls, function, args)} returned a bad value: {value!r}"
        case (why, (type() as cls, str() as function, args)) if is_tuple(args):
            return f"{_shown_call(cls, function, args)} returned an error: {_shown(why)}"
        case _:
            return _shown(reason)


def _shown(reason: Any) -> str:
    return repr(reason) if isinstance(reason, str) else shown_reason(reason)


def _shown_call(cls: Any, function: Any, args: Any) -> str:
    return f"{cls.__module__}.{cls.__qualname__}.{function}({', '.join(map(repr, args))})"
