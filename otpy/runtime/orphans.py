"""Orphans: threads that run on although their process is dead.

A process that is ended while its thread blocks or computes is dead for everybody else
at once; the thread learns of it at its next otpy call. One that has made none for
``orphan_grace`` seconds is reported once, with its stack: a warning on the logger
``otpy.process`` and the telemetry event ``orphan``.
"""

import logging
from typing import TYPE_CHECKING, Any

from otpy.runtime.reports import shown_reason
from otpy.runtime.stacks import frames_of, shown_stack
from otpy.terms.pid import Pid

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.threads import ThreadProcess

LOG = logging.getLogger("otpy.process")


class Orphans(dict[Pid, "ThreadProcess"]):
    """The orphans of one node, by the pid they had."""

    def __init__(self, node: "Node") -> None:
        super().__init__()
        self._node = node
        self._since: dict[Pid, float] = {}  # when each died; absent once it has been reported

    def add(self, proc: "ThreadProcess") -> None:
        """The process has died; its thread may be in the midst of something."""
        self._since[proc.pid] = self._node.clock.now()
        self[proc.pid] = proc

    def drop(self, pid: Pid) -> None:
        """Its thread has ended."""
        self.pop(pid, None)
        self._since.pop(pid, None)

    @property
    def untold(self) -> bool:
        """Whether one may have to be reported."""
        return bool(self._since)

    def look(self, now: float) -> None:
        """Report those that have been dead for too long."""
        for pid, died in list(self._since.items()):
            if now - died < self._node.orphan_grace or self._since.pop(pid, None) is None:
                continue
            proc = self.get(pid)
            if proc is not None and (frames := frames_of(proc.thread)):
                self._report(proc, now - died, shown_stack(frames))

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
