"""Process groups (PG) on several nodes over a real mesh, and under seeds in a simulated one."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from otpy import (
    At,
    Down,
    GroupJoin,
    GroupLeave,
    Node,
    Pid,
    gen_server,
    pg,
    process,
    self_pid,
    supervisor,
)
from otpy.cluster._deaths import MASKS, Deaths
from otpy.cluster._pg_server import Scopes, State
from otpy.machines.pg import Send
from otpy.testing import eventually
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
A, B, C = NAMES = ("a@sim", "b@sim", "c@sim")


def spawn() -> Pid:
    """A process that does nothing until it is ended."""
    return process.spawn(process.sleep, float("inf"), green=True)


def member(*groups: Any, scope: str = "pg") -> Pid:
    """A process of this node that is in the groups."""
    pid = spawn()
    for group in groups:
        pg.join(group, pid, scope=scope)
    return pid


def ended(pid: Pid) -> None:
    """End a process of this node; its scope, which watched it before, has been told then."""
    ref = process.monitor(pid)
    process.exit(pid, "kill")
    assert process.receive(Down, timeout=5).ref == ref


def on(node: Node, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What ``fn`` returns as a process of a node."""
    with node.attached():
        return fn(*args, **options)


def started(cluster: Cluster, names: str) -> list[Node]:
    """Nodes that run the scope "pg"."""
    cluster.start(names)
    for node in cluster.nodes.values():
        on(node, pg.start)
    return list(cluster.nodes.values())


def everywhere(nodes: list[Node], group: Any, pids: list[Pid]) -> None:
    """Wait until all see these members."""
    for node in nodes:
        eventually(lambda node=node: on(node, pg.get_members, group) == sorted(pids))  # type: ignore[misc]


def test_pg_07_all_members_and_those_of_this_node(cluster: Cluster) -> None:
    """get_local_members vs get_members."""
    a, b = started(cluster, "ab")
    here, there = on(a, member, "g", "only a"), on(b, member, "g")
    everywhere([a, b], "g", [here, there])
    assert on(a, pg.get_local_members, "g") == [here]
    assert on(b, pg.get_local_members, "g") == [there]
    eventually(lambda: on(b, pg.get_members, "only a") == [here])
    assert on(b, pg.get_local_members, "only a") == []
    assert sorted(on(b, pg.which_groups)) == ["g", "only a"]
    assert on(b, pg.which_local_groups) == ["g"]


def test_pg_05_members_go_with_their_process_and_with_their_node(cluster: Cluster) -> None:
    """members removed on process death (all occurrences) and node down."""
    a, b, c = started(cluster, "abc")
    one, two, three = on(a, member, "g"), on(b, member, "g", "g", "h"), on(c, member, "g")
    everywhere([a, b, c], "g", [one, two, two, three])
    on(b, process.exit, two, "kill")
    everywhere([a, b, c], "g", [one, three])
    eventually(lambda: on(a, pg.which_groups) == ["g"])
    cluster.nodes.pop("c").stop()
    everywhere([a, b], "g", [one])


def test_pg_06_an_empty_group_disappears_on_all_nodes(cluster: Cluster) -> None:
    """empty group disappears from which_groups on all nodes."""
    a, b = started(cluster, "ab")
    pid = on(a, member, "g")
    eventually(lambda: on(b, pg.which_groups) == ["g"])
    on(a, pg.leave, "g", pid)
    eventually(lambda: on(b, pg.which_groups) == [])


