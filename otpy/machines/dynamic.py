"""What a supervisor of like children decides: whom to start again when one ends.

Rules. The machine owns the children, by pid, and never acts: each method returns the
steps to be done. A child that is being restarted stays under the pid it had until it
has a new one, and counts. Time is handed in.

| what happened                        | then                                            |
|--------------------------------------|-------------------------------------------------|
| it ended and is to be restarted      | ``StartChild``; or ``Shutdown``, if too often   |
| the start failed                     | it is restarting; ``retry``, which counts again |
| the start gave no process            | it is forgotten                                 |
| it ended otherwise                   | it is forgotten                                 |
| it lost its cluster-wide name        | ``StartChild``, which is not counted            |
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from otpy.machines.restart import (
    Child,
    Shutdown,
    StartChild,
    admit,
    is_demotion,
    wants_restart,
)
from otpy.terms.pid import Pid

Step = StartChild | Shutdown


@dataclass(slots=True)
class Dynamic:
    """The children of one dynamic supervisor; ``max_children`` is None for no limit."""

    max_restarts: int
    max_seconds: float
    max_children: int | None = None
    children: dict[Pid, Child] = field(default_factory=dict[Pid, Child])
    recent: deque[float] = field(default_factory=deque[float])

    def full(self) -> bool:
        """Whether no child may be added; those being restarted count."""
        return self.max_children is not None and len(self.children) >= self.max_children

    def started(self, child: Child, pid: Pid | None) -> None:
        """A start or a restart succeeded; None when the child wanted no process."""
        self.forget(child)
        child.pid = pid
        if pid is not None:
            self.children[pid] = child

    def failed(self, child: Child) -> None:
        """A restart failed; ``retry`` comes next."""
        child.restarting = True

    def forget(self, child: Child) -> None:
        """The child is no longer one: it was terminated, or ended and is not restarted."""
        if child.pid is not None:
            self.children.pop(child.pid, None)
        child.restarting = False

    def exited(self, pid: Pid, reason: Any, now: float) -> list[Step]:
        """A child ended by itself."""
        child = self.children.get(pid)
        if child is None or child.restarting:
            return []
        if is_demotion(reason) and child.restart != "temporary":
            return [StartChild(child)]
        if wants_restart(child.restart, reason):
            return self.retry(child, now)
        self.forget(child)
        return []

    def retry(self, child: Child, now: float) -> list[Step]:
        """Restart after an exit, or again after a failed restart; counts."""
        if not admit(self.recent, self.max_restarts, self.max_seconds, now):
            self.forget(child)
            return [Shutdown("reached_max_restart_intensity")]
        return [StartChild(child)]
