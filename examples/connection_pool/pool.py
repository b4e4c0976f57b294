"""A pool of connections, as poolboy has it.

    children = [(PoolSupervisor, Options("db", lambda: sqlite3.connect("shop.db"), size=5))]

    with connection("db") as shop:
        rows = run(shop, lambda db: db.execute("select * from orders").fetchall())

Each connection lives in a process of its own, which alone uses it. The pool lends these processes.
Who asks for one has a ticket and gives that back in the end, whatever the end is: the block is
done, it failed, or nothing came in time. So a connection that was on its way to a client that no
longer waits comes back like any other, and a ticket that is given back late touches nobody else's.

A connection whose block failed, or whose client died, may be in the middle of something: it is
closed and another is opened, as NimblePool does. So is one that breaks. While none can be opened,
each is tried again after ``retry`` seconds, and the clients wait.
"""

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from otpy import (
    CallResult,
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
    Request,
    Stop,
    Supervisor,
    dynamic_supervisor,
    gen_server,
    make_ref,
    process,
    self_pid,
    supervisor,
)

R = TypeVar("R")
Phase = Literal["opening", "open", "closing"]


class Closable(Protocol):
    """All that the pool asks of a connection."""

    def close(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Options:
    """A pool called ``name`` of ``size`` connections, each what ``connect()`` returns."""

    name: str
    connect: Callable[[], Closable]
    size: int
    retry: float = 1.0  # seconds

    @property
    def connections(self) -> str:
        """The name of the connections' supervisor."""
        return f"{self.name}.connections"


@dataclass(frozen=True, slots=True)
class Checkout(Request[Pid]):
    """Wait for a connection."""

    ticket: Ref


@dataclass(frozen=True, slots=True)
class Checkin:
    """Wait no longer, or give back what was lent; ``whole`` if others may use it."""

    ticket: Ref
    whole: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A connection is open."""

    connection: Pid


@dataclass(frozen=True, slots=True)
class Run(Request[R]):
    """Call ``function(connection)`` where the connection is."""

    function: Callable[[Any], R]


@dataclass(frozen=True, slots=True)
class Status(Request["Status"]):
    """How many connections are free, how many are lent, and how many clients wait."""

    free: int = 0
    lent: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Client:
    """Who waits, or has a ``connection``; ``monitor`` tells of its end."""

    from_: From
    monitor: Ref
    connection: Pid | None = None


@dataclass(slots=True)
class State:
    """Clients are known by their tickets; those that wait are in the order in which they came."""

    options: Options
    connections: dict[Pid, Phase] = field(default_factory=dict[Pid, Phase])
    free: deque[Pid] = field(default_factory=deque[Pid])
    waiting: dict[Ref, Client] = field(default_factory=dict[Ref, Client])
    lent: dict[Ref, Client] = field(default_factory=dict[Ref, Client])


class Pool(GenServer[State], green=True):
    @classmethod
    def start_link(cls, options: Options, /) -> Pid:
        return gen_server.start_link(cls, options, name=options.name)

    def init(self, options: Options) -> InitResult[State]:
        state = State(options)
        for _ in range(options.size):
            open_one(state)
        return Ok(state)

    def handle_call(self, request: Any, from_: From, state: State) -> CallResult[State]:
        match request:
            case Checkout(ticket):
                monitor = process.monitor(from_.pid, tag=ticket)
                state.waiting[ticket] = Client(from_, monitor)
                lend(state)
                return NoReply()
            case Status():
                return Reply(Status(len(state.free), len(state.lent), len(state.waiting)))
        raise ValueError(f"a pool knows Checkout and Status, not {request!r}")

    def handle_cast(self, request: Any, state: State) -> Next[State]:
        match request:
            case Ready(connection):
                state.connections[connection] = "open"
                state.free.append(connection)
            case Checkin(ticket, whole):
                take_back(state, ticket, whole)
            case _:
                raise ValueError(f"a pool knows Ready and Checkin, not {request!r}")
        lend(state)
        return NoReply()

    def handle_info(self, message: Any, state: State) -> Next[State]:
        match message:
            case Down(tag=Ref() as ticket):  # a client
                take_back(state, ticket, whole=False)
            case Down(pid=Pid() as connection):
                replace(state, connection)
            case "open":
                open_one(state)
            case _:
                super().handle_info(message, state)
        return NoReply()


def lend(state: State) -> None:
    """As long as there is a connection and somebody waits: to the one that came first."""
    while state.free and state.waiting:
        ticket = next(iter(state.waiting))
        client = state.lent[ticket] = state.waiting.pop(ticket)
        client.connection = state.free.popleft()
        gen_server.reply(client.from_, client.connection)


def take_back(state: State, ticket: Ref, whole: bool) -> None:
    """The client has left. A pool that came after a crash does not know the tickets from before."""
    client = state.waiting.pop(ticket, None) or state.lent.pop(ticket, None)
    if client is None:
        return
    process.demonitor(client.monitor, flush=True)
    connection = client.connection
    if connection is None or state.connections.get(connection) != "open":
        return  # it waited, or the connection has ended meanwhile
    if whole:
        state.free.append(connection)
    else:
        state.connections[connection] = "closing"
        gen_server.cast(connection, "close")


def open_one(state: State) -> None:
    """Start a connection; it tells when it is ready."""
    child = (Connection, state.options)
    connection: Pid = dynamic_supervisor.start_child(state.options.connections, child)
    process.monitor(connection)
    state.connections[connection] = "opening"


def replace(state: State, connection: Pid) -> None:
    """A connection has ended. After one that could not be opened there is a pause."""
    if state.connections.pop(connection) == "opening":
        process.send_after(self_pid(), "open", state.options.retry)
        return
    if connection in state.free:
        state.free.remove(connection)
    open_one(state)


class Connection(GenServer[Closable | None], restart="temporary"):
    """What is lent. It has a thread of its own, so ``connect()`` and its use may block."""

    def init(self, options: Options) -> InitResult[Closable | None]:
        process.flag(trap_exit=True)  # else its supervisor would end it without ``terminate``
        return Ok(None, continue_=options)

    def handle_continue(self, options: Options, state: Closable | None) -> Next[Closable | None]:
        opened = options.connect()
        gen_server.cast(options.name, Ready(self_pid()))
        return NoReply(opened)

    def handle_call(
        self, request: Any, from_: From, state: Closable | None
    ) -> CallResult[Closable | None]:
        match request:
            case Run(function):
                return Reply(function(state))
        raise ValueError(f"a connection knows Run, not {request!r}")

    def handle_cast(self, request: Any, state: Closable | None) -> Next[Closable | None]:
        match request:
            case "close":
                return Stop("normal")
        raise ValueError(f"a connection knows close, not {request!r}")

    def terminate(self, reason: Any, state: Closable | None) -> None:
        if state is not None:
            state.close()


class PoolSupervisor(Supervisor):
    """The whole pool: ``(PoolSupervisor, Options(...))``. A new pool has new connections."""

    def init(self, options: Options) -> Any:
        children = [dynamic_supervisor.child_spec(name=options.connections), (Pool, options)]
        return supervisor.init(children, strategy="one_for_all")


# What clients of the pool call.


@contextmanager
def connection(pool: str, timeout: float | None = 5.0) -> Generator[Pid, None, None]:
    """A connection that nobody else has, for a block. Raises ``CallTimeout`` if none is free.

    If the block fails, the connection is closed, and another takes its place.
    """
    ticket = make_ref()
    whole = True
    try:
        lent = gen_server.call(pool, Checkout(ticket), timeout)
        whole = False
        yield lent
        whole = True
    finally:
        gen_server.cast(pool, Checkin(ticket, whole))


def run(connection: Pid, function: Callable[[Any], R], timeout: float | None = 5.0) -> R:
    """The result of ``function(connection)``, called in the connection's process.

    What it raises ends the connection: ``CallExit`` with a ``Crash``. Raises ``CallTimeout``.
    """
    return gen_server.call(connection, Run(function), timeout)


def status(pool: str) -> Status:
    """How the pool is doing."""
    return gen_server.call(pool, Status())
