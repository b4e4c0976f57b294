"""Names held as leases: on a real mesh, and on simulated nodes where seeds decide."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    BadArgument,
    CallExit,
    Global,
    NameFree,
    Node,
    NodeError,
    NotRegistered,
    Pid,
    QuorumError,
    StartError,
    gen_server,
    global_,
    process,
    self_pid,
    supervisor,
)
from otpy.cluster._lease_contests import SERVER
from otpy.testing import capture_log, eventually
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster
from tests.cluster.leaders import (
    LEADER,
    LEASE,
    NODES,
    Async,
    Leader,
    OnThread,
    lease_of,
    leases,
    led,
    row,
    short,
    supervised,
    whereis,
)

SIMULATED = ("a@sim", "b@sim", "c@sim")


@pytest.mark.parametrize("module", [OnThread, Leader, Async])
def test_the_minoritys_holder_steps_down_and_the_majority_elects(
    cluster: Cluster, module: Any
) -> None:
    nodes = cluster.start("abc", lease_time=LEASE).nodes
    for node in nodes.values():
        supervised(node, module)
    leader = led([*nodes.values()])
    lease = lease_of(nodes[short(leader)])
    assert lease.valid()
    rest = "abc".replace(short(leader), "")

    cut = time.monotonic()
    cluster.partition(short(leader), rest)
    nobody = nodes[short(leader)]
    eventually(lambda: whereis(nobody) is None, timeout=10)
    assert not lease.valid()
    assert lease.until == float("-inf")
    winner = led([nodes[name] for name in rest])
    assert time.monotonic() - cut > LEASE / 2, "a lease was still running"
    assert short(winner) in rest
    assert lease_of(nodes[short(winner)]).valid()
    assert whereis(nobody) is None

    cluster.heal(short(leader), rest)
    assert led([*nodes.values()]) == winner
    eventually(lambda: row(nobody).standby == winner)
    assert row(nobody).pid != leader, "demoted in place, and not counted: max_restarts is 0"
    with nobody.attached():
        assert gen_server.call(Global("leader"), "valid") is True


def test_a_leader_that_ends_gives_its_lease_back(cluster: Cluster) -> None:
    """So the next one need not wait until it has run out."""
    nodes = cluster.start("abc", lease_time=3.0).nodes
    for node in nodes.values():
        supervised(node)
    leader = led([*nodes.values()])
    home = nodes[short(leader)]
    lease = lease_of(home)
    began = time.monotonic()
    with home.attached():
        process.exit(process.whereis("sup"), "kill")
    eventually(lambda: whereis(home) not in (None, leader), timeout=10)
    assert time.monotonic() - began < 2.5, "it waited for the lease to run out"
    assert not lease.valid()


def test_tokens_grow_from_leader_to_leader_and_through_restarts(
    tmp_path: Path, cluster: Cluster
) -> None:
    nodes = cluster.start("abc", lease_time=LEASE, durable=True).nodes
    for node in nodes.values():
        supervised(node)
    leader = led([*nodes.values()])
    with nodes["a"].attached():
        _, token = gen_server.call(LEADER, "who")
    assert token == lease_of(nodes[short(leader)]).token
    assert token > 0
    cluster.stop()
    again = Cluster(tmp_path / "nodes")
    try:
        nodes = again.start("abc", lease_time=LEASE, durable=True).nodes
        supervised(nodes["b"])
        later = led([*nodes.values()])
        assert short(later) == "b"
        assert lease_of(nodes["b"]).token > token
    finally:
        again.stop()


def test_without_a_state_dir_or_members_there_is_no_token(cluster: Cluster) -> None:
    nodes = cluster.start("abc", lease_time=LEASE).nodes
    supervised(nodes["a"], name=Global("leader", quorum=3))
    led([*nodes.values()])
    lease = lease_of(nodes["a"])
    assert lease.token is global_.NO_TOKEN
    assert repr(lease.token) == "NO_TOKEN"
    with nodes["b"].attached():
        _, token = gen_server.call(Global("leader", quorum=3), "who")
        assert token is global_.NO_TOKEN
        assert global_.members("leader") == []
        with pytest.raises(QuorumError, match="a number of nodes") as refused:
            global_.add_member("leader", "d@127.0.0.1")
        assert refused.value.reason == "no_members"


def test_members_change_through_the_old_majority(cluster: Cluster) -> None:
    nodes = cluster.start("abcd", lease_time=LEASE, durable=True).nodes
    supervised(nodes["a"])
    supervised(nodes["d"])  # need not be a member to lead
    leader = led([*nodes.values()])
    with nodes["b"].attached():
        global_.add_member("leader", "d@127.0.0.1")
        assert global_.members("leader") == [*NODES, "d@127.0.0.1"]
        with pytest.raises(BadArgument, match="no member yet"):
            global_.add_member("leader", "d@127.0.0.1")
        with pytest.raises(BadArgument, match="name@host"):
            global_.add_member("leader", "d")
        global_.remove_member("leader", "b@127.0.0.1")
        global_.remove_member("leader", "c@127.0.0.1")
        assert global_.members("leader") == ["a@127.0.0.1", "d@127.0.0.1"]
    cluster.partition("ad", "bc")
    with nodes["b"].attached():
        eventually(lambda: global_.whereis_name("leader") is None)
        with pytest.raises(NotRegistered):
            global_.members("leader")
    with nodes[short(leader)].attached():
        assert gen_server.call(LEADER, "valid") is True


def test_a_name_in_reach_of_no_majority_is_not_had(cluster: Cluster) -> None:
    node = cluster.start("a", lease_time=0.2).nodes["a"]
    with node.attached():
        assert global_.register_name("leader", self_pid(), quorum=NODES) is False
        with pytest.raises(StartError) as refused:
            Leader.start_link(LEADER)
        assert refused.value.reason == "no_quorum"
        with pytest.raises(NotRegistered):
            global_.lease("leader")


def test_any_process_may_hold_a_lease(cluster: Cluster) -> None:
    nodes = cluster.start("abc", lease_time=LEASE).nodes
    with nodes["a"].attached():
        holder = process.spawn(process.receive)
        assert global_.register_name("leader", holder, quorum=NODES)
        assert global_.registered_names() == ["leader"]
        assert global_.lease("leader").pid == holder
    with nodes["b"].attached():
        eventually(lambda: global_.whereis_name("leader") == holder)
        assert global_.register_name("leader", self_pid(), quorum=NODES) is False
        assert global_.register_name("leader", self_pid()) is False
        with pytest.raises(AlreadyStarted) as refused:
            Leader.start_link(LEADER)
        assert refused.value.pid == holder
        ref = global_.monitor_name("leader")
        global_.unregister_name("leader")
        assert process.receive(NameFree) == NameFree(ref, "leader", "unregistered")
        assert global_.register_name("leader", self_pid(), quorum=NODES)
    assert process_alive(nodes["a"], holder)


def process_alive(node: Node, pid: Pid) -> bool:
    with node.attached():
        return process.alive(pid)


def test_arguments_are_checked(node: Node) -> None:
    for quorum in ([], 0, True, "abc", ["a"], ["a@x.y", "a@x.y"]):
        with pytest.raises(BadArgument, match="quorum="):
            Global("x", quorum=quorum)  # type: ignore[arg-type]
    assert Global("x", ["b@h.x", "a@h.x"]) == Global("x")
    assert repr(Global("x", 3)) == "Global(name='x', quorum=3)"
    for seconds in (0, -1.0, float("inf"), "5"):
        with pytest.raises(BadArgument, match="lease_time="):
            global_.start(node, lease_time=seconds)  # type: ignore[arg-type]
    global_.start(node)
    with pytest.raises(BadArgument, match="no conflicts"):
        global_.register_name("x", self_pid(), global_.random_exit_name, quorum=1)


def test_a_damaged_state_dir_and_one_of_another_node_are_refused(tmp_path: Path) -> None:
    with Node("one@127.0.0.1") as one, one.attached():
        global_.start(one, lease_time=0.1, state_dir=tmp_path)
        assert global_.register_name("x", self_pid(), quorum=["one@127.0.0.1"])
    (file,) = tmp_path.glob("*.lease")
    with Node("two@127.0.0.1") as two, pytest.raises(NodeError, match="belongs to one@"):
        global_.start(two, state_dir=tmp_path)
    file.write_bytes(b"\xc1")
    with Node("one@127.0.0.1") as one, pytest.raises(NodeError, match="is damaged"):
        global_.start(one, state_dir=tmp_path)


def test_what_cannot_be_written_is_not_granted(tmp_path: Path) -> None:
    with Node("one@127.0.0.1") as one, one.attached():
        state = tmp_path / "state"
        global_.start(one, lease_time=0.1, state_dir=state)
        shutil.rmtree(state)
        with capture_log() as log:
            assert global_.register_name("x", self_pid(), quorum=["one@127.0.0.1"]) is False
        assert "cannot write the promise of 'x' in state_dir" in log
        state.mkdir()
        assert global_.register_name("x", self_pid(), quorum=["one@127.0.0.1"]) is True
        assert len([*state.glob("*.lease")]) == 1


# Simulated: the drivers under a seed.


class Split:
    """Three nodes with the same supervised child, and what their holders say of themselves."""

    def __init__(self, seed: int) -> None:
        self.sim = ClusterSimulation(seed, SIMULATED)
        self.sim.wait(lambda: all(len(mesh.nodes()) == 2 for mesh in self.sim.meshes.values()))
        for name in SIMULATED:
            self.sim.call(name, self.start)

    def start(self) -> None:
        name = Global("leader", quorum=SIMULATED)

        def boss() -> None:
            supervisor.start_link(
                [(Leader, name)], strategy="one_for_one", max_restarts=0, name="sup"
            )
            process.receive()

        process.spawn(boss, green=True)
        while process.whereis("sup") is None:
            process.sleep(0.001)

    def valid(self) -> list[str]:
        """The nodes whose holder has a valid lease; never two."""
        found = [
            name
            for name, node in self.sim.nodes.items()
            for contest in leases(node).contests.values()
            if node.clock.boottime() < contest.candidate.until
        ]
        assert len(found) <= 1, f"seed {self.sim.seed}: {found}"
        return found

    def elected(self, among: tuple[str, ...]) -> bool:
        found = self.valid()
        return bool(found) and found[0] in among


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_of_events_the_side_with_the_majority_leads(seed: int) -> None:
    it = Split(seed)
    it.sim.wait(lambda: it.elected(SIMULATED))
    now = it.valid()[0]
    for _ in range(3):
        leader = now
        rest = tuple(name for name in SIMULATED if name != leader)
        it.sim.partition([leader], list(rest))
        took = it.sim.wait(lambda rest=rest: it.elected(rest))  # type: ignore[misc]
        assert took < 5.0 * 1.5
        it.sim.heal()
        it.sim.wait(lambda: all(len(mesh.nodes()) == 2 for mesh in it.sim.meshes.values()))
        now = it.valid()[0]

        def stands_by(leader: str = leader, now: str = now) -> bool:
            row = it.sim.call(leader, supervisor.which_children, "sup")[0]
            return row.standby is not None and row.standby.node == now

        it.sim.wait(stands_by)
    it.sim.kill(now)
    it.sim.wait(lambda: it.elected(tuple(it.sim.nodes)))


def kill_the_server() -> None:
    pid = process.whereis(SERVER)
    assert isinstance(pid, Pid)
    process.exit(pid, "kill")


@pytest.mark.parametrize("seed", range(4))
def test_in_any_order_of_events_killed_lease_servers_leave_one_holder_at_most(seed: int) -> None:
    """Of the leader's node and of another: one grants nothing for a while, one has to ask anew."""
    it = Split(seed)
    it.sim.wait(lambda: it.elected(SIMULATED))
    for _ in range(3):
        leader = it.valid()[0]
        (contest,) = (
            one for one in leases(it.sim.nodes[leader]).contests.values() if one.announced
        )
        for name in (leader, SIMULATED[(SIMULATED.index(leader) + 1) % 3]):
            it.sim.call(name, kill_the_server)
        it.sim.wait(lambda contest=contest: not it.valid() or contest.candidate.until < 0)  # type: ignore[misc]
        took = it.sim.wait(lambda: it.elected(SIMULATED))
        assert contest.candidate.until == float("-inf")
        assert took < 5.0 * 1.5