def test_pg_08_a_monitor_hears_of_other_nodes_in_order(cluster: Cluster) -> None:
    """monitor returns current members, then {Ref,join,Group,Pids} / {Ref,leave,Group,Pids}
    in order, one event per call."""
    a, b = started(cluster, "ab")
    one, two = on(b, member, "g"), on(b, spawn)
    everywhere([a], "g", [one])
    with a.attached():
        ref, members = pg.monitor("g")
        assert members == [one]
        with b.attached():
            pg.join("g", [two, two])
            pg.leave("g", [two, self_pid()])
            stranger = self_pid()
            process.exit(one, "kill")
        assert [process.receive(timeout=5) for _ in range(3)] == [
            GroupJoin(ref, "g", (two, two)),
            GroupLeave(ref, "g", (two, stranger)),
            GroupLeave(ref, "g", (one,)),
        ]
        on(b, pg.join, "g", [two])
        assert process.receive(timeout=5) == GroupJoin(ref, "g", (two,))
        cluster.nodes.pop("b").stop()
        assert process.receive(timeout=5) == GroupLeave(ref, "g", (two, two))


def test_pg_11_a_node_that_comes_late_is_told_everything(cluster: Cluster) -> None:
    """late joiner node receives state; heal after netsplit resyncs."""
    (a,) = started(cluster, "a")
    pids = [on(a, member, "g", ("room", number)) for number in range(50)]
    cluster.start("b")
    b = cluster.nodes["b"]
    assert on(b, pg.get_members, "g") == []
    on(b, pg.start)
    everywhere([b], "g", pids)
    eventually(lambda: len(on(b, pg.which_groups)) == 51)
    late = on(b, member, "g")
    everywhere([a, b], "g", [*pids, late])


def test_pg_11_each_side_of_a_split_keeps_its_own_and_all_is_back_after_the_heal(
    cluster: Cluster,
) -> None:
    """late joiner node receives state; heal after netsplit resyncs."""
    a, b, c = started(cluster, "abc")
    one, two, three = (on(node, member, "g") for node in (a, b, c))
    everywhere([a, b, c], "g", [one, two, three])
    with a.attached():
        ref, _ = pg.monitor("g")
        cluster.partition("ab", "c")
        everywhere([a, b], "g", [one, two])
        everywhere([c], "g", [three])
        assert process.receive(timeout=5) == GroupLeave(ref, "g", (three,))
        on(c, process.exit, three, "kill")
        four = on(c, member, "g", "new")
        on(b, pg.leave, "g", two)
        assert process.receive(timeout=5) == GroupLeave(ref, "g", (two,))
        cluster.heal("ab", "c")
        everywhere([a, b, c], "g", [one, four])
        everywhere([a, b, c], "new", [four])
        assert process.receive(timeout=5) == GroupJoin(ref, "g", (four,))


def test_pg_12_a_scope_that_starts_anew_loses_its_own_and_regains_the_others(
    cluster: Cluster,
) -> None:
    """scope restart loses local, regains remote members."""
    a, b = started(cluster, "ab")
    one, two = on(a, member, "g"), on(b, member, "g")
    everywhere([a, b], "g", [one, two])
    with a.attached():
        gen_server.stop("pg")
        everywhere([b], "g", [two])
        assert pg.get_members("g") == []
        supervisor.start_link([pg.child_spec()], strategy="one_for_one")
        everywhere([a, b], "g", [two])
        pg.join("g", one)
        everywhere([a, b], "g", [one, two])
        first = process.whereis("pg")
        assert first is not None
        process.exit(first, "kill")
        everywhere([a, b], "g", [two])
        eventually(lambda: process.whereis("pg") not in (None, first))
        everywhere([a, b], "g", [two])
        pg.join("g", one)
        everywhere([a, b], "g", [one, two])


def test_pg_16_a_node_that_does_not_run_the_scope_has_no_say(cluster: Cluster) -> None:
    """messages from non-overlay scopes rejected."""
    a, b = started(cluster, "ab")
    on(a, pg.start, "other")
    pid = on(b, spawn)
    with b.attached():
        for body in (("join", self_pid(), "g", [7]), ("leave", self_pid(), ["g"], [7])):
            process.send(At("other", a.name), ("pg", body))
        process.send(At("other", a.name), ("pg", ("sync", self_pid(), True, True, [("g", [7])])))
    on(b, pg.join, "g", pid)  # in the scope that both run
    everywhere([a, b], "g", [pid])
    with a.attached():
        pg.leave("g", self_pid(), scope="other")  # what came before is dealt with
        assert pg.which_groups(scope="other") == []


