"""What is searched for in simulated clusters, as data, and a look whether a mistake is found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from otpy.testing import ClusterSimulation, simulate
from otpy.testing.faults import KINDS, Fault, Schedule, draw_schedule

NAMES = ("a@sim", "b@sim", "c@sim")


def at_rest(sim: ClusterSimulation, quiet: float, changed: float = 0.0) -> bool:
    """Whether nothing has happened for so long, nor since ``changed``, and nothing is held up."""
    if sim.sched.drawn.aside or any(cut.silent for cut in sim.network.cuts):
        return False
    kinds = ("up", "down", "session", "session_end", "fault")
    last = max(event.instant for event in sim.history.events if event.kind in kinds)
    return sim.sched.clock.time - max(last, changed) > quiet


@dataclass(frozen=True, slots=True)
class Search:
    """A test of a cluster on which ``start`` runs, and the faults that its seeds draw."""

    test: Callable[[ClusterSimulation], object]
    start: Callable[[], Any]
    faults: int | Schedule
    window: tuple[float, float] = (1.0, 60.0)
    kinds: Sequence[type[Fault]] = KINDS
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the simulation
    nodes: tuple[str, ...] = NAMES

    def schedule(self, seed: int) -> Schedule:
        """The faults of a seed."""
        if not isinstance(self.faults, int):
            return self.faults
        return draw_schedule(Random(seed), self.nodes, self.faults, self.window, self.kinds)

    def run(self, seeds: Iterable[int]) -> int:
        """Run it under these seeds; how many that were. Raises ``SimulationFailed``."""
        return simulate(
            self.test,
            seeds=seeds,
            nodes=self.nodes,
            faults=self.faults,
            kinds=self.kinds,
            window=self.window,
            start=self.start,
            **self.options,
        )


def breaks_within(seeds: int, search: Search) -> bool:
    """Whether a seed of so many finds a promise broken; no time is lost on making it smaller."""
    for seed in range(seeds):
        sim = ClusterSimulation(seed, search.nodes, start=search.start, **search.options)
        sim.schedule(search.schedule(seed))
        try:
            search.test(sim)
        except (AssertionError, TimeoutError):
            return True
        finally:
            sim.close()
    return False
