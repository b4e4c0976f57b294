"""The locks of ``global`` (GLOB-08 to 12): one table, one asker, and networks of both.

In the network there is a queue for each direction between two nodes, which keeps its
order; processes ask, give back and end, sessions end and come back, all by the seed. At
no time do two requesters think they hold one resource on the same node, and nothing is
left locked in the end.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines import global_locks as g
from otpy.terms.pid import Pid

NODES = ("a", "b", "c")
PIDS = [Pid(0, node, 0, number) for node in NODES for number in (1, 2)]


def answers(effects: g.TableEffects) -> list[Any]:
    return [effect.value for effect in effects if isinstance(effect, g.Reply)]


# One table against a dumber one: a set of (resource, requester, pid).

ONE = (st.none(), st.sampled_from("xy"), st.sampled_from("12"), st.sampled_from(PIDS))
EVENTS = st.one_of(
    st.builds(g.Take, *ONE),
    st.builds(g.GiveBack, *ONE),
    st.builds(g.PidDown, st.sampled_from(PIDS)),
    st.builds(g.NodeDown, st.sampled_from(NODES)),
)


@given(st.lists(EVENTS, max_size=40))
def test_a_table_answers_as_a_set_of_holders_would(events: list[g.TableEvent]) -> None:
    table, holders = g.Locks(), set[tuple[str, str, Pid]]()
    watched: set[Pid] = set()
    for event in events:
        effects = table.handle(event)
        match event:
            case g.Take(_, resource, requester, pid):
                others = any(r == resource and q != requester for r, q, _ in holders)
                mine = (resource, requester, pid) in holders
                assert answers(effects) == [g.REFUSED if others else g.HELD if mine else g.TAKEN]
                if not others:
                    holders.add((resource, requester, pid))
            case g.GiveBack(_, resource, requester, pid):
                assert answers(effects) == [None]
                holders.discard((resource, requester, pid))
            case g.PidDown(pid):
                holders = {one for one in holders if one[2] != pid}
            case g.NodeDown(peer):
                holders = {one for one in holders if one[2].node != peer}
        for effect in effects:
            match effect:
                case g.Watch(pid):
                    assert pid not in watched
                    watched.add(pid)
                case g.Unwatch(pid):
                    watched.remove(pid)
                case g.Reply():
                    pass  # seen above
        assert watched == {pid for _, _, pid in holders}
        assert {
            (resource, held.requester, pid)
            for resource, held in table.table.items()
            for pid in held.pids
        } == holders


@given(st.lists(st.sampled_from(NODES), max_size=6), st.data())
def test_an_asker_gives_back_what_it_took_and_nothing_else(
    places: list[str], data: st.DataObject
) -> None:
    asker = g.Asker(retries=data.draw(st.integers(0, 2)))
    taken: list[str] = []
    asked: list[str] = []
    event: g.AskerEvent = g.Begin(places)
    while True:
        effect = asker.handle(event, 5.0, 0.5)
        match effect:
            case g.Ask(node):
                assert not asked or asked[-1] < node, "not in order"
                asked.append(node)
                answer = data.draw(st.sampled_from((g.TAKEN, g.HELD, g.REFUSED, g.GONE)))
                if answer == g.TAKEN:
                    taken.append(node)
                event = g.Said(node, answer)
            case g.Return(node):
                assert taken.pop() == node
                event = g.Returned(node)
            case g.Wait(until):
                assert not taken
                assert 5.0 < until <= 5.0 + g.LAST_WAIT
                asked.clear()
                event = g.Due(places)
            case g.Done(ok):
                assert asked == sorted(set(places)) if ok else not taken
                return


def test_the_waits_grow_up_to_a_limit() -> None:
    asker = g.Asker()
    event: g.AskerEvent = g.Begin(["a"])
    waits: list[float] = []
    while len(waits) < 14:
        match asker.handle(event, 0.0, 1.0):
            case g.Ask(node):
                event = g.Said(node, g.REFUSED)
            case g.Wait(until):
                waits.append(until)
                event = g.Due(["a"])
            case other:
                pytest.fail(f"{other}")
    assert waits[:3] == [0.01, 0.02, 0.04]
    assert waits[-2:] == [g.LAST_WAIT, g.LAST_WAIT]


# Networks.


@dataclass
class Process:
    """A process that takes locks on one resource, one ``set_lock`` or ``del_lock`` at a time."""

    pid: Pid
    requester: str
    asker: g.Asker | None = None
    awaited: tuple[int, str, bool] | None = None  # number, node, whether a lock was asked for
    due: bool = False
    owner: bool = False  # a set_lock said yes, and no del_lock followed
    got: dict[str, None] = field(
        default_factory=dict[str, None]
    )  # where the attempt under way has been
    holds: dict[str, None] = field(default_factory=dict[str, None])
    to_free: list[str] = field(default_factory=list[str])


class Network:
    """Tables, processes, and a queue from each node to each other, for either direction."""

    def __init__(
        self, seed: int, table: type[g.Locks] = g.Locks, asker: type[g.Asker] = g.Asker
    ) -> None:
        self.draw = random.Random(seed)
        self.asker = asker
        self.tables = {node: table() for node in NODES}
        self.processes = [Process(pid, self.draw.choice("1234")) for pid in PIDS]
        self.there: dict[tuple[str, str], deque[Any]] = {}
        self.back: dict[tuple[str, str], deque[Any]] = {}
        self.down: set[frozenset[str]] = set()
        self.number = 0
        for near in NODES:
            for far in NODES:
                self.there[near, far], self.back[near, far] = deque(), deque()

    # What a process does.

    def places(self) -> list[str]:
        return self.draw.sample(NODES, self.draw.randint(1, len(NODES)))

    def begin(self, process: Process, retries: float | None = None) -> None:
        limit = self.draw.randrange(4) if retries is None else retries
        process.asker = self.asker(retries=limit)
        process.got = {}
        self.step(process, g.Begin(self.places()))

    def step(self, process: Process, event: g.AskerEvent) -> None:
        assert process.asker is not None
        effect = process.asker.handle(event, 0.0, self.draw.random())
        match effect:
            case g.Ask(node):
                self.send(process, node, g.Take)
            case g.Return(node):
                process.got.pop(node, None)
                self.send(process, node, g.GiveBack)
            case g.Wait():
                process.due = True
            case g.Done(ok):
                process.asker = None
                if ok:
                    process.holds |= process.got
                    process.owner = True
                process.got = {}

    def send(self, process: Process, node: str, kind: type[g.Take] | type[g.GiveBack]) -> None:
        self.number += 1
        process.awaited = (self.number, node, kind is g.Take)
        if frozenset((process.pid.node, node)) in self.down:
            self.answered(process, self.number, g.GONE)
            return
        event = kind((process, self.number), "r", process.requester, process.pid)
        self.there[process.pid.node, node].append(event)

    def free(self, process: Process) -> None:
        """``del_lock``, on every node."""
        process.holds, process.owner = {}, False
        process.to_free = list(NODES)
        self.free_next(process)

    def free_next(self, process: Process) -> None:
        if process.to_free:
            self.send(process, process.to_free.pop(), g.GiveBack)

    def answered(self, process: Process, number: int, value: Any) -> None:
        if process.awaited is None or process.awaited[0] != number:
            return  # a late answer is never seen
        _, node, asked = process.awaited
        process.awaited = None
        if process.asker is None:
            self.free_next(process)
        elif asked:
            if value != g.GONE:
                process.got[node] = None
            self.step(process, g.Said(node, value))
        else:
            self.step(process, g.Returned(node))

    def idle(self, process: Process) -> bool:
        return process.asker is None and process.awaited is None and not process.to_free

    # What the world does.

    def kill(self, process: Process) -> None:
        self.processes.remove(process)
        for node in NODES:
            self.there[process.pid.node, node].append(g.PidDown(process.pid))

    def cut(self, one: str, other: str) -> None:
        self.down.add(frozenset((one, other)))
        for near, far in ((one, other), (other, one)):
            queue = self.there[near, far]
            for _ in range(self.draw.randint(0, len(queue))):
                queue.pop()  # lost with the session
            queue.append(g.NodeDown(near))
            self.back[near, far].clear()
            for process in [one for one in self.processes if one.pid.node == near]:
                process.holds.pop(far, None)
                process.got.pop(far, None)
                if process.awaited is not None and process.awaited[1] == far:
                    self.answered(process, process.awaited[0], g.GONE)

    def deliver_one(self) -> bool:
        ready = [
            (queues, key)
            for queues in (self.there, self.back)
            for key, queue in queues.items()
            if queue
        ]
        if not ready:
            return False
        queues, (near, node) = self.draw.choice(ready)
        item = queues[near, node].popleft()
        if queues is self.back:
            process, number, value = item
            if process in self.processes:
                self.answered(process, number, value)
        else:
            for effect in self.tables[node].handle(item):
                if isinstance(effect, g.Reply):
                    self.back[near, node].append((*effect.request, effect.value))
        return True

    def happen(self) -> None:
        one, other = self.draw.sample(NODES, 2)
        idle = [process for process in self.processes if self.idle(process)]
        waiting = [process for process in self.processes if process.due]
        match self.draw.randrange(12):
            case 0 if len(self.processes) > 2:
                self.kill(self.draw.choice(self.processes))
            case 1 if frozenset((one, other)) not in self.down:
                self.cut(one, other)
            case 2:
                self.down.discard(frozenset((one, other)))
            case 3 | 4 if idle:
                self.begin(self.draw.choice(idle))
            case 5 if idle:
                self.free(self.draw.choice(idle))
            case 6 if waiting:
                self.wake(self.draw.choice(waiting))
            case _:
                self.deliver_one()

    def wake(self, process: Process) -> None:
        process.due = False
        process.got = {}
        self.step(process, g.Due(self.places()))

    def check(self) -> None:
        for number, one in enumerate(self.processes):
            for other in self.processes[number + 1 :]:
                if one.requester != other.requester:
                    both = one.holds.keys() & other.holds.keys()
                    assert not both, f"{one} and {other} hold {both}"

    def end(self) -> None:
        """Everybody gives up or dies, and gives back what it has."""
        for process in list(self.processes):
            if self.draw.random() < 0.3:
                self.kill(process)
        while True:
            while self.deliver_one():
                self.check()
            waiting = [process for process in self.processes if process.due]
            if not waiting:
                break
            for process in waiting:
                self.wake(process)
        for process in self.processes:
            assert self.idle(process), f"{process} never heard"
            if process.owner:
                self.free(process)
        while self.deliver_one():
            self.check()
        left = {node: table.table for node, table in self.tables.items() if table.table}
        assert not left, f"left locked: {left}"


def play(
    seed: int, table: type[g.Locks] = g.Locks, asker: type[g.Asker] = g.Asker, steps: int = 150
) -> None:
    network = Network(seed, table, asker)
    for _ in range(steps):
        network.happen()
        network.check()
    network.end()


@pytest.mark.parametrize("batch", range(4))
def test_no_node_has_two_requesters_and_nothing_stays_locked(batch: int) -> None:
    for seed in range(batch * 200, batch * 200 + 200):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_everybody_gets_its_turn() -> None:
    for seed in range(100):
        network = Network(seed)
        for number, process in enumerate(network.processes):
            process.requester = str(number)
            network.begin(process, float("inf"))
        waiting = list(network.processes)
        for _ in range(20_000):
            for process in [one for one in waiting if network.idle(one)]:
                network.free(process)
                waiting.remove(process)
            if not waiting:
                break
            if not network.deliver_one():
                network.wake(network.draw.choice([one for one in waiting if one.due]))
            network.check()
        assert not waiting, f"seed {seed}: {waiting} never got the lock"


class GivesNothingBack(g.Asker):
    def _back(self, now: float, chance: float) -> g.AskerEffect:
        self.taken = []
        return super()._back(now, chance)


class GivesBackWhatItHeldBefore(g.Asker):
    def handle(self, event: g.AskerEvent, now: float, chance: float) -> g.AskerEffect:
        if isinstance(event, g.Said) and event.answer == g.HELD:
            event = g.Said(event.node, g.TAKEN)
        return super().handle(event, now, chance)


class TakesARefusalForGone(g.Asker):
    def handle(self, event: g.AskerEvent, now: float, chance: float) -> g.AskerEffect:
        if isinstance(event, g.Said) and event.answer == g.REFUSED and self.taken:
            event = g.Said(event.node, g.TAKEN)
        return super().handle(event, now, chance)


class ForgetsTheDead(g.Locks):
    def handle(self, event: g.TableEvent) -> g.TableEffects:
        return [] if isinstance(event, g.PidDown) else super().handle(event)


class ForgetsNodes(g.Locks):
    def handle(self, event: g.TableEvent) -> g.TableEffects:
        return [] if isinstance(event, g.NodeDown) else super().handle(event)


class FreesForAnybody(g.Locks):
    def handle(self, event: g.TableEvent) -> g.TableEffects:
        if isinstance(event, g.GiveBack):
            for pid in list(self.table.get(event.resource, g.Held("", {})).pids):
                self._leave(event.resource, pid)
            return [g.Reply(event.request, None)]
        return super().handle(event)


@pytest.mark.parametrize(
    ("table", "asker"),
    [
        (g.Locks, GivesNothingBack),
        (g.Locks, GivesBackWhatItHeldBefore),
        (g.Locks, TakesARefusalForGone),
        (ForgetsTheDead, g.Asker),
        (ForgetsNodes, g.Asker),
        (FreesForAnybody, g.Asker),
    ],
)
def test_a_seeded_mistake_is_found(table: type[g.Locks], asker: type[g.Asker]) -> None:
    for seed in range(300):
        try:
            play(seed, table, asker)
        except AssertionError:
            return
    pytest.fail("300 seeds found nothing")
