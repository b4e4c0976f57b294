"""The watchdog: it names who holds a scheduler, and ends who does not let go.

A green process that blocks or computes keeps all others on its scheduler waiting, and
a signal to it waits too. One thread of the node looks at each scheduler's ``turn``,
which changes with every dispatch.

- Unchanged for ``HELD`` seconds: one warning on the logger ``otpy.scheduler`` and the
  telemetry event ``scheduler_held``; ``scheduler_released`` when it is over. Time is
  counted in looks, of which none counts more than twice its planned length: when the
  machine is stopped, or others keep the GIL, the watchdog waits as the scheduler does.
- Unchanged for ``green_limit`` seconds: the process is interrupted in its own Python
  code (``interrupt.py`` has the rules that make this safe where it is not in general) and
  exits with ``("green_limit", seconds)``. If it catches that, it is interrupted again,
  as long as it holds the scheduler. Code in C that does not return cannot be
  ended; a second warning says so.

While all schedulers sleep, so does the watchdog: the first to wake up rings.
"""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.runtime.interrupt import STRIKE, interrupter
from otpy.runtime.reports import user_function
from otpy.runtime.stacks import callback_of, frames_of, package_of, shown_stack
from otpy.terms.errors import BadArgument
from otpy.terms.reasons import GREEN_LIMIT

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.scheduler import GreenProcess, Scheduler

LOG = logging.getLogger("otpy.scheduler")
LOOK = 0.01  # seconds between looks
HELD = 0.05  # seconds after which a hold is reported
REST = 1.0  # seconds between looks while every scheduler sleeps, in case a ring was missed


class _Watch:
    """What is known of one scheduler: the dispatch seen at the last look, and its reports."""

    __slots__ = (
        *("again", "ended_by", "held", "limit", "named", "proc", "sched", "since", "struck"),
        "turn",
    )

    def __init__(self, sched: "Scheduler", limit: float) -> None:
        self.sched = sched
        self.limit = limit
        self.ended_by = interrupter(sched)
        self.begin(0, 0.0)

    def begin(self, turn: int, now: float) -> None:
        """Another dispatch."""
        self.turn = turn
        self.since = now
        self.held = 0.0
        self.again = 0.0
        self.struck = 0
        self.proc: GreenProcess | None = None
        self.named: dict[str, Any] | None = None


