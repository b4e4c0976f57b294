"""A node that is frozen: who sends to it waits, nobody else does, and no memory grows."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import At, Busy, Down, GenServer, NoReply, Ok, Reply, gen_server, process, self_pid
from otpy import node as nodes
from otpy.distribution.transport import BATCH_BYTES, BUSY_LIMIT
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
ROOT = Path(__file__).parents[2]
FAR = "far@127.0.0.1"
SINK = At("sink", FAR)
BODY = b"x" * 10_000
ENOUGH = 4000  # times BODY: more than the sockets and the busy limit hold together
Program = subprocess.Popen[str]


class Sink(GenServer[int]):
    """Counts what it is sent."""

    def init(self, arg: int, /) -> Ok[int]:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int) -> Reply[int]:
        return Reply(state)

    def handle_info(self, message: Any, state: int) -> NoReply[int]:
        return NoReply(state + 1)


def open_sink() -> None:
    """Run there."""
    gen_server.start(Sink, 0, name="sink")


@pytest.fixture
def far(cluster: Cluster) -> Iterator[Program]:
    """Another program with a node and a sink; the test is a process of node a."""
    cluster.start("a")
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.cluster.busy_node", FAR, str(cluster.directory)],
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
        finally:
            program.kill()


def flood(count: int = ENOUGH) -> None:
    for _ in range(count):
        process.send(SINK, BODY)


def freeze(cluster: Cluster, far: Program) -> None:
    """Stop the other program, and fill the way to it."""
    far.send_signal(signal.SIGSTOP)
    process.spawn_monitor(flood)
    eventually(lambda: FAR in cluster.nodes["a"].busy)


def test_a_sender_waits_while_the_peer_is_frozen_and_nothing_is_lost(
    cluster: Cluster, far: Program
) -> None:
    freeze(cluster, far)
    link = cluster.meshes["a"].routing.up[FAR]
    assert link.outbox.size <= BUSY_LIMIT + BATCH_BYTES + len(BODY)
    far.send_signal(signal.SIGCONT)
    assert process.receive(Down, timeout=20).reason == "normal"
    assert gen_server.call(SINK, "count", timeout=20) == ENOUGH
    assert not cluster.nodes["a"].busy


@pytest.mark.parametrize("green", [True, False])
def test_who_does_not_send_there_goes_on(cluster: Cluster, far: Program, green: bool) -> None:
    freeze(cluster, far)
    waiting, _ = process.spawn_monitor(flood, green=green)
    eventually(lambda: process.info(waiting, "status") == {"status": "waiting"})
    here = self_pid()
    process.spawn(lambda: process.send(here, "I go on"), green=True)
    assert process.receive(str, timeout=5) == "I go on"
    assert process.alive(waiting)
    far.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("green", [True, False])
def test_a_process_that_waits_to_send_can_be_ended(
    cluster: Cluster, far: Program, green: bool
) -> None:
    freeze(cluster, far)
    waiting, ref = process.spawn_monitor(flood, green=green)
    eventually(lambda: process.info(waiting, "status") == {"status": "waiting"})
    process.exit(waiting, "enough")
    assert process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason == "enough"


def test_who_will_not_wait_is_told(cluster: Cluster, far: Program) -> None:
    """Process.send(dest, msg, [:nosuspend, :noconnect])."""
    assert process.send(SINK, "first", nosuspend=True) == "ok"
    assert process.send(At("sink", "nowhere@127.0.0.1"), 1, noconnect=True) == "noconnect"
    freeze(cluster, far)
    # The system's own buffers may take one or two yet.
    assert "nosuspend" in (process.send(SINK, BODY, nosuspend=True) for _ in range(ENOUGH))
    here = self_pid()
    assert process.send(here, "local", nosuspend=True, noconnect=True) == "ok"
    assert process.receive(str) == "local"


def test_a_coroutine_cannot_wait_to_send(cluster: Cluster, far: Program) -> None:
    freeze(cluster, far)

    async def casts() -> None:
        for _ in range(ENOUGH):  # the system's own buffers may take one or two yet
            gen_server.cast(SINK, BODY)

    _, ref = process.spawn_monitor(casts)
    down: Down = process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
    assert down.reason.type.endswith(Busy.__name__)
    assert f"{FAR} takes no more at present" in down.reason.message


def test_a_session_that_ends_lets_go_of_who_waits(cluster: Cluster, far: Program) -> None:
    freeze(cluster, far)
    far.kill()
    far.wait()
    assert process.receive(Down, timeout=20).reason == "normal"
    eventually(lambda: FAR not in cluster.nodes["a"].busy)


def test_a_process_waits_until_its_large_message_is_out(cluster: Cluster, far: Program) -> None:
    far.send_signal(signal.SIGSTOP)
    here = self_pid()

    def body() -> None:
        process.send(SINK, b"L" * 20_000_000)
        process.send(here, "the first")
        process.send(SINK, "small")
        process.send(here, "the second")

    process.spawn(body)
    assert process.receive(str, timeout=5) == "the first"
    eventually(lambda: any(isinstance(held, tuple) for held in cluster.nodes["a"].busy))
    process.send(SINK, "mine does not wait")
    assert process.info(here, "messages") == {"messages": []}
    far.send_signal(signal.SIGCONT)
    assert process.receive(str, timeout=20) == "the second"
    assert gen_server.call(SINK, "count", timeout=20) == 3