def test_garbage_does_not_end_the_lease_server(node: Node) -> None:
    global_.start(node)
    process.send(SERVER, "garbage")
    process.send(SERVER, ("lease", "a@127.0.0.1", ("held", {1: 2}, self_pid(), 1)))
    process.send(SERVER, ("lease_due", 1.0))
    gen_server.cast(SERVER, "garbage")
    with pytest.raises(CallExit):
        gen_server.call(SERVER, "garbage", timeout=0.1)
    assert gen_server.call(SERVER, ("members", "x")) is None


def test_a_name_that_is_not_granted_for_good_tells_what_each_side_has(cluster: Cluster) -> None:
    nodes = cluster.start("ab", lease_time=0.3).start("c", lease_time=0.4).nodes
    with nodes["c"].attached(), capture_log() as log:
        for size in (2, 3):
            global_.register_name(("of", size), self_pid(), quorum=size)
    for node in NODES[:2]:
        said = f"c@127.0.0.1: {node} does not grant ('of', 3): other_lease; "
        assert f"{said}it sees 3 nodes, itself among them, and has " in log.text
    assert "and a lease_time of 0.3 s; we have " in log.text
    said = "c@127.0.0.1: c@127.0.0.1 does not grant ('of', 2): crowded; it sees 3 nodes, itself"
    assert said in log.text
