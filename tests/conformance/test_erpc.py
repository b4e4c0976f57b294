"""``erpc`` (ERPC), on this node and between nodes on real sockets."""

from dataclasses import dataclass
from typing import Any

import pytest

from otpy import (
    BadArgument,
    Crash,
    Down,
    NotSendable,
    RemoteError,
    RemoteTimeout,
    aio,
    erpc,
    process,
    self_pid,
)
from otpy.testing import Cluster as Far
from otpy.testing import eventually
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster
from tests.cluster.test_erpc_between_programs import FAR, far
from tests.conformance.remote import (
    NOWHERE,
    add,
    add_later,
    calls_nobody,
    dies_of_a_link,
    exits,
    fails,
    for_ever,
    forged,
    killed,
    late,
    nested,
    tells,
    unsendable,
    until_told,
    where,
)
from tests.conformance.waiting import nothing_more

__all__ = ["cluster", "far"]
HOW = [(place, green) for place in ("here", "there") for green in (True, False)]


@dataclass
class Place:
    """The node that is asked, and how its functions run; the test is a process of node a."""

    node: str
    green: bool
    cluster: Cluster

    def call(self, fn: Any, *args: Any, timeout: Any = 5) -> Any:
        return erpc.call(self.node, fn, *args, timeout=timeout, green=self.green)

    def ask(self, fn: Any, *args: Any, **collection: Any) -> Any:
        send: Any = erpc.send_request
        return send(self.node, fn, *args, green=self.green, **collection)

    def why(self, fn: Any, *args: Any, timeout: Any = 5) -> Any:
        with pytest.raises(RemoteError) as failed:
            self.call(fn, *args, timeout=timeout)
        return failed.value.reason


@pytest.fixture(
    params=HOW, ids=[f"{place}-{'green' if green else 'thread'}" for place, green in HOW]
)
def place(request: pytest.FixtureRequest, cluster: Cluster) -> Any:
    where_, green = request.param
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        yield Place("a@127.0.0.1" if where_ == "here" else "b@127.0.0.1", green, cluster)
        clean()


def clean() -> None:
    """Nothing of a call is left in this process."""
    nothing_more()
    assert process.info(self_pid(), "monitors", "links") == {"monitors": [], "links": []}


def runs() -> Any:
    """The process that a function runs in."""
    how, pid = process.receive(tuple, timeout=5)
    assert how == "runs"
    return pid


def test_erpc_01_values_exceptions_and_exits_come_back(place: Place) -> None:
    """throw re-thrown; exit -> exit {exception,R}; error -> error {exception,R,Stack}."""
    assert place.call(add, 1, 2) == 3
    assert place.call(add_later, 1, 2) == 3
    assert place.call(where) == place.node
    assert place.why(fails, "oops") == Crash("ValueError", "oops")
    assert place.why(exits, ("any", 1)) == ("exception", ("any", 1))
    assert place.why(exits, "normal") == ("exception", "normal")
    called = ("gen_server", "call", ("nobody", "x", 5.0))
    assert place.why(calls_nobody) == ("exception", ("noproc", called))
    assert place.why(forged, "timeout") == ("exception", ("timeout", ()))
    with pytest.raises(RemoteError, match=r"\(ValueError\) oops"):
        place.call(fails, "oops")


def test_erpc_02_an_exit_signal_comes_back(place: Place) -> None:
    """exit signal -> exit {signal,R}."""
    assert place.why(killed, "kill") == ("signal", "killed")
    assert place.why(killed, ("any", 1)) == ("signal", ("any", 1))
    assert place.why(dies_of_a_link) == ("signal", "linked")


