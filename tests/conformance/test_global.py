"""Global names and locks (GLOB) on three nodes over a real mesh."""

from typing import Any

import pytest

from otpy import (
    BadArgument,
    Down,
    NotAName,
    NotRegistered,
    ReceiveTimeout,
    global_,
    process,
    self_pid,
)
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.global_helpers import everywhere, spawn, synced

__all__ = ["cluster"]


def test_glob_01_a_name_is_seen_everywhere_when_register_returns(cluster: Cluster) -> None:
    """register_name yes/no; visible on all connected nodes when it returns; duplicates no."""
    cluster.start("abc")
    for short in "abc":
        with cluster.nodes[short].attached():
            pid = spawn()
            assert global_.register_name(f"name {short}", pid) is True
            assert everywhere(cluster, f"name {short}", pid)
    for short in "abc":  # GLOB-02
        with cluster.nodes[short].attached():
            assert global_.register_name("name b", spawn()) is False


def test_glob_03_a_name_goes_with_its_process_and_with_its_node(cluster: Cluster) -> None:
    """A name is removed everywhere when its process or node dies."""
    cluster.start("abc")
    with cluster.nodes["b"].attached():
        pid, other = spawn(), spawn()
        global_.register_name("one", pid)
        global_.register_name("two", other)
        process.exit(pid, "kill")
    eventually(lambda: everywhere(cluster, "one", None))
    cluster.nodes.pop("b").stop()
    eventually(lambda: everywhere(cluster, "two", None))


def test_glob_04_re_register_replaces(cluster: Cluster) -> None:
    """re_register replaces and stops watching the old pid."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        old, new = spawn(), spawn()
        global_.register_name("x", old)
        watched = process.info(old, "monitored_by")
        assert watched is not None
        (server,) = watched["monitored_by"]
        assert server == process.whereis("global_name_server")
        assert global_.re_register_name("x", new) is True
        eventually(lambda: process.info(old, "monitored_by") == {"monitored_by": []})
        assert process.info(new, "monitored_by") == {"monitored_by": [server]}
        ref = process.monitor(old)
        process.exit(old, "kill")
        assert process.receive(timeout=5).ref == ref
    synced(cluster)  # a death that was heard of has been acted on
    assert everywhere(cluster, "x", new)


def test_glob_05_send_to_a_missing_name_raises(cluster: Cluster) -> None:
    """send to a missing name is badarg; else it gives the pid; unregister of it is ok (GLOB-06)."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        with pytest.raises(NotRegistered):
            global_.send("nobody", "x")
        global_.unregister_name("nobody")
        global_.register_name("me", self_pid())
        with cluster.nodes["b"].attached():
            global_.send("me", "hello")
        assert process.receive(timeout=5) == "hello"


def test_glob_07_a_process_has_one_global_name(cluster: Cluster) -> None:
    """A second name for the same pid -> no."""
    cluster.start("ab")
    with cluster.nodes["b"].attached():
        pid = spawn()
        assert global_.register_name("first", pid) is True
        assert global_.register_name("second", pid) is False


def test_glob_08_a_lock_is_reentrant_for_its_requester_only(cluster: Cluster) -> None:
    """Same requester re-entrant; another false after retries; one del_lock frees (GLOB-10)."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        assert global_.set_lock(("r", "me"))
        assert global_.set_lock(("r", "me"))
        with cluster.nodes["b"].attached():
            assert not global_.set_lock(("r", "you"), retries=1)
            assert global_.trans(("r", "you"), lambda: 1, retries=0) == "aborted"  # GLOB-11
        global_.del_lock(("r", "me"))
        with cluster.nodes["b"].attached():
            assert global_.trans(("r", "you"), lambda: "done", retries=0) == "done"


def test_glob_09_a_lock_is_released_when_its_holder_dies(cluster: Cluster) -> None:
    """A lock is released when its holder dies."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        process.spawn_monitor(lambda: global_.set_lock(("r", "gone")))
        process.receive(timeout=5)
        assert global_.set_lock(("r", "me"), retries=20)


def test_glob_12_disjoint_node_sets_do_not_conflict(cluster: Cluster) -> None:
    """Locks are per node set."""
    cluster.start("abc")
    a, b, c = (node.name for node in cluster.nodes.values())
    with cluster.nodes["a"].attached():
        assert global_.set_lock(("r", 1), [a])
        assert global_.set_lock(("r", 2), [b])
        assert not global_.set_lock(("r", 3), [b, c], retries=0)
        assert global_.set_lock(("r", 3), [c], retries=0)


def split_names(cluster: Cluster, resolve: Any) -> tuple[Any, Any]:
    """The same name on both sides of a split; the two pids."""
    cluster.start("abc")
    cluster.partition("ab", "c")
    pids: list[Any] = []
    for short in "ac":
        node = cluster.nodes[short]
        with node.attached():
            pid = process.spawn(holder, green=True)
            pids.append(pid)
            eventually(lambda pid=pid: global_.register_name("x", pid, resolve))  # type: ignore[misc]
    return pids[0], pids[1]


