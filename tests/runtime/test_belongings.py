"""What a process owns ends with it, as Erlang's ports do: sockets at once, the rest soon."""

import asyncio
import socket
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from otpy import BadArgument, Down, Node, NoProcess, Pid, process, self_pid, supervisor, task
from otpy.testing import Reports, eventually

Ends = Callable[[], None]


class Thing:
    """Writes down when it is closed, and where."""

    def __init__(self, log: list[str], name: str = "thing", fails: bool = False) -> None:
        self.log = log
        self.name = name
        self.fails = fails
        self.thread = 0

    def close(self) -> None:
        self.thread = threading.get_ident()
        self.log.append(self.name)
        if self.fails:
            raise ValueError(f"{self.name} is stuck")

    def __repr__(self) -> str:
        return f"<{self.name}>"


def crash() -> None:
    raise RuntimeError("over")


def wait_and_end() -> None:
    process.receive(str)


def blocked() -> None:
    process.receive(int)


def body(things: list[Thing], ends: Ends, told: Pid) -> Callable[[], None]:
    def run() -> None:
        for thing in things:
            assert process.own(thing) is thing
        process.send(told, "owned")
        ends()

    return run


def async_body(things: list[Thing], ends: Ends, told: Pid) -> Callable[[], Any]:
    async def run() -> None:
        for thing in things:
            process.own(thing)
        process.send(told, "owned")
        if ends is blocked:
            await asyncio.Event().wait()
        elif ends is crash:
            crash()

    return run


@pytest.mark.parametrize("kind", ["thread", "green", "async"])
@pytest.mark.parametrize("ends", [crash, blocked, lambda: None])
def test_whatever_a_process_ends_with_it_is_closed_the_latest_first(
    node: Node, capture_reports: Reports, kind: str, ends: Ends
) -> None:
    log: list[str] = []
    things = [Thing(log, "first"), Thing(log, "second")]
    make: Any = async_body if kind == "async" else body
    green = {"green": True} if kind == "green" else {}
    pid, ref = process.spawn_monitor(make(things, ends, self_pid()), **green)
    assert process.receive(str, timeout=5) == "owned"
    if ends is blocked:
        process.exit(pid, "kill")
    assert process.receive(Down, timeout=5).ref == ref
    assert eventually(lambda: len(log) == 2)
    assert log == ["second", "first"]


def test_a_thread_process_that_ends_by_itself_closes_before_anybody_hears(node: Node) -> None:
    log: list[str] = []
    thing = Thing(log)
    here = self_pid()
    where: list[int] = []

    def run() -> None:
        process.own(thing)
        where.append(threading.get_ident())

    process.spawn_monitor(run)
    process.receive(Down, timeout=5)
    assert here
    assert log == ["thing"]
    assert [thing.thread] == where


def test_what_cannot_be_closed_is_reported_and_the_rest_is_closed(
    node: Node, capture_reports: Reports
) -> None:
    log: list[str] = []
    things = [Thing(log, "first"), Thing(log, "second", fails=True)]
    process.spawn_monitor(body(things, lambda: None, self_pid()))
    process.receive(Down, timeout=5)
    assert log == ["second", "first"]
    (report,) = capture_reports.labelled("close_failed")
    assert str(report["error"]) == "second is stuck"


def test_a_connection_of_sqlite_is_closed_by_its_thread_also_when_that_is_killed(
    node: Node, capture_reports: Reports
) -> None:
    """sqlite3 refuses a connection to any other thread."""
    held: list[sqlite3.Connection] = []
    go = threading.Event()

    def run() -> None:
        held.append(process.own(sqlite3.connect(":memory:")))
        process.send(told, "owned")
        go.wait(10)  # dead by now, and an orphan

    told = self_pid()
    pid, _ = process.spawn_monitor(run)
    assert process.receive(str, timeout=5) == "owned"
    process.exit(pid, "kill")
    process.receive(Down, timeout=5)
    go.set()
    eventually(lambda: not node.orphans)
    with pytest.raises(sqlite3.ProgrammingError):
        held[0].execute("select 1")
    assert not capture_reports.labelled("close_failed")


