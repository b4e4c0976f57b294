"""Killing threads: at once for everybody else, whatever the body still does."""

import threading
from typing import Any

import pytest

from otpy import (
    Down,
    Exit,
    GenServer,
    Node,
    Ok,
    Pid,
    Reply,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.testing import eventually
from otpy.testing.plugin import Reports


class Odd:
    """Compares as an array does: into something without a truth."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


class Keeps(GenServer[None], green=True):
    """A server on the scheduler that all green processes share."""

    def init(self, arg: Pid | None) -> Ok[None]:
        if arg is not None:
            process.link(arg)
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Reply[None]:
        return Reply(request)


def test_a_reason_that_cannot_be_compared_ends_whom_it_should_and_nobody_else(node: Node) -> None:
    def ends() -> None:
        process.receive()
        process.exit(Odd())

    other = gen_server.start(Keeps, None)
    dies = process.spawn(ends, green=True)
    linked, ref = gen_server.start_monitor(Keeps, dies)
    process.send(dies, "go")
    assert type(process.receive(Down, timeout=5).reason) is Odd
    for target in (gen_server.start(Keeps, None), process.spawn(process.receive)):
        ref = process.monitor(target)
        process.exit(target, Odd())
        assert type(process.receive(Down, where=lambda d: d.ref == ref, timeout=5).reason) is Odd  # noqa: B023
    assert not process.alive(linked)
    assert gen_server.call(other, "x", 5) == "x"
    boss = supervisor.start_link([(Keeps, None)], strategy="one_for_one")
    process.flag(trap_exit=True)
    process.exit(boss, Odd())
    assert type(process.receive(Exit, timeout=5).reason) is Odd
    supervisor.stop(supervisor.start_link([(Keeps, None)], strategy="one_for_one"))
    gen_server.stop(other, Odd())


def test_a_blocked_thread_is_dead_at_once_and_its_body_is_an_orphan(node: Node) -> None:
    gate = threading.Event()
    entered = threading.Event()

    def blocked() -> None:
        entered.set()
        gate.wait()
        process.send("nobody", "a dead body says nothing")

    pid, ref = process.spawn_monitor(blocked)
    entered.wait()
    process.exit(pid, "kill")
    assert process.receive(timeout=5) == Down(ref, pid, "killed")
    assert pid in node.orphans
    gate.set()
    eventually(lambda: pid not in node.orphans)


def test_an_orphan_that_runs_on_is_reported_once_with_its_stack(capture_reports: Reports) -> None:
    gate, entered = threading.Event(), threading.Event()

    def runs_on() -> None:
        entered.set()
        gate.wait()

    with Node("orphans@127.0.0.1", orphan_grace=0.05) as node, node.attached():
        pid = process.spawn(runs_on)
        entered.wait()
        process.exit(pid, "enough")
        eventually(lambda: "orphan" in labels(capture_reports))
        # It is not told again, though the watchdog looks on: another one is told meanwhile.
        entered.clear()
        other = process.spawn(runs_on)
        entered.wait()
        process.exit(other, "enough")
        eventually(lambda: labels(capture_reports).count("orphan") == 2)
        gate.set()
        eventually(lambda: not node.orphans)
    told = [report for report in capture_reports.reports if report["label"] == "orphan"]
    assert [(report["pid"], report["reason"]) for report in told] == [
        (pid, "enough"),
        (other, "enough"),
    ]
    assert "in runs_on" in "".join(told[0]["stack"])


def labels(reports: Reports) -> list[str]:
    return [report["label"] for report in reports.reports]


class Blocking(GenServer[threading.Event]):
    """Blocks its thread in a C call when told."""

    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg, name="blocking")

    def init(self, arg: threading.Event) -> Any:
        return Ok(arg)

    def handle_cast(self, request: threading.Event, state: threading.Event) -> None:
        request.set()
        state.wait()


def test_a_supervisor_replaces_a_blocked_thread_on_its_deadline(node: Node) -> None:
    gate = threading.Event()
    entered = threading.Event()
    child = supervisor.child_spec((Blocking, gate), shutdown=0.02)
    boss = supervisor.start_link([child], strategy="one_for_one")
    first = process.whereis("blocking")
    gen_server.cast("blocking", entered)
    entered.wait()
    supervisor.terminate_child(boss, Blocking)
    second = supervisor.restart_child(boss, Blocking)
    assert second != first
    assert process.whereis("blocking") == second
    gate.set()
    supervisor.stop(boss)
    eventually(lambda: not node.orphans)


@pytest.mark.usefixtures("eager_switching")
def test_no_message_follows_a_down_in_a_storm_of_kills(node: Node) -> None:
    def chatter(to: Pid) -> None:
        number = 0
        while True:
            process.send(to, ("from", self_pid(), number))
            number += 1

    dead: set[Pid] = set()
    for _ in range(200):
        pid, ref = process.spawn_monitor(chatter, self_pid())
        process.receive(tuple, timeout=5)
        process.spawn(process.exit, pid, "kill")
        while True:
            message = process.receive(timeout=5)
            if isinstance(message, Down):
                assert message.ref == ref
                dead.add(pid)
                break
            assert message[1] not in dead, f"{message} after the down of its sender"
    assert len(dead) == 200
