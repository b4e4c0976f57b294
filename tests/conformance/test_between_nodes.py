"""Calls, links and monitors between nodes (GS, LINK, MON, PROC), on a real mesh."""

import os
import socket
import time
from typing import Any

import pytest

from otpy import (
    At,
    CallExit,
    Down,
    Exit,
    GenServer,
    NodeDown,
    NoReply,
    Ok,
    Pid,
    ReceiveTimeout,
    Reply,
    gen_server,
    process,
    self_pid,
)
from otpy.distribution.directory import Directory
from otpy.machines.discovery import Entry
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
A, B = "a@127.0.0.1", "b@127.0.0.1"


class Keeper(GenServer[list[Any]], green=True):
    """Traps exits and keeps every message."""

    def init(self, arg: list[Any]) -> Any:
        process.flag(trap_exit=True)
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: list[Any]) -> Any:
        return Reply(state)

    def handle_cast(self, request: Any, state: list[Any]) -> Any:
        return NoReply([*state, request])

    def handle_info(self, message: Any, state: list[Any]) -> Any:
        return NoReply([*state, message])


def keeper_on(cluster: Cluster, short: str) -> Pid:
    with cluster.nodes[short].attached():
        return gen_server.start(Keeper, [], name="keeper")


def kept(cluster: Cluster, short: str) -> list[Any]:
    with cluster.nodes[short].attached():
        found: list[Any] = gen_server.call("keeper", "all")
        return found


def test_gs_29_a_call_to_another_node(cluster: Cluster) -> None:
    """remote: dead node -> {{nodedown, Node}, ...}; live node missing name -> noproc."""
    cluster.start("ab")
    pid = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        for server in (pid, At("keeper", B)):
            assert gen_server.call(server, "x") == []
        with pytest.raises(CallExit) as ended:
            gen_server.call(At("nobody", B), "x")
        assert (ended.value.reason, ended.value.request[2][0]) == ("noproc", At("nobody", B))
        cluster.nodes.pop("b").stop()
        eventually(lambda: cluster.meshes["a"].nodes() == [])
        for gone in (pid, At("keeper", B)):
            with pytest.raises(CallExit) as ended:
                gen_server.call(gone, "x")
            assert ended.value.reason == ("nodedown", B)


def test_gs_36_a_cast_waits_for_no_node(cluster: Cluster) -> None:
    """cast never blocks on an unresponsive node."""
    cluster.start("a")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # it lets everybody connect and never says a word
        port = deaf.getsockname()[1]
        Directory(cluster.directory).add(Entry("deaf@127.0.0.1", "127.0.0.1", port, os.getpid()))
        with cluster.nodes["a"].attached():
            keeper = gen_server.start(Keeper, [], name="keeper")
            began = time.monotonic()
            for number in range(200):
                gen_server.cast(At("keeper", "deaf@127.0.0.1"), number)
                gen_server.cast(keeper, number)
            gen_server.abcast("keeper", "all", ["deaf@127.0.0.1", A])
            took = time.monotonic() - began
            assert gen_server.call(keeper, "x") == [*range(200), "all"]
        assert took < 1.0, f"400 casts took {took:.2f} s"


def test_gs_38_abcast_reaches_who_can_be_reached(cluster: Cluster) -> None:
    """abcast returns abcast immediately for reachable and unreachable nodes."""
    cluster.start("ab")
    for short in "ab":
        keeper_on(cluster, short)
    with cluster.nodes["a"].attached():
        gen_server.abcast("keeper", "everywhere")
        gen_server.abcast("keeper", "there", ["nowhere@127.0.0.1", B])
    eventually(lambda: kept(cluster, "b") == ["everywhere", "there"])
    assert kept(cluster, "a") == ["everywhere"]


def test_gs_39_multi_call_of_several_nodes(cluster: Cluster) -> None:
    """multi_call returns {[{node, reply}], bad_nodes}; missing server or node is in bad_nodes."""
    cluster.start("abc")
    for short in "ab":
        keeper_on(cluster, short)
    with cluster.nodes["a"].attached():
        replies, bad = gen_server.multi_call("keeper", "x", [B, "nowhere@127.0.0.1", A])
        assert (replies, bad) == ([(B, []), (A, [])], ["nowhere@127.0.0.1"])
        replies, bad = gen_server.multi_call("keeper", "x")
        assert (sorted(replies), bad) == ([(A, []), (B, [])], ["c@127.0.0.1"])


def links_of(pid: Pid) -> list[Any]:
    info = process.info(pid, "links")
    assert info is not None
    links: list[Any] = info["links"]
    return links


def test_link_13_a_link_to_a_dead_remote_process(cluster: Cluster) -> None:
    """link to a dead remote pid gives EXIT noproc and leaves no link."""
    cluster.start("ab")
    pid = keeper_on(cluster, "b")
    with cluster.nodes["b"].attached():
        gen_server.stop(pid)
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        process.link(pid)
        assert process.receive(timeout=5) == Exit(pid, "noproc")
        assert links_of(self_pid()) == []


