"""The echo server, with real connections on the loopback interface."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from examples.echo_server.echo_server import CONNECTIONS, Acceptor, EchoServer, Options
from otpy import Node, Pid, process, supervisor, task_supervisor
from otpy.testing import Reports, eventually

Start = Callable[..., Any]


def shout(line: bytes) -> bytes:
    if line == b"crash\n":
        raise RuntimeError("no such command")
    return line.upper()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free: int = probe.getsockname()[1]
        return free


@pytest.fixture
def server(start_supervised: Start, port: int) -> Pid:
    pid: Pid = start_supervised((EchoServer, Options(port, shout)))
    return pid


def connect(port: int) -> socket.socket:
    """A connection, as soon as somebody listens."""

    def attempt() -> socket.socket:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError as error:
            raise AssertionError(f"nobody listens on {port}") from error

    return eventually(attempt)


def ask(client: socket.socket, line: bytes) -> bytes:
    client.sendall(line)
    return client.recv(100)


def acceptor(server: Pid) -> Pid | None:
    """The acceptor, if there is one just now."""
    [pid] = [child.pid for child in supervisor.which_children(server) if child.id is Acceptor]
    return pid if isinstance(pid, Pid) else None


def test_each_line_is_answered(start_supervised: Start, port: int) -> None:
    start_supervised((EchoServer, Options(port)))
    with connect(port) as client:
        assert ask(client, b"hello\n") == b"hello\n"
        assert ask(client, b"again\n") == b"again\n"


def test_connections_are_served_side_by_side(server: Pid, port: int) -> None:
    with connect(port) as first, connect(port) as second:
        assert ask(second, b"two\n") == b"TWO\n"
        assert ask(first, b"one\n") == b"ONE\n"
        assert len(task_supervisor.children(CONNECTIONS)) == 2
    eventually(lambda: task_supervisor.children(CONNECTIONS) == [])


def test_a_crash_costs_one_connection_only(
    server: Pid, port: int, capture_reports: Reports
) -> None:
    with connect(port) as other, connect(port) as client:
        accepting = acceptor(server)
        assert ask(other, b"before\n") == b"BEFORE\n"
        assert ask(client, b"crash\n") == b""
        assert ask(other, b"after\n") == b"AFTER\n"
    assert acceptor(server) == accepting
    assert any("no such command" in text for text in capture_reports.texts)


def test_a_task_that_is_killed_takes_its_connection_along(server: Pid, port: int) -> None:
    with connect(port) as client:
        assert ask(client, b"a\n") == b"A\n"
        [pid] = task_supervisor.children(CONNECTIONS)
        process.exit(pid, "kill")
        assert client.recv(100) == b""


def test_an_acceptor_that_is_killed_comes_back_on_its_port(server: Pid, port: int) -> None:
    with connect(port) as old:
        assert ask(old, b"old\n") == b"OLD\n"
        killed = acceptor(server)
        assert killed is not None
        process.exit(killed, "kill")
        eventually(lambda: acceptor(server) not in (None, killed))
        with connect(port) as new:
            assert ask(new, b"new\n") == b"NEW\n"
        assert ask(old, b"still there\n") == b"STILL THERE\n"


def test_a_server_that_stops_leaves_no_socket_and_no_thread(
    node: Node, port: int, capture_reports: Reports
) -> None:
    boss = supervisor.start_link(EchoServer, Options(port))
    with connect(port) as client:
        assert ask(client, b"a\n") == b"a\n"
        supervisor.stop(boss)
        assert client.recv(100) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    eventually(lambda: not node.orphans)
    assert capture_reports.texts == []
