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
and the new one is withdrawn. A node that comes up meanwhile is asked as well: only a
claim that is answered takes a name from who has it.

| event                   | effect                                                        |
|-------------------------|---------------------------------------------------------------|
| register                | ask the boss; again when it goes down                         |
| granted                 | claim, tell everybody; answer when all said yes               |
| a refusal               | withdraw, answer no                                           |
| own process down        | withdraw                                                      |
| node up                 | tell it our claims, ask it about those that are not answered  |
| node down               | forget its claims                                             |
| a watcher of a name     | told when the name has no claim left; forgotten when it ends  |
| another claim on a name of ours | the resolver of the claim that sorts first decides    |

Of the resolvers, "default", "random_exit", "random_notify" and "notify_all" need no
message: each owner knows what becomes of its own claim. A function runs at the owner of
the claim that sorts first, once, which tells the other. It is known by its text
``module:qualname`` only, so a node that has not loaded it takes part all the same.

Who registers may know of holders that are dead while other nodes still have to hear of
it. It names them, and their claims do not stand in the way. A refusal says whose claims
do, so that it can look whether they are such and ask again.
"""

from dataclasses import dataclass, field
from typing import Any

from otpy.machines.global_effects import Answer as Answer
from otpy.machines.global_effects import Effect as Effect
from otpy.machines.global_effects import Effects as Effects
from otpy.machines.global_effects import ExitPid as ExitPid
from otpy.machines.global_effects import Freed as Freed
from otpy.machines.global_effects import Notify as Notify
from otpy.machines.global_effects import Pids as Pids
from otpy.machines.global_effects import Resolve as Resolve
from otpy.machines.global_effects import Send as Send
from otpy.machines.global_effects import Watcher as Watcher
from otpy.machines.global_messages import Claim, Wanted, read
from otpy.machines.watching import Unwatch as Unwatch
from otpy.machines.watching import Watch as Watch
from otpy.terms.names import NO_NODE
from otpy.terms.pid import Pid, Ref

DEFAULT, RANDOM_EXIT, RANDOM_NOTIFY, NOTIFY_ALL = (
    "default",
    "random_exit",
    "random_notify",
    "notify_all",
)
BUILT_IN = (DEFAULT, RANDOM_EXIT, RANDOM_NOTIFY, NOTIFY_ALL)


Asking = tuple[str, Any, Wanted]
ENDED = 1024  # names whose last holder's end is remembered


@dataclass(slots=True)
class Request:
    """A registration asked for on this node that has not been answered."""

    wanted: Wanted
    asked: str  # the boss, or the owner of a process of another node
    missing: dict[str, None] | None = None  # who has not said yes; None before the grant
    refused: bool = False
    others: Pids = ()  # why
    watch: Watcher | None = None  # whom to tell when the name is free, if the answer is no


@dataclass(slots=True)
class Names:
    """The machine of one node. The claims of one name are replaced, never changed in place."""

    node: str
    table: dict[Any, dict[Pid, str]] = field(default_factory=dict[Any, dict[Pid, str]])
    # Claims that another one was put before, until their node withdraws them. It need not: it may
    # never hear of the other claim. Then they count again when that is gone.
    behind: dict[Any, dict[Pid, str]] = field(default_factory=dict[Any, dict[Pid, str]])
    named: dict[Pid, dict[Any, None]] = field(default_factory=dict[Pid, dict[Any, None]])
    peers: dict[str, None] = field(default_factory=dict[str, None])
    requests: dict[Any, Request] = field(default_factory=dict[Any, Request])
    origins: dict[Any, str] = field(default_factory=dict[Any, str])
    granted: dict[Any, tuple[str, Any]] = field(default_factory=dict[Any, tuple[str, Any]])
    queued: dict[Any, list[Asking]] = field(default_factory=dict[Any, list[Asking]])
    watchers: dict[Any, list[Watcher]] = field(default_factory=dict[Any, list[Watcher]])
    # Claims of our own that may still be refused.
    pending: dict[tuple[Any, Pid], Any] = field(default_factory=dict[tuple[Any, Pid], Any])
    # Free names: who had it last, and why it ended.
    ended: dict[Any, tuple[Pid, Any]] = field(default_factory=dict[Any, tuple[Pid, Any]])
    # How many names each watcher waits for.
    waiting: dict[Pid, int] = field(default_factory=dict[Pid, int])
    many_names: bool = False

    # Requests of this node.

    @property
    def boss(self) -> str:
        """The node that grants names, as far as this node knows."""
        return min(self.node, *self.peers) if self.peers else self.node

    def owns(self, pid: Pid) -> bool:
        """Whether it is a process of this node, which may have got its name after it began."""
        return pid.node == self.node or pid.node == NO_NODE

    def rename(self, node: str) -> None:
        """This node has another name from now on. It has no peers then."""
        self.node = node

    def holder(self, name: Any) -> Pid | None:
        """Whose name it is."""
        claims = self.table.get(name)
        return min(claims) if claims else None

    def register(self, request: Any, wanted: Wanted, watch: Watcher | None = None) -> Effects:
        """Register; ``Answer(request, ok)`` follows. If it is no, ``watch`` is monitored.

        That is one step: whoever holds the name now, its end is not missed.
        """
        pid = wanted.pid
        asked = self.boss if self.owns(pid) else pid.node
        self.requests[request] = Request(wanted, asked, watch=watch)
        if not self.owns(pid):
            if pid.node not in self.peers:
                return self._done(request, False)
            return [Send(pid.node, ("own", request, tuple(wanted)))]
        if not wanted.force and not self.many_names and pid in self.named:
            return self._done(request, False)
        return self._ask_boss(request)

    def _ask_boss(self, request: Any) -> Effects:
        asked = self.requests[request]
        asked.asked = self.boss
        if asked.asked == self.node:
            return self._ask(self.node, request, asked.wanted)
        return [Send(asked.asked, ("ask", request, tuple(asked.wanted)))]

    def unregister(self, name: Any) -> Effects:
        """Free a name everywhere."""
        effects: Effects = []
        for pid in [*self.behind.pop(name, {}), *self.table.get(name, {})]:
            if self.owns(pid):
                effects += self._withdraw(name, pid, "unregistered")
            else:
                effects.append(Send(pid.node, ("free", name, pid)))
                effects += self._drop(name, pid, "unregistered")
        return effects

    def monitor(self, name: Any, pid: Pid, ref: Ref, since: Pids = ()) -> Effects:
        """Tell ``pid``, a process of our own, when the name is free; at once if it is.

        The reason is then that of the last holder's end, if it is one of ``since``.
        """
        if name not in self.table:
            last, reason = self.ended.get(name, (None, "noproc"))
            return [Freed(name, reason if last in since else "noproc", [(pid, ref)])]
        self.watchers.setdefault(name, []).append((pid, ref))
        self.waiting[pid] = self.waiting.get(pid, 0) + 1
        return [Watch(pid)]

    # The world.

    def pid_down(self, pid: Pid, reason: Any) -> Effects:
        """A process of our own ended."""
        effects: Effects = []
        if self.waiting.pop(pid, 0):
            for name, waiting in list(self.watchers.items()):
                left = [watcher for watcher in waiting if watcher[0] != pid]
                if left:
                    self.watchers[name] = left
                else:
                    del self.watchers[name]
        for name in list(self.named.get(pid, ())):
            effects += self._withdraw(name, pid, reason)
        return effects

    def node_up(self, peer: str) -> Effects:
        """A session with a node began: tell it our own claims, and ask about the new ones."""
        self.peers[peer] = None
        mine = tuple(
            (name, pid, self.table[name][pid])
            for pid, names in self.named.items()
            if self.owns(pid)
            for name in names
            if (name, pid) not in self.pending
        )
        effects: Effects = [Send(peer, ("sync", mine))]
        for (name, pid), request in self.pending.items():
            asked = self.requests.get(request)
            if asked is None or asked.missing is None:
                continue
            if pid in self.table.get(name, {}):
                asked.missing[peer] = None
                effects.append(Send(peer, ("claim", request, tuple(asked.wanted))))
        return effects

    def node_down(self, peer: str) -> Effects:
        """A session ended: its claims go, and nothing waits for it any more."""
        self.peers.pop(peer, None)
        effects: Effects = []
        gone = [(n, pid) for n, pids in self.behind.items() for pid in pids if pid.node == peer]
        for name, pid in gone:
            self._forget_behind(name, pid)
        lost = [(n, pid) for pid, names in self.named.items() if pid.node == peer for n in names]
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
            elif wanted.asked == peer and wanted.wanted.pid.node == peer:
                effects += self._done(request, False)
            elif wanted.asked == peer:
                effects += self._ask_boss(request)
        return effects

    def message(self, sender: str, message: Any) -> Effects:
        """A message of another node's machine; what is not one is ignored, as OTP does."""
        checked = read(message)
        return self._message(sender, checked) if checked is not None else []

    def _message(self, sender: str, message: tuple[Any, ...]) -> Effects:
        match message:
            case ("own", request, Wanted() as wanted):
                key = (sender, request)
                self.origins[key] = sender
                return self.register(key, wanted)
            case ("owned", request, bool(ok), others):
                return self._done(request, ok, others)
            case ("ask", request, Wanted() as wanted):
                return self._ask(sender, request, wanted)
            case ("grant", request, bool(ok), others):
                return self._granted(request, ok, others)
            case ("done", name, request):
                return self._next(name) if self.granted.get(name) == (sender, request) else []
            case ("claim", request, Wanted() as wanted):
                return self._claimed(sender, request, wanted)
            case ("said", request, bool(ok), others):
                return self._answered(request, sender, ok, others)
            case ("free", name, Pid() as pid) if self.owns(pid):
                return self._withdraw(name, pid, "unregistered")
            case ("gone", name, Pid() as pid, reason):
                self._forget_behind(name, pid)
                return self._drop(name, pid, reason)
            case ("sync", claims):
                return self._synced(claims)
            case ("resolved", name, Pid() as pid):
                return self._withdraw(name, pid, "name_conflict")
            case _:
                return []

    def _synced(self, claims: list[Claim]) -> Effects:
        effects: Effects = []
        for name, pid, resolver in claims:
            self._put(name, pid, resolver)
            effects += self._conflict(name, pid)
        return effects

    # The boss.

    def _ask(self, owner: str, request: Any, wanted: Wanted) -> Effects:
        if wanted.name in self.granted:
            self.queued.setdefault(wanted.name, []).append((owner, request, wanted))
            return []
        if others := self._others(wanted):
            return self._send(owner, ("grant", request, False, others))
        self.granted[wanted.name] = (owner, request)
        return self._send(owner, ("grant", request, True, ()))

    def _others(self, wanted: Wanted) -> Pids:
        """Claims that stand in the way."""
        if wanted.force:
            return ()
        claims = self.table.get(wanted.name, {})
        return tuple(pid for pid in claims if pid != wanted.pid and pid not in wanted.dead)

    def _next(self, name: Any) -> Effects:
        self.granted.pop(name, None)
        effects: Effects = []
        for owner, request, wanted in self.queued.pop(name, []):
            effects += self._ask(owner, request, wanted)
        return effects

    # The owner.

    def _granted(self, request: Any, ok: bool, others: Pids) -> Effects:
        asked = self.requests.get(request)
        if asked is None or asked.missing is not None:
            return []
        if not ok:
            return self._done(request, False, others)
        wanted = asked.wanted
        if others := self._others(wanted):
            effects = self._send(asked.asked, ("done", wanted.name, request))
            return effects + self._done(request, False, others)
        asked.missing = dict.fromkeys((self.node, *self.peers))
        if not wanted.force:
            self.pending[wanted.name, wanted.pid] = request
        effects = self._take(wanted)
        claim = ("claim", request, tuple(wanted))
        effects += [Send(peer, claim) for peer in self.peers]
        effects.append(Watch(wanted.pid))  # after what others wait for
        return effects + self._answered(request, self.node, True)

    def _take(self, wanted: Wanted) -> Effects:
        """Put the new claim; those that it replaces go after it, so the name is never free."""
        name = wanted.name
        replaced = [pid for pid in self.table.get(name, {}) if pid != wanted.pid]
        self._put(name, wanted.pid, wanted.resolver)
        effects: Effects = []
        for pid in replaced:
            if self.owns(pid):
                effects += self._withdraw(name, pid, "unregistered")
            else:
                self.behind.setdefault(name, {})[pid] = self.table[name][pid]
                effects += self._drop(name, pid, "unregistered")
        return effects

    def _answered(self, request: Any, node: str, ok: bool, others: Pids = ()) -> Effects:
        asked = self.requests.get(request)
        if asked is None or asked.missing is None:
            return []
        asked.missing.pop(node, None)
        asked.refused = asked.refused or not ok
        asked.others += others
        if asked.missing:
            return []
        name, pid = asked.wanted.name, asked.wanted.pid
        self.pending.pop((name, pid), None)
        effects: Effects = []
        if asked.refused:
            effects += self._withdraw(name, pid, "noproc")
        held = pid in self.table.get(name, {})
        effects += self._send(asked.asked, ("done", name, request))
        return effects + self._done(request, held, asked.others)

    def _done(self, request: Any, ok: bool, others: Pids = ()) -> Effects:
        asked = self.requests.pop(request, None)
        if asked is None:
            return []
        if request in self.origins:  # it came from another node
            origin = self.origins.pop(request)
            told = ("owned", request[1], ok, others)
            return [Send(origin, told)] if origin in self.peers else []  # else nobody waits for it
        answer: Effects = [Answer(request, ok, others, asked.wanted.name)]
        if ok or asked.watch is None:
            return answer
        return answer + self.monitor(asked.wanted.name, *asked.watch, others)

    def _withdraw(self, name: Any, pid: Pid, reason: Any) -> Effects:
        if pid not in self.table.get(name, {}):
            return []
        told: Effects = [Send(peer, ("gone", name, pid, reason)) for peer in self.peers]
        return told + self._drop(name, pid, reason)

    # Every node.

    def _claimed(self, owner: str, request: Any, wanted: Wanted) -> Effects:
        name, pid = wanted.name, wanted.pid
        effects: Effects = []
        for mine in [own for own in self._others(wanted) if (name, own) in self.pending]:
            if pid < mine:  # neither is answered: the one that sorts first goes on
                effects += self._withdraw_pending(name, mine, pid)
        if others := self._others(wanted):
            return [*effects, Send(owner, ("said", request, False, others))]
        return [*effects, *self._take(wanted), Send(owner, ("said", request, True, ()))]

    def _put(self, name: Any, pid: Pid, resolver: str) -> None:
        self._forget_behind(name, pid)
        self.table[name] = {**self.table.get(name, {}), pid: resolver}
        self.named.setdefault(pid, {})[name] = None

    def _forget_behind(self, name: Any, pid: Pid) -> None:
        left = self.behind.get(name, {})
        if left.pop(pid, None) is not None and not left:
            del self.behind[name]

    def _drop(self, name: Any, pid: Pid, reason: Any) -> Effects:
        claims = self.table.get(name, {})
        if pid not in claims:
            return []
        effects: Effects = []
        left = {other: how for other, how in claims.items() if other != pid}
        names = self.named[pid]
        del names[name]
        if not names:
            del self.named[pid]
        if left:
            self.table[name] = left
        elif name in self.behind:
            self.table[name] = self.behind.pop(name)
            for other in self.table[name]:
                self.named.setdefault(other, {})[name] = None
        else:
            del self.table[name]
            self.ended.pop(name, None)
            self.ended[name] = (pid, reason)
            if len(self.ended) > ENDED:
                del self.ended[next(iter(self.ended))]
            watchers = self.watchers.pop(name, [])
            if watchers:
                effects.append(Freed(name, reason, watchers))
            for watcher, _ in watchers:
                self.waiting[watcher] -= 1
                if not self.waiting[watcher]:
                    del self.waiting[watcher]
                    effects += self._unwatch(watcher)
        return self._unwatch(pid) + effects

    def _unwatch(self, pid: Pid) -> Effects:
        unused = pid not in self.named and pid not in self.waiting
        return [Unwatch(pid)] if unused and self.owns(pid) else []

    # Conflicts.

    def _conflict(self, name: Any, pid: Pid) -> Effects:
        """Another node has ``name`` for ``pid``; what becomes of our own claim?"""
        claims = self.table.get(name, {})
        effects: Effects = []
        for mine in [own for own in claims if self.owns(own) and own != pid]:
            if (name, mine) in self.pending:
                effects += self._withdraw_pending(name, mine, pid)
                continue
            first, second = sorted((mine, pid))
            how = claims[first]
            if how not in BUILT_IN:
                if mine == first:
                    effects.append(Resolve(name, first, second, how))
            elif how == NOTIFY_ALL:
                told = Notify(mine, ("global_name_conflict", name, pid))
                effects += self._lost(name, mine, told)
            elif mine == second:
                effects += self._lost(name, mine, _fate(how, name, mine, first))
        return effects

    def _lost(self, name: Any, mine: Pid, fate: Effect) -> Effects:
        """Withdraw our claim, whose process had the name."""
        return [*self._withdraw(name, mine, "name_conflict"), fate]

    def _withdraw_pending(self, name: Any, mine: Pid, winner: Pid) -> Effects:
        """Withdraw our claim, whose process has not got the name: the answer is no, and all."""
        asked = self.requests.get(self.pending[name, mine])
        if asked is not None:
            asked.others += (winner,)
        return self._withdraw(name, mine, "name_conflict")

    def resolved(self, name: Any, first: Pid, second: Pid, winner: Pid | None) -> Effects:
        """A resolver function has decided, here; None frees the name.

        If one of the two ended meanwhile there is nothing left to decide.
        """
        claims = self.table.get(name, {})
        if first not in claims or second not in claims:
            return []
        effects: Effects = []
        if winner != second and second.node in self.peers:
            effects.append(Send(second.node, ("resolved", name, second)))
        if winner != first:
            effects += self._withdraw(name, first, "name_conflict")
        return effects

    def _send(self, node: str, message: tuple[Any, ...]) -> Effects:
        if node == self.node:
            return self._message(node, message)  # nobody else's words, so there is nothing to check
        return [Send(node, message)]


def _fate(how: str, name: Any, loser: Pid, winner: Pid) -> Effect:
    if how == RANDOM_NOTIFY:
        return Notify(loser, ("global_name_conflict", name))
    return ExitPid(loser, "kill" if how == RANDOM_EXIT else ("name_conflict", name, winner))
