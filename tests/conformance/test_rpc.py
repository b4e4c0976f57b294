"""``rpc`` (RPC), on this node and between nodes on real sockets."""

from typing import Any

import pytest

from otpy import BadArgument, Crash, Node, RemoteError, aio, erpc, process, rpc, self_pid
from otpy.distribution.rpc import BadRpc
from otpy.testing import Cluster as Far
from tests.cluster.conftest import Cluster, cluster
from tests.cluster.test_erpc_between_programs import FAR, far
from tests.conformance.remote import (
    NOWHERE,
    add,
    add_later,
    alone,
    calls_nobody,
    dies_of_a_link,
    exits,
    fails,
    for_ever,
    killed,
    tells,
    until_told,
    where,
)
from tests.conformance.test_erpc import clean, place, runs

__all__ = ["cluster", "far", "place"]


def call(place: Any, fn: Any, *args: Any, timeout: Any = 5) -> Any:
    return rpc.call(place.node, fn, *args, timeout=timeout, green=place.green)


def test_rpc_01_a_failure_is_a_value(place: Any) -> None:
    """call returns value; throw(V) returns V; exit(R) {badrpc,{EXIT,R}}; error
    {badrpc,{EXIT,{R,Stack}}}."""
    assert call(place, add, 1, 2) == call(place, add_later, 1, 2) == 3
    assert call(place, where) == place.node
    assert call(place, exits, ("any", 1)) == BadRpc(("EXIT", ("any", 1)))
    assert call(place, fails, "oops") == BadRpc(("EXIT", Crash("ValueError", "oops")))
    called = ("gen_server", "call", ("nobody", "x", 5.0))
    assert call(place, calls_nobody) == BadRpc(("EXIT", ("noproc", called)))
    with pytest.raises(BadArgument, match="a function"):
        call(place, "add")
    with pytest.raises(BadArgument, match="name@host"):
        rpc.call("b", add, 1, 2)


def test_rpc_03_time_outs_and_lost_nodes(place: Any) -> None:
    """timeout {badrpc,timeout}, late reply dropped; node missing or dying mid-call
    {badrpc,nodedown}."""
    assert call(place, until_told, self_pid(), timeout=0.001) == BadRpc("timeout")
    pid = runs()
    fence = process.monitor(pid)
    process.send(pid, "told")
    assert process.receive(timeout=5).ref == fence
    assert rpc.call(NOWHERE, add, 1, 2) == BadRpc("nodedown")


def test_rpc_03_a_node_that_dies_ends_a_call(far: Far) -> None:
    """node dying mid-call {badrpc,nodedown}."""
    key = rpc.async_call(FAR, for_ever, self_pid())
    runs()
    far.kill("a")
    assert rpc.yield_(key) == BadRpc("nodedown")
    clean()


def test_rpc_03_a_node_that_stops_ends_a_call(cluster: Cluster) -> None:
    """A node that stops in order ends its processes before its sessions: either may be seen
    first, the end of the function or that of the node."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        key = rpc.async_call("b@127.0.0.1", for_ever, self_pid())
        runs()
        cluster.nodes["b"].stop()
        assert rpc.yield_(key) in (BadRpc("nodedown"), BadRpc(("EXIT", "killed")))
        clean()


def test_rpc_04_a_time_out_holds_when_nothing_can_be_sent(cluster: Cluster) -> None:
    """timeout is enforced even if the request cannot be sent."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        cluster.partition("a", "b")
        began = process.monotonic_time()
        got = rpc.call("b@127.0.0.1", add, 1, 2, timeout=0.05)
        assert got in (BadRpc("timeout"), BadRpc("nodedown"))
        assert process.monotonic_time() - began < 3
        cluster.heal("a", "b")
        assert rpc.call("b@127.0.0.1", add, 1, 2, timeout=5) == 3
        clean()


def test_rpc_04_a_time_out_holds_while_the_peer_is_frozen(far: Far) -> None:
    """timeout is enforced even if the request cannot be sent: nothing there reads it."""
    assert rpc.call(FAR, add, 1, 2, timeout=10) == 3
    far.pause("a")
    began = process.monotonic_time()
    assert rpc.call(FAR, add, 1, 2, timeout=0.5) == BadRpc("timeout")
    assert 0.5 <= process.monotonic_time() - began < 2.5
    far.resume("a")
    assert rpc.call(FAR, add, 1, 2, timeout=10) == 3
    clean()


