"""How leases end by what happens to a node: its lease server killed, its stop, its sleep.

And names that are leased by one process and registered without a quorum by another.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    Down,
    Global,
    NameFree,
    Node,
    Ok,
    Pid,
    gen_server,
    global_,
    process,
    self_pid,
)
from otpy.cluster._lease_contests import SERVER
from otpy.runtime.ports import SystemClock
from otpy.testing import assert_receive, capture_log, eventually
from tests.cluster.conftest import Cluster
from tests.cluster.leaders import (
    LEADER,
    NODES,
    Leader,
    lease_of,
    leases,
    led,
    row,
    short,
    supervised,
    whereis,
)

LONG = 5.0  # seconds of a lease that no test waits for
SOON = 2.5


def server(node: Node) -> Pid:
    found = eventually(lambda: node.names.whereis(SERVER))
    assert isinstance(found, Pid)
    return found


def keeper(node: Node) -> Pid:
    with node.attached():
        info = process.info(server(node))
    assert info is not None
    (found,) = info["links"]
    assert isinstance(found, Pid)
    return found


def kill(node: Node, pid: Pid | str | None) -> None:
    """Kill a process and wait until it has ended."""
    assert isinstance(pid, Pid)
    with node.attached():
        ref = process.monitor(pid)
        process.exit(pid, "kill")
        assert_receive(Down, where=lambda down: down.ref == ref, timeout=5)


def watch() -> None:
    global_.monitor_name("leader")
    process.sleep(float("inf"))


# The lease server is killed.


def test_when_its_lease_server_is_killed_a_holder_is_demoted_and_the_name_is_free_at_once(
    cluster: Cluster,
) -> None:
    nodes = cluster.start("abc", lease_time=LONG).nodes
    for node in nodes.values():
        supervised(node)
    leader = led([*nodes.values()])
    home = nodes[short(leader)]
    lease, before = lease_of(home), server(home)
    began = time.monotonic()
    with capture_log() as log:
        kill(home, before)
        eventually(lambda: whereis(home) not in (None, leader), timeout=10)
    assert time.monotonic() - began < SOON, "it waited for the lease to run out"
    assert "the lease server ended: 'killed'" in log
    assert lease.until == float("-inf")
    with home.attached():
        assert not process.alive(leader)
    assert server(home) != before
    winner = led([*nodes.values()])
    assert lease_of(nodes[short(winner)]).valid()
    held = row(home)
    assert winner in (held.pid, held.standby), "demoted in place, uncounted: max_restarts is 0"


def test_a_standby_waits_on_when_its_lease_server_was_killed(cluster: Cluster) -> None:
    nodes = cluster.start("abc", lease_time=LONG).nodes
    supervised(nodes["a"])
    leader = led([*nodes.values()])
    supervised(nodes["b"])
    eventually(lambda: row(nodes["b"]).standby == leader)
    stands_by = row(nodes["b"]).pid
    with nodes["b"].attached():
        ref = global_.monitor_name("leader")
        watcher = process.spawn(watch)
        holders = leases(nodes["b"]).holders
        eventually(lambda: len(holders.watching()) == 2)
        kill(nodes["b"], server(nodes["b"]))
        eventually(lambda: whereis(nodes["b"]) == leader)
        kill(nodes["b"], watcher)
        eventually(lambda: holders.watching() == [self_pid()])
        with nodes["a"].attached():
            sup = process.whereis("sup")
        kill(nodes["a"], sup)
        free = assert_receive(NameFree, timeout=SOON)
        assert free.ref == ref
    eventually(lambda: led([*nodes.values()]) == stands_by)


def test_when_the_keeper_of_the_lease_server_is_killed_nothing_is_held_any_more(
    cluster: Cluster,
) -> None:
    """Not a case that is mended: but nobody goes on as if he held a name."""
    nodes = cluster.start("abc", lease_time=LONG).nodes
    supervised(nodes["a"])
    leader = led([*nodes.values()])
    supervised(nodes["b"])
    lease = lease_of(nodes["a"])
    began = time.monotonic()
    kill(nodes["a"], keeper(nodes["a"]))
    eventually(lambda: lease.until == float("-inf"))
    eventually(lambda: whereis(nodes["c"]) not in (None, leader), timeout=10)
    assert time.monotonic() - began < SOON
    assert short(led([nodes["b"], nodes["c"]])) == "b"


def test_a_lease_server_that_cannot_read_its_disk_is_started_when_it_can(tmp_path: Path) -> None:
    with Node("one@127.0.0.1") as one, one.attached():
        global_.start(one, lease_time=0.1, state_dir=tmp_path)
        holder = process.spawn(process.receive)
        assert global_.register_name("x", holder, quorum=["one@127.0.0.1"])
        (file,) = tmp_path.glob("*.lease")
        good = file.read_bytes()
        file.write_bytes(b"\xc1")
        ref = process.monitor(holder)
        with capture_log() as log:
            process.exit(server(one), "kill")
            assert assert_receive(Down, timeout=5) == Down(ref, holder, ("lease_lost", "x"))
            eventually(lambda: "the lease server does not start" in log)
        assert "is damaged" in log
        file.write_bytes(good)
        server(one)
        assert global_.register_name("x", self_pid(), quorum=["one@127.0.0.1"])


# The node stops.


def test_a_node_that_stops_gives_its_leases_back_when_their_holders_have_ended(
    cluster: Cluster,
) -> None:
    nodes = cluster.start("abc", lease_time=LONG).nodes
    with nodes["a"].attached():
        holder = process.spawn(process.receive)
        assert global_.register_name("leader", holder, quorum=NODES)
    supervised(nodes["b"])
    eventually(lambda: row(nodes["b"]).standby == holder)
    lease = lease_of(nodes["a"])
    began = time.monotonic()
    nodes["a"].stop()
    assert lease.until == float("-inf")
    assert short(led([nodes["b"], nodes["c"]])) == "b"
    assert time.monotonic() - began < SOON, "it waited for the lease to run out"


def test_no_process_of_a_node_that_stops_gets_a_lease(cluster: Cluster) -> None:
    nodes = cluster.start("abc", lease_time=LONG).nodes
    asked: list[bool] = []

    def at_the_end(*_: Any) -> None:
        gen_server.call(SERVER, ("stop",))
        asked.append(global_.register_name("leader", self_pid(), quorum=NODES))

    nodes["a"].before_stop(at_the_end)
    nodes["a"].stop()
    assert asked == [False]


# The machine sleeps: the clock of leases goes on, that of timers need not.


class Sleeper(SystemClock):
    """A clock of a machine that has been suspended for so long."""

    slept = 0.0

    def boottime(self) -> float:
        return SystemClock.boottime() + self.slept


ONE = ("one@127.0.0.1",)


def test_a_lease_is_over_at_once_after_a_suspend(tmp_path: Path) -> None:
    clock = Sleeper()
    with Node(ONE[0], clock=clock) as one, one.attached():
        global_.start(one, lease_time=0.5)
        holder = process.spawn(process.receive)
        assert global_.register_name("x", holder, quorum=[*ONE])
        ref, lease = process.monitor(holder), global_.lease("x")
        assert lease.valid()
        clock.slept = 100.0
        assert not lease.valid()
        assert global_.whereis_name("x") is None
        assert assert_receive(Down, timeout=5) == Down(ref, holder, ("lease_lost", "x"))


def test_a_lease_that_ran_out_in_a_suspend_is_not_taken_by_the_standby_it_was_for() -> None:
    clock = Sleeper()
    with Node(ONE[0], clock=clock) as one, one.attached():
        global_.start(one, lease_time=0.5)
        pid = process.spawn(process.sleep, 60)

        def register() -> bool:
            ref = one.new_ref(self_pid().number)
            return bool(gen_server.call(SERVER, ("register", "x", pid, ONE, ref)))

        assert register() is False
        (contest,) = leases(one).contests.values()
        first = contest.candidate
        eventually(lambda: first.until > 0)
        clock.slept = 100.0
        register()
        assert first.until == float("-inf")
        assert process.alive(pid), "it held nothing yet that it could lose"


class Paused:
    """A candidate: whoever asks it how long it holds is stopped there, for a while."""

    until_ = 5.0

    def __init__(self, clock: Sleeper) -> None:
        self.clock = clock

    @property
    def until(self) -> float:
        self.clock.slept += 100.0
        return SystemClock.boottime() + self.until_ if self.clock.slept <= 100.0 else self.until_


def test_who_is_stopped_while_he_asks_whether_his_lease_is_valid_is_told_no() -> None:
    clock = Sleeper()
    node = Node("one@127.0.0.1", clock=clock)
    contest: Any = type("Contest", (), {"candidate": Paused(clock)})
    assert not global_.Lease(node, contest).valid()


# Names with a quorum and without.


def plain(node: Node, name: str = "leader") -> Pid:
    """A process that holds the name without a quorum."""
    with node.attached():
        pid = process.spawn(process.receive)
        assert global_.register_name(name, pid)
    return pid


def test_a_standby_of_a_leased_name_waits_for_who_holds_it_without_a_quorum(
    cluster: Cluster,
) -> None:
    nodes = cluster.start("abc", lease_time=0.3).nodes
    holder = plain(nodes["a"])
    eventually(lambda: whereis(nodes["b"]) == holder)
    supervised(nodes["b"])
    eventually(lambda: row(nodes["b"]).standby == holder)
    assert leases(nodes["b"]).contests == {}
    kill(nodes["a"], holder)
    eventually(lambda: led([*nodes.values()]) == row(nodes["b"]).pid)


class Plain(Leader):
    def init(self, arg: Global) -> Ok[Any]:
        return Ok("leads")


@pytest.mark.parametrize("name", [LEADER, Global("leader")])
def test_a_standby_with_or_without_a_quorum_waits_for_who_holds_it_as_a_lease(
    cluster: Cluster, name: Global
) -> None:
    nodes = cluster.start("abc", lease_time=1.0).nodes
    supervised(nodes["a"])
    leader = led([*nodes.values()])
    supervised(nodes["b"], Plain, name)
    eventually(lambda: row(nodes["b"]).standby == leader)
    kill(nodes["a"], nodes["a"].names.whereis("sup"))
    eventually(lambda: led([*nodes.values()]) == row(nodes["b"]).pid)


def test_a_standby_whose_lease_comes_when_the_name_is_registered_without_a_quorum_waits_on(
    cluster: Cluster,
) -> None:
    nodes = cluster.start("a", lease_time=0.3).nodes
    supervised(nodes["a"])  # no majority: it stands by for nobody
    holder = plain(nodes["a"])
    cluster.start("b", lease_time=0.3)
    standby = row(nodes["a"]).pid
    (contest,) = leases(nodes["a"]).contests.values()
    candidate = contest.candidate
    eventually(lambda: candidate.state == "ended", timeout=10)
    assert row(nodes["a"]).standby == holder
    assert whereis(nodes["a"]) == holder
    kill(nodes["a"], holder)
    eventually(lambda: led([*nodes.values()]) == standby)


def test_who_got_a_name_with_and_without_a_quorum_in_a_split_both_stay_and_the_leased_one_is_found(
    cluster: Cluster,
) -> None:
    nodes = cluster.start("abc", lease_time=0.5).nodes
    cluster.partition("ab", "c")
    holder = plain(nodes["c"])
    supervised(nodes["a"])
    leader = led([nodes["a"], nodes["b"]])
    cluster.heal("ab", "c")
    for node in nodes.values():  # all have heard of both
        eventually(lambda node=node: (holders(node), plain_holders(node)) == ([leader], [holder]))  # type: ignore[misc]
        assert whereis(node) == leader
    with nodes["a"].attached():
        assert process.alive(leader)
        assert lease_of(nodes["a"]).valid()
    with nodes["c"].attached():
        assert process.alive(holder)
        assert global_.send("leader", "for the one with the lease") == leader


def holders(node: Node) -> list[Pid]:
    return leases(node).holders.first("leader")


def plain_holders(node: Node) -> list[Pid]:
    service = node.name_services["global"]
    assert isinstance(service, global_.GlobalNames)
    return [*service.names.table.get("leader", {})]
