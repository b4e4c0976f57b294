"""Hidden nodes (NODE-11, GLOB-19, GLOB-21): connected to, and not of the mesh."""

from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    Down,
    Exit,
    GenServer,
    NodeDown,
    NodeUp,
    Ok,
    Reply,
    erpc,
    gen_server,
    global_,
    node,
    pg,
    process,
    self_pid,
    start_node,
)
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.global_helpers import spawn

__all__ = ["cluster"]
A, B, H = (f"{short}@127.0.0.1" for short in "abh")


class Counter(GenServer[int]):
    def init(self, arg: Any) -> Ok[int]:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int) -> Reply[int]:
        return Reply(state)


def seen(cluster: Cluster, short: str) -> tuple[list[str], list[str], list[str]]:
    """Whom a node lists as visible, hidden and connected."""
    with cluster.nodes[short].attached():
        return node.list_(), node.list_("hidden"), node.list_("connected")


def connected(cluster: Cluster) -> None:
    """Nodes a and b, and a hidden one that is connected to a."""
    cluster.start("abh", hidden="h")
    with cluster.nodes["h"].attached():
        assert node.connect(A)
    eventually(lambda: H in cluster.nodes["a"].peers)


def test_node_11_a_hidden_node_is_no_visible_one_on_either_side(cluster: Cluster) -> None:
    """hidden nodes not in nodes()."""
    connected(cluster)
    assert seen(cluster, "a") == ([B], [H], [B, H])
    assert seen(cluster, "h") == ([], [A], [A])
    with cluster.nodes["a"].attached():
        assert node.list_(["hidden", "this"]) == [A, H]
        assert node.list_("known") == [A, B, H]


def test_node_11_the_mesh_does_not_draw_a_hidden_node_in(cluster: Cluster) -> None:
    """Those that it is connected to do not tell of it, nor does it connect to who is found."""
    connected(cluster)
    cluster.start("c")
    assert seen(cluster, "b") == ([A, "c@127.0.0.1"], [], [A, "c@127.0.0.1"])
    assert seen(cluster, "h") == ([], [A], [A])
    with cluster.nodes["b"].attached():
        assert node.ping(H) == "pong"  # asked for, it is found
    assert seen(cluster, "h") == ([], [A, B], [A, B])


def test_node_11_a_hidden_node_does_not_connect_again_by_itself(cluster: Cluster) -> None:
    """Nor do the others: it was something that was sent which connected them."""
    connected(cluster)
    for _ in range(3):
        with cluster.nodes["a"].attached():
            assert node.disconnect(H)
            assert node.disconnect(B)
            eventually(lambda: B in node.list_())  # has been connected to again
            assert node.list_("hidden") == []
            assert node.connect(H)


def test_node_11_calls_links_and_monitors_cross_a_hidden_connection(cluster: Cluster) -> None:
    """Calls, links, monitors, erpc and spawns work as over any other connection."""
    connected(cluster)
    with cluster.nodes["h"].attached():
        counter = gen_server.start(Counter, 5, name="counter")
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        assert gen_server.call(At("counter", H), "get") == 5
        assert erpc.call(H, node.self_) == H
        assert erpc.call(H, node.list_) == []
        ref = process.monitor(counter)
        process.link(counter)
        assert process.send(counter, "hello", noconnect=True) == "ok"
        linked = node.spawn_link(H, process.sleep, 60.0)
        node.monitor(H, True)
        assert node.disconnect(H)
        got: list[Any] = [process.receive(timeout=5) for _ in range(4)]
        assert Down(ref, counter, "noconnection") in got
        assert {message.pid for message in got if isinstance(message, Exit)} == {counter, linked}
        assert isinstance(got[-1], NodeDown)
        assert process.send(counter, "hello", noconnect=True) == "noconnect"


def test_node_11_multicalls_and_abcasts_leave_hidden_nodes_out(cluster: Cluster) -> None:
    """By default they go to this node and the visible ones."""
    connected(cluster)
    for short in "abh":
        with cluster.nodes[short].attached():
            gen_server.start(Counter, 1, name="counter")
    with cluster.nodes["a"].attached():
        replies, bad = gen_server.multi_call("counter", "get")
        assert (sorted(name for name, _ in replies), bad) == ([A, B], [])


