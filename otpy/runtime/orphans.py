"""Orphans: threads that run on although their process is dead.

A process that is ended while its thread blocks or computes is dead for everybody else
at once; the thread learns of it at its next otpy call. One that has made none for
``orphan_grace`` seconds is reported once, with its stack: a warning on the logger
``otpy.process`` and the telemetry event ``orphan``.

One that goes on to compute is interrupted, once: ``ProcessExit`` comes up in its own code.
That is no ordinary means (``interrupt.py`` says why), so

- only a thread that a process has for itself is interrupted, never one that is lent to it or
  shared with others: the main thread, a web worker's, the pool's, a scheduler's, a loop's;
- only when its CPU clock still grows: what blocks does no harm, and would not hear it;
- never one of a class with ``interrupt="never"``;
- and once at most: who catches it has been told, and runs on.
"""

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from otpy.runtime.interrupt import STRIKE, Pending
from otpy.runtime.reports import shown_reason, user_function
from otpy.runtime.stacks import frames_of, package_of, shown_stack
from otpy.terms.pid import Pid

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.threads import ThreadProcess

LOG = logging.getLogger("otpy.process")
AGAIN = 0.1  # seconds until the next look at the CPU clock of one that has been reported
SELDOM = 1.0  # seconds between looks at one that was found blocked often
ATTEMPTS = 50  # in one look, to meet a thread where it can be interrupted


class _Case:
    """What is known of an orphan: when it died, its CPU clock at the last look, the next one."""

    __slots__ = ("at", "cpu", "died", "pause")

    def __init__(self, died: float, at: float) -> None:
        self.died = died
        self.at = at
        self.pause = AGAIN
        self.cpu: float | None = None  # seconds; None until it has been reported


class Orphans(dict[Pid, "ThreadProcess"]):
    """The orphans of one node, by the pid they had."""

    def __init__(self, node: "Node") -> None:
        super().__init__()
        self._node = node
        self._cases: dict[Pid, _Case] = {}  # absent once nothing more will be done
        self._looking = threading.Lock()

    def add(self, proc: "ThreadProcess") -> None:
        """The process has died; its thread may be in the midst of something."""
        now = self._node.clock.now()
        self._cases[proc.pid] = _Case(now, now + self._node.orphan_grace)
        self[proc.pid] = proc

    def drop(self, pid: Pid) -> None:
        """Its thread has ended."""
        self.pop(pid, None)
        self._cases.pop(pid, None)

    def wait(self, now: float) -> float:
        """Seconds until there is one to look at: 0 if there is, infinite without any."""
        first = min((case.at for case in list(self._cases.values())), default=float("inf"))
        return max(0.0, first - now)

    def join(self, seconds: float) -> None:
        """Wait until the threads of all have ended, so many seconds at most for all together."""
        deadline = time.monotonic() + seconds  # not the node's clock: threads end in real time
        for proc in list(self.values()):
            if proc.thread is not None and proc.thread is not threading.current_thread():
                proc.thread.join(max(0.0, deadline - time.monotonic()))

    def look(self, now: float) -> None:
        """Report those that have been dead for too long, and interrupt those that compute on."""
        if not self._looking.acquire(blocking=False):
            return  # an earlier look has not come to its end
        try:
            for pid, case in list(self._cases.items()):
                proc = self.get(pid)
                if case.at <= now and proc is not None:
                    self._look(proc, case, now)
        finally:
            self._looking.release()

    def _look(self, proc: "ThreadProcess", case: _Case, now: float) -> None:
        case.at = now + case.pause
        cpu = cpu_seconds(proc)
        if case.cpu is None:
            if frames := frames_of(proc.thread):
                self._report(proc, now - case.died, shown_stack(frames))
            if cpu is None or _forbids(proc):
                self._cases.pop(proc.pid, None)
            case.cpu = cpu
        elif cpu is None:
            self._cases.pop(proc.pid, None)
        elif cpu > case.cpu:
            case.cpu = cpu
            self._interrupt(proc)
        else:
            case.pause = min(2 * case.pause, SELDOM)

    def _interrupt(self, proc: "ThreadProcess") -> None:
        server_class = _class_of(proc)
        package = package_of(server_class or user_function(proc.fn))
        for _ in range(ATTEMPTS):
            if Pending(proc).strike(proc.turn, package, proc.reason):
                self._cases.pop(proc.pid, None)
                LOG.warning(
                    "The thread of process %r was interrupted, once: it computed on after its end",
                    proc.name or proc.pid,
                )
                self._node.events.emit("orphan_interrupted", pid=proc.pid, reason=proc.reason)
                return
            time.sleep(STRIKE)

    def _report(self, proc: "ThreadProcess", seconds: float, stack: list[str]) -> None:
        report: dict[str, Any] = {
            "label": "orphan",
            "pid": proc.pid,
            "registered_name": proc.name,
            "reason": proc.reason,
            "seconds": seconds,
            "stack": stack,
        }
        LOG.warning(
            "The thread of process %r runs on %.1f s after the process ended with %s\n%s",
            proc.name or proc.pid,
            seconds,
            shown_reason(proc.reason),
            "".join(stack).rstrip(),
            extra={"otpy_report": report},
        )
        self._node.events.emit("orphan", **report)


def _class_of(proc: "ThreadProcess") -> type | None:
    module: object = getattr(proc.server, "module", None)
    return type(module) if module is not None else None


def _forbids(proc: "ThreadProcess") -> bool:
    return getattr(_class_of(proc), "interrupt", "once") == "never"


def cpu_seconds(proc: "ThreadProcess") -> float | None:
    """What the thread has computed so far; None if it has ended or that is not known here."""
    if proc.cpu_clock is None:
        return None
    try:
        return time.clock_gettime(proc.cpu_clock)
    except OSError:
        return None
