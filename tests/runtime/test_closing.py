"""How what a process owned is closed: by whom, when, and what a failure does not stop."""

import asyncio
import socket
import sqlite3
import struct
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from otpy import Down, Node, NoProcess, Pid, aio, process, self_pid
from otpy.runtime.closing import Owned
from otpy.runtime.pool import Pool
from otpy.terms.signals import ExitSignal
from otpy.testing import Reports, eventually
from tests.runtime.things import Thing, killed, waiting


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# What a close may do.


def test_the_close_of_a_killed_process_may_call_otpy(node: Node) -> None:
    me, go = self_pid(), threading.Event()

    def run() -> None:
        process.own(Thing(lambda: process.send(me, "first")))
        process.own(Thing(lambda: process.send(me, "second")))
        process.send(me, "owned")
        go.wait(10)

    killed(run)
    go.set()
    assert [process.receive(str, timeout=5) for _ in range(2)] == ["second", "first"]
    eventually(lambda: not node.orphans)


@pytest.mark.parametrize("green", [True, False])
def test_a_close_that_exits_ends_nobody_and_the_rest_is_closed(
    node: Node, capture_reports: Reports, green: bool
) -> None:
    me = self_pid()

    def run() -> None:
        process.own(Thing(lambda: process.send(me, "closed")))
        process.own(Thing(lambda: process.exit("of the thing")))

    pid, _ = process.spawn_monitor(run, green=green)
    assert process.receive(Down, timeout=5).reason == "normal"
    assert process.receive(str, timeout=5) == "closed"
    (report,) = capture_reports.labelled("close_failed")
    assert (report["pid"], report["error"].reason) == (pid, "of the thing")


def test_the_close_that_a_socket_was_given_does_not_run_on_a_scheduler(node: Node) -> None:
    ours, theirs = socket.socketpair()
    ran_on: list[threading.Thread] = []
    me = self_pid()

    def run() -> None:
        process.own(ours, close=lambda: ran_on.append(threading.current_thread()))
        process.send(me, "owned")
        process.receive(int)

    killed(run, green=True)
    eventually(lambda: ran_on)
    assert ran_on[0] not in (node.user.thread, node.kernel.thread)
    assert theirs.recv(1) == b""  # it was shut down all the same
    ours.close()
    theirs.close()


def test_a_close_that_takes_long_holds_up_no_green_process(node: Node) -> None:
    go = threading.Event()
    killed(waiting(Thing(lambda: go.wait(10)), told=self_pid()), green=True)
    other = self_pid()
    process.spawn(lambda: process.send(other, "on we go"), green=True)
    assert process.receive(str, timeout=5) == "on we go"
    go.set()


