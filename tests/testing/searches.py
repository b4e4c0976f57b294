"""What is searched for in simulated clusters, as data, and a look whether a mistake is found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from otpy.testing import ClusterSimulation, simulate
from otpy.testing.faults import KINDS, Fault, draw_schedule

NAMES = ("a@sim", "b@sim", "c@sim")


@dataclass(frozen=True, slots=True)
class Search:
    """A test of a cluster on which ``start`` runs, and the faults that its seeds draw."""

    test: Callable[[ClusterSimulation], object]
    start: Callable[[], Any]
    faults: int
    window: tuple[float, float]
    kinds: Sequence[type[Fault]] = KINDS
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the simulation

    def run(self, seeds: range) -> int:
        """Run it under these seeds; how many that were. Raises ``SimulationFailed``."""
        return simulate(
            self.test,
            seeds=seeds,
            nodes=NAMES,
            faults=self.faults,
            kinds=self.kinds,
            window=self.window,
            start=self.start,
            **self.options,
        )


def breaks_within(seeds: int, search: Search) -> bool:
    """Whether a seed of so many finds a promise broken; no time is lost on making it smaller."""
    for seed in range(seeds):
        sim = ClusterSimulation(seed, NAMES, start=search.start, **search.options)
        faults = draw_schedule(Random(seed), NAMES, search.faults, search.window, search.kinds)
        sim.schedule(faults)
        try:
            search.test(sim)
        except (AssertionError, TimeoutError):
            return True
        finally:
            sim.close()
    return False
