"""PROC-47 to PROC-50: ``process.spawn_request``, here and on another node."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otpy import (
    BadArgument,
    Down,
    Exit,
    Node,
    NotSendable,
    Pid,
    Ref,
    SpawnReply,
    process,
    self_pid,
)
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
NOWHERE = "nowhere@127.0.0.1"
HOW = [(place, green) for place in ("here", "there") for green in (True, False)]


@pytest.fixture(
    params=HOW, ids=[f"{place}-{'green' if green else 'thread'}" for place, green in HOW]
)
def ask(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Callable[..., Ref]]:
    """``spawn_request`` on this node or the other one, from a process that traps exits."""
    place, green = request.param
    cluster.start("ab")
    node = "a@127.0.0.1" if place == "here" else "b@127.0.0.1"
    with cluster.nodes["a"].attached():
        process.flag(trap_exit=True)

        def spawn_request(fn: Any, *args: Any, **how: Any) -> Ref:
            options: dict[str, Any] = {"node": node, "green": green, **how}
            return process.spawn_request(fn, *args, **options)

        yield spawn_request


def idle() -> None:
    process.sleep(float("inf"))


def ends(reason: Any) -> None:
    process.exit(reason)


def reply_to(ref: Ref, tag: Any = "spawn_reply") -> Pid:
    reply = process.receive(timeout=5)
    assert isinstance(reply, SpawnReply)
    assert (reply.ref, reply.ok, reply.tag) == (ref, True, tag)
    pid: Pid = reply.what
    return pid


def test_proc_47_a_spawn_request_is_answered(ask: Callable[..., Ref]) -> None:
    """spawn_request delivers {reply_tag, Ref, ok, Pid} or {.., error, Reason}; default tag
    spawn_reply."""
    pid = reply_to(ask(idle, monitor=True))
    process.exit(pid, "over")
    assert process.receive(Down, timeout=5).reason == "over"
    reply_to(ask(idle, reply_tag=("mine", 1)), ("mine", 1))
    ref = ask(idle, node=NOWHERE, link=True, monitor=True, reply_tag="mine")
    # The refusal is all that comes: there is no process to be linked to.
    assert process.receive(timeout=5) == SpawnReply(ref, False, "noconnection", "mine")
    info = process.info(self_pid(), "links", "monitors", "messages")
    assert info == {"links": [], "monitors": [], "messages": []}


def test_proc_48_what_is_no_request_is_refused_at_once(ask: Callable[..., Ref]) -> None:
    """spawn_request with unknown option yields error badopt message, malformed args raise badarg
    synchronously. Here an unknown option is Python's TypeError, at once as well."""
    with pytest.raises(TypeError, match="priority"):
        ask(idle, priority="high")
    with pytest.raises(BadArgument, match="a function"):
        ask("idle")
    for bad in ("b", 7):
        with pytest.raises(BadArgument, match="name@host"):
            ask(idle, node=bad)
    info = process.info(self_pid(), "monitors", "messages")
    assert info == {"monitors": [], "messages": []}


def test_proc_48_a_function_that_cannot_travel_is_refused_at_once(cluster: Cluster) -> None:
    """malformed args raise badarg synchronously: here NotSendable, and nothing is left."""
    cluster.start("ab")
    with cluster.nodes["a"].attached():
        with pytest.raises(NotSendable):
            process.spawn_request(lambda: None, node="b@127.0.0.1")
        assert process.info(self_pid(), "monitors") == {"monitors": []}


def test_proc_49_a_demonitor_before_the_reply_does_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """demonitor before spawn_reply has no effect; afterwards it works."""
    cluster.start("ab")
    there = cluster.nodes["b"]
    gate, inbound = threading.Event(), there.inbound

    def held_up(signal: Any) -> None:
        assert gate.wait(5)
        inbound(signal)

    monkeypatch.setattr(there, "inbound", held_up)
    with cluster.nodes["a"].attached():
        ref = process.spawn_request(idle, node=there.name, monitor=True)
        assert process.demonitor(ref, info=True) is False
        gate.set()
        pid = reply_to(ref)
        process.exit(pid, "over")
        assert process.receive(timeout=5) == Down(ref, pid, "over")


def test_proc_49_a_demonitor_after_the_reply_works(ask: Callable[..., Ref]) -> None:
    """demonitor before spawn_reply has no effect; afterwards it works."""
    ref = ask(idle, monitor=True)
    pid = reply_to(ref)
    assert process.demonitor(ref, info=True) is True
    other = process.monitor(pid)
    process.exit(pid, "over")
    assert process.receive(timeout=5) == Down(other, pid, "over")
    assert process.info(self_pid(), "messages") == {"messages": []}


@pytest.mark.otpy_leaves_processes
def test_proc_49_on_one_node_the_reply_is_there_at_once(node: Node) -> None:
    """demonitor after spawn_reply works, also while the reply is in the mailbox: as in OTP. The
    reply is none of the messages that ``flush`` removes."""
    ref = process.spawn_request(idle, monitor=True)
    assert process.demonitor(ref, flush=True, info=True) is True
    reply_to(ref)


def test_proc_50_the_reply_precedes_the_end_of_the_process(ask: Callable[..., Ref]) -> None:
    """spawn_reply precedes DOWN/EXIT of an immediately crashing child."""
    for _ in range(20):
        ref = ask(ends, "at once", monitor=True)
        pid = reply_to(ref)
        assert process.receive(timeout=5) == Down(ref, pid, "at once")
        pid = reply_to(ask(ends, "at once", link=True))
        assert process.receive(timeout=5) == Exit(pid, "at once")