def test_node_11_monitors_of_nodes_ask_for_visible_hidden_or_all(cluster: Cluster) -> None:
    """net_kernel:monitor_nodes/2 with node_type."""
    cluster.start("ah", hidden="h")
    with cluster.nodes["a"].attached():
        for node_type in ("visible", "hidden", "all", "all"):
            node.monitor_nodes(True, node_type=node_type)
        assert node.connect(H)
        ups = [process.receive(NodeUp, timeout=5) for _ in range(3)]
        assert ups == [NodeUp(H, "hidden")] * 3
        node.monitor_nodes(False, node_type="hidden")
        assert node.disconnect(H)
        downs = [process.receive(NodeDown, timeout=5) for _ in range(2)]
        assert [(down.node, down.node_type) for down in downs] == [(H, "hidden")] * 2
        node.monitor_nodes(False, node_type="all")
        assert node.connect(H)
        cluster.start("b")
        assert process.receive(timeout=5) == NodeUp(B)
        with pytest.raises(BadArgument, match="node_type='both'"):
            node.monitor_nodes(True, node_type="both")  # type: ignore[arg-type]


def test_glob_19_hidden_nodes_have_names_and_locks_of_their_own(cluster: Cluster) -> None:
    """hidden nodes keep separate names and locks."""
    connected(cluster)
    nodes = cluster.nodes
    with nodes["a"].attached():
        visible = spawn()
        assert global_.register_name("x", visible)
        assert global_.set_lock(("resource", "a"), retries=0)
        with nodes["h"].attached():
            hidden = spawn()
            global_.sync()
            assert global_.whereis_name("x") is None
            assert global_.register_name("x", hidden)
            assert global_.set_lock(("resource", "h"), retries=0)
            assert global_.whereis_name("x") == hidden
            with nodes["b"].attached():
                global_.sync()
                assert global_.whereis_name("x") == visible
                assert not global_.set_lock(("resource", "b"), retries=0)
        global_.sync()
        assert global_.whereis_name("x") == visible


def test_glob_19_a_lease_is_not_granted_over_a_hidden_connection(cluster: Cluster) -> None:
    """Nor are groups shared over one."""
    cluster.start("ah", hidden="h", lease_time=0.2)
    for short in "ah":
        with cluster.nodes[short].attached():
            pg.start_link()
            process.unlink(process.whereis("pg"))  # type: ignore[arg-type]
            pg.join("group", process.spawn(process.sleep, 60.0, green=True))
    with cluster.nodes["h"].attached():
        assert node.connect(A)
        assert not global_.register_name("x", self_pid(), quorum=[A, H])
        assert [pid.node for pid in pg.get_members("group")] == [H]
    with cluster.nodes["a"].attached():
        assert [pid.node for pid in pg.get_members("group")] == [A]


def test_glob_21_disconnect_leaves_hidden_connections(cluster: Cluster) -> None:
    """global:disconnect leaves hidden connections."""
    connected(cluster)
    with cluster.nodes["b"].attached():
        held = spawn()
        assert global_.register_name("x", held)
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)
        node.monitor(H, True)
        node.monitor(B, True)
        cluster.meshes["b"].cut(A)  # so that it stays away
        assert global_.disconnect() in ([B], [])
        assert isinstance(process.receive(timeout=5), NodeDown)
        assert (global_.whereis_name("x"), node.list_("connected")) == (None, [H])
        assert global_.disconnect() == []
        cluster.meshes["b"].heal(A)
        eventually(lambda: global_.whereis_name("x") == held)
        assert global_.disconnect() == [B]


def test_node_11_start_node_starts_a_hidden_one(cluster: Cluster) -> None:
    """It returns at once, connected to nobody."""
    cluster.start("a")
    options: dict[str, Any] = {"cookie": "the cookie of the tests, long enough"}
    with start_node(H, hidden=True, directory=cluster.directory, **options) as h, h.attached():
        assert node.list_("connected") == []
        assert node.ping(A) == "pong"
        assert (node.list_(), node.list_("hidden")) == ([], [A])
    with pytest.raises(BadArgument, match="hidden='yes'"):
        start_node(H, hidden="yes", directory=cluster.directory, **options)  # type: ignore[arg-type]