def test_erpc_03_time_outs_lost_nodes_and_bad_arguments(place: Place) -> None:
    """{erpc,timeout}, {erpc,noconnection}, {erpc,badarg}."""
    with pytest.raises(RemoteTimeout) as failed:
        place.call(for_ever, timeout=0.01)
    assert failed.value.reason == ("erpc", "timeout")
    assert isinstance(failed.value, TimeoutError)
    assert place.why(for_ever, timeout=("abs", 0)) == ("erpc", "timeout")
    assert place.why(for_ever, timeout=0) == ("erpc", "timeout")
    with pytest.raises(RemoteError) as lost:
        erpc.call(NOWHERE, add, 1, 2)
    assert lost.value.reason == ("erpc", "noconnection")
    wrongs: list[Any] = ["b", 7, None]
    for wrong in wrongs:
        with pytest.raises(BadArgument, match="name@host"):
            erpc.call(wrong, add, 1, 2)
    with pytest.raises(BadArgument, match="a function"):
        place.call("add")
    with pytest.raises(BadArgument, match="timeout"):
        place.call(add, 1, 2, timeout=-1)


def test_erpc_03_a_node_that_is_lost_ends_a_call(cluster: Cluster) -> None:
    """{erpc,noconnection}, also in the middle of a call."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        request = erpc.send_request("b@127.0.0.1", for_ever, self_pid())
        runs()
        cluster.partition("a", "b")
        with pytest.raises(RemoteError) as lost:
            erpc.receive_response(request, 5)
        assert lost.value.reason == ("erpc", "noconnection")
        clean()


def test_erpc_03_a_time_out_holds_while_the_peer_is_frozen(far: Far) -> None:
    """{erpc,timeout}, also where nothing reads the request."""
    assert erpc.call(FAR, add, 1, 2, timeout=10) == 3
    far.pause("a")
    began = process.monotonic_time()
    with pytest.raises(RemoteTimeout) as failed:
        erpc.call(FAR, add, 1, 2, timeout=0.5)
    assert failed.value.reason == ("erpc", "timeout")
    assert 0.5 <= process.monotonic_time() - began < 2.5
    far.resume("a")
    assert erpc.call(FAR, add, 1, 2, timeout=10) == 3
    clean()


def test_erpc_03_what_cannot_travel_or_is_not_there(cluster: Cluster) -> None:
    """{erpc,badarg}: here NotSendable in the caller, and the reasons undef and not_sendable."""
    cluster.start("ab")
    there = "b@127.0.0.1"
    with cluster.nodes["a"].attached():
        with pytest.raises(NotSendable):
            erpc.call(there, lambda: 1)
        with pytest.raises(NotSendable):
            erpc.multicall(["a@127.0.0.1", there], lambda: 1)
        with pytest.raises(RemoteError) as failed:
            erpc.call(there, unsendable)
        assert failed.value.reason[0] == "not_sendable"
        assert "Unsendable" in failed.value.reason[1]
        clean()


def test_erpc_04_the_traceback_begins_with_the_function(place: Place) -> None:
    """remote stack is trimmed of transport frames."""
    text = place.why(fails, "oops").traceback_text
    first = next(line for line in text.splitlines() if line.startswith("  File "))
    assert first.endswith("in fails")
    assert "_remote.py" not in text


def test_erpc_05_nested_calls_nest_exceptions(place: Place) -> None:
    """nested calls nest exceptions."""
    home = "a@127.0.0.1"
    assert place.call(nested, home, add, 1, 2) == 3
    oops = Crash("ValueError", "oops")
    assert place.why(nested, home, fails, "oops") == ("exception", oops)
    assert place.why(nested, home, exits, 1) == ("exception", ("exception", 1))
    assert place.why(nested, home, nested, place.node, fails, "oops") == (
        "exception",
        ("exception", oops),
    )
    assert place.why(late) == ("exception", ("erpc", "timeout"))


def test_erpc_06_multicall_gives_outcomes_in_node_order(place: Place) -> None:
    """multicall -> list in node order of {ok,V}|{throw,V}|{exit,..}|{error,..}; shared timeout."""
    nodes = [place.node, NOWHERE, "a@127.0.0.1", place.node]

    def of(fn: Any, *args: Any, timeout: float = 5) -> Any:
        return erpc.multicall(nodes, fn, *args, timeout=timeout, green=place.green)

    lost = ("error", ("erpc", "noconnection"))
    named = ("ok", place.node)
    assert of(where) == [named, lost, ("ok", "a@127.0.0.1"), named]
    oops = ("error", Crash("ValueError", "oops"))
    assert of(fails, "oops") == [oops, lost, oops, oops]
    out = ("exit", ("exception", 1))
    assert of(exits, 1) == [out, lost, out, out]
    signal = ("exit", ("signal", "killed"))
    assert of(killed, "kill") == [signal, lost, signal, signal]
    late_ = ("error", ("erpc", "timeout"))
    began = process.monotonic_time()
    assert of(for_ever, timeout=0.2) == [late_, lost, late_, late_]
    assert process.monotonic_time() - began < 0.6, "each waited by itself"
    assert erpc.multicall([], where) == []
    wrongs: list[Any] = ["a@127.0.0.1", [place.node, "b"]]
    for wrong in wrongs:
        with pytest.raises(BadArgument):
            erpc.multicall(wrong, tells, self_pid(), "sent")


def test_erpc_07_a_cast_tells_nothing_back(place: Place) -> None:
    """cast ok always unless badarg; remote failure silent."""
    me = self_pid()
    casts: list[tuple[Any, ...]] = [
        (fails, "oops"), (exits, "x"), (killed, "kill"), (add_later, 1, 2), (tells, me, "done"),
    ]  # fmt: skip
    for fn, *args in casts:
        erpc.cast(place.node, fn, *args, green=place.green)
    assert process.receive(timeout=5) == "done"
    erpc.cast(NOWHERE, add, 1, 2)
    with pytest.raises(BadArgument, match="name@host"):
        erpc.cast("b", add, 1, 2)
    with pytest.raises(BadArgument, match="a function"):
        erpc.cast(place.node, "add")  # type: ignore[arg-type]  # wrong on purpose


def test_erpc_08_a_multicast_tells_nothing_back(place: Place) -> None:
    """multicast likewise."""
    me = self_pid()
    erpc.multicast([place.node, NOWHERE, place.node], tells, me, "done", green=place.green)
    assert [process.receive(timeout=5) for _ in range(2)] == ["done", "done"]
    with pytest.raises(BadArgument, match="name@host"):
        erpc.multicast([place.node, "b"], tells, me, "never")


def test_erpc_09_a_wait_may_be_repeated_and_a_receive_gives_up(place: Place) -> None:
    """wait_response no_response keeps the request; receive_response timeout abandons."""
    request = place.ask(until_told, self_pid())
    pid = runs()
    assert erpc.wait_response(request) == "no_response"
    assert erpc.wait_response(request, 0.001) == "no_response"
    process.send(pid, "told")
    assert erpc.wait_response(request, 5) == ("response", "told")
    request = place.ask(until_told, self_pid())
    pid = runs()
    with pytest.raises(RemoteTimeout):
        erpc.receive_response(request, 0.001)
    fence = process.monitor(pid)
    process.send(pid, "told")
    assert process.receive(Down, timeout=5).ref == fence
    with pytest.raises(BadArgument, match="no answer can come"):
        erpc.wait_response(request, 5)
    failing = place.ask(fails, "oops")
    with pytest.raises(RemoteError, match="oops"):
        erpc.wait_response(failing, 5)


def test_erpc_10_a_response_is_consumed_once(place: Place) -> None:
    """response consumed twice -> {erpc,badarg}."""
    request = place.ask(add, 1, 2)
    assert erpc.receive_response(request, 5) == 3
    for take in (erpc.receive_response, erpc.wait_response):
        with pytest.raises(BadArgument, match="no answer can come"):
            take(request, 5)
    wrong: Any = "request"
    with pytest.raises(BadArgument, match="what send_request gave"):
        erpc.receive_response(wrong)


def test_erpc_11_another_message_is_no_response(place: Place) -> None:
    """check_response with foreign message no_response."""
    request, other = place.ask(add, 1, 2), place.ask(fails, "oops")
    assert erpc.check_response("hello", request) == "no_response"
    message = process.receive(where=lambda m: m.ref == request.ref, timeout=5)
    assert erpc.check_response(message, other) == "no_response"
    assert erpc.check_response(message, request) == ("response", 3)
    message = process.receive(timeout=5)
    with pytest.raises(RemoteError, match="oops"):
        erpc.check_response(message, other)


def test_erpc_12_a_collection_gives_values_as_they_come(place: Place) -> None:
    """request-id collections."""
    reqids = erpc.reqids_new()
    assert erpc.receive_response(reqids) == erpc.wait_response(reqids) == "no_request"
    assert place.ask(until_told, self_pid(), label="told", reqids=reqids) is reqids
    pid = runs()
    place.ask(add, 1, 2, label="sum", reqids=reqids)
    assert erpc.receive_response(reqids, 5) == (3, "sum", reqids)
    failing = place.ask(fails, "oops")
    erpc.reqids_add(failing, "failed", reqids)
    with pytest.raises(BadArgument, match="already"):
        erpc.reqids_add(failing, "again", reqids)
    assert [label for _, label in erpc.reqids_to_list(reqids)] == ["told", "failed"]
    with pytest.raises(RemoteError, match="oops") as failed:
        erpc.receive_response(reqids, 5)
    assert failed.value.label == "failed"
    assert erpc.reqids_size(reqids) == 1
    assert erpc.wait_response(reqids, ("abs", 0)) == "no_response"
    process.send(pid, "told")
    got = erpc.wait_response(reqids, 5, delete=False)
    assert got == ("response", ("told", "told", reqids))
    assert erpc.reqids_size(reqids) == 1
    reqids = place.ask(for_ever, label=1, reqids=erpc.reqids_new())
    place.ask(for_ever, label=2, reqids=reqids)
    with pytest.raises(RemoteTimeout):
        erpc.receive_response(reqids, 0.001)
    clean()


def test_erpc_13_nothing_is_left_after_time_outs(place: Place) -> None:
    """no stray messages after timeouts."""
    me = self_pid()
    for _ in range(20):
        with pytest.raises(RemoteTimeout):
            place.call(until_told, me, timeout=0)
    pids = [runs() for _ in range(20)]
    assert [out[0] for out in erpc.multicall([place.node] * 5, for_ever, me, timeout=0)] == [
        "error"
    ] * 5
    pids += [runs() for _ in range(5)]
    for pid in pids:
        fence = process.monitor(pid)
        process.exit(pid, "over")
        assert process.receive(timeout=5) == Down(fence, pid, "over")


@pytest.mark.parametrize("seed", range(5))
def test_erpc_13_nothing_is_left_whenever_the_time_out_comes(seed: int) -> None:
    """no stray messages after timeouts, at any instant of the call."""

    def body() -> None:
        for number in range(60):
            try:
                assert erpc.call("b@sim", add, number, 1, timeout=number / 10_000) == number + 1
            except RemoteTimeout:
                pass
            clean()
        process.sleep(1)
        clean()

    ClusterSimulation(seed, ("a@sim", "b@sim")).call("a@sim", body)


async def calls_there(node: str) -> Any:
    got: list[Any] = [await aio.erpc.call(node, add, 1, 2, timeout=5)]
    with pytest.raises(RemoteError, match="oops"):
        await aio.erpc.call(node, fails, "oops")
    with pytest.raises(RemoteTimeout):
        await aio.erpc.call(node, for_ever, timeout=0.001)
    got.append(await aio.erpc.multicall([node, node], where, timeout=5))
    request = erpc.send_request(node, add, 2, 3)
    got.append(await aio.erpc.wait_response(request, 5))
    got.append(await aio.erpc.receive_response(erpc.send_request(node, add, 3, 4), 5))
    clean()
    return got


def test_erpc_01_coroutines_wait_for_values_too(place: Place) -> None:
    """call, multicall and requests, from an async process."""
    told = place.cluster.nodes["a"]
    got = erpc.call(told.name, calls_there, place.node, timeout=20)
    ok = ("ok", place.node)
    assert got == [3, [ok, ok], ("response", 5), 7]


def test_erpc_03_processes_of_lost_calls_go_on(cluster: Cluster) -> None:
    """A call whose process here has ended leaves nothing behind but the function itself."""
    cluster.start("ab")
    there = cluster.nodes["b"]
    with cluster.nodes["a"].attached():
        caller = process.spawn(erpc.call, there.name, for_ever, self_pid())
        pid = runs()
        process.exit(caller, "kill")
        with there.attached():
            eventually(lambda: process.info(pid, "monitored_by") == {"monitored_by": []})
            process.exit(pid, "kill")
