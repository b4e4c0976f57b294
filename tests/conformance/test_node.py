"""NODE: ``otpy.node``, Elixir's ``Node``, on a real mesh."""

import os
import socket
import sys
import threading
import time
import types
from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    Down,
    Exit,
    Node,
    NodeDown,
    NodeUp,
    NotDistributed,
    NotSendable,
    Pid,
    gen_server,
    node,
    process,
    self_pid,
)
from otpy.distribution.directory import Directory
from otpy.distribution.frames import encode_signal_apart
from otpy.machines.discovery import Entry
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.test_between_nodes import keeper_on, kept

__all__ = ["cluster"]
A, B, NOWHERE = "a@127.0.0.1", "b@127.0.0.1", "nowhere@127.0.0.1"
SETUP_FAILED = NodeDown(NOWHERE, "connection_setup_failed")


def idle() -> None:
    """A body that waits until it is ended."""
    process.sleep(float("inf"))


def tells(parent: Pid, *what: Any) -> None:
    """A body that says where it runs and what it was given, and ends."""
    process.send(parent, (node.self_(), *what))


def is_down(message: Any) -> bool:
    """Whether it says that ``b`` is down; which side saw it first decides the reason."""
    return isinstance(message, NodeDown) and message.node == B


def nothing_came(cluster: Cluster) -> bool:
    """Whether the mailbox is empty after everything that the mesh had to tell is told."""
    # What the I/O thread has to do is done in order: this comes after it.
    assert not cluster.meshes["a"].disconnect(NOWHERE)
    found = process.info(self_pid(), "messages")
    assert found is not None
    return not found["messages"]


def test_node_01_ping_and_connect(cluster: Cluster) -> None:
    """ping :pong/:pang; connect true/false; self ping pong."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        assert node.ping(B) == "pong"
        assert node.ping(A) == "pong"
        assert node.connect(B) is True
        assert node.connect(A) is True
        began = time.monotonic()
        assert node.ping(NOWHERE) == "pang"
        assert node.connect(NOWHERE) is False
        assert time.monotonic() - began < 1.0  # nobody knows it: there is nothing to wait for
        assert node.list_() == [B]
        assert (node.alive(), node.self_()) == (True, A)
        assert node.list_(["this", "connected", "this"]) == node.list_("known") == [A, B]
        assert node.list_("hidden") == []
        for bad in ("no at sign", 7):
            with pytest.raises(BadArgument, match="name@host"):
                node.ping(bad)  # type: ignore[arg-type]
        with pytest.raises(BadArgument, match="visible"):
            node.list_("all")  # type: ignore[arg-type]


def test_node_01_ping_connects(cluster: Cluster) -> None:
    """A ping of a node that is not connected connects first: here after a heal."""
    cluster.start("ab")
    cluster.partition("a", "b")
    with cluster.nodes["a"].attached():
        assert node.ping(B) == "pang"
        assert node.connect(B) is False
    cluster.heal("a", "b")
    with cluster.nodes["a"].attached():
        node.disconnect(B)
        assert node.ping(B) == "pong"
        assert node.list_() == [B]


def test_node_01_a_green_process_pings_while_others_go_on(cluster: Cluster) -> None:
    """ping :pong/:pang, in a process that waits without its thread."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        me = self_pid()
        process.spawn(lambda: process.send(me, (node.ping(B), node.ping(NOWHERE))), green=True)
        assert process.receive(timeout=5) == ("pong", "pang")


