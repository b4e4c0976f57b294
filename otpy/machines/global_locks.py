"""Locks over a set of nodes: OTP's ``global:set_lock``.

Theory of operation. Every node has a table of its own; a lock on several nodes is one
lock in each of their tables. An asker goes from node to node in sorted order, so that
two with the same nodes meet at the first of them. Refused somewhere, it gives back what
this attempt took, and only that, waits for a random time and begins again.

The table (``Locks``); a lock belongs to a requester id, through one process or several:

| event    | effect                                                         |
|----------|----------------------------------------------------------------|
| Take     | "taken" if it is free or the same requester's, "held" if this  |
|          | very process has it already, else "refused"                    |
| GiveBack | that process has it no more, however often it took it          |
| PidDown  | the process holds nothing any more                             |
| NodeDown | nor does any process of that node                              |

The asker (``Asker``), one for each ``set_lock``; one effect follows each event:

| event                         | effect                                                  |
|-------------------------------|---------------------------------------------------------|
| Begin, Due                    | Ask the first node                                      |
| Said "taken", "held", "gone"  | Ask the next node; Done(True) after the last            |
| Said "refused"                | Return the last node taken; with none, as the last line |
| Returned                      | Return the one before                                   |
| the last one is returned      | Wait; Done(False) when no retry is left                 |
"""

from dataclasses import dataclass, field
from typing import Any

from otpy.machines.watching import Unwatch as Unwatch
from otpy.machines.watching import Watch as Watch
from otpy.terms.pid import Pid

FIRST_WAIT, LAST_WAIT = 0.01, 8.0  # seconds between two attempts, at most
TAKEN, HELD, REFUSED, GONE = "taken", "held", "refused", "gone"


# One node's table.


@dataclass(slots=True)
class Take:
    """``pid`` wants the lock for ``requester``; ``Reply(request, answer)`` follows."""

    request: Any
    resource: Any
    requester: Any
    pid: Pid


@dataclass(slots=True)
class GiveBack:
    """``pid`` gives its lock back; ``Reply(request, None)`` follows."""

    request: Any
    resource: Any
    requester: Any
    pid: Pid


@dataclass(slots=True)
class PidDown:
    """A watched process ended, or its node is out of reach."""

    pid: Pid


@dataclass(slots=True)
class NodeDown:
    """The session with a node ended."""

    peer: str


@dataclass(slots=True)
class Reply:
    """The answer to a request."""

    request: Any
    value: str | None


TableEvent = Take | GiveBack | PidDown | NodeDown
TableEffect = Reply | Watch | Unwatch
TableEffects = list[TableEffect]


@dataclass(slots=True)
class Held:
    """A lock: whose it is, and the processes that took it in that name."""

    requester: Any
    pids: dict[Pid, None]


@dataclass(slots=True)
class Locks:
    """The locks of one node."""

    table: dict[Any, Held] = field(default_factory=dict[Any, Held])
    held_by: dict[Pid, dict[Any, None]] = field(default_factory=dict[Pid, dict[Any, None]])

    def handle(self, event: TableEvent) -> TableEffects:
        """Apply one event."""
        match event:
            case Take():
                return self._take(event)
            case GiveBack(request, resource, requester, pid):
                held = self.table.get(resource)
                freed: TableEffects = []
                if held is not None and held.requester == requester and pid in held.pids:
                    freed = self._leave(resource, pid)
                return [*freed, Reply(request, None)]
            case PidDown(pid):
                return self._gone(pid)
            case NodeDown(peer):
                pids = [pid for pid in self.held_by if pid.node == peer]
                return [effect for pid in pids for effect in self._gone(pid)]

    def _take(self, event: Take) -> TableEffects:
        pid = event.pid
        held = self.table.get(event.resource)
        if held is None:
            held = self.table[event.resource] = Held(event.requester, {})
        elif held.requester != event.requester:
            return [Reply(event.request, REFUSED)]
        elif pid in held.pids:
            return [Reply(event.request, HELD)]
        held.pids[pid] = None
        taken: TableEffects = [Reply(event.request, TAKEN)]
        if pid not in self.held_by:
            taken.insert(0, Watch(pid))
        self.held_by.setdefault(pid, {})[event.resource] = None
        return taken

    def _leave(self, resource: Any, pid: Pid) -> TableEffects:
        held, mine = self.table[resource], self.held_by[pid]
        del held.pids[pid], mine[resource]
        if not held.pids:
            del self.table[resource]
        if mine:
            return []
        del self.held_by[pid]
        return [Unwatch(pid)]

    def _gone(self, pid: Pid) -> TableEffects:
        effects: TableEffects = []
        for resource in list(self.held_by.get(pid, ())):
            effects += self._leave(resource, pid)
        return effects


# Who asks.


@dataclass(slots=True)
class Begin:
    """Ask these nodes."""

    places: list[str]


@dataclass(slots=True)
class Said:
    """A node's answer: "taken", "held", "refused", or "gone" when it cannot be reached."""

    node: str
    answer: str


@dataclass(slots=True)
class Returned:
    """A node has the lock back, or is gone."""

    node: str


@dataclass(slots=True)
class Due:
    """The wait is over; the nodes may be others now."""

    places: list[str]


@dataclass(slots=True)
class Ask:
    """Ask this node for the lock; ``Said`` is awaited."""

    node: str


@dataclass(slots=True)
class Return:
    """Give the lock back to this node; ``Returned`` is awaited."""

    node: str


@dataclass(slots=True)
class Wait:
    """Do nothing until this instant; ``Due`` is awaited."""

    until: float


@dataclass(slots=True)
class Done:
    """Whether the lock is had."""

    ok: bool


AskerEvent = Begin | Said | Returned | Due
AskerEffect = Ask | Return | Wait | Done


@dataclass(slots=True)
class Asker:
    """One ``set_lock``; ``retries`` is how many attempts may follow the first."""

    retries: float = float("inf")
    places: list[str] = field(default_factory=list[str])  # still to be asked, the next one last
    taken: list[str] = field(default_factory=list[str])  # by this attempt
    wait: float = FIRST_WAIT

    def handle(self, event: AskerEvent, now: float, chance: float) -> AskerEffect:
        """What to do next; ``now`` is in seconds, ``chance`` from 0 to 1."""
        match event:
            case Begin(places) | Due(places):
                self.places = sorted(dict.fromkeys(places), reverse=True)
                self.taken = []
                return self._next()
            case Said(node, answer):
                if answer == REFUSED:
                    return self._back(now, chance)
                if answer == TAKEN:
                    self.taken.append(node)
                return self._next()
            case Returned():
                return self._back(now, chance)

    def _next(self) -> AskerEffect:
        return Ask(self.places.pop()) if self.places else Done(True)

    def _back(self, now: float, chance: float) -> AskerEffect:
        if self.taken:
            return Return(self.taken.pop())
        if self.retries <= 0:
            return Done(False)
        self.retries -= 1
        until = now + self.wait * chance
        self.wait = min(LAST_WAIT, self.wait * 2)
        return Wait(until)
