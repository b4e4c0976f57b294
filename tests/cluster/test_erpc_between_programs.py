"""``erpc`` between OS processes: what comes back, and what a killed one leaves."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otpy import Crash, Down, RemoteError, RemoteTimeout, erpc, process, self_pid
from otpy import node as nodes
from otpy.testing import eventually
from tests.cluster.conftest import Cluster
from tests.conformance.remote import add, fails, for_ever, until_told, where
from tests.conformance.waiting import nothing_more

ROOT = Path(__file__).parents[2]
FAR = "far@127.0.0.1"
Program = subprocess.Popen[str]


@pytest.fixture
def far(cluster: Cluster) -> Iterator[Program]:
    """Another program with a node; the test is a process of node a."""
    cluster.start("a")
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.erpc_node", FAR, str(cluster.directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            assert program.stdout is not None
            assert FAR in program.stdout.readline()
            with cluster.nodes["a"].attached():
                eventually(lambda: FAR in nodes.list_())
                yield program
                nothing_more()
        finally:
            program.kill()


def test_values_and_exceptions_come_from_another_program(far: Program) -> None:
    assert erpc.call(FAR, add, 1, 2, timeout=5) == 3
    assert erpc.multicall([FAR, nodes.self_()], where, timeout=5) == [
        ("ok", FAR),
        ("ok", "a@127.0.0.1"),
    ]
    with pytest.raises(RemoteError) as failed:
        erpc.call(FAR, fails, "oops", timeout=5)
    assert failed.value.reason == Crash("ValueError", "oops")
    assert "raise ValueError(text)" in failed.value.reason.traceback_text


def test_calls_keep_their_order_and_time_outs_leave_nothing(far: Program) -> None:
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


def test_a_program_that_is_killed_ends_every_call(far: Program) -> None:
    for _ in range(10):
        erpc.cast(FAR, for_ever, self_pid())
    requests = [erpc.send_request(FAR, for_ever, self_pid()) for _ in range(10)]
    for _ in range(20):
        assert process.receive(tuple, timeout=5)[0] == "runs"
    far.kill()
    for request in requests:
        with pytest.raises(RemoteError) as lost:
            erpc.receive_response(request, 10)
        assert lost.value.reason == ("erpc", "noconnection")
