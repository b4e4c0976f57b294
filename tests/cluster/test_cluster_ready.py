"""``cluster_ready``: what is started when it has returned does not lead beside others' leaders."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    BadArgument,
    ClusterNotReady,
    ClusterReady,
    GenServer,
    Global,
    Node,
    Ok,
    StartError,
    WouldBlockLoop,
    aio,
    cluster_ready,
    gen_server,
    global_,
    process,
    start_node,
    supervisor,
)
from otpy.testing import eventually
from tests.cluster.conftest import Cluster

A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"
COOKIE = "the cookie of these tests"
LEADER = Global("the leader")


class Leader(GenServer[int]):
    @classmethod
    def start_link(cls, arg: Any = None, /) -> Any:
        return gen_server.start_link(cls, arg, name=LEADER)

    def init(self, arg: Any, /) -> Ok[int]:
        return Ok(0)


def waits(running: Node, *args: Any) -> Any:
    with running.attached():
        return cluster_ready(*args)


def test_a_node_alone_is_a_cluster_of_one(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    assert waits(a, 1, 0.0) == [A]


def test_it_gives_the_nodes_that_are_connected_with_their_names_known(cluster: Cluster) -> None:
    nodes = cluster.start("abc").nodes
    with nodes["c"].attached():
        pid = gen_server.start(Leader, None, name=LEADER)
    for one in nodes.values():
        assert waits(one, 3, 10.0) == [A, B, C]
        with one.attached():
            assert gen_server.whereis(LEADER) == pid


def test_it_waits_for_a_node_that_comes_later(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(waits, a, 2, 20.0)
        eventually(lambda: len(a.node_watchers) > 2)  # beside the two servers of names
        assert not found.done()
        cluster.start("b")
        assert found.result() == [A, B]
    assert len(a.node_watchers) == 2


def test_a_node_that_goes_while_it_waits_does_not_count(cluster: Cluster) -> None:
    nodes = cluster.start("ab").nodes
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(waits, nodes["a"], 3, 20.0)
        eventually(lambda: len(nodes["a"].node_watchers) > 2)
        nodes.pop("b").stop()
        cluster.meshes.pop("b")
        eventually(lambda: not nodes["a"].peers)
        cluster.start("c")
        with pytest.raises(ClusterNotReady):
            waits(nodes["a"], 3, 0.1)
        assert not found.done()
        cluster.start("b")
        assert found.result() == [A, B, C]


def test_with_too_few_nodes_it_says_who_is_there_and_how_many_were_wanted(
    cluster: Cluster,
) -> None:
    a = cluster.start("ab").nodes["a"]
    began = time.monotonic()
    with pytest.raises(TimeoutError) as raised:
        waits(a, 3, 0.2)
    assert time.monotonic() - began >= 0.2
    error = raised.value
    assert isinstance(error, ClusterNotReady)
    assert (error.nodes, error.min_nodes, error.timeout) == ([A, B], 3, 0.2)
    assert str(error) == f"2 of 3 nodes are there after 0.2 s: {A}, {B}"


def test_a_connected_node_without_a_name_server_counts(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    cluster.start_bare("b")
    assert waits(a, 2, 10.0) == [A, B]


def test_the_names_are_there_however_many_are_on_their_way(tmp_path: Path) -> None:
    many = 2_000
    with start_node(A, cookie=COOKIE, directory=tmp_path) as a:
        with a.attached():
            pid = process.spawn(process.sleep, float("inf"))
            for number in range(many):
                global_.re_register_name(("name", number), pid)
        with (
            start_node(B, cookie=COOKIE, directory=tmp_path, sync_nodes_timeout=0.0) as b,
            b.attached(),
        ):
            assert cluster_ready(2, 20.0) == [A, B]
            assert len(global_.registered_names()) == many


def test_what_is_no_number_of_nodes_or_seconds_is_said_so(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(BadArgument, match="min_nodes="):
            waits(a, wrong, 1.0)
    with pytest.raises(BadArgument, match="timeout=None; expected seconds"):
        waits(a, 1, None)


def test_a_coroutine_is_told_how_to_wait(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]

    async def main() -> Any:
        with pytest.raises(WouldBlockLoop, match=r"await aio\.blocking\(cluster_ready, \.\.\.\)"):
            cluster_ready(1, 0.0)
        return await aio.blocking(cluster_ready, 1, 0.0)

    with a.attached():
        ref = process.spawn_monitor(main)[1]
        down = process.receive(where=lambda message: message.ref == ref)
        assert down.reason == "normal"


def test_nothing_is_left_of_it_when_its_caller_ends(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    with a.attached():
        pid = process.spawn(cluster_ready, 2, 3600.0)
        eventually(lambda: len(a.node_watchers) > 2)
        process.exit(pid, "kill")
        eventually(lambda: len(a.node_watchers) == 2)


# The child.


def test_the_child_lets_the_others_start_when_the_cluster_is_there(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    children: Any = [(ClusterReady, {"min_nodes": 2, "timeout": 20.0}), (Leader, None)]
    up, stop = threading.Event(), threading.Event()

    def tree() -> None:
        with a.attached():
            pid = supervisor.start_link(children, strategy="one_for_all")
            ids = [row.id for row in supervisor.which_children(pid)]
            assert ids == [Leader]
            up.set()
            stop.wait(20.0)
            supervisor.stop(pid)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(tree)
        eventually(lambda: len(a.node_watchers) > 2)
        assert not up.is_set()
        assert whereis(a) is None
        cluster.start("b")
        assert up.wait(20.0)
        assert whereis(a) is not None
        stop.set()
        done.result()


def whereis(running: Node) -> Any:
    with running.attached():
        return gen_server.whereis(LEADER)


def test_a_supervisor_whose_cluster_does_not_come_does_not_start(cluster: Cluster) -> None:
    a = cluster.start("a").nodes["a"]
    children: Any = [(ClusterReady, {"min_nodes": 2, "timeout": 0.05}), (Leader, None)]
    with a.attached():
        process.flag(trap_exit=True)
        with pytest.raises(StartError) as raised:
            supervisor.start_link(children, strategy="one_for_one")
    why = ("failed_to_start_child", ClusterReady, ("cluster_not_ready", [A], 2))
    assert raised.value.reason == ("shutdown", why)


def test_the_child_wants_the_keywords_of_the_function() -> None:
    wrong: Any = 3
    with pytest.raises(BadArgument, match=r"ClusterReady got 3; expected a dict"):
        ClusterReady.child_spec(wrong)
    with pytest.raises(TypeError):
        ClusterReady.child_spec({"nodes": 3})
