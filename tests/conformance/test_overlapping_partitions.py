"""No overlapping partitions (GLOB-20): who stays connected when some cannot see each other."""

import logging
from itertools import combinations
from random import Random
from typing import Any

import pytest

from otpy import BadArgument, NodeDown, global_, node, process, start_node
from otpy.testing import eventually
from otpy.testing.faults import Crash, OneWay, Partition
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.global_helpers import spawn

__all__ = ["cluster"]
A, B, C, D = (f"{short}@127.0.0.1" for short in "abcd")
NAMES = ("a@sim", "b@sim", "c@sim", "d@sim")


def views(cluster: Cluster) -> dict[str, list[str]]:
    return {short: mesh.nodes() for short, mesh in cluster.meshes.items()}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "overlapping partitions" in text]


def test_glob_20_two_nodes_that_lose_each_other_are_in_different_groups_then(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """overlapping partitions prevented by disconnecting."""
    caplog.set_level(logging.WARNING)
    cluster.start("abcd", net_ticktime=2.0)
    events: list[dict[str, Any]] = []
    cluster.nodes["b"].events.attach(
        "test", "overlapping_partitions", lambda _, data: events.append(data)
    )
    with cluster.nodes["b"].attached():
        node.monitor(C, True)
        cluster.partition("a", "c")
        down = process.receive(NodeDown, timeout=20)
        assert down == NodeDown(C, "overlapping_partitions")
    expected: dict[str, list[str]] = {"a": [B, D], "b": [A, D], "c": [], "d": [A, B]}
    eventually(lambda: views(cluster) == expected, 20.0)
    assert [line.split(":")[0] for line in sorted(lines(caplog))] == [B, D]
    assert all(f"session with {C}" in line and A in line for line in lines(caplog))
    assert events == [{"peer": C, "unseen": A}]
    with cluster.nodes["b"].attached():
        assert not node.connect(C)  # while it would see one of two that cannot
    cluster.heal("a", "c")
    assert len(lines(caplog)) == 2


def test_glob_20_each_group_has_one_holder_of_a_name(cluster: Cluster) -> None:
    """As in a complete netsplit; after the heal there is one."""
    cluster.start("abc", net_ticktime=2.0)
    with cluster.nodes["c"].attached():
        first = spawn()
        assert global_.register_name("x", first)
    cluster.partition("a", "c")
    eventually(lambda: views(cluster) == {"a": [B], "b": [A], "c": []}, 20.0)
    with cluster.nodes["b"].attached():
        eventually(lambda: global_.whereis_name("x") is None)
        second = spawn()
        assert global_.register_name("x", second)
    with cluster.nodes["a"].attached():
        assert global_.whereis_name("x") == second
    with cluster.nodes["c"].attached():
        assert global_.whereis_name("x") == first
    cluster.heal("a", "c")
    services = [one.name_services["global"] for one in cluster.nodes.values()]
    eventually(lambda: [one.whereis_name("x") for one in services] == [second] * 3)


def overlapping(sim: ClusterSimulation) -> list[str]:
    """The nodes that see one that does not see another of those that they see."""
    sees = {name: {name, *mesh.nodes()} for name, mesh in sim.meshes.items()}
    return [name for name, group in sees.items() if any(sees[other] != group for other in group)]


@pytest.mark.parametrize("prevented", [True, False])
def test_glob_20_it_can_be_switched_off(prevented: bool) -> None:
    """kernel's prevent_overlapping_partitions."""
    sim = ClusterSimulation(1, NAMES, prevent_overlapping_partitions=prevented)
    sim.wait(sim.meshed)
    sim.partition(NAMES[:1], NAMES[2:3])
    sim.let_pass(60.0)
    assert (overlapping(sim) == []) is prevented
    sim.heal()
    sim.wait(sim.meshed)
    sim.close()
    with pytest.raises(BadArgument, match="prevent_overlapping_partitions=1"):
        start_node("x@127.0.0.1", prevent_overlapping_partitions=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(30))
def test_glob_20_whatever_is_cut_no_partitions_overlap_at_rest(seed: int) -> None:
    """Any links, in one direction or both, in any order; and all meet again."""
    draw = Random(seed)
    sim = ClusterSimulation(seed, NAMES)
    sim.wait(sim.meshed)
    ways = [way for ways in combinations(NAMES, 2) for way in (ways, ways[::-1])]
    for one, other in draw.sample(ways, draw.randint(1, 6)):
        if draw.random() < 0.5:
            sim.inject(Partition((one,), (other,), 500.0))
        else:
            sim.inject(OneWay(one, other, 500.0))
        sim.let_pass(draw.uniform(0.0, 20.0))
    sim.let_pass(100.0)
    assert overlapping(sim) == []
    sim.let_faults_pass()
    sim.wait(sim.meshed)
    sim.close()


@pytest.mark.parametrize("seed", range(20))
def test_glob_20_nobody_parts_because_a_node_has_died(seed: int) -> None:
    """Killed, started again, paused or cut off from all: the others stay connected."""
    draw = Random(seed)
    sim = ClusterSimulation(seed, NAMES)
    sim.wait(sim.meshed)
    parted = noted(sim, *NAMES[1:])
    for _ in range(4):
        match draw.randrange(3):
            case 0:
                sim.inject(Crash(NAMES[0], draw.uniform(0.1, 30.0)))
            case 1:
                sim.pause(NAMES[0])
                sim.let_pass(draw.uniform(0.1, 30.0))
                sim.resume(NAMES[0])
            case _:
                sim.inject(Partition(NAMES[:1], NAMES[1:], draw.uniform(0.1, 30.0)))
        sim.let_faults_pass()
        sim.wait(sim.meshed)
    assert parted == []
    sim.close()


def test_glob_20_a_node_that_drains_costs_a_new_one_no_session() -> None:
    """It lets nobody in any more, and who comes then is a peer of the others all the same."""
    sim = ClusterSimulation(1, NAMES[:3])
    sim.wait(sim.meshed)
    first, second, third = NAMES[:3]
    parted = noted(sim, second)
    sim.nodes[first].drain()
    sim.kill(third)
    sim.restart(third)
    sim.wait(lambda: sim.meshes[second].nodes() == [first, third])
    sim.let_pass(60.0)
    assert sim.meshes[second].nodes() == [first, third]
    assert parted == []
    sim.close()


def noted(sim: ClusterSimulation, *names: str) -> list[Any]:
    """What these nodes tell of parting with others."""
    told: list[Any] = []
    for name in names:
        sim.nodes[name].events.attach(
            "test", "overlapping_partitions", lambda _, data: told.append(data)
        )
    return told


@pytest.mark.parametrize("silence", [4.0, 60.0])
def test_glob_20_a_node_that_fell_silent_is_no_reason_to_part(silence: float) -> None:
    """The last that was heard of it was that it misses another; it may be dead."""
    sim = ClusterSimulation(1, NAMES[:3])
    sim.wait(sim.meshed)
    first, second, third = NAMES[:3]
    parted = noted(sim, third)
    sim.partition([first], [second])
    sim.let_pass(2.0)
    sim.pause(first)
    sim.let_pass(silence)
    assert sim.meshes[second].nodes() == [third]
    assert second in sim.meshes[third].nodes()
    assert parted == []
    sim.heal()
    sim.resume(first)
    sim.wait(sim.meshed)
    assert parted == []
    sim.close()


@pytest.mark.parametrize("seed", range(5))
def test_glob_20_who_was_kept_out_is_connected_to_at_once(seed: int) -> None:
    """As soon as the two see each other, and also by a node that does not find it otherwise."""
    sim = ClusterSimulation(seed, NAMES[:3])
    sim.wait(sim.meshed)
    first, second, third = NAMES[:3]
    sim.partition([first], [third])
    sim.wait(lambda: sim.meshes[third].nodes() == [])
    for mesh in sim.meshes.values():
        mesh.discovery.leave()
    sim.heal()
    sim.wait(lambda: third in sim.meshes[first].nodes())
    assert sim.wait(lambda: third in sim.meshes[second].nodes()) < 0.1
    sim.close()


def unparted(sim: ClusterSimulation, hub: str, others: list[str]) -> None:
    """That a node sees two that do not see each other, which costs nobody a session."""
    parted = noted(sim, hub)
    sim.let_pass(60.0)
    assert sim.meshes[hub].nodes() == others
    assert [sim.meshes[name].nodes() for name in others] == [[hub], [hub]]
    assert parted == []
    sim.close()


def test_glob_20_nodes_that_connect_when_asked_only_are_no_broken_pair() -> None:
    """They are apart by choice: auto_connect="never"."""
    first, second, third = NAMES[:3]
    sim = ClusterSimulation(1, NAMES[:3], auto_connect="never")
    for other in (first, third):
        assert sim.call(second, node.connect, other)
    unparted(sim, second, [first, third])


def test_glob_20_nodes_that_connect_by_themselves_once_are_no_broken_pair() -> None:
    """They lost each other, which is for good: auto_connect="once"."""
    first, second, third = NAMES[:3]
    sim = ClusterSimulation(1, NAMES[:3], auto_connect="once")
    sim.wait(sim.meshed)
    sim.partition([first], [third])
    sim.wait(lambda: sim.meshes[first].nodes() == sim.meshes[third].nodes() == [second])
    sim.heal()
    unparted(sim, second, [first, third])


@pytest.mark.parametrize(
    "options",
    [
        {"prevent_overlapping_partitions": False},
        {"auto_connect": "never"},
        {"auto_connect": "once"},
    ],
    ids=["off", "never", "once"],
)
def test_glob_20_a_node_that_takes_no_part_breaks_no_pair(
    cluster: Cluster, options: dict[str, Any]
) -> None:
    """It tells nobody whom it sees: one that has it off, or does not connect by itself."""
    cluster.start("ab").start("c", **options)
    peers = cluster.meshes["b"].membership.overlaps.peers
    eventually(lambda: peers[A].accounts == {B: None, C: None})
    eventually(lambda: not cluster.meshes["c"].membership.telling)
    with cluster.nodes["c"].attached():
        assert node.ping(B) == "pong"  # behind whatever it told
    assert peers[C].accounts is None