def test_link_15_a_lost_connection_breaks_a_link_on_both_sides(cluster: Cluster) -> None:
    """losing the connection delivers EXIT noconnection to both sides while both processes stay
    alive."""
    cluster.start("ab")
    near, far = keeper_on(cluster, "a"), keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        # The link is made by the process itself, in a callback.
        gen_server.stop(near)
        near = gen_server.start(Linker, far, name="keeper")
        assert gen_server.call(near, "x") == []
    with cluster.nodes["b"].attached():
        eventually(lambda: links_of(far) == [near])
    cluster.partition("a", "b")
    eventually(lambda: kept(cluster, "a") == [Exit(far, "noconnection")])
    eventually(lambda: kept(cluster, "b") == [Exit(near, "noconnection")])
    for short, pid in (("a", near), ("b", far)):
        with cluster.nodes[short].attached():
            assert process.alive(pid)
            assert links_of(pid) == []


class Linker(Keeper, green=True):
    """A keeper that links to another process when it starts."""

    def init(self, arg: Any) -> Any:
        process.flag(trap_exit=True)
        process.link(arg)
        return Ok([])


def test_mon_16_a_lost_connection_fires_monitors(cluster: Cluster) -> None:
    """remote: DOWN noconnection when the node goes down or is unreachable."""
    cluster.start("ab")
    pid = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        refs = [process.monitor(pid), process.monitor(At("keeper", B))]
        assert gen_server.call(pid, "x") == []
        cluster.partition("a", "b")
        got = [process.receive(timeout=5) for _ in refs]
        assert sorted(got, key=lambda down: down.ref) == [
            Down(refs[0], pid, "noconnection"),
            Down(refs[1], At("keeper", B), "noconnection"),
        ]
        ref = process.monitor(At("keeper", B))
        assert process.receive(timeout=5) == Down(ref, At("keeper", B), "noconnection")


def test_mon_17_a_monitor_of_a_remote_name_that_nobody_has(cluster: Cluster) -> None:
    """remote by-name monitor of a missing name gives noproc with {name, node}; of a name that
    somebody has, the reason of its end (MON-03)."""
    cluster.start("ab")
    pid = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        ref = process.monitor(At("nobody", B))
        assert process.receive(timeout=5) == Down(ref, At("nobody", B), "noproc")
        ref = process.monitor(At("keeper", B))
        gen_server.stop(pid, "over")
        assert process.receive(timeout=5) == Down(ref, At("keeper", B), "over")


def test_proc_24_signals_between_nodes_keep_their_order(cluster: Cluster) -> None:
    """same ordering guarantee across nodes: messages, then the DOWN (PROC-22), by pid and by
    name alike (PROC-23)."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        me = self_pid()
        process.register(me, "listener")
        with cluster.nodes["b"].attached():

            def talk() -> None:
                process.receive(where=lambda message: message == "go")
                for number in range(300):
                    process.send(me if number % 2 else At("listener", A), number)

            pid = process.spawn(talk, green=True)
        ref = process.monitor(pid)
        process.send(pid, "go")
        got = [process.receive(timeout=5) for _ in range(301)]
        assert got == [*range(300), Down(ref, pid, "normal")]


def test_proc_25_a_nodes_messages_come_before_its_nodedown(cluster: Cluster) -> None:
    """all messages from a node are delivered before nodedown for it; nothing after."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        me = self_pid()
        cluster.nodes["a"].node_watchers[me] = {"visible": 1}
        with cluster.nodes["b"].attached():
            ends = [process.spawn(talks, me, number, green=True) for number in range(5)]
            for pid in ends:
                process.send(pid, "go")
        got = [process.receive(tuple, timeout=5) for _ in range(5)]  # all are under way
        cluster.nodes.pop("b").stop()
        while not isinstance(message := process.receive(timeout=5), NodeDown):
            got.append(message)
        for number in range(5):
            mine = [count for who, count in got if who == number]
            assert mine == list(range(len(mine)))
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0.1)


def talks(to: Pid, number: int) -> None:
    process.receive(where=lambda message: message == "go")
    count = 0
    while True:
        process.send(to, (number, count))
        count += 1
        process.sleep(0.0005)


def test_link_16_exits_survive_a_congested_connection(cluster: Cluster) -> None:
    """exit/link signals are not lost when the connection is congested."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        me = self_pid()
        process.flag(trap_exit=True)
        block = "x" * 500_000
        for _ in range(60):
            process.send(far, block)
        process.link(far)
        ref = process.monitor(far)
        process.exit(far, "kill")
        assert process.receive(timeout=20) == Exit(far, "killed")
        assert process.receive(timeout=5) == Down(ref, far, "killed")
        assert links_of(me) == []
