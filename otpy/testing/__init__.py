"""The test kit: a pytest plugin and what tests need beside it (L6)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from otpy.runtime.simulated import Simulation
from otpy.testing.assertions import (
    assert_receive,
    assert_received,
    catch_exit,
    refute_receive,
    refute_received,
)
from otpy.testing.disk import Disk, disk
from otpy.testing.logs import Reports, capture_log, with_log
from otpy.testing.waiting import eventually

if TYPE_CHECKING:
    from otpy.testing.cluster import Cluster, ClusterFailed
    from otpy.testing.search import SimulationFailed, simulate
    from otpy.testing.simulation import ClusterSimulation

__all__ = [
    "Cluster",
    "ClusterFailed",
    "ClusterSimulation",
    "Disk",
    "Reports",
    "Simulation",
    "SimulationFailed",
    "assert_receive",
    "assert_received",
    "capture_log",
    "catch_exit",
    "disk",
    "eventually",
    "refute_receive",
    "refute_received",
    "simulate",
    "with_log",
]


_LAZY = {
    "Cluster": "cluster",
    "ClusterFailed": "cluster",
    "ClusterSimulation": "simulation",
    "SimulationFailed": "search",
    "simulate": "search",
}


def __getattr__(name: str) -> Any:
    # Every run of pytest imports this package; few need a mesh.
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"otpy.testing.{_LAZY[name]}"), name)
