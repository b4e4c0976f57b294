"""The process of ``start`` on a simulated node: how it ends, and who is told."""

from typing import Any

import pytest

from otpy import GenServer, Ok, gen_server, process, self_pid, supervisor
from otpy.runtime._current import current
from otpy.terms.errors import NodeError, StartError
from otpy.testing import simulate
from otpy.testing.faults import Crash
from otpy.testing.simulation import ClusterSimulation

A, B, C = NAMES = ("a@sim", "b@sim", "c@sim")


class Fails(GenServer[None]):
    """Ends after so many seconds, or does not start."""

    @classmethod
    def start_link(cls, seconds: float) -> Any:
        return gen_server.start_link(cls, seconds)

    def init(self, arg: float) -> Ok[None]:
        if arg == 0:
            raise ValueError("cannot start")
        process.send_after(self_pid(), "end", arg)
        return Ok(None)

    def handle_info(self, message: Any, state: None) -> Any:
        raise ValueError("cannot go on")


@pytest.mark.usefixtures("quiet_log")
def test_an_exit_that_ends_start_is_raised_by_the_wait() -> None:
    def start() -> None:
        supervisor.start_link([(Fails, 0)], strategy="one_for_one")

    with pytest.raises(StartError, match=r"[abc]@sim: start was ended.*cannot start") as failed:
        ClusterSimulation(1, NAMES, start=start)
    assert failed.value.reason[0] == "shutdown"
    with pytest.raises(StartError, match="cannot start"):
        simulate(lambda sim: sim.let_faults_pass(), seeds=1, start=start)


@pytest.mark.usefixtures("quiet_log")
def test_a_supervisor_that_ends_later_is_raised_by_the_wait() -> None:
    def start() -> None:
        if self_pid().node == B:
            supervisor.start_link([(Fails, 2.0)], strategy="one_for_one", max_restarts=0)

    sim = ClusterSimulation(1, NAMES, start=start)
    sim.let_pass(1.5)
    with pytest.raises(NodeError, match=r"b@sim: what start has linked itself to.*'shutdown'"):
        sim.let_pass(1.0)
    assert sim.elapsed == pytest.approx(2.0, abs=0.01)
    sim.let_pass(1.0)  # once


@pytest.mark.usefixtures("quiet_log")
def test_a_supervisor_that_ends_with_its_node_is_nothing_to_tell() -> None:
    def start() -> None:
        supervisor.start_link([(Fails, 100.0)], strategy="one_for_one", max_restarts=0)

    sim = ClusterSimulation(1, NAMES, start=start)
    sim.inject(Crash(A, 1.0))
    sim.kill(B)
    sim.let_faults_pass()
    sim.restart(B)
    sim.let_pass(10.0)
    sim.call(C, lambda: current().node.stop())
    sim.let_pass(10.0)
    sim.close()
    sim.check()