def holder() -> None:
    process.flag(trap_exit=True)
    message = process.receive()
    process.register(self_pid(), "told")
    process.put("message", message)
    process.receive(where=lambda m: m == "end")


def told(cluster: Cluster, short: str, pid: Any) -> Any:
    proc = cluster.nodes[short].procs[pid]
    eventually(lambda: proc.dictionary)
    assert proc.dictionary is not None
    return proc.dictionary["message"]


def test_glob_13_after_a_heal_one_pid_is_left_everywhere(cluster: Cluster) -> None:
    """Partition heal: one pid is kept, all nodes agree; the loser gets name_conflict."""
    first, second = split_names(cluster, "default")
    cluster.heal("ab", "c")
    winner, loser = sorted((first, second))
    eventually(lambda: everywhere(cluster, "x", winner))
    short = loser.node[0]
    assert told(cluster, short, loser).reason == ("name_conflict", "x", winner)


def test_glob_13_random_exit_name_kills_the_loser_without_a_word(cluster: Cluster) -> None:
    """Partition heal: random_exit_name keeps one pid and kills the other, which trapped exits."""
    first, second = split_names(cluster, global_.random_exit_name)
    winner, loser = sorted((first, second))
    with cluster.nodes[loser.node[0]].attached():
        ref = process.monitor(loser)
        cluster.heal("ab", "c")
        down: Down = process.receive(Down, timeout=5)
        assert (down.ref, down.reason) == (ref, "killed")
    synced(cluster)
    assert everywhere(cluster, "x", winner)
    assert not cluster.nodes[winner.node[0]].procs[winner].dictionary  # it was told nothing


def test_glob_14_notify_resolvers_leave_processes_alive(cluster: Cluster) -> None:
    """random_notify_name: the loser is alive and notified."""
    first, second = split_names(cluster, global_.random_notify_name)
    cluster.heal("ab", "c")
    winner, loser = sorted((first, second))
    eventually(lambda: everywhere(cluster, "x", winner))
    assert told(cluster, loser.node[0], loser) == ("global_name_conflict", "x")
    with cluster.nodes[loser.node[0]].attached():
        assert process.alive(loser)
    assert not cluster.nodes[winner.node[0]].procs[winner].dictionary  # it was told nothing


def test_glob_14_notify_all_frees_the_name(cluster: Cluster) -> None:
    """notify_all_name unregisters both and tells both."""
    first, second = split_names(cluster, global_.notify_all_name)
    cluster.heal("ab", "c")
    eventually(lambda: everywhere(cluster, "x", None))
    assert told(cluster, "a", first) == ("global_name_conflict", "x", second)
    assert told(cluster, "c", second) == ("global_name_conflict", "x", first)
    for short, pid in (("a", first), ("c", second)):
        with cluster.nodes[short].attached():
            assert process.alive(pid)


def keep_larger(name: Any, first: Any, second: Any) -> Any:
    return max(first, second)


def free_it(name: Any, first: Any, second: Any) -> Any:
    return None


def test_glob_15_a_resolver_function_decides(cluster: Cluster) -> None:
    """A custom resolver's pid is registered everywhere."""
    first, second = split_names(cluster, keep_larger)
    cluster.heal("ab", "c")
    eventually(lambda: everywhere(cluster, "x", max(first, second)))


def test_glob_15_a_resolver_that_gives_none_frees_the_name(cluster: Cluster) -> None:
    """A resolver returning none removes the name."""
    split_names(cluster, free_it)
    cluster.heal("ab", "c")
    eventually(lambda: everywhere(cluster, "x", None))


def test_glob_18_bad_input_raises_and_the_server_goes_on(cluster: Cluster) -> None:
    """Bad input raises without crashing the server."""
    cluster.start("a")
    with cluster.nodes["a"].attached():
        with pytest.raises(NotAName):
            global_.register_name(1.5, self_pid())
        with pytest.raises(BadArgument, match="expected a Pid"):
            global_.register_name("x", "me")  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(BadArgument, match="resolve"):
            global_.register_name("x", self_pid(), "sometimes")
        with pytest.raises(BadArgument, match="lock"):
            global_.set_lock("r")  # type: ignore[arg-type]  # wrong on purpose
        assert global_.register_name("x", self_pid()) is True


def test_glob_22_garbage_messages_are_ignored(cluster: Cluster) -> None:
    """Garbage messages are ignored."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        for garbage in ("x", ("global", "b@127.0.0.1", ("ins",)), ("global", 1, 2), None):
            process.send("global_name_server", garbage)
        assert global_.register_name("x", self_pid()) is True
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)
