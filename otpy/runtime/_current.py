"""Which process runs here: of this thread, or of this coroutine."""

import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otpy.runtime.record import Process
    from otpy.runtime.scheduler import Scheduler


class _Here(threading.local):
    proc: "Process | None" = None
    sched: "Scheduler | None" = None
    draining: "deque[Any] | None" = None


HERE = _Here()
IN_TASK: ContextVar["Process | None"] = ContextVar("otpy_process", default=None)


def current_or_none() -> "Process | None":
    """The current process, or None outside any."""
    return HERE.proc or IN_TASK.get()


def current() -> "Process":
    """The current process; a plain thread gets an implicit one on the default node.

    Raises ``ProcessExit`` in a body whose process is dead.
    """
    proc = HERE.proc or IN_TASK.get()
    if proc is None:
        from otpy.runtime._default import implicit_process

        return implicit_process()
    if not proc.alive:
        proc.raise_dead()
    return proc
