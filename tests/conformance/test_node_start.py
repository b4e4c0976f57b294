"""NODE-12: the distribution of a running node, started and stopped."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    Down,
    Exit,
    Node,
    NodeDown,
    NodeError,
    NodeNameTaken,
    NodeUp,
    NotDistributed,
    Pid,
    WeakCookie,
    WouldBlockLoop,
    erpc,
    gen_server,
    node,
    process,
    self_pid,
)
from otpy.distribution.discovery import Gossip
from otpy.distribution.mesh import Mesh
from otpy.terms.names import At
from otpy.terms.signals import Message
from otpy.testing import eventually
from tests.cluster.conftest import COOKIE
from tests.conformance.remote import tells, where
from tests.conformance.renamed import NOBODY, A, B, Card, Echo, Nodes, two_nodes

LARGE = 200_000  # characters: more than goes in one piece


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """A node without a name and one that is on the net."""
    with two_nodes(tmp_path / "nodes") as made:
        yield made


def echo_on(here: Node, name: str | None = None) -> Pid:
    """An echo server of a node."""
    with here.attached():
        return gen_server.start(Echo, None, name=name)


def kept(pid: Pid | At) -> list[Any]:
    """What an echo server was sent."""
    found: list[Any] = gen_server.call(pid, "kept")
    return found


def both(pid: Pid) -> list[Any]:
    """The exit and the down that an echo server gets."""
    eventually(lambda: len(kept(pid)) == 2)
    return kept(pid)


def test_node_12_a_running_node_goes_on_the_net_and_off_it(nodes: Nodes) -> None:
    """start/stop distribution at run time; stop of never-started -> {:error,:not_found}."""
    assert (node.self_(), node.alive(), node.list_()) == (NOBODY, False, [])
    with pytest.raises(NotDistributed, match="nonode@nohost is not on the net"):
        node.stop()
    nodes.start()
    assert (node.self_(), node.alive(), node.list_()) == (A, True, [B])
    assert node.list_("this") == [A]
    assert node.ping(A) == node.ping(B) == "pong"
    with nodes.far.attached():
        assert node.list_() == [A]
        assert erpc.call(A, where) == A
    node.stop()
    assert (node.self_(), node.alive(), node.list_()) == (NOBODY, False, [])
    assert node.ping(B) == "pang"
    with pytest.raises(NotDistributed):
        node.connect(B)
    eventually(lambda: not nodes.far.peers)
    with pytest.raises(NotDistributed):
        node.stop()


def test_node_12_a_node_may_go_on_the_net_again_as_the_same_or_another(nodes: Nodes) -> None:
    """start/stop distribution at run time: again and again, and what was sent arrives."""
    server = echo_on(nodes.far, "echo")
    for name in (A, A, "z@127.0.0.1", A):
        nodes.start(name)
        assert gen_server.call(server, name) == (name, self_pid())
        with nodes.far.attached():
            assert node.list_() == [name]
        node.stop()
        eventually(lambda: not nodes.far.peers)


def test_node_12_a_node_that_comes_back_is_dialed_as_any_other(nodes: Nodes) -> None:
    """start/stop distribution at run time: its goodbye was not that of a node that drains."""
    nodes.start()
    node.stop()
    nodes.start(auto_connect="never")
    eventually(lambda: node.list_() == [B])


def test_node_12_what_comes_too_late_is_unreachable(nodes: Nodes) -> None:
    """start/stop distribution at run time: a signal that still finds the mesh is answered for."""
    lost: list[Any] = []
    nodes.home.events.attach("test", "send_unreachable", lambda _, told: lost.append(told))
    nodes.start()
    router = nodes.home.router
    assert router is not None
    node.stop()
    assert lost == []
    router.route(B, Message(self_pid(), At("x", B), 1))
    router.stream(self_pid(), At("x", B), False, 2)
    assert len(lost) == 2


def test_node_12_what_ran_before_goes_on_and_is_reached(nodes: Nodes) -> None:
    """start/stop distribution at run time: no process is lost, none gets another pid."""
    me, local = self_pid(), gen_server.start(Echo, None, name="echo")
    far = echo_on(nodes.far)
    nodes.start()
    assert self_pid() == me
    assert gen_server.call(local, 1) == gen_server.call("echo", 1) == (1, me)
    assert gen_server.call(At("echo", A), 1) == gen_server.call(At("echo", local.node), 1)
    assert gen_server.call(far, local) == (local, me)
    with nodes.far.attached() as there:
        assert gen_server.call(At("echo", A), there) == (there, there)
        named = erpc.call(A, process.whereis, "echo")
        assert named is not None
        assert named.node == A
        assert gen_server.call(named, named) == (named, there)
        process.send(named, ("from b", there))
        gen_server.cast(named, "cast")
    eventually(lambda: kept(local) == [("from b", there), "cast"])
    node.stop()
    assert gen_server.call(local, 2) == (2, me)
    assert process.alive(local)


@pytest.mark.parametrize("green", [True, False])
def test_node_12_pids_and_references_survive_a_round_trip(nodes: Nodes, green: bool) -> None:
    """start/stop distribution at run time: what comes back is what was sent (NODE-13)."""
    early, ref = process.spawn(process.sleep, float("inf"), green=green), process.alias()
    nodes.start()
    far = echo_on(nodes.far)
    late = process.spawn(process.sleep, float("inf"), green=green)
    for pid in (early, late, self_pid()):
        values: list[Any] = [
            pid,
            process.make_ref(),
            [pid, {"key": (pid, {pid})}, {pid: pid}],
            Card(pid, ref),
            Card(pid, ref, "x" * LARGE),
            [b"y" * LARGE, pid],
            [1 << 80, "nonode@nohost", pid],
        ]
        for value in values:
            assert gen_server.call(far, value) == (value, self_pid())
            gen_server.cast(far, value)
            process.send(far, value)
        assert [one for one in kept(far) if one != "x"] == [v for v in values for _ in range(2)]
        far = echo_on(nodes.far)
    assert sorted([late, early]) == [early, late]
    assert process.alive(early)


def test_node_12_an_alias_made_before_takes_what_others_send(nodes: Nodes) -> None:
    """start/stop distribution at run time: aliases, too."""
    ref = process.alias()
    nodes.start()
    node.spawn(B, tells, ref, "to the alias")
    assert process.receive(timeout=5) == "to the alias"


def test_node_12_links_and_monitors_of_old_processes_work_both_ways(nodes: Nodes) -> None:
    """start/stop distribution at run time: old processes end for others as new ones do."""
    early = [process.spawn(process.sleep, float("inf"), green=green) for green in (True, False)]
    nodes.start()
    far = echo_on(nodes.far)
    for pid in early:
        ref = gen_server.call(far, ("link", pid))
        process.exit(pid, "enough")
        told = both(far)
        assert {type(one) for one in told} == {Exit, Down}
        assert all(one.pid == pid and one.reason == "enough" for one in told)
        assert ref in [one.ref for one in told if isinstance(one, Down)]
        far = echo_on(nodes.far)
    process.flag(trap_exit=True)
    process.link(far)
    ref = process.monitor(far)
    assert gen_server.call(far, "in force") == ("in force", self_pid())
    with nodes.far.attached():
        process.exit(far, "kill")
    got = [process.receive(timeout=5) for _ in range(2)]
    assert {*got} == {Exit(far, "killed"), Down(ref, far, "killed")}


def test_node_12_a_stop_breaks_what_lay_between_and_nothing_else(nodes: Nodes) -> None:
    """start/stop distribution at run time: noconnection and nodedown on both sides."""
    process.flag(trap_exit=True)
    mine = process.spawn_link(process.sleep, float("inf"))
    nodes.start()
    far = echo_on(nodes.far)
    process.link(far)
    ref = process.monitor(far)
    gen_server.call(far, ("link", self_pid()))
    node.monitor(B, True)
    node.monitor_nodes(True)
    node.stop()
    got = [process.receive(timeout=5) for _ in range(4)]
    assert got[:2] == [Exit(far, "noconnection"), Down(ref, far, "noconnection")]
    assert [(type(one), one.node) for one in got[2:]] == [(NodeDown, B)] * 2
    with nodes.far.attached():
        there = both(far)
    assert {(type(one), one.pid.node, one.reason) for one in there} == {
        (Exit, A, "noconnection"),
        (Down, A, "noconnection"),
    }
    with pytest.raises(CallExit) as ended:
        gen_server.call(far, "x")
    assert ended.value.reason == ("nodedown", B)
    process.send(far, "lost")
    assert process.alive(mine)
    assert process.info(self_pid(), "message_queue_len") == {"message_queue_len": 0}
    nodes.start()
    assert process.receive(timeout=5) == NodeUp(B)


def test_node_12_a_call_that_waits_ends_with_the_stop(nodes: Nodes) -> None:
    """start/stop distribution at run time: nobody waits for an answer that cannot come."""
    nodes.start()
    me = self_pid()

    def calls() -> None:
        process.send(me, "begun")
        try:
            erpc.call(B, process.sleep, float("inf"), timeout=None)
        except Exception as error:  # noqa: BLE001 - told to the test
            process.send(me, repr(error))

    for green in (True, False):
        process.spawn(calls, green=green)
        assert process.receive(timeout=5) == "begun"
    node.stop()
    for _ in range(2):
        assert "noconnection" in process.receive(str, timeout=5)


def test_node_12_a_stop_while_others_send_leaves_nobody_behind(nodes: Nodes) -> None:
    """start/stop distribution at run time: each call of a storm gets an answer or a reason."""
    far = echo_on(nodes.far)
    me = self_pid()

    def calls() -> None:
        process.send(me, "begun")
        while True:
            try:
                gen_server.call(far, 1, timeout=None)
            except CallExit as error:
                process.send(me, error.reason)
                return

    for _ in range(3):
        nodes.start()
        assert gen_server.call(far, 0) == (0, me)
        for number in range(6):
            process.spawn(calls, green=number % 2 == 0)
        for _ in range(6):
            assert process.receive(str, timeout=5) == "begun"
        node.stop()
        assert [process.receive(tuple, timeout=10) for _ in range(6)] == [("nodedown", B)] * 6
        eventually(lambda: not nodes.far.peers)


def test_node_12_what_cannot_be_started_leaves_the_node_as_it_was(nodes: Nodes) -> None:
    """start/stop distribution at run time: refusals."""
    with pytest.raises(BadArgument, match="name@host"):
        nodes.start("no at sign")
    with pytest.raises(NodeNameTaken):
        nodes.start(B)
    with pytest.raises(WeakCookie):
        nodes.start("a@10.0.0.1", cookie="short")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="listen"):
        nodes.start(port=taken.getsockname()[1])
    assert (node.self_(), node.alive()) == (NOBODY, False)
    nodes.start()
    with pytest.raises(NodeError, match=r"start\('z@127.0.0.1'\): a@127.0.0.1 has a mesh already"):
        nodes.start("z@127.0.0.1")
    assert node.ping(B) == "pong"


def test_node_12_a_node_that_was_started_with_its_name_keeps_it(nodes: Nodes) -> None:
    """start/stop distribution at run time: only what was started so is stopped so."""
    with nodes.far.attached():
        with pytest.raises(NodeError, match="on the net from its beginning"):
            node.stop()
        assert node.alive()
    with Node("own@127.0.0.1") as own, own.attached() as me:
        with pytest.raises(NodeError, match=r"this is own@127.0.0.1; expected that name"):
            nodes.start(A)
        nodes.start("own@127.0.0.1")
        assert gen_server.call(echo_on(nodes.far), me) == (me, me)
        node.stop()
        assert (node.self_(), node.alive()) == ("own@127.0.0.1", False)


def test_node_12_a_green_process_may_start_and_stop_it(nodes: Nodes) -> None:
    """start/stop distribution at run time, while its scheduler goes on."""
    me = self_pid()

    def body() -> None:
        nodes.start()
        process.send(me, node.self_())
        node.stop()
        process.send(me, node.self_())

    process.spawn(body, green=True)
    assert [process.receive(timeout=10) for _ in range(2)] == [A, NOBODY]


def test_node_12_a_running_node_may_go_on_the_net_hidden(nodes: Nodes) -> None:
    """start/stop distribution at run time: -hidden, which is so until it stops."""
    nodes.start(hidden=True, prevent_overlapping_partitions=False)
    assert node.list_("hidden") == []
    assert node.ping(B) == "pong"
    with nodes.far.attached():
        assert (node.list_(), node.list_("hidden")) == ([], [A])
    node.stop()
    nodes.start()
    with nodes.far.attached():
        eventually(lambda: (node.list_(), node.list_("hidden")) == ([A], []))


def test_node_12_a_coroutine_does_not_wait_for_it(nodes: Nodes) -> None:
    """start/stop distribution at run time: as everything that waits."""

    async def body() -> None:
        for fn in (nodes.start, node.stop):
            with pytest.raises(WouldBlockLoop, match=r"node\.st"):
                fn()

    asyncio.run(body())


def test_node_12_a_node_that_comes_back_is_heard_again(nodes: Nodes) -> None:
    """start/stop distribution at run time: by gossip, where the latest word counts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.255.255.255", 0))
        air = Gossip("127.255.255.255", probe.getsockname()[1], interval=0.1, expire_after=1.5)
    with Node("c@127.0.0.1") as other, other.attached():
        node.start("c@127.0.0.1", cookie=COOKIE, discovery=[air])
        assert isinstance(other.router, Mesh)
        found = other.router.discovery
        with nodes.home.attached():
            for _ in range(2):
                nodes.start(directory=None, discovery=[air])
                eventually(lambda: [*nodes.home.peers] == [other.name])
                eventually(lambda: A in [entry.name for entry in found.first(0.0)])
                node.stop()
                eventually(lambda: not other.peers)
