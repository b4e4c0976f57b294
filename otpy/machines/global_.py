"""One node's part of the cluster's names.

Theory of operation. Each name belongs to a process; the process's own node is
authoritative for it and tells every node that comes up. A registration goes
through the *boss*, the node that sorts first among those known: it orders the
registrations of one name, inserts on every node, and answers when all of them
have it, so the name is visible everywhere when ``register_name`` returns. Where
two nodes take themselves for boss, the insert is refused by whoever knows
another holder, and undone.

| event                    | effect                                                     |
|--------------------------|------------------------------------------------------------|
| register, here           | ``Send`` to the boss; again to the next boss if it goes down |
| reg, at the boss         | insert here and everywhere; ``regged`` when all answered   |
| ins                      | insert and ``ack``, or ``nak`` when another holds it       |
| pid down, at its node    | drop, tell everybody                                       |
| node up                  | tell it the names of our own processes                     |
| node down                | drop its names; what waited for it goes on                 |
| two holders (sync, have) | the resolver of the pid that sorts first decides, once     |

Resolvers that are data ("default", "random_exit", "random_notify", "notify_all")
give the same answer on every node, so no message is needed. A function runs on the
node of the pid that sorts first, which tells the others.
"""

from dataclasses import dataclass, field
from typing import Any

from otpy.terms.pid import Pid, Ref

DEFAULT, RANDOM_EXIT, RANDOM_NOTIFY, NOTIFY_ALL = (
    "default",
    "random_exit",
    "random_notify",
    "notify_all",
)
BUILT_IN = (DEFAULT, RANDOM_EXIT, RANDOM_NOTIFY, NOTIFY_ALL)


@dataclass(slots=True)
class Send:
    """A protocol message for the same machine on another node."""

    node: str
    message: tuple[Any, ...]


@dataclass(slots=True)
class Answer:
    """The end of a request made here."""

    request: Any
    value: bool


@dataclass(slots=True)
class Watch:
    """Tell me when this process of our own ends."""

    pid: Pid


@dataclass(slots=True)
class Unwatch:
    """No name of this process is left."""

    pid: Pid


@dataclass(slots=True)
class Freed:
    """A name has no holder any more; the watchers to tell."""

    name: Any
    reason: Any
    watchers: list[tuple[Pid, Ref]]


@dataclass(slots=True)
class ExitPid:
    """End a process of our own that lost its name."""

    pid: Pid
    reason: Any


@dataclass(slots=True)
class Notify:
    """A message for a process of our own that lost its name and lives on."""

    pid: Pid
    message: tuple[Any, ...]


@dataclass(slots=True)
class Resolve:
    """Run a resolver function, here and once; answer with ``resolved``."""

    name: Any
    first: Pid
    second: Pid
    resolver: Any


Effect = Send | Answer | Watch | Unwatch | Freed | ExitPid | Notify | Resolve
Effects = list[Effect]


@dataclass(slots=True)
class Request:
    """A registration made on this node that has not been answered."""

    name: Any
    pid: Pid
    resolver: Any
    force: bool
    boss: str = ""


@dataclass(slots=True)
class Insert:
    """A registration that this node, as boss, is carrying out."""

    origin: str
    request: Any
    name: Any
    pid: Pid
    missing: dict[str, None]
    refused: bool = False


@dataclass(slots=True)
class Entry:
    """The holder of a name."""

    pid: Pid
    resolver: Any


