"""``erpc`` between OS processes: what comes back, and what a killed one leaves."""

from collections.abc import Iterator

import pytest

from otpy import Crash, Down, RemoteError, RemoteTimeout, erpc, process, self_pid, start_node
from otpy import node as nodes
from otpy.testing import Cluster, eventually
from otpy.testing._fork_server import ForkServer
from tests.conformance import remote
from tests.conformance.remote import add, fails, for_ever, until_told, where
from tests.conformance.waiting import nothing_more

HERE, FAR = "here@127.0.0.1", "a@127.0.0.1"


@pytest.fixture
def far(otpy_fork_server: ForkServer) -> Iterator[Cluster]:
    """Another program with a node; the test is a process of a node here."""
    with (
        Cluster(1, modules=[remote], forks=otpy_fork_server) as c,
        start_node(HERE, cookie=c.cookie, directory=c.directory) as node,
        node.attached(),
    ):
        eventually(lambda: nodes.list_() == [FAR])
        yield c
        nothing_more()


def test_values_and_exceptions_come_from_another_program(far: Cluster) -> None:
    assert erpc.call(FAR, add, 1, 2, timeout=5) == 3
    assert erpc.multicall([FAR, nodes.self_()], where, timeout=5) == [
        ("ok", FAR),
        ("ok", HERE),
    ]
    with pytest.raises(RemoteError) as failed:
        erpc.call(FAR, fails, "oops", timeout=5)
    assert failed.value.reason == Crash("ValueError", "oops")
    assert "raise ValueError(text)" in failed.value.reason.traceback_text


def test_calls_keep_their_order_and_time_outs_leave_nothing(far: Cluster) -> None:
    reqids = erpc.reqids_new()
    for number in range(200):
        erpc.send_request(FAR, add, number, 0, label=number, reqids=reqids, green=True)
    got: dict[int, int] = {}
    while (answer := erpc.receive_response(reqids, 10)) != "no_request":
        got[answer[1]] = answer[0]
    assert got == {number: number for number in range(200)}
    for number in range(50):
        with pytest.raises(RemoteTimeout):
            erpc.call(FAR, until_told, self_pid(), timeout=0.0001 * number)
    for _ in range(50):
        _, pid = process.receive(tuple, timeout=5)
        fence = process.monitor(pid)
        process.send(pid, "told")
        assert process.receive(Down, timeout=5).ref == fence
    assert erpc.call(FAR, add, 1, 2, timeout=5) == 3


def test_a_program_that_is_killed_ends_every_call(far: Cluster) -> None:
    for _ in range(10):
        erpc.cast(FAR, for_ever, self_pid())
    requests = [erpc.send_request(FAR, for_ever, self_pid()) for _ in range(10)]
    for _ in range(20):
        assert process.receive(tuple, timeout=5)[0] == "runs"
    far.kill("a")
    for request in requests:
        with pytest.raises(RemoteError) as lost:
            erpc.receive_response(request, 10)
        assert lost.value.reason == ("erpc", "noconnection")
