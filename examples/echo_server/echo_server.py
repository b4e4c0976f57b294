"""A TCP server that answers line by line: the ``KVServer`` of Elixir's guide.

An acceptor takes connections, and each is served by a task of its own: a crash costs one
connection. Each socket is owned by the process that uses it and ends with it, as in Erlang.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otpy import Supervisor, Task, TaskSupervisor, process, supervisor, task_supervisor

CONNECTIONS = "Echo.Connections"
Handler = Callable[[bytes], bytes]


def echo(line: bytes) -> bytes:
    return line


@dataclass(frozen=True)
class Options:
    """``handler`` makes the answer to a line, both with their end."""

    port: int
    handler: Handler = echo


class Acceptor(Task[None], restart="permanent"):
    """On a thread of its own, as every task: it blocks in ``accept``."""

    @classmethod
    def run(cls, arg: Options, /) -> None:
        listening = process.own(socket.create_server(("127.0.0.1", arg.port)))
        while True:
            connection, _ = listening.accept()
            task_supervisor.start_child(CONNECTIONS, serve, connection, arg.handler)


def serve(connection: socket.socket, handler: Handler) -> None:
    """A connection, until its peer closes it."""
    process.own(connection)
    with connection.makefile("rb") as lines:
        for line in lines:
            connection.sendall(handler(line))


class EchoServer(Supervisor):
    """The whole server. An acceptor that is started again leaves the connections alone."""

    def init(self, arg: Options) -> Any:
        children = [(TaskSupervisor, {"name": CONNECTIONS}), (Acceptor, arg)]
        return supervisor.init(children, strategy="one_for_one")
