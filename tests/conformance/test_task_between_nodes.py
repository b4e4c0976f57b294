"""Tasks (TASK) of another node, under a supervisor there."""

from typing import Any

import pytest

from otpy import CallExit, Done, Pid, process, self_pid, task, task_supervisor
from otpy.testing.simulation import ClusterSimulation
from tests.conformance.test_between_simulated_nodes import A, B, two_nodes


def doubled(n: int) -> int:
    return 2 * n


def waits() -> str:
    return str(process.receive(str))


def never() -> None:
    process.receive(where=lambda _: False)


def supervisor_on(sim: ClusterSimulation, node: str) -> Pid:
    def keep(me: Pid) -> None:
        process.send(me, task_supervisor.start_link(green=True))
        never()

    def begin() -> Pid:
        process.spawn(keep, self_pid(), green=True)
        boss: Pid = process.receive(Pid)
        return boss

    pid: Pid = sim.call(node, begin)
    return pid


def test_task_08_a_task_runs_on_the_node_of_its_supervisor() -> None:
    sim = two_nodes(1)
    boss = supervisor_on(sim, B)

    def body() -> None:
        t = task_supervisor.async_(boss, waits, green=True)
        assert t.pid is not None
        assert t.pid.node == B
        process.send(t.pid, "go on")
        assert task.await_(t) == "go on"
        results = task_supervisor.async_stream(boss, range(3), doubled, green=True)
        assert list(results) == [Done(0), Done(2), Done(4)]
        info = process.info(self_pid(), "links", "messages", "monitors")
        assert info == {"links": [], "messages": [], "monitors": []}

    sim.call(A, body)


@pytest.mark.parametrize("ask", [task.await_, task.yield_, task.shutdown, task.ignore])
def test_task_08_a_lost_connection_is_a_node_that_is_down(ask: Any) -> None:
    """noconnection -> {:nodedown, node}."""
    sim = two_nodes(1)
    boss = supervisor_on(sim, B)
    home = sim.nodes[A]
    seen: list[Any] = []

    def body() -> None:
        t = task_supervisor.async_nolink(boss, never, green=True)
        seen.append(t)
        process.receive(where=lambda message: message == "go on")
        with pytest.raises(CallExit) as ended:
            ask(t)
        seen.append(ended.value.reason)

    pid: Pid = sim.call(A, lambda: process.spawn(body, green=True))
    sim.wait(lambda: bool(seen))
    sim.kill(B)
    sim.wait(lambda: sim.meshes[A].nodes() == [])
    sim.call(A, lambda: process.send(pid, "go on"))
    sim.wait(lambda: pid not in home.procs)
    assert seen[1:] == [("nodedown", B)]