def test_node_02_one_node_down_for_each_monitor(cluster: Cluster) -> None:
    """monitor_node delivers one nodedown per call, also at once for unreachable."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        node.monitor(B, True)
        node.monitor(B, True)
        cluster.partition("a", "b")
        assert all(is_down(process.receive(timeout=5)) for _ in range(2))
        assert nothing_came(cluster)
        began = time.monotonic()
        node.monitor(NOWHERE, True)
        node.monitor(NOWHERE, True)
        assert [process.receive(timeout=5) for _ in range(2)] == [SETUP_FAILED] * 2
        assert time.monotonic() - began < 1.0
        assert nothing_came(cluster)
        node.monitor(A, True)  # itself: nothing will ever come, as in OTP


def test_node_02_a_node_that_has_stopped_is_down_at_once(cluster: Cluster) -> None:
    """monitor_node of a node that was there: its entry is gone, so nobody waits for it."""
    cluster.start("ab")
    cluster.nodes.pop("b").stop()
    eventually(lambda: cluster.meshes["a"].nodes() == [])
    with cluster.nodes["a"].attached():
        began = time.monotonic()
        node.monitor(B, True)
        assert process.receive(timeout=5) == NodeDown(B, "connection_setup_failed")
        assert node.connect(B) is False
        assert time.monotonic() - began < 2.0


def test_node_02_a_monitor_set_while_the_end_of_a_session_is_told_is_of_the_next(
    cluster: Cluster,
) -> None:
    """monitor_node of a node that is not connected any more, although it may seem so yet."""
    cluster.start("ab")
    here = cluster.nodes["a"]
    ending, is_set = threading.Event(), threading.Event()

    def hold(_: str, _data: dict[str, Any]) -> None:
        ending.set()
        assert is_set.wait(10)

    here.events.attach("test", "node_down", hold)
    with here.attached():
        node.monitor(B, True)
        cluster.nodes.pop("b").stop()
        assert ending.wait(10)
        assert cluster.meshes["a"].nodes() == []
        node.monitor(B, True)
        is_set.set()
        first = process.receive(timeout=5)
        assert is_down(first)
        assert first.reason != "connection_setup_failed"
        assert process.receive(timeout=5) == NodeDown(B, "connection_setup_failed")


def test_node_02_a_node_that_lets_nobody_in_is_down_in_time(cluster: Cluster) -> None:
    """monitor_node of a node that never answers gives its nodedown after the setup time."""
    cluster.start("a")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # it lets everybody connect and never says a word
        port = deaf.getsockname()[1]
        Directory(cluster.directory).add(Entry(NOWHERE, "127.0.0.1", port, os.getpid()))
        with cluster.nodes["a"].attached():
            node.monitor(NOWHERE, True)
            assert process.receive(timeout=10) == SETUP_FAILED


def test_node_02_the_monitors_of_a_dead_process_are_forgotten(cluster: Cluster) -> None:
    """What a process monitored leaves nothing behind when it ends."""
    cluster.start("ab")
    here = cluster.nodes["a"]
    with here.attached():

        def body() -> None:
            node.monitor(B, True)
            node.monitor_nodes(True)

        _, ref = process.spawn_monitor(body, green=True)
        assert process.receive(Down, timeout=5).ref == ref
    assert here.node_monitors.table == {}
    own = [here.names.whereis(f"global_{what}_server") for what in ("lease", "name")]
    assert sorted(here.node_watchers) == sorted(pid for pid in own if pid is not None)


def test_node_03_a_monitor_taken_back(cluster: Cluster) -> None:
    """monitor_node(n,false) cancels one."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        node.monitor(B, False)  # there is none: nothing happens
        for flag in (True, True, False):
            node.monitor(B, flag)
        cluster.partition("a", "b")
        assert is_down(process.receive(timeout=5))
        assert nothing_came(cluster)


def test_node_04_monitor_nodes_is_told_of_every_node(cluster: Cluster) -> None:
    """net_kernel.monitor_nodes subscription gives nodeup/nodedown; independent of monitor_node."""
    cluster.start("a")
    with cluster.nodes["a"].attached():
        node.monitor_nodes(True)
        cluster.start("b")
        assert process.receive(timeout=5) == NodeUp(B)
        node.monitor(B, True)
        node.monitor_nodes(True)
        cluster.nodes.pop("b").stop()
        assert all(is_down(process.receive(timeout=5)) for _ in range(3))
        node.monitor_nodes(False)  # ends both
        cluster.start("b")
        assert nothing_came(cluster)
        with pytest.raises(BadArgument, match="True or False"):
            node.monitor_nodes("yes")  # type: ignore[arg-type]


