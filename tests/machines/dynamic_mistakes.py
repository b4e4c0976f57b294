"""The machine of a dynamic supervisor with one mistake each, for tests that must find them."""

from typing import Any

from otpy.machines.dynamic import Dynamic, Step
from otpy.machines.restart import Child, StartChild
from otpy.terms.pid import Pid
from tests.machines.supervisors import CONFLICT


class RestartingDoNotCount(Dynamic):
    def full(self) -> bool:
        running = [child for child in self.children.values() if not child.restarting]
        return self.max_children is not None and len(running) >= self.max_children


class KeepsTheOldPid(Dynamic):
    def started(self, child: Child, pid: Pid | None) -> None:
        old = child.pid
        super().started(child, pid)
        if old is not None and pid is not None:
            del self.children[pid]
            self.children[old] = child


class KeepsWhoWantsNoProcess(Dynamic):
    def started(self, child: Child, pid: Pid | None) -> None:
        super().started(child, pid or child.pid)


class FailedStartsAreFree(Dynamic):
    def retry(self, child: Child, now: float) -> list[Step]:
        if child.restarting:
            self.recent.clear()
        return super().retry(child, now)


class DemotionsCount(Dynamic):
    def exited(self, pid: Pid, reason: Any, now: float) -> list[Step]:
        return super().exited(pid, "boom" if reason == CONFLICT else reason, now)


class KeepsTemporaryChildren(Dynamic):
    def forget(self, child: Child) -> None:
        if child.restart != "temporary":
            super().forget(child)


class NeverGivesUp(Dynamic):
    def retry(self, child: Child, now: float) -> list[Step]:
        return [StartChild(child)]


MISTAKES: tuple[type[Dynamic], ...] = (
    RestartingDoNotCount,
    KeepsTheOldPid,
    KeepsWhoWantsNoProcess,
    FailedStartsAreFree,
    DemotionsCount,
    KeepsTemporaryChildren,
    NeverGivesUp,
)