def test_pg_16_scopes_are_apart(cluster: Cluster) -> None:
    """messages from non-overlay scopes rejected."""
    a, b = started(cluster, "ab")
    on(a, pg.start, "one")
    on(b, pg.start, "two")
    on(a, member, "g", scope="one")
    pid = on(a, member, "after")
    everywhere([b], "after", [pid])
    with b.attached():
        assert pg.which_groups() == ["after"]
        assert pg.which_groups(scope="two") == []


GROUPS, EACH = 10_000, 10


def test_pg_18_a_hundred_thousand_memberships_come_over_and_go_again(cluster: Cluster) -> None:
    """large syncs do not block joins."""
    (a,) = started(cluster, "a")
    with a.attached():
        pids = [spawn() for _ in range(EACH)]
        for group in range(GROUPS):
            pg.join(("group", group), pids)
    cluster.start("b")
    b = cluster.nodes["b"]
    on(b, pg.start)
    with b.attached():
        eventually(lambda: pg.get_members(("group", 0)), 30)  # the last to come
        with a.attached():
            pg.join("after", pids)
        eventually(lambda: pg.get_members("after") == sorted(pids), 30)
        assert all(pg.get_members(("group", n)) == sorted(pids) for n in range(GROUPS))
        with a.attached():
            gen_server.stop("pg")
        eventually(lambda: not pg.get_members("after"), 30)
        eventually(lambda: pg.which_groups() == [], 30)


# Under seeds.


def simulated(seed: int, names: tuple[str, ...] = NAMES) -> ClusterSimulation:
    """A simulated cluster whose nodes run the scope."""
    sim = ClusterSimulation(seed, names)
    sim.wait(lambda: all(len(mesh.nodes()) == len(names) - 1 for mesh in sim.meshes.values()))
    for name in names:
        sim.call(name, pg.start)
    return sim


def seen(sim: ClusterSimulation, name: str) -> list[Pid]:
    members: list[Pid] = sim.call(name, pg.get_members, "g")
    return members


def agree(sim: ClusterSimulation, names: tuple[str, ...], pids: list[Pid]) -> None:
    sim.wait(lambda: all(seen(sim, name) == sorted(pids) for name in names))


@pytest.mark.parametrize("seed", range(40))
def test_pg_11_all_agree_after_a_split_a_kill_and_a_heal(seed: int) -> None:
    """late joiner node receives state; heal after netsplit resyncs; the smallest is the same."""
    sim = simulated(seed)
    pids = {name: sim.call(name, member, "g") for name in NAMES}
    agree(sim, NAMES, list(pids.values()))
    sim.partition([A, B], [C])
    agree(sim, (A, B), [pids[A], pids[B]])
    agree(sim, (C,), [pids[C]])
    more = sim.call(C, member, "g")
    sim.kill(B)
    agree(sim, (A,), [pids[A]])
    sim.heal()
    agree(sim, (A, C), [pids[A], pids[C], more])
    sim.restart(B)
    sim.call(B, pg.start)
    back = sim.call(B, member, "g")
    agree(sim, NAMES, [pids[A], pids[C], more, back])
    assert len({min(seen(sim, name)) for name in NAMES}) == 1


def hears(pid: Pid) -> None:
    """Hear of a process's end, and look at once."""
    process.monitor(pid)
    process.exit(pid, "kill")
    process.receive(Down, timeout=30)
    assert pid not in pg.get_members("g")
    assert pg.which_groups() == ["other"]


def joins_when_told() -> None:
    process.receive()
    for _ in range(50):
        pg.join("meanwhile", self_pid())
    process.sleep(float("inf"))


