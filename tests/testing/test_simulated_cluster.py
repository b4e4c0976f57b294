"""The demo's story over the in-memory transport, under seeds and on real threads."""

import gc
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref as weakref

import pytest

from otpy import Global, Node, Pid, gen_server, node, process, supervisor
from otpy.cluster import _dynamic, global_
from otpy.distribution.memory import Network
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from otpy.runtime._current import current
from otpy.terms.errors import AddressInUse, NodeNameTaken
from otpy.terms.names import NO_NODE
from otpy.testing.simulation import ClusterSimulation
from otpy.testing.waiting import eventually
from otpy.tools.leader_worker import LeaderWorker

A, B, C = NAMES = ("a@sim", "b@sim", "c@sim")
LEADER = Global(LeaderWorker).name


def start_workers() -> None:
    """What each node of the demo runs."""

    def boss() -> None:
        supervisor.start_link([(LeaderWorker, {})], strategy="one_for_one")
        process.receive()

    process.spawn(boss, green=True)


def leaders(sim: ClusterSimulation, names: tuple[str, ...]) -> set[Pid | None]:
    """Whom these nodes take for the leader."""
    return {sim.nodes[name].name_services["global"].whereis_name(LEADER) for name in names}


def agreed(sim: ClusterSimulation, names: tuple[str, ...]) -> bool:
    """Whether they see one leader, which lives on one of them."""
    found = leaders(sim, names)
    leader = next(iter(found))
    return len(found) == 1 and leader is not None and leader.node in names


def meshed(sim: ClusterSimulation) -> bool:
    return all(len(mesh.nodes()) == len(sim.nodes) - 1 for mesh in sim.meshes.values())


def play(seed: int) -> list[str]:
    """The demo's five acts; what happened."""
    sim = ClusterSimulation(seed, NAMES)
    sim.wait(lambda: meshed(sim))
    for name in NAMES:
        sim.call(name, start_workers)
    sim.wait(lambda: agreed(sim, NAMES))
    first = leaders(sim, NAMES).pop()
    assert first is not None
    log = [repr(first)]
    survivors = tuple(name for name in NAMES if name != first.node)
    sim.kill(first.node)
    took = sim.wait(lambda: agreed(sim, survivors))
    assert took < 0.1
    log.append(f"{leaders(sim, survivors)} {took}")
    sim.restart(first.node)
    sim.call(first.node, start_workers)
    sim.wait(lambda: meshed(sim) and agreed(sim, NAMES))
    assert leaders(sim, NAMES) != {first}
    sim.partition([A, B], [C])
    sim.wait(lambda: agreed(sim, (A, B)) and agreed(sim, (C,)))
    log.append(f"{leaders(sim, (A, B))} {leaders(sim, (C,))}")
    sim.heal()
    sim.wait(lambda: meshed(sim) and agreed(sim, NAMES))
    log.append(f"{leaders(sim, NAMES)} {sim.sched.clock.time}")
    return log


@pytest.mark.parametrize("seed", range(25))
def test_one_leader_through_a_kill_a_return_a_split_and_a_heal(seed: int) -> None:
    play(seed)


def test_the_same_seed_tells_the_same_story() -> None:
    assert play(7) == play(7)
    assert play(7) != play(8)


@pytest.fixture
def two_nodes() -> Iterator[tuple[Network, Node, Node]]:
    """Two nodes with real schedulers, joined in memory."""
    network = Network()
    nodes = [Node(name).start() for name in (A, B)]
    for each in nodes:
        start_mesh(each, network=network)
        global_.start(each)
    yield network, nodes[0], nodes[1]
    for each in nodes:
        each.stop()


def test_nodes_on_real_threads_share_a_name_and_split(
    two_nodes: tuple[Network, Node, Node],
) -> None:
    network, a, b = two_nodes
    eventually(lambda: list(a.peers) == [B] and list(b.peers) == [A])
    with a.attached():
        global_.register_name("here", process.self_pid())
        holder = process.self_pid()
        with b.attached():
            eventually(lambda: gen_server.whereis(Global("here")) == holder)
            process.send(holder, "hello")
        assert process.receive(timeout=5) == "hello"
        network.partition([A], [B])
        eventually(lambda: not a.peers and not b.peers)
        network.heal()
        eventually(lambda: bool(a.peers) and bool(b.peers))
        with b.attached():
            eventually(lambda: gen_server.whereis(Global("here")) == holder)


def ends(node: Node) -> list[tuple[str, str]]:
    """The ends of a node's sessions from now on: with whom, and why."""
    found: list[tuple[str, str]] = []
    node.events.attach(
        "ends", "node_down", lambda _, data: found.append((data["node"], data["reason"]))
    )
    return found


