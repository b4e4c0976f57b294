"""A process may end with a reason that cannot be sent; other nodes hear of its end all the same."""

import threading
from typing import Any

import pytest

from otpy import CallExit, GenServer, NoReply, NotSendable, Ok, Pid, gen_server, process
from otpy.runtime.node import Node
from otpy.terms.messages import Down, Exit
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]


class Silent(GenServer[None], green=True):
    def init(self, arg: Any) -> Ok[None]:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> NoReply[None]:
        return NoReply()


def ends(node: Node, pid: Pid) -> None:
    with node.attached():
        process.exit(pid, threading.Lock())


def test_monitors_and_links_on_other_nodes_fire(cluster: Cluster) -> None:
    a, b = cluster.start("ab").nodes.values()
    with b.attached():
        pid = gen_server.start(Silent, None)
    with a.attached():
        process.flag(trap_exit=True)
        first, second = process.monitor(pid), process.monitor(pid)
        process.link(pid)
        eventually(lambda: len(b.procs[pid].monitored_by or ()) == 2 and b.procs[pid].links)
        ends(b, pid)
        downs = [process.receive(Down, timeout=5) for _ in range(2)]
        assert {down.ref for down in downs} == {first, second}
        assert process.receive(Exit, timeout=5).reason[0] == "not_sendable"
        assert "reason" in downs[0].reason[1]


def test_a_caller_on_another_node_hears(cluster: Cluster) -> None:
    a, b = cluster.start("ab").nodes.values()
    with b.attached():
        pid = gen_server.start(Silent, None)
    with a.attached():
        boss = process.self_pid()

        def ask() -> None:
            with pytest.raises(CallExit) as failed:
                gen_server.call(pid, "x", timeout=30)
            process.send(boss, failed.value.reason)

        process.spawn(ask)
        eventually(lambda: b.procs[pid].deferred)
        ends(b, pid)
        assert process.receive(tuple, timeout=5)[0] == "not_sendable"


def test_who_sends_such_a_reason_itself_is_told(cluster: Cluster) -> None:
    a, b = cluster.start("ab").nodes.values()
    with b.attached():
        pid = gen_server.start(Silent, None)
    with a.attached(), pytest.raises(NotSendable):
        process.exit(pid, threading.Lock())
    assert pid in b.procs