def test_node_05_disconnect_breaks_what_lay_between(cluster: Cluster) -> None:
    """disconnect: links/monitors fire noconnection, remote processes live on, reconnect
    possible."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        process.link(far)
        ref = process.monitor(far)
        assert gen_server.call(far, "x") == []
        assert node.disconnect(B) is True
        got = [process.receive(timeout=5) for _ in range(2)]
        assert got == [Exit(far, "noconnection"), Down(ref, far, "noconnection")]
        assert node.connect(B) is True
        assert gen_server.call(far, "x") == [Exit(self_pid(), "noconnection")]
        assert node.disconnect(NOWHERE) is False
        assert node.disconnect(A) is False


def test_node_06_what_hangs_on_a_node_breaks_before_it_is_down(cluster: Cluster) -> None:
    """EXIT/DOWN for a lost node are delivered before nodedown (observed), in a process of any
    kind."""
    cluster.start("ab")
    far = [keeper_on(cluster, "b")]
    with cluster.nodes["b"].attached():
        far.extend(process.spawn(idle, green=True) for _ in range(50))
    with cluster.nodes["a"].attached():
        me = self_pid()

        def body() -> None:
            process.flag(trap_exit=True)
            node.monitor_nodes(True)
            node.monitor(B, True)
            for pid in far:
                process.monitor(pid)
                process.link(pid)
            gen_server.call(far[0], "x")  # they are in force now
            process.send(me, "ready")
            process.send(me, [process.receive(timeout=5) for _ in range(2 * len(far) + 2)])

        for green in (True, False):
            process.spawn(body, green=green)
            assert process.receive(timeout=5) == "ready"
        cluster.partition("a", "b")
        for _ in range(2):
            got = process.receive(list, timeout=5)
            assert [is_down(one) for one in got[-2:]] == [True, True]
            assert sum(isinstance(one, Down) for one in got) == len(far)
            assert sum(isinstance(one, Exit) for one in got) == len(far)


def test_node_07_a_spawn_on_a_node_that_is_out_of_reach(cluster: Cluster) -> None:
    """spawn on unreachable node returns a pid; linked -> EXIT noconnection."""
    cluster.start("a")
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        assert isinstance(node.spawn(NOWHERE, idle), Pid)
        pid = node.spawn_link(NOWHERE, idle)
        assert process.receive(timeout=5) == Exit(pid, "noconnection")
        pid, ref = node.spawn_monitor(NOWHERE, idle)
        assert process.receive(timeout=5) == Down(ref, pid, "noconnection")


def test_node_07_a_spawn_on_another_node_and_on_this_one(cluster: Cluster) -> None:
    """spawn on a node that is there: the process runs there, with its link or monitor."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        me = self_pid()
        for place in (A, B):
            for green in (True, False):
                pid = node.spawn(place, tells, me, ("x", 1), green=green)
                assert pid.node == place
                assert process.receive(timeout=5) == (place, ("x", 1))
            pid = node.spawn_link(place, idle)
            process.exit(pid, "over")
            assert process.receive(timeout=5) == Exit(pid, "over")
            pid, ref = node.spawn_monitor(place, idle)
            process.exit(pid, "over")
            assert process.receive(timeout=5) == Down(ref, pid, "over")
        with pytest.raises(BadArgument, match="a function"):
            node.spawn(B, "idle")  # type: ignore[arg-type]
        with pytest.raises(NotSendable):
            node.spawn(B, lambda: None)


