"""A pool of connections, as poolboy has it.

The pool knows which connections are free, and lends each to one client at a time. It starts
none: a connection comes from its supervisor, says that it is ready, and so does the one that
replaces it. The pool watches both sides: a client that dies gives its connection back, and a
connection that dies is forgotten.

A client has a ticket, so that one that stops waiting does not get a connection that is already
on its way to it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from otpy import (
    CallExit,
    CallResult,
    ChildSpec,
    Down,
    From,
    GenServer,
    InitResult,
    Next,
    NoReply,
    Ok,
    Pid,
    Ref,
    Reply,
    Supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
)

R = TypeVar("R")
Ticket = tuple[Pid, int]
TICKETS = count()
POOL = "pool"


@dataclass(frozen=True, slots=True)
class Client:
    """Who waits for a connection or has one; ``monitor`` watches it."""

    ticket: Ticket
    monitor: Ref
    from_: From


@dataclass(slots=True)
class State:
    free: deque[Pid] = field(default_factory=deque[Pid])
    waiting: deque[Client] = field(default_factory=deque[Client])
    lent: dict[Pid, Client] = field(default_factory=dict[Pid, Client])


class Pool(GenServer[State], green=True):
    @classmethod
    def start_link(cls, arg: None, /) -> Pid:
        return gen_server.start_link(cls, arg, name=POOL)

    def init(self, arg: None) -> InitResult[State]:
        return Ok(State())

    def handle_call(self, request: Any, from_: From, state: State) -> CallResult[State]:
        match request:
            case ("checkout", ticket):
                state.waiting.append(Client(ticket, process.monitor(ticket[0]), from_))
                lend(state)
                return NoReply(state)
            case "status":
                return Reply((len(state.free), len(state.lent), len(state.waiting)))
        raise ValueError(f"a pool does not know {request!r}")

    def handle_cast(self, request: Any, state: State) -> Next[State]:
        match request:
            case ("ready", connection):
                process.monitor(connection)
                state.free.append(connection)
            case ("checkin", connection):
                take_back(state, connection)
            case ("cancel", ticket):
                give_up(state, lambda client: client.ticket == ticket)
            case _:
                raise ValueError(f"a pool does not know {request!r}")
        lend(state)
        return NoReply(state)

    def handle_info(self, message: Any, state: State) -> Next[State]:
        match message:
            case Down(_, Pid() as connection) if connection in state.free:
                state.free.remove(connection)
            case Down(_, Pid() as connection) if connection in state.lent:
                process.demonitor(state.lent.pop(connection).monitor, flush=True)
            case Down(ref):
                give_up(state, lambda client: client.monitor == ref)
            case _:
                super().handle_info(message, state)
        lend(state)
        return NoReply(state)


def lend(state: State) -> None:
    """As long as there is a connection and somebody waits: to the first, the oldest."""
    while state.free and state.waiting:
        client, connection = state.waiting.popleft(), state.free.popleft()
        state.lent[connection] = client
        gen_server.reply(client.from_, connection)


def take_back(state: State, connection: Pid) -> None:
    """Nothing to do for one that is not lent: it died, or was given back before."""
    client = state.lent.pop(connection, None)
    if client is not None:
        process.demonitor(client.monitor, flush=True)
        state.free.append(connection)


def give_up(state: State, gone: Callable[[Client], bool]) -> None:
    """The client that is ``gone`` no longer waits, and no longer has a connection."""
    for client in [client for client in state.waiting if gone(client)]:
        process.demonitor(client.monitor, flush=True)
        state.waiting.remove(client)
    for connection in [pid for pid, client in state.lent.items() if gone(client)]:
        take_back(state, connection)


class Connection(GenServer[Any], green=True):
    """What is lent: ``connect()`` is what its process keeps, and only it uses."""

    def init(self, arg: Callable[[], Any]) -> InitResult[Any]:
        return Ok(arg(), continue_="ready")

    def handle_continue(self, arg: Any, state: Any) -> Next[Any]:
        gen_server.cast(POOL, ("ready", self_pid()))
        return NoReply()

    def handle_call(self, request: Any, from_: From, state: Any) -> CallResult[Any]:
        match request:
            case ("query", question):
                return Reply(state(question))
        raise ValueError(f"a connection does not know {request!r}")


class Connections(Supervisor):
    """As many connections as the pool has to lend."""

    def init(self, arg: tuple[Callable[[], Any], int]) -> Any:
        connect, size = arg
        children = [
            ChildSpec(("connection", n), (Connection.start_link, (connect,))) for n in range(size)
        ]
        return supervisor.init(children, strategy="one_for_one", max_restarts=3 * size)


class PoolTree(Supervisor):
    """The whole pool: ``(PoolTree, (connect, size))``. A new pool has new connections."""

    def init(self, arg: tuple[Callable[[], Any], int]) -> Any:
        return supervisor.init([(Pool, None), (Connections, arg)], strategy="rest_for_one")


# What clients of the pool call.


def checkout(timeout: float | None = 5.0) -> Pid:
    """A connection that nobody else has until ``checkin``. Raises ``CallTimeout``."""
    ticket = (self_pid(), next(TICKETS))
    try:
        connection: Pid = gen_server.call(POOL, ("checkout", ticket), timeout)
    except CallExit:
        gen_server.cast(POOL, ("cancel", ticket))
        raise
    return connection


def checkin(connection: Pid) -> None:
    """Give a connection back."""
    gen_server.cast(POOL, ("checkin", connection))


def with_connection(fn: Callable[[Pid], R], timeout: float | None = 5.0) -> R:
    """``fn(connection)``; whatever happens in it, the connection is given back."""
    connection = checkout(timeout)
    try:
        return fn(connection)
    finally:
        checkin(connection)


def query(connection: Pid, request: Any) -> Any:
    """What the connection answers."""
    return gen_server.call(connection, ("query", request))


def status() -> tuple[int, int, int]:
    """How many connections are free, how many are lent, and how many clients wait."""
    found: tuple[int, int, int] = gen_server.call(POOL, "status")
    return found
