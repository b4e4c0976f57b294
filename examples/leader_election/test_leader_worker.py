"""The tests of the leader worker, as its author writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.leader_election.leader_worker import LeaderWorker, children
from otpy import AlreadyStarted, Global, Node, Pid, gen_server, process, supervisor
from otpy.testing import Cluster, ClusterSimulation, eventually, simulate


def test_only_one_leader_exists(node: Node) -> None:
    pid1 = LeaderWorker.start_link({})
    with pytest.raises(AlreadyStarted) as refused:
        LeaderWorker.start_link({})
    assert refused.value.pid == pid1


def test_new_leader_elected_on_failure(start_supervised: Callable[..., Any]) -> None:
    pid1 = start_supervised((LeaderWorker, {}))
    gen_server.stop(pid1, "boom")
    pid2 = eventually(lambda: gen_server.whereis(Global(LeaderWorker)))
    assert pid2 != pid1
    assert isinstance(pid2, Pid)
    assert process.alive(pid2)


def where() -> str | None:
    """The node that leads, as the one that is asked sees it."""
    pid = gen_server.whereis(Global(LeaderWorker))
    return pid.node if isinstance(pid, Pid) else None


def test_another_node_leads_when_the_leaders_node_is_killed(
    cluster: Callable[..., Cluster],
) -> None:
    three = cluster(3)
    for name in three.nodes:
        three.start(name, children)
    first = three.call("a", where)
    assert first is not None
    three.kill(first)
    others = [name for name in three.nodes if name != first]
    assert eventually(lambda: three.call(others[0], where) in others)
    second = three.call(others[0], where)
    three.restart(first)
    three.start(first, children)
    assert [three.call(name, where) for name in three.nodes] == [second] * 3


def test_all_agree_on_one_leader_whatever_happened() -> None:
    """Partitions, pauses, crashes: other ones for each seed, and the same again for the same."""

    def start() -> None:
        supervisor.start_link(children, strategy="one_for_one")

    def one_leader(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()

        def agreed() -> bool:
            leaders = {sim.whereis(name, LeaderWorker) for name in sim.names}
            return len(leaders) == 1 and None not in leaders

        sim.wait(agreed, 60.0)

    simulate(one_leader, seeds=20, start=start)
