"""Links between nodes (LINK) under seeds: a slow network whose every delay is drawn."""

import random
from typing import Any

import pytest

from otpy import Exit, Pid, process, self_pid
from otpy.testing.simulation import ClusterSimulation

A, B = "a@sim", "b@sim"


def two_nodes(seed: int) -> ClusterSimulation:
    sim = ClusterSimulation(seed, (A, B))
    sim.wait(lambda: sim.meshes[A].nodes() == [B] and sim.meshes[B].nodes() == [A])
    return sim


def joins_and_leaves(draw: random.Random) -> None:
    """Links and unlinks another process at random moments."""
    process.flag(trap_exit=True)
    other = process.receive(Pid)
    for _ in range(20):
        (process.link if draw.random() < 0.5 else process.unlink)(other)
        if draw.random() < 0.5:
            process.sleep(draw.uniform(0, 0.002))
    process.receive(where=lambda _: False)


def links(pid: Pid) -> Any:
    info = process.info(pid, "links")
    assert info is not None
    return info["links"]


@pytest.mark.parametrize("seed", range(40))
def test_link_10_both_ends_of_a_link_agree_in_the_end(seed: int) -> None:
    """concurrent link/unlink from both ends converges to a consistent state on both."""
    sim = two_nodes(seed)
    draw = random.Random(seed)

    def begin() -> Pid:
        return process.spawn(joins_and_leaves, draw, green=True)

    one, two = sim.call(A, begin), sim.call(B, begin)
    sim.call(A, lambda: process.send(one, two))
    sim.call(B, lambda: process.send(two, one))
    sim.call(A, process.sleep, 1.0)
    assert (two in sim.call(A, links, one)) == (one in sim.call(B, links, two))


def test_link_14_a_pid_of_an_earlier_life_of_a_node_is_dead() -> None:
    """link to a pid of a previous incarnation of a node gives EXIT noproc."""
    sim = two_nodes(1)
    old: Pid = sim.call(B, lambda: process.spawn(process.receive, green=True))
    sim.kill(B)
    sim.wait(lambda: sim.meshes[A].nodes() == [])
    sim.restart(B)
    sim.wait(lambda: sim.meshes[A].nodes() == [B])

    def body() -> None:
        process.flag(trap_exit=True)
        process.link(old)
        assert process.receive(timeout=5) == Exit(old, "noproc")
        assert links(self_pid()) == []

    sim.call(A, body)