@dataclass(slots=True)
class Names:
    """The machine of one node."""

    node: str
    table: dict[Any, Entry] = field(default_factory=dict)
    peers: dict[str, None] = field(default_factory=dict)
    requests: dict[Any, Request] = field(default_factory=dict)
    inserts: dict[int, Insert] = field(default_factory=dict)
    queued: dict[Any, list[tuple[str, tuple[Any, ...]]]] = field(default_factory=dict)
    watchers: dict[Any, list[tuple[Pid, Ref]]] = field(default_factory=dict)
    sequence: int = 0
    many_names: bool = False

    # Requests of this node.

    @property
    def boss(self) -> str:
        """The node that orders registrations, as far as this node knows."""
        return min(self.node, *self.peers) if self.peers else self.node

    def register(
        self, request: Any, name: Any, pid: Pid, resolver: Any, force: bool = False
    ) -> Effects:
        """Register; ``Answer(request, ok)`` follows."""
        self.requests[request] = Request(name, pid, resolver, force)
        return self._ask_boss(request)

    def _ask_boss(self, request: Any) -> Effects:
        wanted = self.requests[request]
        wanted.boss = self.boss
        message = ("reg", request, wanted.name, wanted.pid, wanted.resolver, wanted.force)
        return self._send(wanted.boss, message)

    def unregister(self, name: Any) -> Effects:
        """Free a name everywhere."""
        entry = self.table.get(name)
        if entry is None:
            return []
        effects: Effects = [Send(peer, ("del", name, entry.pid)) for peer in self.peers]
        return self._drop(name, entry.pid, "unregistered") + effects

    def monitor(self, name: Any, pid: Pid, ref: Ref) -> Effects:
        """Tell ``pid`` when the name is free; at once if it is."""
        if name not in self.table:
            return [Freed(name, "noproc", [(pid, ref)])]
        self.watchers.setdefault(name, []).append((pid, ref))
        return []

    # The world.

    def pid_down(self, pid: Pid, reason: Any) -> Effects:
        """A process of our own ended."""
        effects: Effects = []
        for name in [name for name, entry in self.table.items() if entry.pid == pid]:
            effects += [Send(peer, ("gone", name, pid, reason)) for peer in self.peers]
            effects += self._drop(name, pid, reason)
        return effects

    def node_up(self, peer: str) -> Effects:
        """A session with a node began: tell it our own names."""
        self.peers[peer] = None
        mine = [
            (name, entry.pid, entry.resolver)
            for name, entry in self.table.items()
            if entry.pid.node == self.node
        ]
        return [Send(peer, ("sync", mine))]

    def node_down(self, peer: str) -> Effects:
        """A session ended: its names go, and nothing waits for it any more."""
        self.peers.pop(peer, None)
        effects: Effects = []
        lost = [(name, entry.pid) for name, entry in self.table.items() if entry.pid.node == peer]
        for name, pid in lost:
            effects += self._drop(name, pid, "noconnection")
        for number in list(self.inserts):
            effects += self._answered(number, peer)
        for name in list(self.queued):
            self.queued[name] = [item for item in self.queued[name] if item[0] != peer]
        for request in [key for key, wanted in self.requests.items() if wanted.boss == peer]:
            effects += self._ask_boss(request)
        return effects

    def message(self, sender: str, message: Any) -> Effects:
        """A protocol message; what is not one is ignored, as OTP does."""
        match message:
            case ("reg", request, name, Pid() as pid, resolver, bool(force)):
                return self._reg(sender, request, name, pid, resolver, force)
            case ("regged", request, bool(ok)):
                return [Answer(request, ok)] if self.requests.pop(request, None) else []
            case ("ins", number, name, Pid() as pid, resolver, bool(force), targets):
                return self._ins(sender, number, name, pid, resolver, force, targets)
            case ("ack", number):
                return self._answered(number, sender)
            case ("nak", number):
                if number in self.inserts:
                    self.inserts[number].refused = True
                return self._answered(number, sender)
            case ("del", name, pid):
                return self._drop(name, pid, "unregistered")
            case ("gone", name, pid, reason):
                return self._drop(name, pid, reason)
            case ("sync", list(names)):
                effects: Effects = []
                for name, pid, resolver in names:
                    effects += self._met(name, pid, resolver)
                return effects
            case ("resolved", name, first, second, winner):
                return self._decided(name, first, second, winner)
        return []

    # The boss.

    def _reg(
        self, origin: str, request: Any, name: Any, pid: Pid, resolver: Any, force: bool
    ) -> Effects:
        if any(insert.name == name for insert in self.inserts.values()):
            again = ("reg", request, name, pid, resolver, force)
            self.queued.setdefault(name, []).append((origin, again))
            return []
        if not force and self._taken(name, pid):
            return self._send(origin, ("regged", request, False))
        self.sequence += 1
        number = self.sequence
        targets = [self.node, *self.peers]
        self.inserts[number] = Insert(
            origin, request, name, pid, dict.fromkeys(targets), refused=False
        )
        message = ("ins", number, name, pid, resolver, force, targets)
        effects: Effects = [Send(peer, message) for peer in self.peers]
        return effects + self.message(self.node, message)

    def _taken(self, name: Any, pid: Pid) -> bool:
        entry = self.table.get(name)
        if entry is not None:
            return entry.pid != pid
        return not self.many_names and any(held.pid == pid for held in self.table.values())

    def _answered(self, number: int, node: str) -> Effects:
        insert = self.inserts.get(number)
        if insert is None:
            return []
        insert.missing.pop(node, None)
        if insert.missing:
            return []
        del self.inserts[number]
        effects: Effects = []
        if insert.refused:
            for peer in self.peers:
                effects.append(Send(peer, ("gone", insert.name, insert.pid, "noproc")))
            effects += self._drop(insert.name, insert.pid, "noproc")
        effects += self._send(insert.origin, ("regged", insert.request, not insert.refused))
        waiting = self.queued.pop(insert.name, [])
        for place, (origin, message) in enumerate(waiting):
            if any(other.name == insert.name for other in self.inserts.values()):
                self.queued.setdefault(insert.name, []).extend(waiting[place:])
                break
            effects += self.message(origin, message)
        return effects

    # Every node.

    def _ins(
        self,
        boss: str,
        number: int,
        name: Any,
        pid: Pid,
        resolver: Any,
        force: bool,
        targets: list[str],
    ) -> Effects:
        entry = self.table.get(name)
        reachable = pid.node == self.node or pid.node in self.peers
        if entry is not None and entry.pid != pid and not force:
            return self._send(boss, ("nak", number))
        effects: Effects = []
        if reachable:
            effects += self._put(name, pid, resolver)
            if pid.node == self.node:
                # Nodes that came up meanwhile were not told by the boss.
                effects += [
                    Send(peer, ("sync", [(name, pid, resolver)]))
                    for peer in self.peers
                    if peer not in targets
                ]
        return effects + self._send(boss, ("ack", number))

    def _put(self, name: Any, pid: Pid, resolver: Any) -> Effects:
        before = self.table.get(name)
        self.table[name] = Entry(pid, resolver)
        effects: Effects = []
        if before is not None and before.pid != pid:
            effects += self._unwatch(before.pid)
        if pid.node == self.node and (before is None or before.pid != pid):
            effects.append(Watch(pid))
        return effects

    def _unwatch(self, pid: Pid) -> Effects:
        if pid.node != self.node or any(entry.pid == pid for entry in self.table.values()):
            return []
        return [Unwatch(pid)]

    def _drop(self, name: Any, pid: Pid, reason: Any) -> Effects:
        entry = self.table.get(name)
        if entry is None or entry.pid != pid:
            return []
        del self.table[name]
        watchers = self.watchers.pop(name, [])
        effects: Effects = [Freed(name, reason, watchers)] if watchers else []
        return self._unwatch(pid) + effects

    def _send(self, node: str, message: tuple[Any, ...]) -> Effects:
        if node == self.node:
            return self.message(node, message)
        return [Send(node, message)]

    # Conflicts.

    def _met(self, name: Any, pid: Pid, resolver: Any) -> Effects:
        """Another node says that its own process ``pid`` has the name."""
        entry = self.table.get(name)
        if entry is None:
            return self._put(name, pid, resolver)
        if entry.pid == pid:
            return []
        first, second = sorted((entry.pid, pid))
        how = entry.resolver if entry.pid == first else resolver
        if how in BUILT_IN:
            return self._built_in(name, first, second, how)
        if first.node == self.node:
            return [Resolve(name, first, second, how)]
        return self._put(name, first, how)

    def _built_in(self, name: Any, first: Pid, second: Pid, how: str) -> Effects:
        effects: Effects = []
        if how == NOTIFY_ALL:
            for one, other in ((first, second), (second, first)):
                effects += self._drop(name, one, "name_conflict")
                if one.node == self.node:
                    effects += self._lost(name, one)
                    effects.append(Notify(one, ("global_name_conflict", name, other)))
            return effects
        effects += self._put(name, first, how)
        if second.node == self.node:
            effects += self._lost(name, second)
            if how == RANDOM_NOTIFY:
                effects.append(Notify(second, ("global_name_conflict", name)))
            elif how == RANDOM_EXIT:
                effects.append(ExitPid(second, "kill"))
            else:
                effects.append(ExitPid(second, ("name_conflict", name, first)))
        return effects

    def _lost(self, name: Any, pid: Pid) -> Effects:
        """Our own process lost its name: nodes that never meet the winner must hear of it too."""
        return [Send(peer, ("gone", name, pid, "name_conflict")) for peer in self.peers]

    def resolved(self, name: Any, first: Pid, second: Pid, winner: Pid | None) -> Effects:
        """A resolver function has decided, here; None frees the name."""
        message = ("resolved", name, first, second, winner)
        effects: Effects = [Send(peer, message) for peer in self.peers]
        return effects + self._decided(name, first, second, winner)

    def _decided(self, name: Any, first: Pid, second: Pid, winner: Any) -> Effects:
        entry = self.table.get(name)
        if entry is not None and entry.pid not in (first, second):
            return []
        if winner in (first, second):
            how = entry.resolver if entry is not None else DEFAULT
            return self._put(name, winner, how)
        return self._drop(name, first, "name_conflict") + self._drop(name, second, "name_conflict")