def listen(port: int) -> None:
    """Accept for ever, and greet."""
    listening = process.own(socket.create_server(("127.0.0.1", port)))
    while True:
        process.own(listening.accept()[0]).sendall(repr(self_pid()).encode())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def greeting(port: int) -> tuple[socket.socket, str]:
    """A connection and what came on it."""
    try:
        made = socket.create_connection(("127.0.0.1", port), timeout=5)
        return made, made.recv(100).decode()
    except (ConnectionRefusedError, ConnectionResetError) as error:
        raise AssertionError("nobody listens yet") from error


def test_a_killed_listener_is_started_again_on_its_port(
    node: Node, capture_reports: Reports
) -> None:
    port = free_port()
    top = supervisor.start_link(
        [{"id": "listener", "start": (task.start_link, (listen, port)), "restart": "permanent"}],
        strategy="one_for_one",
        max_restarts=100,
    )
    client, first = eventually(partial(greeting, port))
    for _ in range(20):
        (child,) = supervisor.which_children(top)
        pid = child.pid
        assert isinstance(pid, Pid)
        process.exit(pid, "kill")
        assert client.recv(1) == b""  # the connection went with its owner
        client.close()
        client, again = eventually(partial(greeting, port))
        assert again != first
    client.close()
    assert not capture_reports.labelled(
        "process_crash"
    )  # the accept of a dead body is nobody's crash
    supervisor.stop(top)
    eventually(lambda: not node.orphans)


def test_sockets_are_shut_down_before_anybody_hears(node: Node) -> None:
    ours, theirs = socket.socketpair()
    told = self_pid()

    def run() -> None:
        process.own(ours)
        process.send(told, "owned")
        process.receive(int)

    pid, _ = process.spawn_monitor(run, green=True)
    process.receive(str, timeout=5)
    process.exit(pid, "kill")
    process.receive(Down, timeout=5)
    theirs.setblocking(False)
    assert theirs.recv(1) == b""
    assert ours.fileno() == -1
    theirs.close()


def test_a_thing_can_be_given_away(node: Node) -> None:
    """gen_tcp:controlling_process/2."""
    log: list[str] = []
    thing = process.own(Thing(log))
    pid, ref = process.spawn_monitor(wait_and_end)
    process.controlling_process(thing, pid)
    with pytest.raises(BadArgument, match=r"it belongs to <.*>, not to <"):
        process.disown(thing)
    process.send(pid, "go")
    assert process.receive(Down, timeout=5).ref == ref
    assert log == ["thing"]


def test_what_is_not_ones_own_cannot_be_given_away(node: Node) -> None:
    log: list[str] = []
    thing = Thing(log)
    with pytest.raises(BadArgument, match=r"controlling_process\(<thing>\): it belongs to nobody"):
        process.controlling_process(thing, self_pid())
    process.own(thing)
    with pytest.raises(BadArgument, match=r"own\(<thing>\): it belongs to <.*> already"):
        process.own(thing)
    dead, _ = process.spawn_monitor(lambda: None)
    process.receive(Down, timeout=5)
    with pytest.raises(NoProcess, match="is not alive: <thing> stays with"):
        process.controlling_process(thing, dead)
    with pytest.raises(BadArgument, match="a process of another node"):
        process.controlling_process(thing, Pid(1, "other@host", 1, 1))
    process.disown(thing)
    assert log == []
    with pytest.raises(BadArgument, match=r"own\(7\): it has no method close"):
        process.own(7)
    with pytest.raises(BadArgument, match=r"own\('stop'\): expected a function"):
        process.own(thing, close="stop")  # type: ignore[arg-type]


def test_a_thing_without_close_is_closed_as_told(node: Node) -> None:
    log: list[str] = []

    def run() -> None:
        process.own(object(), close=lambda: log.append("told"))

    process.spawn_monitor(run)
    process.receive(Down, timeout=5)
    assert log == ["told"]


def test_a_node_that_stops_closes_what_its_processes_own() -> None:
    log: list[str] = []
    with Node("a@127.0.0.1") as made, made.attached():
        for green in (True, False):
            process.spawn(body([Thing(log)], blocked, self_pid()), green=green)
            process.receive(str, timeout=5)
    assert eventually(lambda: log == ["thing", "thing"])