def test_a_socket_that_lingers_holds_up_no_scheduler(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.settimeout(0.05)
    with pytest.raises(TimeoutError):
        ours.sendall(b"x" * 100_000_000)  # more than there is room for, on both sides
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    killed(waiting(ours, told=self_pid()), green=True)  # within 5 s, not 60
    client.close()  # what it had not read is lost, and there is nothing to wait for any more
    eventually(lambda: ours.fileno() == -1)


# When, and on which thread.


def test_a_thread_that_ends_by_itself_closes_as_itself_while_it_lives(node: Node) -> None:
    closed_by: list[Pid] = []
    pid, _ = process.spawn_monitor(
        lambda: process.own(Thing(lambda: closed_by.append(self_pid()))) and None
    )
    process.receive(Down, timeout=5)
    assert closed_by == [pid]


def test_an_attached_thread_closes_what_it_owns_itself(capture_reports: Reports) -> None:
    with Node("a@127.0.0.1") as made:
        with made.attached():
            held = process.own(sqlite3.connect(":memory:"))  # takes calls of its thread only
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            held.execute("select 1")
    assert capture_reports.labelled("close_failed") == []


def test_a_killed_thread_that_was_attached_closes_when_its_block_is_over() -> None:
    log: list[str] = []
    with Node("a@127.0.0.1") as made:
        with made.attached() as pid:
            process.own(Thing(lambda: log.append("closed")))
            made.procs[pid].submit(ExitSignal(pid, pid, "kill", False))  # as another thread does
            assert log == []
        assert log == ["closed"]


def waits(pid: Pid) -> bool:
    return process.info(pid, "status") == {"status": "waiting"}


@pytest.mark.parametrize("green", [True, False])
def test_a_parked_process_that_is_killed_leaves_its_port_before_anybody_hears(
    node: Node, green: bool
) -> None:
    """A datagram socket without SO_REUSEADDR: shutting it down would not do."""
    port = free_port(socket.SOCK_DGRAM)
    for _ in range(20):
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", port))
        me = self_pid()
        pid, _ = process.spawn_monitor(waiting(bound, told=me), green=green)
        assert process.receive(str, timeout=5) == "owned"
        eventually(partial(waits, pid))
        process.exit(pid, "kill")
        process.receive(Down, timeout=5)
        assert bound.fileno() == -1


@pytest.mark.parametrize("how", ["green", "async"])
def test_a_socket_is_not_closed_under_work_outside(node: Node, how: str) -> None:
    """A thread of the pool may be about to enter a system call with its number."""
    ours, theirs = socket.socketpair()
    begun, go = threading.Event(), threading.Event()
    me = self_pid()

    def work() -> None:
        begun.set()
        go.wait(10)

    def run() -> None:
        process.own(ours)
        process.send(me, "owned")
        process.blocking(work)

    async def run_async() -> None:
        process.own(ours)
        process.send(me, "owned")
        await aio.blocking(work)

    pid, _ = process.spawn_monitor(run_async if how == "async" else run, green=how == "green")
    assert process.receive(str, timeout=5) == "owned"
    assert begun.wait(5)
    process.exit(pid, "kill")
    process.receive(Down, timeout=5)
    assert theirs.recv(1) == b""
    if how == "async":
        settled = process.spawn_monitor(turns_of_the_loop)
        assert process.receive(Down, timeout=5).ref == settled[1]
    assert ours.fileno() != -1
    go.set()
    eventually(lambda: ours.fileno() == -1)
    theirs.close()


async def turns_of_the_loop() -> None:
    """What was due on the loop when this began has been done when it ends."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_green_process_killed_in_accept_ends_the_accept_too(
    node: Node, capture_reports: Reports
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    me, errors = self_pid(), list[type]()

    def accept() -> None:
        process.send(me, "accepting")
        try:
            listening.accept()
        except OSError as error:
            errors.append(type(error))
            raise

    def run() -> None:
        process.own(listening)
        process.send(me, "owned")
        process.blocking(accept)

    killed(run, green=True)
    eventually(lambda: errors and listening.fileno() == -1)
    socket.create_server(("127.0.0.1", port)).close()
    assert capture_reports.labelled("process_crash") == []


# Who owns.


def test_of_equal_things_each_is_itself(node: Node) -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        __hash__ = None  # type: ignore[assignment]

    log: list[str] = []

    def close() -> None:
        log.append("closed")

    first, second = Equal(), Equal()

    def run() -> None:
        process.own(first, close)
        process.own(second, close)
        process.disown(second)
        process.own(second, lambda: log.append("second"))

    process.spawn_monitor(run)
    process.receive(Down, timeout=5)
    assert log == ["second", "closed"]


def test_sockets_that_were_closed_are_forgotten(node: Node) -> None:
    first = process.own(Thing(lambda: None))
    for _ in range(1000):
        ours, theirs = socket.socketpair()
        process.own(ours)
        ours.close()
        theirs.close()
    assert len(node.belongings.table[self_pid()]) < 40
    process.disown(first)


def test_what_a_dead_body_opens_is_closed_at_once(node: Node) -> None:
    log: list[str] = []
    me, go = self_pid(), threading.Event()

    def run() -> None:
        process.send(me, "owned")
        go.wait(10)
        process.own(Thing(lambda: log.append("closed")))

    killed(run)
    go.set()
    eventually(lambda: log == ["closed"] and not node.orphans)


@pytest.mark.usefixtures("eager_switching")
def test_what_is_given_to_a_process_as_it_ends_is_closed_or_stays(node: Node) -> None:
    closed: list[int] = []
    mine: list[int] = []

    for number in range(300):
        thing = process.own(Thing(partial(closed.append, number)))
        pid, _ = process.spawn_monitor(lambda: None)
        try:
            process.controlling_process(thing, pid)
        except NoProcess:
            process.disown(thing)
            mine.append(number)
        process.receive(Down, timeout=5)
    eventually(lambda: not node.orphans and len(closed) + len(mine) == 300)
    assert sorted(closed + mine) == list(range(300))
    assert node.belongings.table == {}


def test_what_is_given_to_a_process_that_dies_in_this_instant_stays(node: Node) -> None:
    thing = process.own(Thing(lambda: None))
    pid, _ = process.spawn_monitor(process.receive, int)
    dying = node.procs[pid]
    dying.alive = False  # where a death begins; the node has not forgotten it yet
    with pytest.raises(NoProcess, match="stays with"):
        process.controlling_process(thing, pid)
    dying.alive = True
    process.disown(thing)
    process.send(pid, 1)
    process.receive(Down, timeout=5)


def test_what_a_thread_is_given_after_it_has_closed_all_is_closed_too(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    belongings = node.belongings
    close_all = belongings.body_over

    def body_over(proc: Any) -> None:
        close_all(proc)
        if not log:
            log.append("all")
            belongings.add(proc, Owned(object(), lambda: log.append("given")))

    def run() -> None:
        process.own(Thing(lambda: None))
        monkeypatch.setattr(belongings, "body_over", body_over)

    process.spawn_monitor(run)
    process.receive(Down, timeout=5)
    eventually(lambda: log == ["all", "given"])


# The end of a node.


def test_a_node_that_stops_waits_for_what_is_being_closed() -> None:
    log: list[str] = []
    begun = threading.Event()

    def close() -> None:
        begun.set()
        assert not stopped.wait(0.2)  # time for a stop that would not wait
        log.append("closed")

    stopped = threading.Event()
    made = Node("a@127.0.0.1").start()
    with made.attached():
        process.spawn(waiting(Thing(close), told=self_pid()), green=True)
        assert process.receive(str, timeout=5) == "owned"
    made.stop()
    stopped.set()
    assert begun.is_set()
    assert log == ["closed"]


def test_a_node_that_stops_says_what_did_not_close_in_time(capture_reports: Reports) -> None:
    go = threading.Event()
    made = Node("a@127.0.0.1").start()
    with made.attached():
        process.spawn(waiting(Thing(lambda: go.wait(10)), told=self_pid()), green=True)
        assert process.receive(str, timeout=5) == "owned"
    made.stop(timeout=0.05)
    go.set()
    assert any("was not closed within 0.05 s" in text for text in capture_reports.texts)


def test_links_fire_also_when_no_thread_can_be_started(
    node: Node, capture_reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(self: Pool, job: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Pool, "submit", submit)
    killed(waiting(Thing(lambda: None), told=self_pid()), green=True)
    (report,) = capture_reports.labelled("close_failed")
    assert str(report["error"]) == "can't start new thread"
