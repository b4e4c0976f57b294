"""The numbers under kills, splits and a pause at the worst instant, on three OS processes."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.invoice_numbers.invoice_numbers import (
    NAME,
    Books,
    InvoiceNumbers,
    Late,
    number,
)
from otpy import Global, Pid, gen_server, process, sys
from otpy.testing import Cluster

LEASE = 1.0


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "books")


@pytest.fixture
def three(cluster: Callable[..., Cluster], file: str, tmp_path: Path) -> Cluster:
    """Three nodes that run the same child."""
    c = cluster(3, lease_time=LEASE, state_dir=tmp_path)
    for node in c.nodes:
        run(c, node, file)
    c.wait_for(lambda: c.call("a", leads))
    return c


def run(c: Cluster, node: str, file: str) -> None:
    c.start(node, [(InvoiceNumbers, (file, c.nodes))])


def where() -> str | None:
    pid = gen_server.whereis(Global(NAME))
    return pid.node if isinstance(pid, Pid) else None


def leads() -> bool:
    """Whether there is a leader that has opened the books."""
    pid = gen_server.whereis(Global(NAME))
    return isinstance(pid, Pid) and sys.statistics(pid, "get") == "no_statistics"


def leader(c: Cluster, asked: str) -> str | None:
    return c.call(asked, where)


def begin(text: str) -> None:
    """Ask for a number, and do not wait for it."""
    process.spawn(number, text)


def test_who_comes_late_is_refused(file: str) -> None:
    books, others = Books(file), Books(file)
    assert books.add(1, "one") == 1
    assert others.add(2, "two") == 2
    assert others.add(2, "one") == 1
    with pytest.raises(Late, match="token 1 is less than 2"):
        books.add(1, "late")
    assert books.all() == [(1, "one"), (2, "two")]


def test_numbers_go_on_when_the_leader_is_killed_and_when_it_is_cut_off(
    three: Cluster, file: str
) -> None:
    assert three.call("a", number, "first") == 1
    first = leader(three, "a")
    assert first is not None
    three.kill(first)
    [one, other] = [node for node in three.nodes if node != first]
    assert three.wait_for(lambda: three.call(one, number, "second")) == 2
    three.restart(first)
    run(three, first, file)
    second = leader(three, one)
    assert second in (one, other)
    three.partition({second}, {first, *{one, other} - {second}})
    assert three.wait_for(lambda: three.call(first, number, "third")) == 3
    assert three.call(second, number, "nowhere") is None
    three.heal()
    assert three.wait_for(lambda: three.call(second, number, "fourth")) == 4
    assert [text for _, text in Books(file).all()] == ["first", "second", "third", "fourth"]


def test_a_leader_that_was_paused_after_it_looked_at_its_lease_comes_too_late(
    three: Cluster, file: str
) -> None:
    paused = leader(three, "a")
    assert paused is not None
    busy = sqlite3.connect(file, isolation_level=None)
    busy.execute("begin immediate")
    three.call(paused, begin, "paused")
    three.wait_for(lambda: "numbering paused" in three.logs(paused))  # and waits for the books
    three.pause(paused)
    busy.execute("rollback")

    other = next(node for node in three.nodes if node != paused)
    three.wait_for(lambda: leader(three, other) not in (None, paused))
    assert three.call(other, number, "next") == 1
    three.resume(paused)
    three.wait_for(lambda: "paused was not numbered here" in three.logs(paused))
    assert Books(file).all() == [(1, "next")]
    assert three.wait_for(lambda: three.call(paused, number, "last")) == 2
