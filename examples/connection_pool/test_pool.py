"""The tests of the pool, as its author writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.connection_pool import pool
from examples.connection_pool.pool import (
    PoolTree,
    checkin,
    checkout,
    query,
    status,
    with_connection,
)
from otpy import CallTimeout, Pid, process, self_pid
from otpy.testing import eventually

Start = Callable[..., Any]


def connect() -> Callable[[int], int]:
    """A connection to somebody who doubles."""
    return lambda n: 2 * n


@pytest.fixture(autouse=True)
def two_connections(start_supervised: Start) -> None:
    start_supervised((PoolTree, (connect, 2)))
    assert eventually(lambda: status() == (2, 0, 0))


def client(me: Pid, name: str) -> Pid:
    """A process that takes a connection, says so, and keeps it until it is told to end."""

    def body() -> None:
        process.send(me, (name, checkout()))
        process.receive()

    return process.spawn(body)


def with_two(fn: Callable[[Pid, Pid], bool]) -> bool:
    return with_connection(lambda one: with_connection(lambda other: fn(one, other)))


def waiting(number: int) -> bool:
    return bool(eventually(lambda: status() == (0, 2, number)))


def test_a_connection_is_lent_to_one_client_at_a_time() -> None:
    first, second = checkout(), checkout()
    assert first != second
    assert query(first, 21) == 42
    with pytest.raises(CallTimeout):
        checkout(timeout=0)
    checkin(first)
    assert checkout() == first


def test_with_connection_gives_it_back_even_after_an_exception() -> None:
    assert with_connection(lambda connection: query(connection, 4)) == 8
    with pytest.raises(ZeroDivisionError):
        with_connection(lambda _: 1 // 0)
    assert status() == (2, 0, 0)


def test_clients_wait_in_order() -> None:
    first, _ = checkout(), checkout()
    for place, name in enumerate(["ann", "bob"], start=1):
        client(self_pid(), name)
        assert waiting(place)
    checkin(first)
    assert process.receive(timeout=5) == ("ann", first)
    assert status() == (0, 2, 1)


def test_who_stops_waiting_leaves_no_place_behind() -> None:
    first, _ = checkout(), checkout()
    with pytest.raises(CallTimeout):
        checkout(timeout=0)
    assert status() == (0, 2, 0)
    checkin(first)
    assert status() == (1, 1, 0)


def test_a_connection_given_back_twice_is_there_once() -> None:
    connection = checkout()
    checkin(connection)
    checkin(connection)
    assert status() == (2, 0, 0)


def test_a_client_that_dies_gives_its_connection_back() -> None:
    checkout()
    owner = client(self_pid(), "ann")
    name, connection = process.receive(timeout=5)
    assert (name, status()) == ("ann", (0, 2, 0))
    process.exit(owner, "kill")
    assert eventually(lambda: status() == (1, 1, 0))
    assert checkout() == connection


def test_a_client_that_dies_while_it_waits_is_passed_over() -> None:
    first, _ = checkout(), checkout()
    late = client(self_pid(), "ann")
    assert waiting(1)
    process.exit(late, "kill")
    assert waiting(0)
    checkin(first)
    assert status() == (1, 1, 0)


@pytest.mark.parametrize("lent", [True, False])
def test_a_connection_that_dies_is_replaced(lent: bool) -> None:
    connection = checkout()
    if not lent:
        checkin(connection)
    process.exit(connection, "kill")
    assert eventually(lambda: with_two(lambda a, b: connection not in (a, b)))
    assert status() == (2, 0, 0)


def test_a_client_that_waits_gets_the_replacement() -> None:
    first, second = checkout(), checkout()
    client(self_pid(), "ann")
    assert waiting(1)
    process.exit(first, "kill")
    name, connection = process.receive(timeout=5)
    assert name == "ann"
    assert connection not in (first, second)


def test_a_pool_that_crashes_comes_back_with_new_connections() -> None:
    old = checkout()
    before = process.whereis(pool.POOL)
    assert before is not None
    process.exit(before, "kill")
    assert eventually(lambda: process.whereis(pool.POOL) not in (None, before))
    assert eventually(lambda: status() == (2, 0, 0))
    assert not process.alive(old)
