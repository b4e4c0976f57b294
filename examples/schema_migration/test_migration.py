"""The migration: its steps, the lock, and nodes that are killed or cut off in the middle."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.schema_migration.migration import (
    LOCK,
    STEPS,
    Migrator,
    Orders,
    Turnover,
    connect,
    migrate,
    start_link,
)
from otpy import (
    ClusterReady,
    Node,
    StartError,
    gen_server,
    global_,
    process,
    self_pid,
    supervisor,
)
from otpy.testing import Cluster, ClusterSimulation

ALONE = {"min_nodes": 1}


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A database of version 1, in which 3 pieces were sold for 12 each."""
    made = str(tmp_path / "orders")
    migrate(made, STEPS[:1])
    with closing(connect(made)) as database:
        database.execute("insert into orders (price, amount) values (12, 3)")
    return made


def turnover() -> int:
    return gen_server.call(Orders, Turnover())


def test_each_step_is_made_once_however_often_one_migrates(node: Node, file: str) -> None:
    migrate(file, STEPS[:2])
    migrate(file)
    migrate(file)
    start_link(file, **ALONE)
    assert turnover() == 3600


def test_a_step_that_fails_leaves_nothing_behind_and_what_needs_it_does_not_start(
    node: Node, file: str
) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        migrate(file, (STEPS[0], "update customers set name = ''"))
    with closing(connect(file)) as database:
        assert database.execute("pragma user_version").fetchone() == (1,)
    start_link(file, **ALONE)
    assert turnover() == 3600


def test_who_cannot_have_the_lock_gives_up_and_says_so(node: Node, file: str) -> None:
    assert global_.set_lock((LOCK, "somebody else"))
    process.flag(trap_exit=True)
    with pytest.raises(StartError) as refused:
        start_link(file, retries=1, **ALONE)
    why = ("failed_to_start_child", Migrator, "migration_locked")
    assert refused.value.reason == ("shutdown", why)


# Three OS processes.


def run(file: str) -> None:
    start_link(file)
    process.sleep(float("inf"))


def begin(file: str) -> None:
    """Start the tree, and do not wait for it."""
    process.spawn(run, file)


def runs() -> bool:
    """Whether what needs the new schema runs."""
    return process.whereis(Orders) is not None


def up(c: Cluster, names: list[str]) -> bool:
    return all(c.call(name, runs) for name in names)


def started(c: Cluster, version: int) -> list[str]:
    """Which nodes have begun with a step."""
    return [name for name in c.nodes for _ in range(c.logs(name).count(f"to version {version}"))]


def waiting(c: Cluster) -> list[str]:
    return [name for name in c.nodes if "another node migrates" in c.logs(name)]


@pytest.fixture
def reading(file: str) -> Iterator[Callable[[], None]]:
    """Somebody who reads, so that no change is committed until the function is called."""
    reader = connect(file)
    reader.execute("begin")
    reader.execute("select * from orders").fetchall()
    yield reader.close
    reader.close()


def test_one_node_migrates_and_all_start(cluster: Callable[..., Cluster], file: str) -> None:
    three = cluster(3)
    for name in three.nodes:
        three.call(name, begin, file)
    three.wait_for(lambda: up(three, three.nodes))
    assert [len(started(three, version)) for version in (1, 2, 3)] == [0, 1, 1]
    assert {three.call(name, turnover) for name in three.nodes} == {3600}


def in_the_middle(three: Cluster, file: str) -> str:
    """Start all; who migrates, and has not committed, while the others wait for the lock."""
    for name in three.nodes:
        three.call(name, begin, file)
    [migrating] = three.wait_for(lambda: started(three, 2))
    three.wait_for(lambda: len(waiting(three)) == 2)
    assert migrating not in waiting(three)
    assert not any(three.call(name, runs) for name in three.nodes)
    return migrating


def test_when_the_one_that_migrates_is_killed_another_makes_its_step_anew(
    cluster: Callable[..., Cluster], file: str, reading: Callable[[], None]
) -> None:
    three = cluster(3)
    killed = in_the_middle(three, file)
    others = [name for name in three.nodes if name != killed]
    three.kill(killed)
    reading()
    three.wait_for(lambda: up(three, others))
    first, second = started(three, 2)
    assert {first, second} > {killed}
    assert len(started(three, 3)) == 1
    assert {three.call(name, turnover) for name in others} == {3600}
    three.restart(killed)
    three.call(killed, begin, file)
    three.wait_for(lambda: up(three, [killed]))
    assert len(started(three, 3)) == 1


def test_what_one_finishes_that_was_cut_off_is_not_made_again_by_those_that_took_its_lock(
    cluster: Callable[..., Cluster], file: str, reading: Callable[[], None]
) -> None:
    three = cluster(3)
    alone = in_the_middle(three, file)
    others = [name for name in three.nodes if name != alone]
    three.partition({alone}, others)
    three.wait_for(lambda: three.call(others[0], locked))
    reading()
    three.wait_for(lambda: up(three, three.nodes))
    assert started(three, 2) == [alone]
    assert len(started(three, 3)) == 1
    assert {three.call(name, turnover) for name in three.nodes} == {3600}


def locked() -> bool:
    """Whether somebody on this side has the lock."""
    mine = (LOCK, self_pid())
    if not global_.set_lock(mine, retries=0):
        return True
    global_.del_lock(mine)
    return False


# A simulation.


@pytest.mark.parametrize("seed", range(10))
def test_never_two_migrate_at_a_time_and_the_next_one_begins_when_one_dies(seed: int) -> None:
    log: list[tuple[str, str]] = []

    def work() -> None:
        log.append(("begins", self_pid().node))
        process.sleep(60.0)
        log.append(("ends", self_pid().node))

    def start() -> None:
        ready = (ClusterReady, {"min_nodes": 3, "timeout": 30.0})
        supervisor.start_link([ready, (Migrator, (work, 100))], strategy="one_for_one")

    sim = ClusterSimulation(seed, start=start)
    sim.wait(lambda: bool(log))
    sim.let_pass(30.0)
    (_, first) = log[0]
    sim.kill(first)
    sim.wait(lambda: len(log) == 5, 300.0)
    (_, second), (_, third) = log[1], log[3]
    assert log[1:] == [(what, name) for name in (second, third) for what in ("begins", "ends")]
    assert sorted((first, second, third)) == sorted(sim.names)
    sim.close()