def test_pg_18_joins_are_dealt_with_between_the_pieces_of_a_sync(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """large syncs do not block joins."""
    sent: list[str] = []
    do = State.do

    def watched(self: State, effects: Any) -> None:
        sent.extend(e.message[0] for e in effects if isinstance(e, Send) and e.pid.node == B)
        if sent.count("sync") == 1:
            self.node.deliver(joiner, "now")
        do(self, effects)

    monkeypatch.setattr(State, "do", watched)
    monkeypatch.setattr("otpy.machines.pg.PIECE", 500)
    sim = ClusterSimulation(5, (A, B))
    sim.wait(lambda: all(mesh.nodes() for mesh in sim.meshes.values()))
    sim.call(A, pg.start)
    sim.call(A, member, *range(200))
    joiner = sim.call(A, lambda: process.spawn(joins_when_told, green=True))
    sim.call(B, pg.start)
    sim.wait(lambda: len(sim.call(B, pg.which_groups)) == 201)
    pieces = [place for place, kind in enumerate(sent) if kind == "sync"]
    between = [sent[one:other].count("join") for one, other in pairwise(pieces)]
    assert len(between) > 5
    assert between[0] > 0, "no join had its turn before the second piece"


@pytest.mark.parametrize("seed", range(40))
def test_pg_05_who_has_heard_of_an_end_never_finds_the_pid(seed: int) -> None:
    """The Down comes from the process's own node, and may be faster than the scope's word."""
    sim = simulated(seed)
    pid = sim.call(B, member, "g")
    other = sim.call(B, member, "other")
    sim.wait(lambda: sim.call(C, pg.get_members, "other") == [other])
    agree(sim, NAMES, [pid])
    sim.call(C, hears, pid)


def test_pg_05_without_the_mask_the_dead_pid_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_mask(self: Deaths, pid: Pid) -> None:
        """Forget it."""

    monkeypatch.setattr(Deaths, "mask", no_mask)
    found = 0
    for seed in range(40):
        try:
            test_pg_05_who_has_heard_of_an_end_never_finds_the_pid(seed)
        except AssertionError:
            found += 1
    assert found > 0


def test_pg_05_a_mask_stays_as_long_as_the_scope_has_the_pid() -> None:
    """However many die elsewhere meanwhile."""
    sim = simulated(1, (A, B))
    pid = sim.call(B, member, "g")
    agree(sim, (A,), [pid])
    deaths = sim.nodes[A].own(Scopes).deaths
    deaths.mask(pid)
    for number in range(2 * MASKS):
        deaths.mask(Pid(pid.started, B, pid.bits, 1000 + number))
    assert seen(sim, A) == []
    assert len(deaths.masks) == MASKS
    sim.call(B, pg.leave, "g", pid)
    sim.wait(lambda: not sim.nodes[A].own(Scopes).table["pg"].groups.table)
    for number in range(2 * MASKS):
        deaths.mask(Pid(pid.started, B, pid.bits, 1000 + number))
    assert pid not in deaths.masks


def story(seed: int) -> str:
    sim = simulated(seed)
    pids = [sim.call(name, member, "g") for name in NAMES]
    agree(sim, NAMES, pids)
    sim.kill(A)
    agree(sim, (B, C), pids[1:])
    return f"{pids} {sim.sched.clock.time}"


def test_pg_11_the_same_seed_tells_the_same_story() -> None:
    assert story(3) == story(3)
    assert story(3) != story(4)


def test_pg_11_two_nodes_on_which_everything_is_there_before_they_meet() -> None:
    """Neither hears of the other's scope before it has members of its own."""
    for seed in range(20):
        sim = ClusterSimulation(seed, (A, B))
        sim.partition([A], [B])
        sim.wait(lambda sim=sim: not any(mesh.nodes() for mesh in sim.meshes.values()))  # type: ignore[misc]
        for name in (A, B):
            sim.call(name, pg.start)
        pids = [sim.call(name, member, "g") for name in (A, B)]
        sim.heal()
        agree(sim, (A, B), pids)
