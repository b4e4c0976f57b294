"""A network of machines of process groups, for tests that search it under seeds.

Each node has an inbox, as a process has: what a session brings, its begin and its end are read
later, in their order, when the session may be over and the next one up. Scopes crash and start
anew, and so do nodes. Every node has monitors, and builds its own view from what they are told.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from otpy.machines import pg
from otpy.machines.pg_messages import Key, read
from otpy.terms.pid import Pid, Ref

NODES = ("a", "b", "c")
KEYS: tuple[Key, ...] = ("x", "y", (b"z",), None)
View = dict[Key, Counter[Pid]]


@dataclass
class Host:
    """One node: its life, its scope if that runs, and its processes."""

    name: str
    started: int
    number: int = 0
    scope: pg.Groups | None = None
    inbox: deque[Any] = field(default_factory=deque[Any])
    watched: set[Pid] = field(default_factory=set[Pid])
    alive: dict[Pid, None] = field(default_factory=dict[Pid, None])
    joined: View = field(default_factory=dict[Key, Counter[Pid]])  # what must come out
    views: dict[Ref, View] = field(default_factory=dict[Ref, View])
    owners: dict[Ref, Pid] = field(default_factory=dict[Ref, Pid])

    def pid(self) -> Pid:
        """The pid of a new process."""
        self.number += 1
        return Pid(self.started, self.name, 0, self.number)


class Network:
    """Hosts, and a queue for each direction of each session."""

    def __init__(self, seed: int, machine: type[pg.Groups] = pg.Groups) -> None:
        self.draw = random.Random(seed)
        self.machine = machine
        self.hosts = {name: Host(name, number) for number, name in enumerate(NODES)}
        self.links: dict[tuple[str, str], deque[Any]] = {}
        for one, other in self.pairs():
            self.up(one, other)
        for name in NODES:
            self.start(name)

    def pairs(self) -> list[tuple[str, str]]:
        return [(one, other) for one in NODES for other in NODES if one < other]

    # Sessions.

    def up(self, one: str, other: str) -> None:
        if (one, other) not in self.links:
            for here, there in ((one, other), (other, one)):
                self.links[here, there] = deque()
                self.hosts[here].inbox.append(("up", there))

    def down(self, one: str, other: str) -> None:
        if (one, other) not in self.links:
            return
        for here, there in ((one, other), (other, one)):
            for _ in range(self.draw.randrange(4)):
                self.carry(there, here)  # the rest is lost
        for here, there in ((one, other), (other, one)):
            del self.links[here, there]
            host = self.hosts[here]
            lost = sorted(pid for pid in host.watched if pid.node == there)
            host.watched.difference_update(lost)
            host.inbox.extend(("down", pid) for pid in lost)

    def flicker(self, one: str, other: str) -> None:
        """End a session and begin the next before anybody has read what the first one brought."""
        while self.carry(one, other) or self.carry(other, one):
            pass
        self.down(one, other)
        self.up(one, other)

    def carry(self, sender: str, dest: str) -> bool:
        """Bring the next message of a session into the inbox."""
        queue = self.links.get((sender, dest))
        if not queue:
            return False
        kind, *rest = item = queue.popleft()
        host = self.hosts[dest]
        if kind == "down":
            if rest[0] in host.watched:
                host.watched.discard(rest[0])
                host.inbox.append(item)
        elif host.scope is not None and rest[0] in (None, host.scope.pid):
            host.inbox.append(item)
        return True

    # Hosts.

    def start(self, name: str) -> None:
        host = self.hosts[name]
        if host.scope is None:
            host.scope = self.machine(host.pid())
            for peer in NODES:
                if (name, peer) in self.links:
                    self.do(host, host.scope.node_up(peer))

    def crash(self, name: str) -> None:
        """End the scope's process; who watches it on other nodes hears of that in its turn."""
        host = self.hosts[name]
        if host.scope is None:
            return
        for peer in NODES:
            if (name, peer) in self.links:
                self.links[name, peer].append(("down", host.scope.pid))
        host.scope = None
        for kept in (host.inbox, host.watched, host.joined, host.views, host.owners):
            kept.clear()

    def reboot(self, name: str) -> None:
        """The node ends and begins a new life, whose clock may be behind."""
        for peer in NODES:
            self.down(*sorted((name, peer)))
        self.hosts[name] = Host(name, self.draw.randrange(1000))
        self.start(name)

    def do(self, host: Host, effects: pg.Effects) -> None:
        for effect in effects:
            match effect:
                case pg.Discover(peer):
                    self.send(host, peer, None, ("discover", scope_of(host).pid))
                case pg.Send(pid, message):
                    self.send(host, pid.node, pid, message)
                case pg.Tell(refs, joined, key, pids):
                    for ref in refs:
                        told(host.views[ref], joined, key, pids)
                case pg.More():
                    host.inbox.append(("more", effect.pid))
                case pg.Watch(pid):
                    self.watch(host, pid)
                case pg.Unwatch(pid):
                    host.watched.discard(pid)

    def send(self, host: Host, peer: str, pid: Pid | None, message: Any) -> None:
        if (host.name, peer) in self.links:
            self.links[host.name, peer].append(("message", pid, message))

    def watch(self, host: Host, pid: Pid) -> None:
        if pid.node == host.name:
            alive = pid in host.alive
        else:
            far = self.hosts[pid.node].scope
            alive = (host.name, pid.node) in self.links and far is not None and far.pid == pid
        if alive:
            host.watched.add(pid)
        else:
            host.inbox.append(("down", pid))

    def handle(self, name: str) -> bool:
        """Let a scope read the next of its inbox."""
        host = self.hosts[name]
        if not host.inbox:
            return False
        kind, *rest = host.inbox.popleft()
        scope = host.scope
        if scope is None:
            return True
        match kind:
            case "up":
                self.do(host, scope.node_up(rest[0]))
            case "down" if rest[0].node == name:
                self.do(host, scope.pid_down(rest[0]))
            case "down":
                self.do(host, scope.peer_down(rest[0]))
            case "more":
                self.do(host, scope.more(rest[0]))
            case _:
                checked = read(rest[1])
                assert checked is not None, f"not a message: {rest[1]}"
                life = self.hosts[checked[1].node].started
                if (name, checked[1].node) in self.links and checked[1].started == life:
                    self.do(host, scope.message(checked))
        return True

    # What users do.

    def join(self, name: str) -> None:
        host = self.hosts[name]
        if host.scope is None:
            return
        pids = self.some(host)
        key = self.draw.choice(KEYS)
        self.do(host, host.scope.join(key, pids))
        host.joined.setdefault(key, Counter()).update(pid for pid in pids if pid in host.alive)

    def leave(self, name: str) -> None:
        host = self.hosts[name]
        if host.scope is None:
            return
        pids = self.some(host)
        key = self.draw.choice(KEYS)
        left, effects = host.scope.leave(key, pids)
        self.do(host, effects)
        before = host.joined.get(key, Counter())
        after = before - Counter(pids)
        host.joined[key] = after
        if before != after:
            assert left, "leave says that nobody was a member"

    def some(self, host: Host) -> list[Pid]:
        """A few processes, new ones too, perhaps the same one twice."""
        if len(host.alive) < 4:
            host.alive[host.pid()] = None
        return self.draw.choices(list(host.alive), k=self.draw.choice((1, 1, 2, 5)))

    def kill(self, name: str) -> None:
        host = self.hosts[name]
        if not host.alive:
            return
        pid = self.draw.choice(list(host.alive))
        del host.alive[pid]
        for counter in host.joined.values():
            counter.pop(pid, None)
        for ref in [ref for ref, owner in host.owners.items() if owner == pid]:
            del host.owners[ref]  # not its view: who has not heard of the end tells it in vain
        if pid in host.watched:
            host.watched.discard(pid)
            host.inbox.append(("down", pid))

    def monitor(self, name: str) -> None:
        host = self.hosts[name]
        if host.scope is None:
            return
        pid = self.some(host)[0]
        host.number += 1
        ref = Ref(host.started, name, 0, host.number)
        if self.draw.random() < 0.5:
            table = host.scope.monitor_scope(ref, pid)
            host.views[ref] = {key: Counter(pids) for key, pids in table.items()}
        else:
            key = self.draw.choice(KEYS)
            host.views[ref] = {key: Counter(host.scope.monitor(key, ref, pid))}
        host.owners[ref] = pid
        self.watch(host, pid)

    def demonitor(self, name: str) -> None:
        host = self.hosts[name]
        if host.scope is None or not host.owners:
            return
        ref = self.draw.choice(list(host.owners))
        pid = host.owners.pop(ref)
        assert host.scope.demonitor(ref) == pid
        assert host.scope.demonitor(ref) is None
        del host.views[ref]
        if not host.scope.concerns(pid):
            host.watched.discard(pid)

    # The search.

    def step(self) -> None:
        one, other = sorted(self.draw.sample(NODES, 2))
        faults: list[Any] = [
            lambda: self.down(one, other),
            lambda: self.up(one, other),
            lambda: self.flicker(one, other),
            lambda: self.start(one),
            lambda: self.draw.choice((self.crash, self.reboot))(one),
        ]
        users = (self.join, self.join, self.leave, self.leave, self.kill, self.monitor)
        acts: list[Any] = [
            partial(act, self.draw.choice(NODES)) for act in (*users, self.demonitor)
        ]
        self.draw.choice([*faults, *acts, *acts, *[self.some_moves] * 8])()

    def some_moves(self) -> None:
        for _ in range(self.draw.randrange(8)):
            self.move()

    def move(self) -> bool:
        ready: list[Any] = [
            partial(self.carry, *link) for link, queue in self.links.items() if queue
        ]
        ready += [partial(self.handle, name) for name in NODES if self.hosts[name].inbox]
        return bool(ready) and bool(self.draw.choice(ready)())

    def check(self) -> None:
        """Heal everything, let it come to rest, and compare."""
        for one, other in self.pairs():
            self.up(one, other)
        for name in NODES:
            self.start(name)
        while self.move():
            pass
        wanted: View = {}
        for host in self.hosts.values():
            for key, counter in host.joined.items():
                if +counter:
                    wanted.setdefault(key, Counter()).update(+counter)
        for host in self.hosts.values():
            self.compare(host, scope_of(host), wanted)

    def compare(self, host: Host, scope: pg.Groups, wanted: View) -> None:
        view = {key: Counter(pids) for key, pids in scope.table.items()}
        assert view == wanted, f"{host.name} sees {view}; expected {wanted}"
        assert all(pids == sorted(pids) for pids in scope.table.values()), "not sorted"
        for ref in host.owners:
            key = scope.monitors[ref][1]
            seen = {k: +c for k, c in host.views[ref].items() if +c}
            expected = {k: c for k, c in wanted.items() if not key or k in key}
            assert seen == expected, f"a monitor of {host.name} was told {seen}; see {expected}"
        peers = sorted(peer.pid for peer in scope.peers.values())
        others = [scope_of(other).pid for other in self.hosts.values() if other is not host]
        assert peers == sorted(others), "a peer is missing, or stays"
        local = set(scope.local) | set(scope.monitoring)
        assert host.watched == local | set(peers), "watches too many or too few"
        for peer in scope.peers.values():
            held = Counter(
                pid for pids in scope.table.values() for pid in pids if pid.node == peer.pid.node
            )
            assert Counter(peer.members) == held
            assert peer.stale is None
            assert not peer.unsent
        assert all(scope.of_group.values())


def scope_of(host: Host) -> pg.Groups:
    """The scope of a host where it runs."""
    assert host.scope is not None
    return host.scope


def told(view: View, joined: bool, key: Key, pids: tuple[Pid, ...]) -> None:
    """What a process makes of an event."""
    counter = view.setdefault(key, Counter())
    if joined:
        counter.update(pids)
    else:
        view[key] = counter - Counter(pids)


def play(seed: int, machine: type[pg.Groups] = pg.Groups, steps: int = 120) -> None:
    """One run under a seed. Raises ``AssertionError``."""
    network = Network(seed, machine)
    for _ in range(steps):
        network.step()
    network.check()
