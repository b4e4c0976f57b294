"""What a supervisor decides: which children to stop and start when one ends.

Rules. The machine owns the child list and never acts: each method returns steps,
in the order in which they must be done. Time is handed in.

| strategy     | stopped, in reverse order  | started, in order        |
|--------------|----------------------------|--------------------------|
| one_for_one  | none                       | the child                |
| rest_for_one | the later children         | the child and the later  |
| one_for_all  | all others                 | all                      |
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from otpy.terms.pid import Pid
from otpy.terms.reasons import is_shutdown
from otpy.terms.values import is_tuple

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart = Literal["permanent", "transient", "temporary"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]


@dataclass(slots=True)
class Child:
    """One child: its specification as the machine needs it, and where it stands.

    ``pid`` is None when it does not run; ``restarting`` when it is to run again.
    """

    id: Any
    restart: Restart = "permanent"
    significant: bool = False
    pid: Pid | None = None
    restarting: bool = False
    spec: Any = None


@dataclass(slots=True)
class StopChild:
    """Stop a running child; ``exited`` is not called for it."""

    child: Child


@dataclass(slots=True)
class StartChild:
    """Start a child; answer with ``started`` or ``failed``. After a failure the rest is dropped."""

    child: Child


@dataclass(slots=True)
class Shutdown:
    """The supervisor ends with "shutdown": ``why`` tells the report."""

    why: Literal["reached_max_restart_intensity", "auto_shutdown"]


Step = StopChild | StartChild | Shutdown


@dataclass(slots=True)
class Restarts:
    """The children of one supervisor, in start order."""

    strategy: Strategy
    max_restarts: int
    max_seconds: float
    auto_shutdown: AutoShutdown = "never"
    children: dict[Any, Child] = field(default_factory=dict[Any, Child])
    by_pid: dict[Pid, Child] = field(default_factory=dict[Pid, Child])
    recent: deque[float] = field(default_factory=deque[float])

    def add(self, child: Child) -> None:
        """A child more, at the end."""
        self.children[child.id] = child

    def started(self, child: Child, pid: Pid | None) -> None:
        """A start succeeded; None when the child wanted no process."""
        child.restarting = False
        child.pid = pid
        if pid is not None:
            self.by_pid[pid] = child
        elif child.restart == "temporary":
            self.children.pop(child.id, None)

    def stopped(self, child: Child) -> None:
        """A ``StopChild`` was done, or the child was terminated by hand."""
        self._gone(child)
        child.restarting = False
        if child.restart == "temporary":
            self.children.pop(child.id, None)

    def failed(self, child: Child, others: list[Child]) -> None:
        """A restart failed; ``others`` were to be started after it. ``retry`` comes next."""
        for one in (child, *others):
            one.restarting, one.pid = one is child, None

    def exited(self, pid: Pid, reason: Any, now: float) -> list[Step]:
        """A child ended by itself."""
        child = self.by_pid.get(pid)
        if child is None:
            return []
        self._gone(child)
        if is_demotion(reason):
            # Losing a cluster-wide name is no failure: restart into standby, siblings stay.
            return [StartChild(child)] if child.restart != "temporary" else self._leaves(child)
        if wants_restart(child.restart, reason):
            return self.retry(child, now)
        return self._leaves(child)

    def _leaves(self, child: Child) -> list[Step]:
        if child.restart == "temporary":
            self.children.pop(child.id, None)
        if not child.significant or self.auto_shutdown == "never":
            return []
        others = [
            one
            for one in self.children.values()
            if one.significant and (one.pid is not None or one.restarting)
        ]
        if self.auto_shutdown == "any_significant" or not others:
            return [Shutdown("auto_shutdown")]
        return []

    def retry(self, child: Child, now: float) -> list[Step]:
        """Restart after an exit, or again after a failed restart; counts."""
        child.restarting = True
        if not self.admit(now):
            return [Shutdown("reached_max_restart_intensity")]
        affected = [child] if self.strategy == "one_for_one" else list(self.children.values())
        if self.strategy == "rest_for_one":
            affected = affected[affected.index(child) :]
        stops: list[Step] = [
            StopChild(one) for one in reversed(affected) if one.pid is not None and one is not child
        ]
        # Siblings that had ended normally or were stopped by hand start again too, as in OTP.
        starts: list[Step] = [
            StartChild(one) for one in affected if one is child or one.restart != "temporary"
        ]
        return stops + starts

    def admit(self, now: float) -> bool:
        """Count one restart; False when there were too many in the period."""
        return admit(self.recent, self.max_restarts, self.max_seconds, now)

    def _gone(self, child: Child) -> None:
        if child.pid is not None:
            self.by_pid.pop(child.pid, None)
        child.pid = None

    def running(self) -> list[Child]:
        """The children with a process, in start order."""
        return [child for child in self.children.values() if child.pid is not None]


def admit(recent: deque[float], max_restarts: int, max_seconds: float, now: float) -> bool:
    """Count one restart among the ``recent``; False when there were too many in the period."""
    while recent and recent[0] < now - max_seconds:
        recent.popleft()
    recent.append(now)
    return len(recent) <= max_restarts


def is_demotion(reason: Any) -> bool:
    """Whether a child ended because it lost its cluster-wide name: to another, or as a lease."""
    if not is_tuple(reason):
        return False
    return (len(reason) >= 3 and reason[0] == "name_conflict") or (
        len(reason) == 2 and reason[0] == "lease_lost"
    )


def wants_restart(restart: Restart, reason: Any) -> bool:
    """Whether a child that ended for ``reason`` is restarted."""
    if restart == "permanent":
        return True
    if restart == "temporary":
        return False
    return not is_shutdown(reason)