class Watchdog:
    """Watches the schedulers of one node from a daemon thread of its own."""

    def __init__(
        self,
        node: "Node",
        schedulers: list["Scheduler"],
        green_limit: float,
        servers: "Scheduler | None" = None,
    ) -> None:
        self.node = node
        self.green_limit = green_limit
        self._ringing = schedulers
        self._watches = [_Watch(sched, green_limit) for sched in schedulers]
        if servers is not None:
            # Otpy's own servers are named, if a user's handler keeps them, and never ended. Their
            # scheduler does not ring: each frame that comes in would.
            self._watches.append(_Watch(servers, float("inf")))
        self._bell = threading.Lock()
        self._bell.acquire()
        self._stopping = False
        self._looked = 0.0
        self._thread = threading.Thread(
            target=self._main, name=f"otpy-watchdog-{node.name}", daemon=True
        )

    @staticmethod
    def check_limit(green_limit: object) -> None:
        """Raise ``BadArgument`` unless it is seconds, more than 0; ``float("inf")`` is."""
        number = isinstance(green_limit, (int, float)) and not isinstance(green_limit, bool)
        if not number or not green_limit > 0:  # type: ignore[operator]  # a number
            raise BadArgument(f"green_limit={green_limit!r}; expected seconds, more than 0")

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread."""
        self._stopping = True
        self._ring()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _ring(self) -> None:
        for sched in self._ringing:
            sched.on_wake = None
        try:
            self._bell.release()
        except RuntimeError:
            pass  # somebody else has rung already

    def _main(self) -> None:
        pause = LOOK
        while not self._stopping:
            rang = self._bell.acquire(timeout=pause)
            pause = LOOK if rang else self.look()
        for watch in self._watches:
            watch.ended_by.rest()

    def look(self) -> float:
        """Look at each scheduler once; the seconds until the next look."""
        now = self.node.clock.now()
        orphaned = self.node.orphans.wait(now)
        if not orphaned:
            self.node.pool.submit(lambda: self.node.orphans.look(now))
        passed, self._looked = now - self._looked, now
        pauses = [self._look(watch, now, passed) for watch in self._watches]
        if any(pauses):
            return min(pause for pause in pauses if pause)
        for sched in self._ringing:
            sched.on_wake = self._ring
        # The bell is wired before this look, so whoever wakes up after it rings.
        if all(sched.sleeping for sched in self._ringing):
            return min(REST, max(LOOK, orphaned))
        return LOOK

    def _look(self, watch: _Watch, now: float, passed: float) -> float:
        sched = watch.sched
        turn, proc = sched.turn, sched.running
        if turn != watch.turn or proc is None:
            moved = turn != watch.turn
            self._let_go(watch, now)
            watch.begin(turn, now)
            return LOOK if moved or not sched.sleeping else 0.0
        watch.held += min(passed, 2 * LOOK)
        if watch.held > HELD and watch.named is None:
            self._name(watch, proc, now)
        if watch.held <= watch.limit or watch.named is None:
            return LOOK
        return self._end(watch, proc, now)

    # Reports. They are given on the pool: the held process may have the log's lock.

    def _name(self, watch: _Watch, proc: "GreenProcess", now: float) -> None:
        """Say who holds the scheduler."""
        sched = watch.sched
        frames = frames_of(sched.thread)
        cls = _class_of(proc)
        report: dict[str, Any] = {
            "label": "scheduler_held",
            "scheduler": sched.name,
            "pid": proc.pid,
            "registered_name": proc.name,
            "class": cls,
            "callback": callback_of(frames, cls, user_function(proc.fn)),
            "seconds": now - watch.since,
            "stack": shown_stack(frames),
        }
        if sched.turn != watch.turn:
            return  # it has just let go: what was read may be another's
        watch.proc, watch.named = proc, report
        self._report(
            lambda: LOG.warning(
                "Process %r holds the scheduler %s for %.3f s: %s\n%s",
                *_who(report),
                report["seconds"],
                _what(report),
                "".join(report["stack"]).rstrip(),
                extra={"otpy_report": report},
            ),
            "scheduler_held",
            report,
        )

    def _let_go(self, watch: _Watch, now: float) -> None:
        watch.ended_by.rest()
        proc, named = watch.proc, watch.named
        if proc is None or named is None:
            return
        ended = not proc.alive and proc.reason == (GREEN_LIMIT, self.green_limit)
        report = {**named, "label": "scheduler_released", "seconds": now - watch.since}
        report["ended"] = ended
        del report["stack"]
        self._report(
            lambda: LOG.log(
                logging.ERROR if ended else logging.INFO,
                "Process %r has let go of the scheduler %s after %.3f s%s: %s",
                *_who(report),
                report["seconds"],
                ", ended by green_limit" if ended else "",
                _what(report),
                extra={"otpy_report": report},
            ),
            "scheduler_released",
            report,
        )

    def _report(self, log: Callable[[], None], event: str | None, report: dict[str, Any]) -> None:
        def tell() -> None:
            log()
            if event is not None:
                self.node.events.emit(event, **report)

        self.node.pool.submit(tell)

    # The end.

    def _end(self, watch: _Watch, proc: "GreenProcess", now: float) -> float:
        """Try to end the process; the seconds until the next look."""
        if watch.held < watch.again:
            return LOOK
        limit = self.green_limit
        package = package_of(_class_of(proc) or user_function(proc.fn))
        if watch.ended_by.strike(watch.turn, package, (GREEN_LIMIT, limit)):
            watch.struck += 1
            watch.ended_by.rest()
            watch.again = watch.held + limit / 5  # for its terminate, and whatever it cleans up
        elif watch.struck == 0 and watch.held > limit * 1.2:
            watch.struck = -1
            self._cannot(watch, now)
        return STRIKE

    def _cannot(self, watch: _Watch, now: float) -> None:
        assert watch.named is not None
        frames = frames_of(watch.sched.thread)
        report: dict[str, Any] = {
            **watch.named,
            "label": "scheduler_held_unendable",
            "seconds": now - watch.since,
            "stack": shown_stack(frames),
        }
        self._report(
            lambda: LOG.error(
                "Process %r holds the scheduler %s for %.3f s and cannot be ended so far: it was "
                "never met in Python code of its own (use process.blocking): %s\n%s",
                *_who(report),
                report["seconds"],
                _what(report),
                "".join(report["stack"]).rstrip(),
                extra={"otpy_report": report},
            ),
            None,
            report,
        )


def _class_of(proc: "GreenProcess") -> type | None:
    module: object = getattr(proc.server, "module", None)
    return type(module) if module is not None else None


def _who(report: dict[str, Any]) -> tuple[Any, str]:
    return report["registered_name"] or report["pid"], report["scheduler"]


def _what(report: dict[str, Any]) -> str:
    cls = report["class"]
    callback = report["callback"] or "its loop"
    return f"{callback} of {cls.__module__}.{cls.__qualname__}" if cls is not None else callback
