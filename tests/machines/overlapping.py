"""A network of the machines that prevent overlapping partitions, where links break and heal."""

import random
from collections import deque
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any

from otpy.machines.overlaps import Overlaps, Part, Rejoin
from otpy.terms.pid import Creation

SETTLE = 1.0
Pair = tuple[int, int]


def pair(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


class Session:
    """What is on its way in one session, and which of its ends still have it."""

    def __init__(self, ends: Pair) -> None:
        self.ends = dict.fromkeys(ends)
        self.way: dict[int, deque[Any]] = {end: deque() for end in ends}  # to this end


class Network:
    """Nodes 0, 1, ..., in the order of their starts; ``links`` are the pairs that can talk."""

    def __init__(
        self, nodes: int, seed: int, machine: Callable[[float], Overlaps] = Overlaps
    ) -> None:
        self.draw = random.Random(seed)
        self.now = 0.0
        self.machines = {node: machine(SETTLE) for node in range(nodes)}
        self.links = dict.fromkeys(combinations(range(nodes), 2))
        self.sessions: dict[Pair, Session] = {}
        self.heard: dict[int, dict[str, float]] = {node: {} for node in range(nodes)}
        self.parted: list[tuple[int, Part]] = []
        for ends in self.links:
            self.connect(ends)
        self.settle()

    # What can happen.

    def connect(self, ends: Pair) -> None:
        """An attempt to connect two nodes: it fails, is refused, or gives both a session."""
        if ends in self.sessions or not all(end in self.machines for end in ends):
            return
        ways = (ends, ends[::-1])
        refused = any(str(there) in self.machines[here].apart for here, there in ways)
        if refused or ends not in self.links:
            return
        self.sessions[ends] = Session(ends)
        for here, there in ways:
            self.heard[here][str(there)] = self.now
            self.rejoin(here, self.machines[here].up(Creation(there, str(there), 0)))
        for end in ends:
            self.tell(end)

    def tell(self, node: int) -> None:
        """A node tells its peers whom it accounts for."""
        said = self.machines[node].accounts()
        for ends, session in self.sessions.items():
            if node in ends:
                session.way[ends[1] if node == ends[0] else ends[0]].append(said)

    def deliver(self, ends: Pair, to: int) -> None:
        """The next message of a session arrives, if its link is whole."""
        session = self.sessions.get(ends)
        if session is None or ends not in self.links or not session.way[to]:
            return
        said, sender = session.way[to].popleft(), ends[1] if to == ends[0] else ends[0]
        if to not in session.ends:
            return
        self.heard[to][str(sender)] = self.now
        if said is None:
            self.lose(ends, to)
        else:
            self.rejoin(to, self.machines[to].told(str(sender), said))

    def lose(self, ends: Pair, end: int) -> None:
        """One end of a session takes it for over."""
        session = self.sessions.get(ends)
        if session is None or end not in session.ends:
            return
        del session.ends[end]
        if not session.ends:
            del self.sessions[ends]
        there = ends[1] if end == ends[0] else ends[0]
        self.rejoin(end, self.machines[end].down(str(there)))
        self.tell(end)

    def rejoin(self, node: int, effects: Iterable[Rejoin]) -> None:
        for effect in effects:
            self.connect(pair(node, int(effect.peer)))
            self.tell(node)

    def look(self, node: int) -> None:
        """A node looks at its peers; what it parts with is told so."""
        for part in self.machines[node].check(self.now, self.heard[node]):
            other = int(part.peer)
            self.parted.append((node, part))
            self.sessions[pair(node, other)].way[other].append(None)
            self.lose(pair(node, other), node)

    def cut(self, ends: Pair) -> None:
        self.links.pop(ends, None)

    def heal(self) -> None:
        self.links = dict.fromkeys(combinations(sorted(self.machines), 2))

    def die(self, node: int) -> None:
        """A node ends; the others have yet to notice."""
        if node not in self.machines:
            return
        del self.machines[node]
        self.links = {ends: None for ends in self.links if node not in ends}
        for ends, session in list(self.sessions.items()):
            session.ends.pop(node, None)
            if not session.ends:
                del self.sessions[ends]

    def notice(self, ends: Pair) -> None:
        """The ends of a session whose link is broken notice that, in any order."""
        session = self.sessions.get(ends)
        if session is not None and (ends not in self.links or len(session.ends) < 2):
            left = list(session.ends)
            self.draw.shuffle(left)
            for end in left:
                self.lose(ends, end)

    def let_pass(self, seconds: float) -> None:
        """Time passes, and who can be heard is heard."""
        self.now += seconds
        for ends, session in self.sessions.items():
            if ends in self.links and len(session.ends) == 2:
                for here, there in (ends, ends[::-1]):
                    self.heard[here][str(there)] = self.now

    # Rest.

    def step(self) -> None:
        """Something that goes on by itself."""
        everyone = list(combinations(range(max(self.machines, default=0) + 1), 2))
        ends = self.draw.choice(everyone)
        what = self.draw.randrange(8)
        if what < 4:
            self.deliver(ends, self.draw.choice(ends))
        elif what < 6:
            self.connect(ends)
        elif what == 6:
            self.notice(ends)
        else:
            node = self.draw.choice(list(self.machines))
            self.let_pass(SETTLE / 10)
            self.look(node)

    def settle(self) -> None:
        """Go on until nothing happens any more."""
        for _ in range(60):
            before = self.state()
            for _ in range(3):
                self.round()
            if self.state() == before:
                return
        raise AssertionError(f"no rest: {self.state()}")

    def round(self) -> None:
        every = [*combinations(range(max(self.machines, default=0) + 1), 2)]
        self.draw.shuffle(every)
        for ends in every:
            self.notice(ends)
            self.connect(ends)
        while waiting := [
            (ends, to)
            for ends, session in self.sessions.items()
            if ends in self.links
            for to, way in session.way.items()
            if way
        ]:
            self.deliver(*self.draw.choice(waiting))
        self.let_pass(SETTLE)
        nodes = list(self.machines)
        self.draw.shuffle(nodes)
        for node in nodes:
            self.look(node)

    def state(self) -> tuple[Any, ...]:
        kept = [(node, sorted(machine.apart)) for node, machine in self.machines.items()]
        return sorted(self.sessions), kept

    def groups(self) -> list[list[int]]:
        """The nodes that are connected, directly or by others."""
        left, found = list(self.machines), list[list[int]]()
        while left:
            group = [left.pop(0)]
            for node in group:
                near = [other for other in left if pair(node, other) in self.sessions]
                group += near
                left = [other for other in left if other not in near]
            found.append(sorted(group))
        return found

    def check(self) -> None:
        """At rest there are groups of which each sees each, and no session that could be is not."""
        self.settle()
        expected, left = list[list[int]](), sorted(self.machines)
        while left:  # the oldest, and who else can be with all that are there before it
            group: list[int] = []
            for node in left:
                if all(pair(node, member) in self.links for member in group):
                    group.append(node)
            expected.append(group)
            left = [node for node in left if node not in group]
        assert self.groups() == expected
        for group in expected:
            assert all(ends in self.sessions for ends in combinations(group, 2)), group
