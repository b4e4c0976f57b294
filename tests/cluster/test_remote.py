"""Signals between nodes, over real sockets with CURVE."""

import logging
import socket
from typing import Any

import pytest

from otpy import (
    AddressInUse,
    At,
    CallExit,
    Down,
    Exit,
    GenServer,
    Node,
    NodeDown,
    NodeNameTaken,
    NoReply,
    NotSendable,
    Ok,
    Reply,
    WeakCookie,
    erpc,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.distribution.start import start_mesh
from otpy.testing import eventually
from tests.cluster.conftest import COOKIE, Cluster


class Counter(GenServer[int], green=True):
    def init(self, arg: int) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        return Reply((request, state))

    def handle_cast(self, request: int, state: int) -> Any:
        assert request == state, f"gap or reordering: {request} after {state}"
        return NoReply(state + 1)


def counter_on(cluster: Cluster, short: str, name: str = "counter") -> Any:
    with cluster.nodes[short].attached():
        return gen_server.start(Counter, 0, name=name)


class Child(Counter, green=True):
    @classmethod
    def start_link(cls, arg: int) -> Any:
        return gen_server.start_link(cls, arg, name="child")


def test_a_child_given_by_its_class_is_started_on_another_node(cluster: Cluster) -> None:
    cluster.start("ab")
    with cluster.nodes["b"].attached():
        process.unlink(supervisor.start_link([], strategy="one_for_one", name="boss"))
    with cluster.nodes["a"].attached():
        pid = supervisor.start_child(At("boss", "b@127.0.0.1"), (Child, 7))
        assert pid.node == "b@127.0.0.1"
        assert gen_server.call(At("child", "b@127.0.0.1"), "x") == ("x", 7)
        supervisor.terminate_child(At("boss", "b@127.0.0.1"), Child)
        assert erpc.call("b@127.0.0.1", Child.start_link, 1).node == "b@127.0.0.1"


def test_calls_by_pid_and_by_name_are_answered(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    with cluster.nodes["a"].attached():
        assert gen_server.call(pid, ("x", [1])) == (("x", [1]), 0)
        assert gen_server.call(At("counter", "b@127.0.0.1"), "y") == ("y", 0)
        with pytest.raises(CallExit) as ended:
            gen_server.call(At("nobody", "b@127.0.0.1"), "y")
        assert ended.value.reason == "noproc"


def test_twenty_thousand_casts_arrive_in_order_and_none_is_lost(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    with cluster.nodes["a"].attached():
        for number in range(20_000):
            gen_server.cast(pid, number)
        assert gen_server.call(pid, "done", timeout=30) == ("done", 20_000)


def test_monitors_and_links_fire_noconnection_when_the_network_splits(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        ref = process.monitor(pid)
        named = process.monitor(At("counter", "b@127.0.0.1"))
        process.link(pid)
        assert gen_server.call(pid, "x") == ("x", 0)
        cluster.partition("a", "b")
        got = [process.receive(timeout=5) for _ in range(3)]
        assert Exit(pid, "noconnection") in got
        assert Down(ref, pid, "noconnection") in got
        assert Down(named, At("counter", "b@127.0.0.1"), "noconnection") in got
        cluster.heal("a", "b")
        with pytest.raises(CallExit) as ended:  # the link killed the other side as well
            gen_server.call(At("counter", "b@127.0.0.1"), "again")
        assert ended.value.reason == "noproc"


def test_a_call_under_way_when_the_network_splits_is_nodedown(cluster: Cluster) -> None:
    cluster.start("ab")
    node = cluster.nodes["b"]
    with node.attached():
        pid = process.spawn(process.receive)
    with cluster.nodes["a"].attached():
        me = self_pid()

        def client() -> None:
            try:
                gen_server.call(pid, "never answered", timeout=30)
            except CallExit as ended:
                process.send(me, ended.reason)

        process.spawn(client, green=True)
        with node.attached():
            eventually(lambda: process.info(pid) is None or node.peer_users)
        cluster.partition("a", "b")
        assert process.receive(timeout=5) in (("nodedown", "b@127.0.0.1"), "noproc", "normal")


def test_remote_exits_and_monitors_of_dead_processes(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    with cluster.nodes["a"].attached():
        ref = process.monitor(pid)
        process.exit(pid, "from afar")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "from afar")
        ref = process.monitor(pid)
        assert process.receive(Down, timeout=5) == Down(ref, pid, "noproc")
        process.flag(trap_exit=True)
        process.link(pid)
        assert process.receive(Exit, timeout=5) == Exit(pid, "noproc")


def test_a_restarted_node_is_another_node(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    with cluster.nodes["a"].attached():
        process.monitor(pid)
        assert gen_server.call(pid, "x") == ("x", 0)
        cluster.nodes["b"].stop()
        assert process.receive(Down, timeout=5).reason in ("noconnection", "killed")
        cluster.start("b")
        process.monitor(pid)
        assert process.receive(Down, timeout=5).reason == "noproc"


def test_what_cannot_be_sent_raises_at_the_sender_and_nothing_is_lost(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    with cluster.nodes["a"].attached():
        gen_server.cast(pid, 0)
        with pytest.raises(NotSendable, match=r"message\['f'\]"):
            gen_server.cast(pid, {"f": lambda: 1})
        gen_server.cast(pid, 1)
        assert gen_server.call(pid, "x") == ("x", 2)


def test_strangers_and_garbage_on_the_port_do_no_harm(cluster: Cluster) -> None:
    cluster.start("ab")
    pid = counter_on(cluster, "b")
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", bytes(range(256)) * 10):
        with socket.create_connection(("127.0.0.1", cluster.meshes["b"].port)) as stranger:
            stranger.sendall(data)
    with cluster.nodes["a"].attached():
        assert gen_server.call(pid, "x") == ("x", 0)


def test_a_wrong_cookie_is_refused_and_said(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.start("a")
    with caplog.at_level(logging.WARNING, "otpy.mesh"), Node("evil@127.0.0.1") as evil:
        mesh = start_mesh(evil, cookie="another cookie, also long", directory=cluster.directory)
        eventually(lambda: "wrong cookie" in caplog.text)
        assert mesh.nodes() == []
        assert cluster.meshes["a"].nodes() == []


def test_a_port_in_use_a_taken_name_and_a_weak_cookie_are_named(cluster: Cluster) -> None:
    cluster.start("a")
    port = cluster.meshes["a"].port
    with Node("b@127.0.0.1") as other, pytest.raises(AddressInUse, match=str(port)):
        start_mesh(other, cookie=COOKIE, directory=cluster.directory, port=port)
    with Node("a@127.0.0.1") as twin, pytest.raises(NodeNameTaken, match="runs already"):
        start_mesh(twin, cookie=COOKIE, directory=cluster.directory)
    with Node("c@example.org") as open_, pytest.raises(WeakCookie, match="at least 20"):
        start_mesh(open_, cookie="short", directory=cluster.directory)


def test_node_down_comes_after_the_last_message(cluster: Cluster) -> None:
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        me = self_pid()
        cluster.nodes["a"].node_watchers[me] = {"visible": 1}
        with cluster.nodes["b"].attached():
            for number in range(500):
                process.send(me, number)
        cluster.nodes["b"].stop()
        got: list[int] = []
        while not isinstance(message := process.receive(timeout=5), NodeDown):
            got.append(message)
        assert got == list(range(len(got)))