def test_rpc_05_multicall_sorts_out_who_is_lost(place: Any) -> None:
    """multicall -> {Results in node order, BadNodes}; timeouts/down nodes go to BadNodes."""
    nodes = [place.node, NOWHERE, "a@127.0.0.1"]

    def of(fn: Any, *args: Any, timeout: float = 5) -> Any:
        return rpc.multicall(nodes, fn, *args, timeout=timeout, green=place.green)

    assert of(where) == ([place.node, "a@127.0.0.1"], [NOWHERE])
    assert of(for_ever, timeout=0.01) == ([], nodes)
    oops = BadRpc(("EXIT", Crash("ValueError", "oops")))
    assert of(fails, "oops") == ([oops, oops], [NOWHERE])


def test_rpc_06_a_function_has_a_process_of_its_own(place: Any) -> None:
    """callee runs in its own process: linked-process crash gives {badrpc,{EXIT,R}}."""
    assert call(place, dies_of_a_link) == BadRpc(("EXIT", "linked"))
    assert call(place, killed, "kill") == BadRpc(("EXIT", "killed"))
    assert call(place, self_pid) != call(place, self_pid)


def test_rpc_07_block_calls_come_one_after_the_other(place: Any) -> None:
    """block_call serialises."""
    me = self_pid()
    node = place.node
    for _ in range(8):
        process.spawn(lambda: process.send(me, rpc.block_call(node, alone, timeout=10)), green=True)
    assert [process.receive(timeout=10) for _ in range(8)] == [True] * 8
    assert rpc.block_call(node, add, 1, 2) == rpc.block_call(node, add_later, 1, 2) == 3
    oops = BadRpc(("EXIT", Crash("ValueError", "oops")))
    assert rpc.block_call(node, fails, "oops") == oops
    assert rpc.block_call(node, exits, "out") == BadRpc(("EXIT", "out"))
    assert rpc.block_call(node, where) == node
    assert rpc.block_call(NOWHERE, where) == BadRpc("nodedown")


def test_rpc_08_a_call_may_be_yielded_later(place: Any) -> None:
    """async_call/yield/nb_yield."""

    def ask(fn: Any, *args: Any) -> Any:
        return rpc.async_call(place.node, fn, *args, green=place.green)

    key = ask(until_told, self_pid())
    pid = runs()
    assert rpc.nb_yield(key) == rpc.nb_yield(key, 0.001) == "timeout"
    process.send(pid, "told")
    assert rpc.nb_yield(key, 5) == ("value", "told")
    with pytest.raises(BadArgument, match="no answer can come"):
        rpc.yield_(key)
    assert rpc.yield_(ask(fails, "oops")) == BadRpc(("EXIT", Crash("ValueError", "oops")))
    assert rpc.yield_(rpc.async_call(NOWHERE, where)) == BadRpc("nodedown")


def test_rpc_09_a_cast_is_always_true(place: Any) -> None:
    """cast returns true always."""
    assert rpc.cast(place.node, fails, "oops", green=place.green) is True
    assert rpc.cast(NOWHERE, where) is True
    rpc.eval_everywhere([place.node, "a@127.0.0.1", NOWHERE], tells, self_pid(), "done")
    assert [process.receive(timeout=5) for _ in range(2)] == ["done", "done"]


async def calls_there(node: str) -> Any:
    key = rpc.async_call(node, add, 3, 4)
    got: list[Any] = [
        await aio.rpc.call(node, add, 1, 2, timeout=5),
        await aio.rpc.call(node, for_ever, timeout=0.001),
        await aio.rpc.block_call(node, add, 2, 3, timeout=5),
        await aio.rpc.multicall([node, NOWHERE], where, timeout=5),
        await aio.rpc.nb_yield(key, 5),
        await aio.rpc.yield_(rpc.async_call(node, fails, "oops")),
    ]
    clean()
    return got


def test_rpc_01_coroutines_wait_for_values_too(place: Any) -> None:
    """call, block_call, multicall and yield, from an async process."""
    assert erpc.call("a@127.0.0.1", calls_there, place.node, timeout=20) == [
        3,
        BadRpc("timeout"),
        5,
        ([place.node], [NOWHERE]),
        ("value", 7),
        BadRpc(("EXIT", Crash("ValueError", "oops"))),
    ]


def test_rpc_07_a_server_that_is_ended_is_started_again(node: Node) -> None:
    """block_call serialises, also after the node's process has been ended."""
    assert rpc.block_call(node.name, add, 1, 2) == 3
    assert rpc.block_call(node.name, killed, "kill") == BadRpc(
        ("EXIT", ("killed", ("gen_server", "call", ("rex", (killed, ("kill",)), None))))
    )
    assert rpc.block_call(node.name, add, 1, 2, timeout=5) == 3
    with pytest.raises(RemoteError):
        erpc.call(node.name, fails, "oops")
