"""The tests of the soft leader: on one node, and on three that split and heal, under seeds."""

import pytest

from examples.soft_leader.soft_leader import EVERY, GROUP, WhoLeads, children
from otpy import Node, Pid, gen_server, pg, process, self_pid, supervisor
from otpy.testing import eventually
from otpy.testing.simulation import ClusterSimulation

A, B, C = NAMES = ("a@sim", "b@sim", "c@sim")
Log = list[str]


def test_a_worker_alone_leads_and_steps_back_for_a_smaller_pid(node: Node) -> None:
    smaller = process.spawn(process.sleep, float("inf"), green=True)
    supervisor.start_link(children(lambda: None), strategy="rest_for_one")
    (worker,) = pg.get_members(GROUP)
    assert gen_server.call(worker, WhoLeads()) == worker
    pg.join(GROUP, smaller)
    assert eventually(lambda: gen_server.call(worker, WhoLeads()) == smaller)
    process.exit(smaller, "kill")
    assert eventually(lambda: gen_server.call(worker, WhoLeads()) == worker)


def test_a_worker_joins_again_when_its_scope_starts_anew(node: Node) -> None:
    supervisor.start_link(children(lambda: None), strategy="rest_for_one")
    (first,) = pg.get_members(GROUP)
    gen_server.stop("pg", "oops")
    assert eventually(lambda: pg.get_members(GROUP) not in ([], [first]))


def run(log: Log) -> None:
    """What each node runs; its worker writes the node's name."""

    def tree() -> None:
        name = self_pid().node
        supervisor.start_link(children(lambda: log.append(name)), strategy="rest_for_one")
        process.sleep(float("inf"))

    process.spawn(tree, green=True)


def cluster(seed: int, log: Log) -> ClusterSimulation:
    sim = ClusterSimulation(seed, NAMES)
    for name in NAMES:
        sim.call(name, run, log)
    sim.wait(lambda: all(len(workers(sim, name)) == 3 for name in NAMES))
    return sim


def workers(sim: ClusterSimulation, name: str) -> list[Pid]:
    found: list[Pid] = sim.call(name, pg.get_members, GROUP)
    return found


def done(sim: ClusterSimulation, log: Log) -> Log:
    """Who worked within a minute."""
    log.clear()
    sim.call(next(iter(sim.nodes)), process.sleep, EVERY)
    return sorted(log)


@pytest.mark.parametrize("seed", range(10))
def test_one_node_works_and_each_side_of_a_split_has_its_own(seed: int) -> None:
    log: Log = []
    sim = cluster(seed, log)
    first = min(workers(sim, A)).node
    assert done(sim, log) == [first]
    others = [name for name in NAMES if name != first]
    sim.partition([first], others)
    sim.wait(lambda: len(workers(sim, first)) == 1 and len(workers(sim, others[0])) == 2)
    second = min(workers(sim, others[0])).node
    assert done(sim, log) == sorted((first, second))  # two leaders, and each is right
    sim.heal()
    sim.wait(lambda: all(len(workers(sim, name)) == 3 for name in NAMES))
    assert done(sim, log) == [first]


@pytest.mark.parametrize("seed", range(10))
def test_the_next_one_takes_over_when_the_leaders_node_dies(seed: int) -> None:
    log: Log = []
    sim = cluster(seed, log)
    pids = workers(sim, A)
    assert pids == workers(sim, B) == workers(sim, C)
    sim.kill(pids[0].node)

    sim.wait(lambda: workers(sim, pids[2].node) == pids[1:])
    assert done(sim, log) == [pids[1].node]
