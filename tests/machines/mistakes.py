"""The restart machine with one mistake each, for tests that must find them."""

from typing import Any

from otpy.machines.restart import Child, Restarts, StartChild, Step, StopChild
from otpy.terms.pid import Pid
from tests.machines.supervisors import CONFLICT


class NeverForgetsACrash(Restarts):
    def admit(self, now: float) -> bool:
        self.recent.append(now)
        return len(self.recent) <= self.max_restarts


class OneRestartMore(Restarts):
    def admit(self, now: float) -> bool:
        super().admit(now)
        return len(self.recent) <= self.max_restarts + 1


class StopsInStartOrder(Restarts):
    def retry(self, child: Child, now: float) -> list[Step]:
        steps = super().retry(child, now)
        stops = [step for step in steps if isinstance(step, StopChild)]
        return [*stops[::-1], *steps[len(stops) :]]


class LeavesLaterSiblings(Restarts):
    def retry(self, child: Child, now: float) -> list[Step]:
        steps = super().retry(child, now)
        return steps if self.strategy != "rest_for_one" else steps[-1:]


class RestartsTemporarySiblings(Restarts):
    def retry(self, child: Child, now: float) -> list[Step]:
        steps = super().retry(child, now)
        stopped = [step.child for step in steps if isinstance(step, StopChild)]
        return [*steps, *(StartChild(one) for one in stopped if one.restart == "temporary")]


class RemembersTemporaryChildren(Restarts):
    def stopped(self, child: Child) -> None:
        super().stopped(child)
        self.children.setdefault(child.id, child)


class FailedStartsAreFree(Restarts):
    def retry(self, child: Child, now: float) -> list[Step]:
        if child.restarting:
            self.recent.clear()
        return super().retry(child, now)


class DemotionsCount(Restarts):
    def exited(self, pid: Pid, reason: Any, now: float) -> list[Step]:
        return super().exited(pid, "boom" if reason == CONFLICT else reason, now)


class TransientIsPermanent(Restarts):
    def exited(self, pid: Pid, reason: Any, now: float) -> list[Step]:
        return super().exited(pid, "boom" if reason == "normal" else reason, now)


class AnyIsAll(Restarts):
    def _leaves(self, child: Child) -> list[Step]:
        self.auto_shutdown = "any_significant" if self.auto_shutdown != "never" else "never"
        return super()._leaves(child)


MISTAKES: tuple[type[Restarts], ...] = (
    NeverForgetsACrash,
    OneRestartMore,
    StopsInStartOrder,
    LeavesLaterSiblings,
    RestartsTemporarySiblings,
    RemembersTemporaryChildren,
    FailedStartsAreFree,
    DemotionsCount,
    TransientIsPermanent,
    AnyIsAll,
)
