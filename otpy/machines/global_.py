"""One node's part of the cluster's names.

Theory of operation. Each name is *claimed* by a process, and the process's own node
alone makes and withdraws the claim: it tells every node it is connected to, in order,
and tells a node that comes up all its claims. The other nodes mirror them and forget
them when that node goes down. The holder is the claim that sorts first, so nodes with
the same claims agree.

A registration first asks the *boss*, the node that sorts first among those known,
which grants a name to one owner at a time; then the owner claims it everywhere and
answers when every node has it, so it is visible everywhere when ``register_name``
returns. Where two nodes take themselves for boss, whoever knows another claim says no,
and the new one is withdrawn.

| event                   | effect                                                        |
|-------------------------|---------------------------------------------------------------|
| register                | ask the boss; again when it goes down                         |
| granted                 | claim, tell everybody; answer when all said yes               |
| a refusal               | withdraw, answer no                                           |
| own process down        | withdraw                                                      |
| node up / down          | tell it our claims / forget its claims                        |
| another claim on a name of ours | the resolver of the claim that sorts first decides    |

Of the resolvers, "default", "random_exit", "random_notify" and "notify_all" need no
message: each owner knows what becomes of its own claim. A function runs at the owner of
the claim that sorts first, once, which tells the other.
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
    """A registration asked for on this node that has not been answered."""

    name: Any
    pid: Pid
    resolver: Any
    force: bool
    asked: str  # the boss, or the owner of a process of another node
    missing: dict[str, None] | None = None  # who has not said yes; None before the grant
    refused: bool = False


@dataclass(slots=True)
class Names:
    """The machine of one node. The claims of one name are replaced, never changed in place."""

    node: str
    table: dict[Any, dict[Pid, Any]] = field(default_factory=dict[Any, dict[Pid, Any]])
    peers: dict[str, None] = field(default_factory=dict[str, None])
    requests: dict[Any, Request] = field(default_factory=dict[Any, Request])
    origins: dict[Any, str] = field(default_factory=dict[Any, str])
    granted: dict[Any, tuple[str, Any]] = field(default_factory=dict[Any, tuple[str, Any]])
    queued: dict[Any, list[tuple[str, Any, Pid, bool]]] = field(
        default_factory=dict[Any, list[tuple[str, Any, Pid, bool]]]
    )
    watchers: dict[Any, list[tuple[Pid, Ref]]] = field(
        default_factory=dict[Any, list[tuple[Pid, Ref]]]
    )
    many_names: bool = False

    # Requests of this node.

    @property
    def boss(self) -> str:
        """The node that grants names, as far as this node knows."""
        return min(self.node, *self.peers) if self.peers else self.node

    def holder(self, name: Any) -> Pid | None:
        """Whose name it is."""
        claims = self.table.get(name)
        return min(claims) if claims else None

    def register(
        self, request: Any, name: Any, pid: Pid, resolver: Any, force: bool = False
    ) -> Effects:
        """Register; ``Answer(request, ok)`` follows."""
        if pid.node != self.node:
            if pid.node not in self.peers:
                return [Answer(request, False)]
            self.requests[request] = Request(name, pid, resolver, force, pid.node)
            return [Send(pid.node, ("own", request, name, pid, resolver, force))]
        if not force and not self.many_names and self._has_name(pid):
            return [Answer(request, False)]
        self.requests[request] = Request(name, pid, resolver, force, self.boss)
        return self._ask_boss(request)

    def _has_name(self, pid: Pid) -> bool:
        return any(pid in claims for claims in self.table.values())

    def _ask_boss(self, request: Any) -> Effects:
        wanted = self.requests[request]
        wanted.asked = self.boss
        return self._send(wanted.asked, ("ask", request, wanted.name, wanted.pid, wanted.force))

    def unregister(self, name: Any) -> Effects:
        """Free a name everywhere."""
        effects: Effects = []
        for pid in self.table.get(name, {}):
            if pid.node == self.node:
                effects += self._withdraw(name, pid, "unregistered")
            else:
                effects.append(Send(pid.node, ("free", name, pid)))
                effects += self._drop(name, pid, "unregistered")
        return effects

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
        for name in [name for name, claims in self.table.items() if pid in claims]:
            effects += self._withdraw(name, pid, reason)
        return effects

    def node_up(self, peer: str) -> Effects:
        """A session with a node began: tell it our own claims."""
        self.peers[peer] = None
        mine = [
            (name, pid, resolver)
            for name, claims in self.table.items()
            for pid, resolver in claims.items()
            if pid.node == self.node
        ]
        return [Send(peer, ("sync", mine))]

    def node_down(self, peer: str) -> Effects:
        """A session ended: its claims go, and nothing waits for it any more."""
        self.peers.pop(peer, None)
        effects: Effects = []
        lost = [(n, pid) for n, claims in self.table.items() for pid in claims if pid.node == peer]
        for name, pid in lost:
            effects += self._drop(name, pid, "noconnection")
        for name in list(self.queued):
            self.queued[name] = [item for item in self.queued[name] if item[0] != peer]
        for name in [name for name, (owner, _) in self.granted.items() if owner == peer]:
            effects += self._next(name)
        for request in list(self.requests):
            wanted = self.requests.get(request)
            if wanted is None:
                continue
            if wanted.missing is not None:
                effects += self._answered(request, peer, True)
            elif wanted.asked == peer and wanted.pid.node == peer:
                effects += self._done(request, False)
            elif wanted.asked == peer:
                effects += self._ask_boss(request)
        return effects

    def message(self, sender: str, message: Any) -> Effects:
        """A protocol message; what is not one is ignored, as OTP does."""
        match message:
            case ("own", request, name, Pid() as pid, resolver, bool(force)):
                key = (sender, request)
                self.origins[key] = sender
                return self._owned(self.register(key, name, pid, resolver, force))
            case ("owned", request, bool(ok)):
                return self._done(request, ok)
            case ("ask", request, name, Pid() as pid, bool(force)):
                return self._ask(sender, request, name, pid, force)
            case ("grant", request, bool(ok)):
                return self._owned(self._granted(request, ok))
            case ("done", name, request):
                return self._next(name) if self.granted.get(name) == (sender, request) else []
            case ("claim", request, name, Pid() as pid, resolver, bool(force)):
                return self._claimed(sender, request, name, pid, resolver, force)
            case ("said", request, bool(ok)):
                return self._owned(self._answered(request, sender, ok))
            case ("free", name, Pid() as pid) if pid.node == self.node:
                return self._withdraw(name, pid, "unregistered")
            case ("gone", name, Pid() as pid, reason):
                return self._drop(name, pid, reason)
            case ("sync", [*names]) if isinstance(message[1], list):
                effects: Effects = []
                for name, pid, resolver in names:
                    effects += self._put(name, pid, resolver) + self._conflict(name, pid)
                return effects
            case ("resolved", name, Pid() as pid):
                return self._withdraw(name, pid, "name_conflict")
        return []

    def _owned(self, effects: Effects) -> Effects:
        """Answers to requests that came from another node go there."""
        sent: Effects = []
        for effect in effects:
            if isinstance(effect, Answer) and effect.request in self.origins:
                origin = self.origins.pop(effect.request)
                sent.append(Send(origin, ("owned", effect.request[1], effect.value)))
            else:
                sent.append(effect)
        return sent

    # The boss.

    def _ask(self, owner: str, request: Any, name: Any, pid: Pid, force: bool) -> Effects:
        if name in self.granted:
            self.queued.setdefault(name, []).append((owner, request, pid, force))
            return []
        others = [other for other in self.table.get(name, {}) if other != pid]
        if others and not force:
            return self._send(owner, ("grant", request, False))
        self.granted[name] = (owner, request)
        return self._send(owner, ("grant", request, True))

    def _next(self, name: Any) -> Effects:
        self.granted.pop(name, None)
        effects: Effects = []
        waiting = self.queued.pop(name, [])
        for owner, request, pid, force in waiting:
            effects += self._ask(owner, request, name, pid, force)
        return effects

    # The owner.

    def _granted(self, request: Any, ok: bool) -> Effects:
        wanted = self.requests.get(request)
        if wanted is None or wanted.missing is not None:
            return []
        if not ok:
            return self._done(request, False)
        others = [pid for pid in self.table.get(wanted.name, {}) if pid != wanted.pid]
        effects: Effects = []
        if others and not wanted.force:
            effects += self._send(wanted.asked, ("done", wanted.name, request))
            return effects + self._done(request, False)
        for pid in others:
            if pid.node == self.node:
                effects += self._withdraw(wanted.name, pid, "unregistered")
        wanted.missing = dict.fromkeys((self.node, *self.peers))
        effects += self._put(wanted.name, wanted.pid, wanted.resolver)
        effects.append(Watch(wanted.pid))
        claim = ("claim", request, wanted.name, wanted.pid, wanted.resolver, wanted.force)
        effects += [Send(peer, claim) for peer in self.peers]
        return effects + self._answered(request, self.node, True)

    def _answered(self, request: Any, node: str, ok: bool) -> Effects:
        wanted = self.requests.get(request)
        if wanted is None or wanted.missing is None:
            return []
        wanted.missing.pop(node, None)
        wanted.refused = wanted.refused or not ok
        if wanted.missing:
            return []
        effects: Effects = []
        if wanted.refused:
            effects += self._withdraw(wanted.name, wanted.pid, "noproc")
        held = wanted.pid in self.table.get(wanted.name, {})
        effects += self._send(wanted.asked, ("done", wanted.name, request))
        return effects + self._done(request, held)

    def _done(self, request: Any, ok: bool) -> Effects:
        return [Answer(request, ok)] if self.requests.pop(request, None) is not None else []

    def _withdraw(self, name: Any, pid: Pid, reason: Any) -> Effects:
        if pid not in self.table.get(name, {}):
            return []
        told: Effects = [Send(peer, ("gone", name, pid, reason)) for peer in self.peers]
        return told + self._drop(name, pid, reason)

    # Every node.

    def _claimed(
        self, owner: str, request: Any, name: Any, pid: Pid, resolver: Any, force: bool
    ) -> Effects:
        others = [other for other in self.table.get(name, {}) if other != pid]
        if others and not force:
            return [Send(owner, ("said", request, False))]
        effects: Effects = []
        for other in others:
            if other.node == self.node:
                effects += self._withdraw(name, other, "unregistered")
            else:
                effects += self._drop(name, other, "unregistered")
        effects += self._put(name, pid, resolver)
        return [*effects, Send(owner, ("said", request, True))]

    def _put(self, name: Any, pid: Pid, resolver: Any) -> Effects:
        self.table[name] = {**self.table.get(name, {}), pid: resolver}
        return []

    def _drop(self, name: Any, pid: Pid, reason: Any) -> Effects:
        claims = self.table.get(name, {})
        if pid not in claims:
            return []
        effects: Effects = []
        left = {other: how for other, how in claims.items() if other != pid}
        if left:
            self.table[name] = left
        else:
            del self.table[name]
            watchers = self.watchers.pop(name, [])
            if watchers:
                effects.append(Freed(name, reason, watchers))
        if pid.node == self.node and not self._has_name(pid):
            effects.insert(0, Unwatch(pid))
        return effects

    # Conflicts.

    def _conflict(self, name: Any, pid: Pid) -> Effects:
        """Another node claims ``name`` for ``pid``; what becomes of our own claim?"""
        claims = self.table.get(name, {})
        effects: Effects = []
        for mine in [own for own in claims if own.node == self.node and own != pid]:
            first, second = sorted((mine, pid))
            how = claims[first]
            if how not in BUILT_IN:
                if mine == first:
                    effects.append(Resolve(name, first, second, how))
            elif how == NOTIFY_ALL:
                effects += self._withdraw(name, mine, "name_conflict")
                effects.append(Notify(mine, ("global_name_conflict", name, pid)))
            elif mine == second:
                effects += self._withdraw(name, mine, "name_conflict")
                effects.append(_fate(how, name, mine, first))
        return effects

    def resolved(self, name: Any, first: Pid, second: Pid, winner: Pid | None) -> Effects:
        """A resolver function has decided, here; None frees the name."""
        effects: Effects = []
        if winner != second and second.node in self.peers:
            effects.append(Send(second.node, ("resolved", name, second)))
        if winner != first:
            effects += self._withdraw(name, first, "name_conflict")
        return effects

    def _send(self, node: str, message: tuple[Any, ...]) -> Effects:
        if node == self.node:
            return self.message(node, message)
        return [Send(node, message)]


def _fate(how: str, name: Any, loser: Pid, winner: Pid) -> Effect:
    if how == RANDOM_NOTIFY:
        return Notify(loser, ("global_name_conflict", name))
    return ExitPid(loser, "kill" if how == RANDOM_EXIT else ("name_conflict", name, winner))
