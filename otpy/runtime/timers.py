"""Timers: messages that come later. They run on the kernel scheduler."""

import heapq
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.terms.pid import Pid, Ref

if TYPE_CHECKING:
    from otpy.runtime.node import Node

SLACK = 64  # cancelled entries kept before the heap is compacted


class Timer:
    """One armed timer: ``message`` for ``dest``, or ``action`` to do; dropped when ``dest`` dies.

    ``period``: the seconds after which it is armed again, counted from when it was due.
    """

    __slots__ = ("action", "dest", "message", "period", "ref", "when")

    def __init__(
        self,
        when: float,
        ref: Ref,
        dest: Pid | str | None,
        message: Any,
        period: float | None,
        action: Callable[[], None] | None,
    ) -> None:
        self.when = when
        self.ref = ref
        self.dest = dest
        self.message = message
        self.period = period
        self.action = action


class Timers:
    """The armed timers of a node, by time and by reference."""

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.lock = threading.Lock()
        self.heap: list[tuple[float, int, Timer]] = []
        self.armed: dict[Ref, Timer] = {}
        self.by_pid: dict[Pid, dict[Ref, None]] = {}

    def next(self) -> float | None:
        """When the earliest timer is due, in the node clock's seconds."""
        return self.heap[0][0] if self.heap else None

    def arm(
        self,
        when: float,
        ref: Ref,
        dest: Pid | str | None,
        message: Any = None,
        period: float | None = None,
        action: Callable[[], None] | None = None,
    ) -> None:
        """Arm a timer. ``action`` runs on the kernel scheduler's thread: it may not wait."""
        if self._add(Timer(when, ref, dest, message, period, action)):
            self.node.kernel.ring()
        if isinstance(dest, Pid) and dest not in self.node.procs:
            self.forget(dest)  # it died before its timer was among those of its pid

    def _add(self, timer: Timer) -> bool:
        """Arm a timer; whether it is now the earliest."""
        dest = timer.dest
        with self.lock:
            if isinstance(dest, Pid):
                self.by_pid.setdefault(dest, {})[timer.ref] = None
            self.armed[timer.ref] = timer
            heapq.heappush(self.heap, (timer.when, timer.ref.number, timer))
            return self.heap[0][2] is timer

    def cancel(self, ref: Ref, now: float) -> float | None:
        """Disarm; the seconds that were left, or None if it was not armed."""
        with self.lock:
            timer = self.armed.pop(ref, None)
            if timer is None:
                return None
            self._drop_owner(timer)
            if len(self.heap) > 2 * len(self.armed) + SLACK:
                self.heap = [entry for entry in self.heap if entry[2].ref in self.armed]
                heapq.heapify(self.heap)
        return max(0.0, timer.when - now)

    def read(self, ref: Ref, now: float) -> float | None:
        """The seconds left, or None if it is not armed."""
        timer = self.armed.get(ref)
        return None if timer is None else max(0.0, timer.when - now)

    def forget(self, pid: Pid) -> None:
        """The process died: timers to its pid are dropped."""
        if pid not in self.by_pid:
            return
        with self.lock:
            for ref in self.by_pid.pop(pid, ()):
                self.armed.pop(ref, None)

    def fire(self, now: float) -> None:
        """Deliver what is due."""
        for timer in self.due(now):
            if timer.action is not None:
                timer.action()
            elif timer.dest is not None:
                self.node.deliver(timer.dest, timer.message)

    def due(self, now: float) -> list[Timer]:
        """Take out the timers whose time has come, in order."""
        found: list[Timer] = []
        again: list[Timer] = []
        with self.lock:
            while self.heap and self.heap[0][0] <= now:
                timer = heapq.heappop(self.heap)[2]
                if self.armed.get(timer.ref) is not timer:
                    continue
                found.append(timer)
                if timer.period is not None:
                    again.append(timer)
                    continue
                del self.armed[timer.ref]
                self._drop_owner(timer)
            for timer in again:
                timer.when += timer.period or 0.0
                heapq.heappush(self.heap, (timer.when, timer.ref.number, timer))
        return found

    def _drop_owner(self, timer: Timer) -> None:
        if isinstance(timer.dest, Pid):
            owned = self.by_pid.get(timer.dest)
            if owned is not None:
                owned.pop(timer.ref, None)
                if not owned:
                    del self.by_pid[timer.dest]
