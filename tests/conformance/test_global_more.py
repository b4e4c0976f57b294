"""Global names and locks, continued: refusals, locks, resolvers, what is sent in error."""

import logging
from functools import partial
from typing import Any

import pytest

from otpy import (
    BadArgument,
    NotAName,
    NotDistributed,
    NotSendable,
    Pid,
    gen_server,
    global_,
    process,
    self_pid,
)
from otpy.cluster._global_server import RESOLVER_DEADLINE
from otpy.runtime.node import Node
from otpy.terms.errors import CallTimeout
from otpy.terms.messages import Down, NameFree
from otpy.terms.names import Global
from otpy.testing import eventually
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.global_helpers import everywhere, spawn, synced

__all__ = ["cluster"]
CALLS: list[tuple[Any, Pid, Pid]] = []


def test_glob_02_a_taken_name_is_refused_from_any_node(cluster: Cluster) -> None:
    """A duplicate from any node -> no; for the same pid too."""
    cluster.start("abc")
    with cluster.nodes["b"].attached():
        holder = spawn()
        assert global_.register_name("x", holder) is True
        assert global_.register_name("x", holder) is False
    for node in cluster.nodes.values():
        with node.attached():
            assert global_.register_name("x", spawn()) is False
    with cluster.nodes["a"].attached():
        assert global_.register_name("x", holder) is False
    assert everywhere(cluster, "x", holder)


def test_glob_02_a_process_of_another_node_may_be_registered(cluster: Cluster) -> None:
    """Names may be any term; the pid may be anywhere in the cluster, and nowhere else."""
    cluster.start("abc")
    with cluster.nodes["b"].attached():
        pid = spawn()
    with cluster.nodes["a"].attached():
        assert global_.register_name(("any", 1, b"term"), pid) is True
        assert ("any", 1, b"term") in global_.registered_names()
        assert global_.register_name("y", Pid(1, "far@127.0.0.1", 1, 1)) is False
    assert everywhere(cluster, ("any", 1, b"term"), pid)
    with cluster.nodes["b"].attached():
        process.exit(pid, "kill")
    eventually(lambda: everywhere(cluster, ("any", 1, b"term"), None))


def test_glob_06_unregistering_frees_everywhere_and_an_unknown_name_is_fine(
    cluster: Cluster,
) -> None:
    """unregister of an unknown name is ok; of another node's name it works."""
    cluster.start("abc")
    with cluster.nodes["b"].attached():
        holder = spawn()
        global_.register_name("x", holder)
    with cluster.nodes["c"].attached():
        global_.unregister_name("nobody")
        global_.unregister_name("x")
        assert global_.whereis_name("x") is None
        eventually(lambda: everywhere(cluster, "x", None))
        assert global_.register_name("x", self_pid()) is True
        assert everywhere(cluster, "x", self_pid())
    with cluster.nodes["b"].attached():
        assert process.alive(holder)
        assert global_.register_name("other", holder) is True


def test_glob_07_several_names_where_the_node_allows_them() -> None:
    """A second name for the same pid unless global_multi_name_action=allow."""
    with Node("many@127.0.0.1") as node:
        with pytest.raises(BadArgument, match="expected 'deny' or 'allow'"):
            global_.start(node, multi_name_action="perhaps")  # type: ignore[arg-type]  # wrong on purpose
        global_.start(node, multi_name_action="allow")
        with node.attached():
            assert global_.register_name("one", self_pid()) is True
            assert global_.register_name("two", self_pid()) is True
            assert global_.registered_names() == ["one", "two"]


def in_process(node: Node, fn: Any) -> tuple[Pid, Any]:
    """A process of a node that has done ``fn``, and lives; with what that gave."""
    with node.attached():
        me = self_pid()

        def body() -> None:
            process.send(me, fn())
            process.receive(where=lambda m: m == "end")

        pid = process.spawn(body)
        return pid, process.receive(timeout=10)


def test_glob_08_a_lock_of_two_processes_is_free_when_neither_has_it(cluster: Cluster) -> None:
    """The requester id may be shared; who does not hold it cannot give it back."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    one, got = in_process(a, lambda: global_.set_lock(("r", "us"), retries=0))
    assert got
    two, got = in_process(b, lambda: global_.set_lock(("r", "us"), retries=0))
    assert got
    with a.attached():
        global_.del_lock(("r", "us"))  # of others
        assert not global_.set_lock(("r", "me"), retries=0)
        process.exit(one, "kill")
        process.monitor(one)
        assert process.receive(Down, timeout=5).pid == one
        assert not global_.set_lock(("r", "me"), retries=0)
        process.exit(two, "kill")
        assert global_.set_lock(("r", "me"), retries=20)


def test_glob_09_a_lock_is_released_when_its_node_goes(cluster: Cluster) -> None:
    """A lock is released when its holder's node goes, or is out of reach."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    _, got = in_process(b, lambda: global_.set_lock(("r", "b")))
    assert got
    with a.attached():
        assert not global_.set_lock(("r", "a"), retries=0)
        cluster.partition("a", "b")
        assert global_.set_lock(("r", "a"), [a.name], retries=20)


