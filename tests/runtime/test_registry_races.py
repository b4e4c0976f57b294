"""A process that dies while it registers leaves nothing behind, whichever way it runs."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    AlreadyRegistered,
    Node,
    Pid,
    Via,
    aio,
    gen_server,
    process,
    registry,
    self_pid,
)
from otpy.behaviours import _registry
from otpy.machines.registry import DuplicateEntries, UniqueEntries
from otpy.testing import eventually
from tests.conformance.registries import duplicate, unique
from tests.conformance.servers import async_server
from tests.conformance.waiting import gone

KEYS = 8
ROUNDS = 40


def empty(name: str) -> bool:
    """Whether nothing at all is left in the tables."""
    tables = [partition.entries for partition in _registry.here(name)[1].partitions]
    assert all(isinstance(table, (UniqueEntries, DuplicateEntries)) for table in tables)
    return not any(held_by(table) for table in tables)


def held_by(table: Any) -> list[Any]:
    """What a table holds."""
    return [*table.table, *table.owned]


class Killer:
    """Kills a process from another thread."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node = node
        self.threads: list[threading.Thread] = []
        self.dead = threading.Event()
        self.cleaned = threading.Event()
        forget, clean = node.forget, _registry.Keeper.forget

        def forgotten(proc: Any) -> None:
            forget(proc)
            if self.threads:
                self.dead.set()

        def cleaned(keeper: Any, pid: Pid, state: Any) -> None:
            clean(keeper, pid, state)
            self.cleaned.set()

        monkeypatch.setattr(node, "forget", forgotten)
        monkeypatch.setattr(_registry.Keeper, "forget", cleaned)

    def kill(self, pid: Pid) -> None:
        """Returns when the process is dead; its death is perhaps not announced yet."""
        thread = threading.Thread(target=self._body, args=(pid,))
        self.threads.append(thread)
        thread.start()
        assert self.dead.wait(10)

    def _body(self, pid: Pid) -> None:
        with self.node.attached():
            process.exit(pid, "kill")

    def join(self) -> None:
        """Returns when all of it has been announced."""
        assert len(self.threads) == 1
        self.threads[0].join(10)


@pytest.fixture
def killer(node: Node, monkeypatch: pytest.MonkeyPatch) -> Killer:
    """Kills from another thread."""
    return Killer(node, monkeypatch)


@pytest.fixture(params=["unique", "duplicate"])
def name(request: pytest.FixtureRequest, node: Node) -> str:
    """A registry of each kind."""
    return unique() if request.param == "unique" else duplicate()


def run_thread(body: Callable[[], Any]) -> None:
    _, ref = process.spawn_monitor(body)
    assert process.receive(where=lambda message: message.ref == ref, timeout=10).reason == "killed"


def test_a_process_killed_before_it_writes_writes_nothing(
    killer: Killer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = process.link
    me: list[Pid] = []
    ended = threading.Event()

    def fatal(pid: Pid) -> None:
        link(pid)
        killer.kill(me[0])
        assert killer.cleaned.wait(10)  # whatever is written now stays

    def body() -> None:
        me.append(self_pid())
        try:
            registry.register(name, "k", 1)
        finally:
            ended.set()

    monkeypatch.setattr(process, "link", fatal)
    run_thread(body)
    killer.join()
    assert ended.wait(10)
    assert empty(name)


def test_a_process_killed_while_it_writes_is_cleaned_up_after(
    killer: Killer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = UniqueEntries if name == "Names" else DuplicateEntries
    add = table.add
    written: list[bool] = []
    early: list[bool] = []

    def fatal(self: Any, key: Any, pid: Pid, value: Any, alive: Any) -> Any:
        killer.kill(pid)
        early.append(killer.cleaned.wait(0.1))
        holder = add(self, key, pid, value, alive)
        written.append(self.size() == 1)
        return holder

    monkeypatch.setattr(table, "add", fatal)
    run_thread(lambda: registry.register(name, "k", 1))
    killer.join()
    assert (early, written) == ([False], [True])
    eventually(lambda: empty(name))


class Storm:
    """Processes that register and unregister until they are killed."""

    def __init__(self, names: str, topics: str, boss: Pid) -> None:
        self.names, self.topics, self.boss = names, topics, boss
        self.wrong: list[str] = []

    def step(self, draw: random.Random) -> None:
        me, key = self_pid(), draw.randrange(KEYS)
        registry.register(self.topics, key, me)
        try:
            registry.register(self.names, key, me)
        except AlreadyRegistered:
            pass  # another has it: that is what they race for
        else:
            found = registry.lookup(self.names, key)
            if found != [(me, me)] and process.alive(me):
                self.wrong.append(f"{me!r} registered {key}, and there is {found!r}")
            registry.unregister(self.names, key)
        if draw.random() < 0.5:
            registry.unregister(self.topics, key)
            registry.unregister_match(self.topics, key + 1, me)

    def loop(self, seed: int) -> None:
        draw = random.Random(seed)
        process.send(self.boss, ("runs", self_pid()))
        while True:
            self.step(draw)
            process.sleep(0.0001)  # green ones take turns

    async def later(self, seed: int) -> None:
        draw = random.Random(seed)
        process.send(self.boss, ("runs", self_pid()))
        while True:
            self.step(draw)
            await aio.sleep(0.0001)


def test_a_storm_of_registrations_and_deaths_leaves_nothing(node: Node) -> None:
    names, topics = unique(2), duplicate(2)
    storm = Storm(names, topics, self_pid())
    draw = random.Random(7)

    def start(number: int) -> Pid:
        kind = number % 3
        if kind == 2:
            pid = process.spawn(storm.later, number)
        else:
            pid = process.spawn(storm.loop, number, green=kind == 1)
        process.receive(tuple, where=lambda message: message == ("runs", pid), timeout=10)
        return pid

    alive = [start(number) for number in range(9)]
    for number in range(9, 9 + ROUNDS * 3):
        victim = alive.pop(draw.randrange(len(alive)))
        process.exit(victim, "kill")
        gone(victim)
        for key in range(KEYS):
            found = registry.lookup(names, key) + registry.lookup(topics, key)
            assert victim not in [pid for pid, _ in found]
        alive.append(start(number))
    for pid in alive:
        process.exit(pid, "kill")
        gone(pid)
    assert storm.wrong == []
    eventually(lambda: empty(names) and empty(topics))
    assert (registry.count(names), registry.count(topics)) == (0, 0)
    for name in (names, topics):
        for index in range(2):
            keeper = process.whereis(f"{name}.PIDPartition{index}")
            assert keeper is not None
            info = process.info(keeper, "links")
            assert info == {"links": [process.whereis(name)]}


def test_an_async_server_registers_itself(node: Node) -> None:
    via = Via(registry, (unique(), "async", "value"))
    pid = gen_server.start_link(async_server(), 1, name=via)
    assert registry.lookup("Names", "async") == [(pid, "value")]
    assert gen_server.call(via, "more") == 2
    gen_server.stop(via)
    assert gen_server.whereis(via) is None
    eventually(lambda: empty("Names"))


def test_a_coroutine_starts_a_registry_and_dispatches(node: Node) -> None:
    async def body(boss: Pid) -> None:
        await aio.registry.start_link(keys="duplicate", name="Topics", partitions=2)
        registry.register("Topics", "k", 1)
        seen: list[Any] = []
        await aio.registry.dispatch("Topics", "k", seen.extend, parallel=True)
        process.send(boss, seen == [(self_pid(), 1)] == registry.lookup("Topics", "k"))

    process.spawn(body, self_pid())
    assert process.receive(bool, timeout=10)
