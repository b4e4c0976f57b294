"""spawn_request (PROC-47 to 50), on one node and between simulated ones."""

from typing import Any

import pytest

from otpy import BadArgument, Down, Exit, Pid, process, self_pid
from otpy.terms.messages import SpawnReply
from otpy.testing.simulation import ClusterSimulation
from tests.conformance.conftest import Runner
from tests.conformance.waiting import nothing_more, wait


def ends_at_once() -> None:
    process.exit("at once")


def test_proc_47_the_reply_tells_the_pid_or_why_there_is_none(run: Runner) -> None:
    """spawn_request delivers {reply_tag, Ref, ok, Pid} or {.., error, Reason}; default tag
    spawn_reply."""

    def body() -> None:
        ref = process.spawn_request(wait, green=run.green)
        reply = process.receive(SpawnReply, timeout=5)
        assert reply == SpawnReply(ref, True, reply.what, "spawn_reply")
        assert isinstance(reply.what, Pid)
        assert process.alive(reply.what)
        process.exit(reply.what, "kill")
        ref = process.spawn_request(wait, reply_tag="mine", green=run.green)
        reply = process.receive(SpawnReply, timeout=5)
        assert (reply.ref, reply.ok, reply.tag) == (ref, True, "mine")
        process.exit(reply.what, "kill")
        ref = process.spawn_request(wait, node="nowhere@nohost", monitor=True, link=True)
        reply = process.receive(timeout=5)
        assert reply == SpawnReply(ref, False, "noconnection", "spawn_reply")
        nothing_more()

    run(body)


def test_proc_48_bad_requests_are_refused_at_once(run: Runner) -> None:
    """malformed args raise badarg synchronously (so does an unknown option: departures)."""

    def body() -> None:
        with pytest.raises(BadArgument, match="expected a function"):
            process.spawn_request("wait")  # type: ignore[arg-type]  # wrong on purpose
        for node in ("nowhere", 7, "a@b@c"):
            with pytest.raises(BadArgument, match="expected 'name@host'"):
                process.spawn_request(wait, node=node)  # type: ignore[arg-type]  # one is wrong
        with pytest.raises(TypeError, match="prioritty"):
            process.spawn_request(wait, prioritty="high")  # type: ignore[call-arg]  # misspelt
        nothing_more()

    run(body)


@pytest.mark.parametrize("seed", range(3))
def test_proc_49_demonitor_works_after_the_reply_only(seed: int) -> None:
    """demonitor before spawn_reply has no effect; afterwards it works."""

    def ask() -> Any:
        return process.spawn_request(ends_when_told, node="b@sim", monitor=True)

    def body() -> None:
        early = ask()
        process.demonitor(early)
        reply = process.receive(SpawnReply, timeout=5)
        process.send(reply.what, "told")
        assert process.receive(timeout=5) == Down(early, reply.what, "told")
        late = ask()
        reply = process.receive(SpawnReply, timeout=5)
        process.demonitor(late)
        fence = process.monitor(reply.what)
        process.send(reply.what, "told")
        assert process.receive(timeout=5) == Down(fence, reply.what, "told")
        nothing_more()

    sim = ClusterSimulation(seed, ("a@sim", "b@sim"))
    sim.wait(lambda: sim.meshes["a@sim"].nodes() == ["b@sim"])
    sim.call("a@sim", body)


def ends_when_told() -> None:
    process.exit(process.receive())


def crashing_child(node: str | None, green: bool) -> None:
    process.flag(trap_exit=True)
    ref = process.spawn_request(ends_at_once, node=node, link=True, monitor=True, green=green)
    reply = process.receive(timeout=5)
    assert reply == SpawnReply(ref, True, reply.what, "spawn_reply")
    rest = [process.receive(timeout=5) for _ in range(2)]
    assert rest == [Exit(reply.what, "at once"), Down(ref, reply.what, "at once")]
    assert process.info(self_pid(), "links", "monitors") == {"links": [], "monitors": []}


def test_proc_50_the_reply_precedes_every_signal_of_the_child(run: Runner) -> None:
    """spawn_reply precedes DOWN/EXIT of an immediately crashing child."""

    def body() -> None:
        for _ in range(30):
            crashing_child(None, run.green)

    run(body)


@pytest.mark.parametrize("seed", range(3))
def test_proc_50_the_reply_precedes_every_signal_from_another_node(seed: int) -> None:
    """The same when the child runs on another node."""
    sim = ClusterSimulation(seed, ("a@sim", "b@sim"))
    sim.wait(lambda: sim.meshes["a@sim"].nodes() == ["b@sim"])
    for _ in range(10):
        sim.call("a@sim", crashing_child, "b@sim", True)