def test_glob_10_one_del_lock_frees_a_lock_set_twice(cluster: Cluster) -> None:
    """One del_lock frees a lock set twice by the same process."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    with a.attached():
        assert global_.set_lock(("r", "me"))
        assert global_.set_lock(("r", "me"))
        _, got = in_process(b, lambda: global_.set_lock(("r", "you"), retries=0))
        assert got is False
        global_.del_lock(("r", "me"))
        _, got = in_process(b, lambda: global_.set_lock(("r", "you"), retries=0))
        assert got is True


def test_glob_11_trans_gives_the_result_or_aborted_and_always_gives_back(
    cluster: Cluster,
) -> None:
    """trans returns fun's result, or aborted after retries."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    with a.attached():
        assert global_.trans(("r", "me"), lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            global_.trans(("r", "me"), lambda: 1 / 0)
        pid, got = in_process(b, lambda: global_.set_lock(("r", "you"), retries=0))
        assert got, "trans left its lock"
        assert global_.trans(("r", "me"), lambda: pytest.fail("no lock"), retries=1) == "aborted"
        process.exit(pid, "kill")
        assert global_.trans(("r", "me"), lambda: 8, retries=20) == 8


def test_glob_12_an_attempt_that_fails_leaves_what_was_held_before(cluster: Cluster) -> None:
    """Locks are per node set; OTP's would lose the first one here (see departures)."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    _, got = in_process(b, lambda: global_.set_lock(("r", "you"), [b.name]))
    assert got
    with a.attached():
        assert global_.set_lock(("r", "me"), [a.name])
        assert not global_.set_lock(("r", "me"), [a.name, b.name], retries=0)
        _, got = in_process(b, lambda: global_.set_lock(("r", "x"), [a.name], retries=0))
        assert got is False


def crashes(name: Any, first: Pid, second: Pid) -> Pid:
    raise ValueError("no idea")


def hangs(name: Any, first: Pid, second: Pid) -> None:
    process.receive()


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    __hash__ = None  # type: ignore[assignment]  # on purpose


def gives_rubbish(name: Any, first: Pid, second: Pid) -> Any:
    return Hostile()


def notes_the_call(name: Any, first: Pid, second: Pid) -> Pid:
    CALLS.append((name, first, second))
    return second


def conflict(cluster: Cluster, resolve: Any) -> tuple[Pid, Pid]:
    """The same name on both sides of a split that is healed; the pids, sorted."""
    cluster.start("abc")
    cluster.partition("ab", "c")
    pids: list[Pid] = []
    for short in "ac":
        with cluster.nodes[short].attached():
            pid = spawn()
            pids.append(pid)
            eventually(lambda pid=pid: global_.register_name("x", pid, resolve))  # type: ignore[misc]
    cluster.heal("ab", "c")
    return min(pids), max(pids)


def alive_everywhere(cluster: Cluster) -> bool:
    return all(node.names.whereis("global_name_server") for node in cluster.nodes.values())


def test_glob_15_a_resolver_that_gives_rubbish_frees_the_name(cluster: Cluster) -> None:
    """A bad value removes the name, and does the name server no harm."""
    conflict(cluster, gives_rubbish)
    eventually(lambda: everywhere(cluster, "x", None))
    assert alive_everywhere(cluster)


def test_glob_15_a_resolver_runs_once_for_a_conflict(cluster: Cluster) -> None:
    """Whichever node is told first, and with the pids in order."""
    CALLS.clear()
    first, second = conflict(cluster, notes_the_call)
    eventually(lambda: everywhere(cluster, "x", second))
    synced(cluster)
    assert [("x", first, second)] == CALLS


def test_glob_16_after_a_crash_of_the_resolver_a_pid_is_still_chosen(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """A crashing resolver behaves as badrpc: a pid is chosen, the one that sorts first."""
    first, second = conflict(cluster, crashes)
    eventually(lambda: everywhere(cluster, "x", first))
    assert alive_everywhere(cluster)
    eventually(lambda: "the resolver of 'x' gave no answer" in caplog.text)
    with cluster.nodes[second.node[0]].attached():
        assert process.alive(second)


def test_glob_16_a_resolver_that_takes_too_long_is_ended() -> None:
    """After its deadline, in virtual time."""
    names = ("a@sim", "b@sim")
    sim = ClusterSimulation(1, names)
    sim.wait(lambda: all(mesh.nodes() for mesh in sim.meshes.values()))
    sim.partition(["a@sim"], ["b@sim"])
    sim.wait(lambda: not any(mesh.nodes() for mesh in sim.meshes.values()))

    def register() -> Pid:
        pid: Pid = spawn()
        assert global_.register_name("x", pid, hangs)
        return pid

    pids = [sim.call(name, register) for name in names]
    sim.heal()
    services: list[Any] = [sim.nodes[name].name_services["global"] for name in names]
    sim.wait(lambda: all(mesh.nodes() for mesh in sim.meshes.values()))

    def all_have(claims: list[Pid]) -> bool:
        return all(sorted(one.names.table["x"]) == claims for one in services)

    sim.wait(lambda: all_have(sorted(pids)), 0.5)
    took = sim.wait(lambda: all_have([min(pids)]))
    assert RESOLVER_DEADLINE - 1 < took < RESOLVER_DEADLINE + 1


def test_glob_17_the_same_pid_on_both_sides_is_no_conflict(cluster: Cluster) -> None:
    """Same pid on both sides: the resolver is not called."""
    CALLS.clear()
    cluster.start("abc", prevent_overlapping_partitions=False)
    with cluster.nodes["b"].attached():
        pid = spawn()
        assert global_.register_name("x", pid, notes_the_call)
    cluster.partition("a", "c")
    assert everywhere(cluster, "x", pid)
    cluster.heal("a", "c")
    synced(cluster)
    assert everywhere(cluster, "x", pid)
    cluster.partition("ab", "c")
    cluster.heal("ab", "c")
    eventually(lambda: everywhere(cluster, "x", pid))
    synced(cluster)
    assert CALLS == []


def test_glob_18_each_function_refuses_what_it_cannot_use(cluster: Cluster) -> None:
    """Bad input raises and names the value; the server goes on."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        me: Any = self_pid()

        def unnamed(name: Any, first: Pid, second: Pid) -> Pid:
            return first

        bad: list[tuple[type[Exception], Any, tuple[Any, ...]]] = [
            (BadArgument, global_.re_register_name, ("x", "me")),
            (BadArgument, global_.re_register_name, ("x", me, "no:such")),
            (BadArgument, global_.register_name, ("x", me, unnamed)),
            (NotAName, global_.register_name, ("\ud800", me)),
            (NotAName, global_.register_name, (("x", None), me)),
            (NotAName, global_.unregister_name, (None,)),
            (NotAName, global_.whereis_name, ([],)),
            (NotAName, global_.send, ({}, "x")),
            (NotAName, global_.monitor_name, (1.0,)),
            (BadArgument, global_.set_lock, (("r",),)),
            (BadArgument, global_.set_lock, (([], "me"),)),
            (BadArgument, global_.set_lock, (("r", "me"), "a@127.0.0.1")),
            (BadArgument, global_.set_lock, (("r", "me"), [1])),
            (BadArgument, global_.set_lock, (("r", "me"), None, -1)),
            (BadArgument, global_.set_lock, (("r", "me"), None, True)),
            (NotSendable, global_.set_lock, (("r", object()),)),
            (BadArgument, global_.del_lock, ("r",)),
            (BadArgument, global_.trans, (("r", "me"), 7)),
        ]
        for error, function, args in bad:
            with pytest.raises(error):
                function(*args)
        assert global_.set_lock(("r", "me"), [])
        assert global_.register_name("x", me) is True
    assert alive_everywhere(cluster)


def test_glob_18_a_node_without_names_says_so() -> None:
    with Node("bare@127.0.0.1") as node, node.attached():
        calls: list[tuple[Any, tuple[Any, ...]]] = [
            (global_.register_name, ("x", self_pid())),
            (global_.whereis_name, ("x",)),
            (global_.set_lock, (("r", "me"),)),
            (global_.del_lock, (("r", "me"),)),
            (global_.sync, ()),
        ]
        for function, args in calls:
            with pytest.raises(NotDistributed):
                function(*args)


def test_glob_18_an_exit_reason_that_cannot_be_sent_harms_nobody(cluster: Cluster) -> None:
    """The other nodes hear that the name is free all the same."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    with a.attached():
        pid = spawn()
        assert global_.register_name("x", pid)
        ref = global_.monitor_name("x")
        with b.attached():
            there = global_.monitor_name("x")
            with a.attached():
                process.exit(pid, lambda: None)
            free = process.receive(NameFree, timeout=5)
            assert free.ref == there
            assert free.reason[0] == "not_sendable"
        assert process.receive(NameFree, timeout=5).ref == ref
    eventually(lambda: everywhere(cluster, "x", None))
    assert alive_everywhere(cluster)


def test_glob_22_more_garbage_is_ignored(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Garbage of every kind of message; an unknown call is logged and not answered, as in OTP."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    with a.attached(), caplog.at_level(logging.WARNING):
        bodies: tuple[Any, ...] = (
            ("sync", [1]),
            ("sync", ((1,), ([], self_pid(), "default"))),
            ("claim", [], ("x", self_pid(), "default", False, ())),
            ("claim", 1, ([], self_pid(), "default", False, ())),
            ("own", 1, ("x", 2, 3, 4, 5)),
            ("ask", 1, ()),
            ("done", [], []),
            ("done", "x", []),
            ("said", 1, "yes", 3),
            ("gone", {}, 1, 2),
            ("resolved", "x", None),
            (),
            "x",
        )
        for body in bodies:
            process.send("global_name_server", ("global", b.name, body))
        for info in (Down(a.new_ref(), self_pid(), "x"), ("resolver_deadline", a.new_ref())):
            process.send("global_name_server", info)
        with pytest.raises(CallTimeout):
            gen_server.call("global_name_server", "nonsense", timeout=0.05)
        assert "does not know the call 'nonsense'" in caplog.text
        assert global_.register_name("x", self_pid()) is True
    assert alive_everywhere(cluster)


def test_glob_22_a_resolver_that_is_not_loaded_counts_as_a_crash(cluster: Cluster) -> None:
    """A node takes part in names whose resolver it has never heard of."""
    cluster.start("abc")
    cluster.partition("ab", "c")
    pids: list[Pid] = []
    for short in "ac":
        node = cluster.nodes[short]
        with node.attached():
            pid = spawn()
            pids.append(pid)
            register: Any = node.name_services["global"].register_name
            eventually(partial(register, "x", pid, "no.such:function"))
    cluster.heal("ab", "c")
    eventually(lambda: everywhere(cluster, "x", min(pids)))
    assert alive_everywhere(cluster)


def test_glob_03_the_server_keeps_nothing_of_what_is_over(cluster: Cluster) -> None:
    """Watchers that ended, locks given back, calls answered, masks: nothing is left."""
    cluster.start("ab")
    a, b = cluster.nodes.values()
    service: Any = a.name_services["global"]
    with b.attached():
        holder = spawn()
        assert global_.register_name("x", holder)

    def watch() -> None:
        global_.monitor_name("x")

    with a.attached():
        for _ in range(20):
            process.spawn(watch, monitor=True, green=True)
            process.receive(Down, timeout=5)
    with b.attached():
        for number in range(20):
            assert global_.trans(("r", number), lambda: True)
            assert not global_.register_name("x", spawn())
    eventually(lambda: not service.names.watchers and not service.names.waiting)
    for node in (a, b):
        server = node.procs[node.names.table["global_name_server"]]
        eventually(lambda server=server: not server.deferred)  # type: ignore[misc]
        loop: Any = server.server
        state: Any = loop.state
        eventually(lambda state=state: not state.locks.table and not state.locks.held_by)  # type: ignore[misc]
        far = ("server", (b if node is a else a).name)
        watched = {far, ("names", holder)} if node is b else {far}
        eventually(lambda state=state, watched=watched: state.watched.keys() == watched)  # type: ignore[misc]
        assert len(state.refs) == len(state.watched)


def test_glob_01_after_sync_the_names_of_all_connected_nodes_are_known() -> None:
    """Two nodes that have just met, over seeds."""
    for seed in range(40):
        sim = ClusterSimulation(seed, ("a@sim", "b@sim"))
        sim.partition(["a@sim"], ["b@sim"])
        sim.wait(lambda sim=sim: not any(mesh.nodes() for mesh in sim.meshes.values()))  # type: ignore[misc]

        def register() -> Pid:
            pid: Pid = spawn()
            assert global_.register_name("x", pid)
            return pid

        pid = sim.call("a@sim", register)
        sim.heal()
        sim.wait(lambda sim=sim: bool(sim.nodes["b@sim"].peers))  # type: ignore[misc]

        def look() -> Any:
            global_.sync()
            return gen_server.whereis(Global("x"))

        assert sim.call("b@sim", look) == pid, f"seed {seed}"
