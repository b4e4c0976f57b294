"""What processes of simulated nodes do in more than one test."""

from collections.abc import Callable

from otpy import process
from otpy.testing import ClusterSimulation


def ticks(log: list[float], sim: ClusterSimulation) -> Callable[[], None]:
    """Note the true time once a second of the process's own clock, for ever."""

    def body() -> None:
        while True:
            process.sleep(1.0)
            log.append(sim.elapsed)

    return body
