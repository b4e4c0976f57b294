"""The test kit: a pytest plugin and what tests need beside it (L6)."""

from otpy.runtime.simulated import Simulation
from otpy.testing.assertions import (
    assert_receive,
    assert_received,
    catch_exit,
    refute_receive,
    refute_received,
)
from otpy.testing.logs import Reports, capture_log, with_log
from otpy.testing.simulation import ClusterSimulation
from otpy.testing.waiting import eventually

__all__ = [
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