def dialed_from(mesh: Mesh) -> list[str]:
    """The addresses that a node dials from now on."""
    wire, found = mesh.wire, list[str]()
    connect = wire.connect

    def connecting(address: str, lock: Any) -> Any:
        found.append(address)
        return connect(address, lock)

    wire.connect = connecting  # type: ignore[method-assign]
    return found


def inside(sim: ClusterSimulation) -> None:
    """Stop a node as a process of it does."""
    sim.nodes[A].halt("normal")


def outside(sim: ClusterSimulation) -> None:
    """Stop a node from outside the simulation."""
    sim.nodes[A].stop()


@pytest.mark.parametrize("stop", [inside, outside])
@pytest.mark.parametrize("seed", range(10))
def test_a_node_that_stops_says_goodbye_and_is_left_alone(
    seed: int, stop: Callable[[ClusterSimulation], None]
) -> None:
    sim = ClusterSimulation(seed, NAMES)
    sim.wait(lambda: meshed(sim))
    here, there = sim.meshes[A], sim.meshes[B]
    there.join(A, f"tcp://sim:{here.port}")  # so that it would be dialed for ever
    sim.let_pass(1.0)
    at_a, at_b, dialed = ends(sim.nodes[A]), ends(sim.nodes[B]), dialed_from(there)
    stop(sim)
    sim.let_pass(0.01)
    assert sorted(at_a) == [(B, "stopped"), (C, "stopped")]
    assert at_b == [(A, "bye")], "nothing of the connection's end comes before it"
    sim.let_pass(9.0)
    assert dialed == []
    sim.kill(A)
    sim.restart(A)
    sim.wait(lambda: meshed(sim), 1.0)


def test_a_node_that_crashes_says_nothing_and_is_dialed_again() -> None:
    sim = ClusterSimulation(1, NAMES)
    sim.wait(lambda: meshed(sim))
    there = sim.meshes[B]
    there.join(A, f"tcp://sim:{sim.meshes[A].port}")
    sim.let_pass(1.0)
    at_a, at_b, dialed = ends(sim.nodes[A]), ends(sim.nodes[B]), dialed_from(there)
    sim.kill(A)
    sim.let_pass(9.0)
    assert at_a == []
    assert at_b == [(A, "connection_closed")]
    assert len(dialed) > 5


def test_a_node_that_is_taken_off_the_net_says_goodbye_and_may_come_back() -> None:
    sim = ClusterSimulation(1, (B,))
    sim.let_pass(1.0)  # else the two would have begun in the same millisecond
    sim.nodes[NO_NODE] = sim._node(NO_NODE)  # pyright: ignore[reportPrivateUsage]
    at_b = ends(sim.nodes[B])

    def comes_and_goes() -> None:
        for _ in range(2):
            _dynamic.start(current(), A, 0.0, {"network": sim.network})
            process.sleep(1.0)
            assert node.list_() == [B]
            node.stop()
            assert node.list_() == []
            process.sleep(0.01)

    sim.call(NO_NODE, comes_and_goes)
    assert at_b == [(A, "bye")] * 2


def test_a_node_on_real_threads_says_goodbye_too(two_nodes: tuple[Network, Node, Node]) -> None:
    _, a, b = two_nodes
    eventually(lambda: list(a.peers) == [B] and list(b.peers) == [A])
    at_a, at_b = ends(a), ends(b)
    a.stop()
    assert at_a == [(B, "stopped")], "the stop waits for the network's thread"
    assert eventually(lambda: at_b) == [(A, "bye")]


def test_a_taken_name_or_port_is_refused() -> None:
    network = Network()
    with Node(A) as a, Node(A) as twin, Node(B) as b:
        start_mesh(a, network=network, port=7)
        with pytest.raises(NodeNameTaken, match="a@sim runs already"):
            start_mesh(twin, network=network)
        with pytest.raises(AddressInUse, match="sim:7"):
            start_mesh(b, network=network, port=7)


def test_a_simulation_that_is_over_leaves_nothing_behind() -> None:
    """Ten thousand of them run in one interpreter."""

    def over() -> "weakref[ClusterSimulation]":
        sim = ClusterSimulation(1, NAMES, start=start_workers)
        sim.wait(lambda: meshed(sim) and agreed(sim, NAMES))
        sim.call(A, process.sleep, 1.0)
        sim.close()
        return weakref(sim)

    left = [over() for _ in range(4)]
    gc.collect()
    # The interpreter itself may hold on to what ran last.
    assert [ref() for ref in left[:-1]] == [None, None, None]
