"""The tests of the pool, as its author writes them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.connection_pool.database import Database, Link
from examples.connection_pool.pool import (
    Options,
    PoolSupervisor,
    Status,
    connection,
    run,
    status,
)
from otpy import CallExit, CallTimeout, Crash, Pid, process, self_pid, sys
from otpy.testing import assert_receive, eventually

Start = Callable[..., Any]
TAKEN = Status(lent=2)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture(autouse=True)
def pool(start_supervised: Start, database: Database) -> Pid:
    """A pool of two connections; its supervisor."""
    pid: Pid = start_supervised((PoolSupervisor, Options("db", database.connect, 2)))
    whole()
    return pid


def whole() -> None:
    """Wait until both connections are back."""

    def again() -> bool:
        try:
            return status("db") == Status(free=2)
        except CallExit:
            return False  # the pool itself is being started again

    eventually(again)


def client(name: str, leave: Callable[[], Any] = process.receive) -> Pid:
    """A process that takes a connection, says so, and keeps it until ``leave()`` returns."""
    me = self_pid()

    def body() -> None:
        with connection("db") as lent:
            process.send(me, (name, lent))
            leave()

    process.flag(trap_exit=True)  # some clients are killed, and the test goes on
    return process.spawn_link(body)


def lent_to(name: str) -> Pid:
    """The connection that this client has got."""
    got: tuple[str, Pid] = assert_receive(tuple, timeout=5)
    assert got[0] == name
    return got[1]


def waits(name: str, place: int, **options: Any) -> Pid:
    """A client that has joined the line at this place."""
    pid = client(name, **options)
    eventually(lambda: status("db").waiting == place)
    return pid


def nothing() -> None:
    """Give the connection back at once."""


def watched() -> list[Any]:
    """Whom the pool watches: its connections, and clients."""
    info = process.info(where("db"), "monitors")
    assert info is not None
    found: list[Any] = info["monitors"]
    return found


def double(lent: Pid, number: int) -> int:
    def ask(link: Link) -> int:
        return link.double(number)

    return run(lent, ask)


# Lending.


def test_a_connection_is_lent_to_one_client_at_a_time() -> None:
    with connection("db") as first, connection("db") as second:
        assert first != second
        assert double(first, 21) == 42
        assert status("db") == TAKEN
        with pytest.raises(CallTimeout), connection("db", timeout=0):
            pass
    whole()


def test_a_connection_that_was_given_back_is_lent_again(database: Database) -> None:
    for _ in range(5):
        with connection("db") as lent:
            assert double(lent, 4) == 8
    whole()
    assert database.attempts == 2


def test_a_client_that_has_gone_on_is_no_longer_watched() -> None:
    with connection("db"):
        assert len(watched()) == 3
    whole()
    assert len(watched()) == 2


def test_it_lends_what_may_be_used_by_one_thread_only(
    start_supervised: Start, tmp_path: Path
) -> None:
    path = tmp_path / "shop.db"
    options = Options("shop", lambda: sqlite3.connect(path, isolation_level=None), 3)
    start_supervised((PoolSupervisor, options), id="shop")
    with connection("shop") as one, connection("shop") as other:
        run(one, lambda db: db.execute("create table orders (what text)"))
        run(one, lambda db: db.execute("insert into orders values ('tea')"))
        assert run(other, lambda db: db.execute("select * from orders").fetchall()) == [("tea",)]


# The line.


def test_clients_get_connections_in_the_order_in_which_they_came() -> None:
    with connection("db"):
        with connection("db") as second:
            for place, name in enumerate(["ann", "bob", "cem"], start=1):
                waits(name, place, leave=nothing)
        with connection("db") as again:  # who comes back stands behind those that waited
            assert [lent_to(name) for name in ("ann", "bob", "cem")] == [second] * 3
            assert again == second


def test_who_leaves_the_line_does_not_hold_up_those_behind() -> None:
    with connection("db"):
        with connection("db") as second:
            gone = waits("ann", 1)
            waits("bob", 2)
            with pytest.raises(CallTimeout), connection("db", timeout=0):
                pass
            waits("cem", 3, leave=nothing)
            process.exit(gone, "kill")
            eventually(lambda: status("db") == Status(lent=2, waiting=2))
        assert lent_to("bob") == second
        eventually(lambda: status("db") == Status(lent=2, waiting=1))


def test_a_client_that_gave_up_is_handed_nothing_that_is_then_lost() -> None:
    sys.suspend("db")
    with pytest.raises(CallTimeout), connection("db", timeout=0):
        pass
    sys.resume("db")
    # The pool lends to the client that is gone, and has its ticket back at once.
    assert status("db") == Status(free=2)


# Clients that end.


def test_a_client_that_dies_leaves_a_connection_that_nobody_else_gets(database: Database) -> None:
    with connection("db"):
        owner = client("ann")
        used = lent_to("ann")
        waits("bob", 1)
        process.exit(owner, "kill")
        assert lent_to("bob") != used
        assert not process.alive(used)
    eventually(lambda: len(database.connected) == 2)


def test_a_block_that_fails_leaves_a_connection_that_nobody_else_gets(database: Database) -> None:
    def fails() -> None:
        with connection("db") as lent:
            used.append(lent)
            raise KeyError("in the middle of something")

    used: list[Pid] = []
    with pytest.raises(KeyError):
        fails()
    whole()
    assert not process.alive(used[0])
    assert len(database.connected) == 2


def test_a_client_that_dies_in_the_line_is_passed_over() -> None:
    with connection("db"):
        with connection("db"):
            late = waits("ann", 1)
            process.exit(late, "kill")
            eventually(lambda: status("db") == TAKEN)
        assert status("db") == Status(free=1, lent=1)


# Connections that end.


@pytest.mark.parametrize("caught", [True, False])
def test_a_connection_that_breaks_is_closed_and_replaced(database: Database, caught: bool) -> None:
    broken: list[Pid] = []

    def use() -> None:
        with connection("db") as lent:
            broken.append(lent)
            try:
                run(lent, Link.reset)
            except CallExit:
                if not caught:
                    raise

    if caught:
        use()
    else:
        with pytest.raises(CallExit) as failed:
            use()
        assert isinstance(failed.value.reason, Crash)
        assert failed.value.reason.type == "ConnectionError"
    whole()
    assert not process.alive(broken[0])
    assert (database.attempts, len(database.connected)) == (3, 2)


def test_a_connection_that_ends_while_nobody_has_it_is_not_lent() -> None:
    with connection("db") as lent:
        pass
    process.exit(lent, "kill")
    for _ in range(2):
        with connection("db") as one, connection("db") as other:
            assert lent not in (one, other)
    whole()


def test_who_waits_gets_the_connection_that_replaces_a_broken_one() -> None:
    with connection("db") as broken, connection("db") as second:
        waits("ann", 1)
        with pytest.raises(CallExit):
            run(broken, Link.reset)
        assert lent_to("ann") not in (broken, second)


# The end of the pool.


def test_a_pool_that_crashes_closes_its_connections_and_tells_who_waits(database: Database) -> None:
    refused: list[Any] = []

    def waiter() -> None:
        try:
            with connection("db"):
                pass
        except CallExit as ended:
            refused.append(ended.reason)

    before = set(database.connected)
    with connection("db") as one, connection("db") as other:
        process.spawn(waiter)
        eventually(lambda: status("db").waiting == 1)
        process.exit(where("db"), "kill")
        eventually(lambda: refused == ["killed"])
        whole()
        assert not process.alive(one)
        assert not process.alive(other)
        assert len(database.connected) == 2
        assert not database.connected & before
        again = where("db")
    # The new pool gets tickets that it has never seen, and goes on.
    assert status("db") == Status(free=2)
    assert where("db") == again


def test_a_pool_that_stops_closes_its_connections(
    database: Database, stop_supervised: Callable[[Any], None]
) -> None:
    with connection("db"):
        stop_supervised(PoolSupervisor)
    assert database.connected == set()


def where(name: str) -> Pid:
    pid = process.whereis(name)
    assert pid is not None
    return pid
