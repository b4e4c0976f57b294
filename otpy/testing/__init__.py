"""The test kit: a pytest plugin and what tests need beside it (L6)."""

from typing import TYPE_CHECKING, Any

from otpy.runtime.simulated import Simulation
from otpy.testing.assertions import (
    assert_receive,
    assert_received,
    catch_exit,
    refute_receive,
    refute_received,
)
from otpy.testing.logs import Reports, capture_log, with_log
from otpy.testing.waiting import eventually

if TYPE_CHECKING:
    from otpy.testing.cluster import Cluster, ClusterFailed
    from otpy.testing.simulation import ClusterSimulation

__all__ = [
    "Cluster",
    "ClusterFailed",
    "ClusterSimulation",
    "Reports",
    "Simulation",
    "assert_receive",
    "assert_received",
    "capture_log",
    "catch_exit",
    "eventually",
    "refute_receive",
    "refute_received",
    "with_log",
]


def __getattr__(name: str) -> Any:
    # Every run of pytest imports this package; few need a mesh.
    if name in ("Cluster", "ClusterFailed"):
        from otpy.testing import cluster

        return getattr(cluster, name)
    if name == "ClusterSimulation":
        from otpy.testing import simulation

        return simulation.ClusterSimulation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
