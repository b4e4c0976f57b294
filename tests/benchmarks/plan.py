"""How much of everything one run measures, and rounds that alternate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The sizes of a run."""

    rounds: int = 5
    few: int = 3  # rounds of what takes many seconds
    share: float = 1.0  # of the operations of one round
    crowd: int = 100_000  # children under one supervisor; half of it run beside start and stop
    idle: int = 20_000  # servers whose memory is measured
    hold: float = 0.3  # seconds; within half of them timers fire beside a held scheduler
    kills: int = 60
    heals: int = 20
    mesh: int = 30  # nodes at once on this machine
    rest: float = 10.0  # seconds for which they do nothing
    hogs: tuple[int, ...] = (1, 4)
    beam: bool = True

    def count(self, full: int) -> int:
        """So many operations in one round."""
        return max(10, int(full * self.share))


FULL = Plan()
QUICK = Plan(
    rounds=3, few=1, share=0.1, crowd=10_000, idle=5_000, kills=5, heals=3, mesh=12, rest=3.0
)
TINY = Plan(
    rounds=1,
    few=1,
    share=0.001,
    crowd=200,
    idle=200,
    hold=0.05,
    mesh=4,
    rest=0.2,
    kills=1,
    heals=1,
    hogs=(1,),
    beam=False,
)


def alternate(candidates: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Every candidate once a round, so that what slows the machine slows all of them."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, measure in candidates.items():
            taken[name].append(measure())
    return taken
