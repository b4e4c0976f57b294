"""Timers: messages that come later. They run on the kernel scheduler."""

import heapq
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.runtime._current import current
from otpy.runtime.arguments import check_seconds
from otpy.terms.errors import BadArgument
from otpy.terms.messages import TimerFired
from otpy.terms.names import local_key
from otpy.terms.pid import Pid, Ref

if TYPE_CHECKING:
    from otpy.runtime.node import Node

SLACK = 64  # cancelled entries kept before the heap is compacted


class Timer:
    """One armed timer."""

    __slots__ = ("dest", "message", "ref", "when")

    def __init__(self, when: float, ref: Ref, dest: Pid | str, message: Any) -> None:
        self.when = when
        self.ref = ref
        self.dest = dest
        self.message = message


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

    def add(self, when: float, ref: Ref, dest: Pid | str, message: Any) -> bool:
        """Arm a timer; whether it is now the earliest."""
        timer = Timer(when, ref, dest, message)
        with self.lock:
            self.armed[ref] = timer
            if isinstance(dest, Pid):
                self.by_pid.setdefault(dest, {})[ref] = None
            heapq.heappush(self.heap, (when, ref.number, timer))
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
            self.node.deliver(timer.dest, timer.message)

    def due(self, now: float) -> list[Timer]:
        """Take out the timers whose time has come, in order."""
        found: list[Timer] = []
        with self.lock:
            while self.heap and self.heap[0][0] <= now:
                timer = heapq.heappop(self.heap)[2]
                if self.armed.pop(timer.ref, None) is timer:
                    self._drop_owner(timer)
                    found.append(timer)
        return found

    def _drop_owner(self, timer: Timer) -> None:
        if isinstance(timer.dest, Pid):
            owned = self.by_pid.get(timer.dest)
            if owned is not None:
                owned.pop(timer.ref, None)
                if not owned:
                    del self.by_pid[timer.dest]


def _arm(dest: Pid | str | type, seconds: float, make: Callable[[Ref], Any]) -> Ref:
    check_seconds("seconds", seconds)
    node = current().node
    if isinstance(dest, Pid):
        if dest.node != node.name:
            raise BadArgument(f"timer to {dest!r}: it belongs to another node")
        target: Pid | str = dest
    else:
        target = local_key(dest)
    ref = node.new_ref()
    if isinstance(target, Pid) and target not in node.procs:
        return ref
    if node.timers.add(node.clock.now() + seconds, ref, target, make(ref)):
        node.kernel.ring()
    return ref


def send_after(dest: Pid | str | type, message: Any, seconds: float) -> Ref:
    """Send ``message`` in ``seconds``; the timer's reference: ``Process.send_after/3``.

    A name is resolved when the time comes; a timer to a pid is dropped when it dies.
    """
    return _arm(dest, seconds, lambda _: message)


def start_timer(dest: Pid | str | type, message: Any, seconds: float) -> Ref:
    """As ``send_after``, but ``TimerFired(ref, message)`` arrives."""
    return _arm(dest, seconds, lambda ref: TimerFired(ref, message))


def cancel_timer(ref: Ref) -> float | None:
    """Disarm a timer: the seconds that were left, None if it fired or was cancelled."""
    node = current().node
    return node.timers.cancel(ref, node.clock.now())


def read_timer(ref: Ref) -> float | None:
    """The seconds left, None if the timer is not armed."""
    node = current().node
    return node.timers.read(ref, node.clock.now())