def test_node_08_a_function_that_is_not_known_there(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """remote undef -> EXIT {undef,Stack}."""
    cluster.start("ab")
    only_here = types.ModuleType("only_here")
    vars(only_here)["work"] = work = types.FunctionType(idle.__code__, globals(), "work")
    work.__module__, work.__qualname__ = "only_here", "work"
    monkeypatch.setitem(sys.modules, "only_here", only_here)

    def encode_and_forget(signal: Any) -> list[bytes]:
        # Both nodes are in this interpreter: the module goes while the signal travels.
        data = encode_signal_apart(signal)
        sys.modules.pop("only_here", None)
        return data

    monkeypatch.setattr("otpy.distribution.routing.encode_signal_apart", encode_and_forget)
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        pid = node.spawn_link(B, work)
        exit_ = process.receive(timeout=5)
        assert (exit_.pid, exit_.reason[0]) == (pid, "undef")
        assert "only_here" in exit_.reason[1]


def test_node_09_alive_is_asked_of_ones_own_processes(cluster: Cluster) -> None:
    """is_process_alive on remote pid badarg."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached(), pytest.raises(BadArgument, match="another node"):
        process.alive(far)


def test_node_10_a_node_without_a_mesh(node: Node) -> None:
    """monitor_node when not alive raises notalive."""
    from otpy import node as nodes

    with pytest.raises(NotDistributed, match="has no mesh"):
        nodes.monitor(B, True)
    for function in (nodes.connect, nodes.disconnect):
        with pytest.raises(NotDistributed, match="has no mesh"):
            function(B)
    nodes.monitor(node.name, True)
    nodes.monitor_nodes(True)
    assert not nodes.alive()
    assert nodes.ping(B) == nodes.ping(node.name) == "pang"
    assert nodes.list_() == []
    assert nodes.list_("known") == [node.name]
    pid, ref = nodes.spawn_monitor(B, idle)
    assert process.receive(timeout=5) == Down(ref, pid, "noconnection")


def test_node_13_pids_and_refs_come_back_as_they_were(cluster: Cluster) -> None:
    """pids/refs survive round trip unchanged."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        terms = (self_pid(), far, process.monitor(far), process.alias())
        process.send(far, terms)
        [back] = gen_server.call(far, "all")
        assert back == terms
        assert [repr(term) for term in back] == [repr(term) for term in terms]
        process.send(back[3], "to the alias")
        assert process.receive(timeout=5) == "to the alias"
        assert process.demonitor(back[2], info=True)


def test_proc_25_messages_come_before_the_nodes_end(cluster: Cluster) -> None:
    """all messages from a node are delivered before nodedown for it; nothing after."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        me = self_pid()
        node.monitor_nodes(True)
        node.monitor(B, True)
        with cluster.nodes["b"].attached():

            def talk() -> None:
                number = 0
                while True:
                    process.send(me, number)
                    number += 1
                    if not number % 50:
                        process.sleep(0.0001)

            talker = process.spawn(talk, green=True)
        process.receive(where=lambda message: message == 500, timeout=5)
        cluster.partition("a", "b")
        got = [process.receive(timeout=5)]
        while not is_down(got[-1]):
            got.append(process.receive(timeout=5))
        numbers = got[:-1]
        assert numbers == [n for n in range(len(numbers) + 1) if n != 500]
        assert is_down(process.receive(timeout=5))
        assert nothing_came(cluster)
        with cluster.nodes["b"].attached():
            process.exit(talker, "kill")


def test_link_14_a_link_to_an_earlier_life_of_a_node(cluster: Cluster) -> None:
    """link to a pid of a previous incarnation of a node gives EXIT noproc."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    cluster.nodes["b"].stop()
    cluster.start("b")
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        assert node.ping(B) == "pong"
        process.link(far)
        assert process.receive(timeout=5) == Exit(far, "noproc")


def test_gs_62_stop_of_a_server_on_a_dead_node(cluster: Cluster) -> None:
    """stop on a dead node -> {{nodedown,Node},{sys,terminate,..}}."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    cluster.nodes.pop("b").stop()
    eventually(lambda: cluster.meshes["a"].nodes() == [])
    with cluster.nodes["a"].attached(), pytest.raises(CallExit) as ended:
        gen_server.stop(far, "over", timeout=5)
    assert ended.value.reason == ("nodedown", B)
    assert ended.value.request == ("gen_server", "stop", (far, "over", 5))


def test_gs_29_a_call_at_home_outlives_a_node_that_was_called_before(cluster: Cluster) -> None:
    """remote: dead node -> {{nodedown, Node}, ...}: only for the call that is under way there."""
    cluster.start("ab")
    far = keeper_on(cluster, "b")
    with cluster.nodes["a"].attached():
        me = self_pid()

        def slow() -> None:
            call = process.receive()
            process.send(me, "asked")
            process.receive(where=lambda message: message == "go")
            gen_server.reply(call.from_, "answer")

        def client() -> None:
            gen_server.call(far, "x")
            process.send(me, ("answered", gen_server.call(near, "x")))

        near = process.spawn(slow, green=True)
        process.spawn(client, green=True)
        assert process.receive(timeout=5) == "asked"
        cluster.partition("a", "b")
        process.send(near, "go")
        assert process.receive(timeout=5) == ("answered", "answer")
    assert kept(cluster, "b") == []
