"""A network of granters and candidates of one lease, with all that can happen to it.

Instants of the world are true ones; every node has a clock of its own, which begins anywhere,
runs at a rate of its own, up to ``skew`` fast or slow and not always the same, and goes on while
the node is paused. Messages are late, lost, doubled
and overtake each other. Nodes are cut off, paused, crash in the middle of a step and come back,
with their disk or without one; processes want the name and end; members change; other names are
asked for, so that granters drop this one when it is over.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any

from otpy.machines import lease, lease_granter
from otpy.machines.lease import Candidate, Changed, Won
from otpy.machines.lease_granter import EPSILON, Drop, Granter, Send, Write
from otpy.machines.lease_messages import Accepted, Ask, Propose, Quorum, Release, read
from otpy.terms.pid import Pid
from tests.machines.lease_node import Node

LEASE = 1.0
NAME = "x"
SKEW = EPSILON * 0.999
OFTEN = ["pause_holder", "cut_holder", "cut_holder", "mend", "mend", "want", "resume", "drift"]
OTHERS = ["others", "others", "others", "others"]
RESTARTS = [*OFTEN, "cut", "half", "split", "restart", "restart", "kill", "boot", "end", *OTHERS]
CHANGES = [*OFTEN, "split", "restart", "change", "change", "change", "change", "end", "others"]
TORN = ["torn", "torn", "torn", "mend", "want", "resume", "restart", "boot", "cut", "others"]
KINDS = (OFTEN, RESTARTS, CHANGES, TORN)  # of harm; a history has one of them


class World:
    """A history under a seed; ``durable``: nodes have disks; ``size``: no member list."""

    def __init__(
        self,
        seed: int,
        *,
        durable: bool = False,
        sized: bool = False,
        kinds: list[str] | None = None,
        slow: tuple[float, ...] | None = None,
        skew: float = SKEW,
        candidate: type[Candidate] = Candidate,
        granter: type[Granter] = Granter,
    ) -> None:
        self.draw = random.Random(seed)
        self.durable = durable
        self.candidate = candidate
        self.granter = granter
        self.now = 0.0
        self.number = 0
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        count = self.draw.choice((3, 3, 4, 5))
        names = "abcde"[:count]
        self.nodes = {name: Node(name) for name in names}
        members = tuple(names[: self.draw.randrange(2, count + 1)])
        self.quorum = Quorum.of(count if sized else members)
        self.cuts: set[tuple[str, str]] = set()
        some = slow or self.draw.choice(((0.0005,), (0.0005, 0.01), (0.0005, 0.01, 0.1)))
        self.slow = {name: self.draw.choice(some) for name in names}  # how long messages travel
        self.loss = self.draw.choice((0.0, 0.0, 0.1))
        self.double = self.draw.choice((0.0, 0.1))
        self.crash = self.draw.choice((0.0, 0.0, 0.01))
        self.token = 0
        self.terms: list[tuple[float, Pid, int | None]] = []
        self.changes = self.drops = 0
        self.versions = {0: self.quorum.members}  # the members of each, as they were chosen
        self.votes: dict[tuple[int, int], dict[str, None]] = {}  # by version and token
        self.carried = 0
        self.mended = False
        self.rates = (1 - skew, 1 - skew, 1.0, 1 + skew, 1 + skew)
        self.kinds = kinds or self.draw.choice(KINDS)
        for name in names:
            self.boot(name)
        for name in names:
            self.want(name)

    # Nodes.

    def boot(self, name: str) -> None:
        node = self.nodes[name]
        if node.granter is not None:
            return
        node.rate = self.draw.choice(self.rates)
        node.start = self.draw.uniform(0, 100) if self.now else 5 * LEASE
        records = tuple(node.disk.values())
        clock = node.clock(self.now)
        node.granter = self.granter(name, LEASE, clock, self.durable, records, node.floor)
        node.asked = 0
        node.timer = float("inf")
        for other in self.nodes:
            if other != name:
                self.meet(name, other)
                self.meet(other, name)

    def kill(self, name: str) -> None:
        node = self.nodes[name]
        if node.granter is None:
            return
        node.granter, node.paused = None, False
        node.candidates, node.ended, node.inbox = {}, [], []
        for other in self.nodes.values():
            if other.granter is not None and other is not node:
                other.granter.node_down(name)
                for one in other.candidates.values():
                    one.node_down(name)

    def pause(self, name: str) -> None:
        self.nodes[name].paused = self.nodes[name].granter is not None

    def resume(self, name: str) -> None:
        node = self.nodes[name]
        if not node.paused:
            return
        node.paused = False
        inbox, node.inbox = node.inbox, []
        if self.draw.random() < 0.5:
            self.tick(name)
        for sender, message in inbox:
            self.arrive(name, sender, message)
        self.tick(name)

    # Processes.

    def want(self, name: str) -> None:
        """A new process there wants the name, or one that wanted it before does again."""
        node = self.nodes[name]
        if node.granter is None or node.paused or len(node.candidates) > 1:
            return
        self.number += 1
        pid = Pid(0, name, 0, self.number)
        if node.candidates and self.draw.random() < 0.3:
            pid = next(iter(node.candidates))
            self.give_up(name, pid)
            if self.nodes[name].granter is None:
                return  # it crashed over that
        peers = tuple(
            other
            for other, far in self.nodes.items()
            if far.granter is not None and far is not node and (name, other) not in self.cuts
        )
        node.candidates[pid] = self.candidate(
            name, NAME, pid, self.quorum, LEASE, peers, node.asked
        )
        self.tick(name)

    def give_up(self, name: str, pid: Pid) -> None:
        node = self.nodes[name]
        one = None if node.paused else node.candidates.pop(pid, None)
        if one is not None:
            self.over(node, one)
            self.do(node, pid, one.end())

    def over(self, node: Node, one: Candidate) -> None:
        node.asked = max(node.asked, one.token)
        node.ended = [one, *node.ended[:3]]  # whose process may still look whether it is valid

    def change(self, name: str) -> None:
        """Its holder wants one member more or less."""
        node = self.nodes[name]
        for pid, one in list(node.candidates.items()):
            if node.paused or one.state != lease.HOLDING or not one.quorum.members:
                continue
            among = one.quorum.members if self.draw.random() < 0.6 else list(self.nodes)
            other = self.draw.choice(among)
            kept = [member for member in one.quorum.members if member != other]
            members = kept if len(kept) < len(one.quorum.members) else sorted([*kept, other])
            if self.draw.random() < 0.3:
                members = self.draw.sample(list(self.nodes), self.draw.randrange(1, 4))
            said = one.change(tuple(sorted(members)), node.clock(self.now))
            if not isinstance(said, str):
                self.do(node, pid, said)

    # What happens.

    def at(self, instant: float, what: Callable[..., None], *args: Any) -> None:
        self.number += 1
        heapq.heappush(self.events, (instant, self.number, what, args))

    def send(self, sender: str, dest: str, message: Any) -> None:
        if sender == dest:
            self.at(self.now, self.arrive, dest, sender, message)
            return
        copies = 1 + (self.draw.random() < self.double)
        for _ in range(copies):
            if self.draw.random() < self.loss:
                continue
            late = self.draw.expovariate(1 / max(self.slow[sender], self.slow[dest]))
            if self.loss and self.draw.random() < 0.02:
                late = self.draw.uniform(0, 2 * LEASE)
            self.at(self.now + late, self.travelled, sender, dest, message)

    def travelled(self, sender: str, dest: str, message: Any) -> None:
        if (sender, dest) not in self.cuts:
            self.arrive(dest, sender, message)

    def arrive(self, name: str, sender: str, message: Any) -> None:
        node = self.nodes[name]
        if node.granter is None:
            return
        if node.paused:
            node.inbox.append((sender, message))
            return
        now = node.clock(self.now)
        assert self.number % 16 or read(message) is message, f"no message: {message}"
        if isinstance(message, Ask | Release | Propose):
            self.do(node, None, node.granter.message(sender, message, now))
            return
        for pid, one in list(node.candidates.items()):
            effects = one.message(sender, message, now, self.draw.random())
            self.do(node, pid, effects)

    def tick(self, name: str) -> None:
        node = self.nodes[name]
        node.timer = float("inf")
        if node.granter is None or node.paused:
            return
        for pid, one in list(node.candidates.items()):
            self.do(node, pid, one.tick(node.clock(self.now), self.draw.random()))
        self.arm(node)

    def due(self, name: str, instant: float) -> None:
        if self.nodes[name].timer == instant:
            self.tick(name)

    def arm(self, node: Node) -> None:
        wake = min((one.wake for one in node.candidates.values()), default=float("inf"))
        if wake == float("inf"):
            return
        instant = max(self.now, node.instant(wake)) + 1e-9
        if instant < node.timer:
            node.timer = instant
            self.at(instant, self.due, node.name, instant)

    def do(self, node: Node, pid: Pid | None, effects: list[Any]) -> None:
        for effect in effects:
            if node.granter is None:
                return
            if self.crash and self.draw.random() < self.crash:
                self.kill(node.name)
                return
            match effect:
                case Send(dest, message):
                    if isinstance(message, Accepted):
                        self.accepted(node, message)
                    self.send(node.name, dest, message)
                case Write(record):
                    node.disk[record.name] = record
                case Drop(names, floor):
                    self.drop(node, names, floor)
                case Won(token):
                    assert pid is not None
                    self.won(pid, token)
                case lease.Lost():
                    assert pid is not None
                    self.over(node, node.candidates.pop(pid))
                    self.at(self.now + 0.01, self.want, node.name)
                case Changed(quorum):
                    self.changes += 1
                    self.chosen(quorum.version, quorum.members)
                case lease_granter.Send() | lease.Refusals() | lease.Mistake():
                    pass
                case _:
                    raise AssertionError(f"an effect that nobody knows: {effect}")
        self.arm(node)
        self.check()

    def accepted(self, node: Node, message: Accepted) -> None:
        """A granter says that a change stands on its disk: by a majority it is chosen."""
        assert node.granter is not None
        pending = node.granter.promises[NAME].pending
        assert pending is not None
        voters = self.versions[message.version]
        votes = self.votes.setdefault((message.version, message.token), {})
        if node.name in voters:
            votes[node.name] = None
        if len(votes) > len(voters) // 2:
            again = any(
                version == message.version and token != message.token
                for version, token in self.votes
            )
            self.carried += again and message.version + 1 not in self.versions
            self.chosen(message.version + 1, pending.members)

    def chosen(self, version: int, members: tuple[str, ...]) -> None:
        chosen = self.versions.setdefault(version, members)
        assert chosen == members, f"version {version} has the members {members} and {chosen}"

    def drop(self, node: Node, names: list[Any], floor: int) -> None:
        self.drops += NAME in names
        if self.draw.random() < 0.1:
            return  # it failed
        node.floor = floor
        for name in names:
            if self.draw.random() < 0.9:
                node.disk.pop(name, None)  # who writes nothing has nothing there

    def won(self, pid: Pid, token: int | None) -> None:
        if token is not None:
            assert token > self.token, f"token {token} after {self.token}: {pid}"
            self.token = token
        assert (token is not None) == (self.durable and bool(self.quorum.members)), "whose token"
        self.terms.append((self.now, pid, token))

    def valid(self) -> list[Pid]:
        """Who has a valid lease at this true instant, paused or not."""
        return [
            one.pid
            for node in self.nodes.values()
            for one in (*node.candidates.values(), *node.ended)
            if one.until > node.clock(self.now)
        ]

    def check(self) -> None:
        valid = self.valid()
        assert len(valid) <= 1, f"at {self.now}: {valid} both have a valid lease"

    def run(self, until: float) -> None:
        while self.events and self.events[0][0] <= until:
            self.now, _, what, args = heapq.heappop(self.events)
            what(*args)
        self.now = until

    # Harm.

    def cut(self, one: str, other: str) -> None:
        """Both ways, and both sides hear of it."""
        if (one, other) in self.cuts and (other, one) in self.cuts:
            return
        self.cuts |= {(one, other), (other, one)}
        for here, there in ((one, other), (other, one)):
            node = self.nodes[here]
            if node.granter is not None:
                node.granter.node_down(there)
                for candidate in node.candidates.values():
                    candidate.node_down(there)

    def isolate(self, name: str) -> None:
        for other in self.nodes:
            if other != name:
                self.cut(name, other)

    def join(self, one: str, other: str) -> None:
        """Undo every cut between two nodes."""
        if not self.cuts & {(one, other), (other, one)}:
            return
        self.cuts -= {(one, other), (other, one)}
        for here, there in ((one, other), (other, one)):
            self.meet(here, there)

    def meet(self, here: str, there: str) -> None:
        node, far = self.nodes[here], self.nodes[there]
        if node.granter is None or far.granter is None or (here, there) in self.cuts:
            return
        node.granter.node_up(there)
        for candidate in node.candidates.values():
            candidate.node_up(there, node.clock(self.now), self.draw.random())
        self.arm(node)

    def harm(self) -> None:
        """Something happens, most of it to the holder."""
        one, other = self.draw.sample(list(self.nodes), 2)
        holder = next((pid.node for pid in self.valid()), one)
        match self.draw.choice(self.kinds):
            case "pause_holder":
                self.pause(holder)
            case "cut_holder":
                self.isolate(holder)
            case "torn":
                self.torn(holder)
            case "mend":
                for left, right in sorted(self.cuts):
                    self.join(left, right)
            case "cut":
                self.cut(one, other)
            case "half":
                self.cuts.add((one, other))
            case "split":
                side = self.draw.sample(list(self.nodes), len(self.nodes) // 2)
                for left in side:
                    for right in self.nodes:
                        if right not in side:
                            self.cut(left, right)
            case "resume":
                for name in self.nodes:
                    self.resume(name)
            case "restart":
                self.kill(one)
                self.at(self.now + self.draw.uniform(0, LEASE / 4), self.boot, one)
            case "kill":
                self.kill(one)
            case "boot":
                self.boot(one)
                self.want(one)
            case "end":
                for pid in self.valid():
                    if not self.nodes[holder].paused:
                        self.give_up(holder, pid)
            case "want":
                self.want(one)
            case "drift":
                for node in self.nodes.values():
                    self.drift(node)
            case "others":
                self.others(one, other)
            case _:
                for step in range(self.draw.randrange(1, 4)):
                    self.at(self.now + step * 0.02, self.change, holder)

    def torn(self, holder: str) -> None:
        """The holder changes the members, and is gone before it has heard what came of it."""
        self.change(holder)
        soon = self.now + self.draw.expovariate(1 / max(self.slow.values()))
        match self.draw.choice(("kill", "end", "end", "isolate")):
            case "kill":
                self.at(soon, self.unless_mended, self.kill, holder)
                self.at(soon + LEASE / 4, self.boot, holder)
            case "end":
                for pid in list(self.nodes[holder].candidates):
                    self.at(soon, self.unless_mended, self.give_up, holder, pid)
            case _:
                self.at(soon, self.unless_mended, self.isolate, holder)

    def unless_mended(self, what: Callable[..., None], *args: Any) -> None:
        if not self.mended:
            what(*args)

    def drift(self, node: Node) -> None:
        """Its clock runs at another rate from now on."""
        reading, node.rate = node.clock(self.now), self.draw.choice(self.rates)
        node.start = reading - self.now * node.rate
        self.arm(node)

    def others(self, name: str, sender: str) -> None:
        """So many other names were asked for that the granter looks what is over."""
        node = self.nodes[name]
        if node.granter is None or node.paused:
            return
        self.number += 1
        node.granter.many = 0
        ask = Ask(self.number, Pid(0, sender, 0, self.number), 1, self.quorum, LEASE, 0.0)
        self.arrive(name, sender, ask)

    def mend(self) -> None:
        """Nothing is wrong any more, and every node has a process that wants the name."""
        for left, right in sorted(self.cuts):
            self.join(left, right)
        self.mended = True
        self.loss = self.double = self.crash = 0.0
        self.slow = dict.fromkeys(self.slow, 0.001)
        for name, node in self.nodes.items():
            self.boot(name)
            self.resume(name)
            if not node.candidates:
                self.want(name)


def play(seed: int, leases: float = 10, rest: bool = True, **options: Any) -> World:
    """A history of so many leases, and its rest: then somebody holds, and goes on to."""
    world = World(seed, **options)
    while world.now < leases * LEASE:
        world.run(world.now + world.draw.expovariate(3 / LEASE))
        world.harm()
    if not rest:
        return world
    world.mend()
    world.run(world.now + 4 * LEASE)
    (holder,) = world.valid() or (None,)
    assert holder is not None, "nobody holds though nothing is wrong"
    world.run(world.now + LEASE)
    assert world.valid() == [holder], "the holder lost it though nothing is wrong"
    return world
