"""One node's part of a scope of process groups.

Theory of operation. A process is a member by the word of its own node alone: the scope's
process there tells every node that runs the scope, in order, and the others mirror it. So
there is nothing to agree on, and all that are connected come to the same view.

Two such processes that meet *discover* each other, and each tells the other all that it has,
in pieces: between two pieces others get their turn. From the first piece on the other hears of
every join and leave as well. A group in a piece stands for all its members, so whatever was
said before it on the way is in it; a group that no piece names is gone.

| event                        | effect                                                           |
|------------------------------|------------------------------------------------------------------|
| join, leave of own processes | tell the peers and who monitors                                  |
| own process down             | as a leave for each time that it had joined                      |
| node up                      | discover                                                         |
| discovered                   | watch the peer, discover it, tell it all we have; once           |
| peer down                    | its members are gone                                             |
| a newer peer of the same node| the older is down, whether we have heard of it or not            |
| anything of an unknown peer  | nothing: it is of an earlier session, or of no scope             |

A group is one sorted list: the members of one node stand together, since a pid's order
begins with its node's life. The list is changed in one step, so others may copy it at any time.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from otpy.machines.pg_messages import Entry, Key, weight
from otpy.machines.watching import Unwatch as Unwatch
from otpy.machines.watching import Watch as Watch
from otpy.terms.pid import Pid, Ref

Counts = dict[Key, int]
PIECE = 16 * 1024  # bytes of a message about many groups, by ``weight``
MANY = 50_000  # members of one group in a message
EACH = 5  # bytes of a member's number


@dataclass(slots=True)
class Discover:
    """Say ``discover`` to whoever runs the scope on a node."""

    node: str


@dataclass(slots=True)
class Send:
    """A message for the scope's process of another node."""

    pid: Pid
    message: tuple[Any, ...]


@dataclass(slots=True)
class Tell:
    """Processes have joined a group or left it; ``refs`` are the monitors to tell."""

    refs: list[Ref]
    joined: bool
    key: Key
    pids: tuple[Pid, ...]


@dataclass(slots=True)
class More:
    """There is more to tell a peer: call ``more`` when others have had their turn."""

    pid: Pid


Effect = Discover | Send | Tell | More | Watch | Unwatch
Effects = list[Effect]


@dataclass(slots=True)
class Peer:
    """The same scope on another node."""

    pid: Pid
    counts: Counts = field(default_factory=dict[Key, int])  # memberships there, by group
    members: dict[Pid, int] = field(default_factory=dict[Pid, int])  # and by process
    told: bool = False  # it has been told all we have, or is being told
    unsent: list[Key] = field(default_factory=list[Key])  # groups it has not been told yet
    stale: dict[Key, None] | None = None  # groups that its pieces have not named yet


class Groups:
    """The machine of one scope on one node; ``pid`` is the scope's process."""

    def __init__(self, pid: Pid) -> None:
        self.pid = pid
        self.table: dict[Key, list[Pid]] = {}
        self.local: dict[Pid, Counts] = {}
        self.counts: Counts = {}  # memberships of our own processes
        self.peers: dict[str, Peer] = {}
        self.monitors: dict[Ref, tuple[Pid, tuple[Key, ...]]] = {}  # whose; the group, or none
        self.of_scope: dict[Ref, None] = {}
        self.of_group: dict[Key, dict[Ref, None]] = {}
        self.monitoring: dict[Pid, dict[Ref, None]] = {}

    # Our own processes.

    def join(self, key: Key, pids: Sequence[Pid]) -> Effects:
        """Processes of this node join."""
        effects: Effects = []
        for pid in pids:
            held = self.local.get(pid)
            if held is None:
                held = self.local[pid] = {}
                effects.append(Watch(pid))
            held[key] = held.get(key, 0) + 1
        if not pids:
            return []
        self._add(self.counts, key, pids)
        for part in _parts(pids):
            effects += self._broadcast(("join", self.pid, key, part))
        return effects + self._tell(True, key, pids)

    def leave(self, key: Key, pids: Sequence[Pid]) -> tuple[bool, Effects]:
        """Processes of this node leave, once each; whether one of them was a member."""
        gone: list[Pid] = []
        for pid in pids:
            held = self.local.get(pid)
            if held is not None and key in held:
                gone.append(pid)
                _less(held, key, 1)
                if not held:
                    del self.local[pid]
        if not gone:
            return False, []
        self._remove(self.counts, key, gone)
        effects: Effects = []
        for part in _parts(pids):
            effects += self._broadcast(("leave", self.pid, [key], part))
        effects += self._tell(False, key, pids)
        return True, effects + [Unwatch(pid) for pid in gone if not self.concerns(pid)]

    def pid_down(self, pid: Pid) -> Effects:
        """A process of this node ended: a member, or one that monitors."""
        for ref in list(self.monitoring.get(pid, ())):
            self.demonitor(ref)
        effects: Effects = []
        keys: list[Key] = []
        for key, times in self.local.pop(pid, {}).items():
            self._remove(self.counts, key, [pid] * times)
            keys += [key] * times
        for part in _pieces(keys):
            effects += self._broadcast(("leave", self.pid, part, [pid.number]))
        for key in keys:
            effects += self._tell(False, key, (pid,))
        return effects

    # Monitors.

    def monitor(self, key: Key, ref: Ref, pid: Pid) -> list[Pid]:
        """Tell ``ref``, of a process ``pid``, of every change of a group from now on; the group."""
        self.of_group.setdefault(key, {})[ref] = None
        self._monitor(ref, pid, (key,))
        return self.table.get(key, []).copy()

    def monitor_scope(self, ref: Ref, pid: Pid) -> dict[Key, list[Pid]]:
        """As ``monitor``, of all groups."""
        self.of_scope[ref] = None
        self._monitor(ref, pid, ())
        return {key: members.copy() for key, members in self.table.items()}

    def _monitor(self, ref: Ref, pid: Pid, keys: tuple[Key, ...]) -> None:
        self.monitors[ref] = (pid, keys)
        self.monitoring.setdefault(pid, {})[ref] = None

    def demonitor(self, ref: Ref) -> Pid | None:
        """Take a monitor away: whose it was, None if there is none."""
        found = self.monitors.pop(ref, None)
        if found is None:
            return None
        pid, keys = found
        self.of_scope.pop(ref, None)
        for key in keys:
            _without(self.of_group, key, ref)
        _without(self.monitoring, pid, ref)
        return pid

    def concerns(self, pid: Pid) -> bool:
        """Whether the end of a process of this node matters here."""
        return pid in self.local or pid in self.monitoring

    # Other nodes.

    def node_up(self, node: str) -> Effects:
        """A node came up, or was there when the scope began."""
        return [Discover(node)]

    def peer_down(self, pid: Pid) -> Effects:
        """The scope's process of another node ended, or is out of reach."""
        peer = self.peers.get(pid.node)
        if peer is None or peer.pid != pid:
            return []
        del self.peers[pid.node]
        effects: Effects = []
        for key, count in peer.counts.items():
            effects += self._drop(peer, key, count)
        return effects

    def holds(self, pid: Pid) -> bool:
        """Whether a process of another node is a member of any group."""
        peer = self.peers.get(pid.node)
        return peer is not None and pid in peer.members

    def message(self, message: tuple[Any, ...]) -> Effects:
        """What another node's machine said, as ``read`` gives it."""
        kind, pid, *rest = message
        if kind == "discover":
            return self._discovered(pid)
        peer = self.peers.get(pid.node)
        if peer is None or peer.pid != pid:
            return []
        match kind, rest:
            case ("sync", [bool(first), bool(last), entries]):
                return self._synced(peer, first, last, entries)
            case ("join", [key, numbers]):
                return self._joined(peer, key, numbers)
            case (_, [keys, numbers]):
                return self._left(peer, keys, numbers)
            case _:
                return []

    def _discovered(self, pid: Pid) -> Effects:
        peer = self.peers.get(pid.node)
        effects: Effects = []
        if peer is not None and peer.pid != pid:
            if (pid.started, pid.bits) == (peer.pid.started, peer.pid.bits) and (
                pid.number < peer.pid.number
            ):
                return []  # the scope has been started anew there since
            effects += [Unwatch(peer.pid), *self.peer_down(peer.pid)]
            peer = None
        if peer is None:
            peer = self.peers[pid.node] = Peer(pid)
            effects += [Watch(pid), Send(pid, ("discover", self.pid))]
        if not peer.told:
            peer.told = True
            peer.unsent = list(self.counts)
            effects += self._piece(peer, True)
        return effects

    def more(self, pid: Pid) -> Effects:
        """The next piece for a peer."""
        peer = self.peers.get(pid.node)
        current = peer is not None and peer.pid == pid and peer.unsent
        return self._piece(peer, False) if current and peer is not None else []

    def _piece(self, peer: Peer, first: bool) -> Effects:
        entries: list[Entry] = []
        rest: Effects = []
        size = 0
        while peer.unsent and size < PIECE:
            key = peer.unsent.pop()
            count = self.counts.get(key)
            if count is None:
                continue  # all have left since, and it has been told so
            members = self.table[key]
            low = _begin(members, self.pid)
            head, *others = _parts(members[low : low + count])
            entries.append((key, head))
            rest += [Send(peer.pid, ("join", self.pid, key, part)) for part in others]
            size += weight(key) + EACH * count
        last = not peer.unsent
        piece = Send(peer.pid, ("sync", self.pid, first, last, entries))
        return [piece, *rest] if last else [piece, *rest, More(peer.pid)]

    def _synced(self, peer: Peer, first: bool, last: bool, entries: list[Entry]) -> Effects:
        if first:
            peer.stale = dict.fromkeys(peer.counts)
        effects: Effects = []
        for key, numbers in entries:
            effects += self._replace(peer, key, numbers)
        if last:
            stale, peer.stale = peer.stale, None
            for key in stale or ():
                effects += self._replace(peer, key, [])
        return effects

    def _replace(self, peer: Peer, key: Key, numbers: list[int]) -> Effects:
        """These are all members of a group that the peer has."""
        if peer.stale is not None:
            peer.stale.pop(key, None)
        new = _pids(peer, numbers)
        count = peer.counts.get(key, 0)
        if not count:
            return self._appear(peer, key, new)
        members = self.table[key]
        low = _begin(members, peer.pid)
        old = members[low : low + count]
        left, joined = Counter(old), Counter(new)
        left, joined = left - joined, joined - left
        effects: Effects = []
        if joined:
            effects += self._appear(peer, key, sorted(joined.elements()))
        if left:
            effects += self._vanish(peer, key, sorted(left.elements()))
        return effects

    def _joined(self, peer: Peer, key: Key, numbers: list[int]) -> Effects:
        effects: Effects = []
        if peer.stale is not None and key in peer.stale:
            # What we know of the group is of an earlier session; a piece that is on its way
            # will name it, or there were no members when the pieces began.
            effects += self._replace(peer, key, [])
        return effects + self._appear(peer, key, _pids(peer, numbers))

    def _left(self, peer: Peer, keys: list[Key], numbers: list[int]) -> Effects:
        effects: Effects = []
        pids = _pids(peer, numbers)
        for key in keys:
            if peer.counts.get(key):
                effects += self._vanish(peer, key, pids)
        return effects

    def _appear(self, peer: Peer, key: Key, pids: Sequence[Pid]) -> Effects:
        if not pids:
            return []
        self._add(peer.counts, key, pids)
        for pid in pids:
            peer.members[pid] = peer.members.get(pid, 0) + 1
        return self._tell(True, key, pids)

    def _vanish(self, peer: Peer, key: Key, pids: Sequence[Pid]) -> Effects:
        for pid in self._remove(peer.counts, key, pids):
            _less(peer.members, pid, 1)
        return self._tell(False, key, pids)

    def _drop(self, peer: Peer, key: Key, count: int) -> Effects:
        """Forget all members of a group that a peer had."""
        members = self.table[key]
        if count == len(members):
            del self.table[key]
            return self._tell(False, key, members)
        low = _begin(members, peer.pid)
        gone = members[low : low + count]
        del members[low : low + count]
        return self._tell(False, key, gone)

    # The table, in which ``counts`` says how many of a group are of the pids' node.

    def _add(self, counts: Counts, key: Key, pids: Sequence[Pid]) -> None:
        members = self.table.get(key)
        count = counts.get(key, 0)
        if members is None:
            self.table[key] = sorted(pids)
        elif len(pids) == 1:
            insort(members, pids[0])
        else:
            low = _begin(members, pids[0])
            members[low : low + count] = sorted((*members[low : low + count], *pids))
        counts[key] = count + len(pids)

    def _remove(self, counts: Counts, key: Key, pids: Sequence[Pid]) -> Iterable[Pid]:
        """Remove each pid once; those that were there."""
        members, count = self.table[key], counts[key]
        low = _begin(members, pids[0])
        if len(pids) == 1:
            place = bisect_left(members, pids[0], low, low + count)
            if place == low + count or members[place] != pids[0]:
                return ()
            gone: list[Pid] = [members.pop(place)]
        else:
            wanted = Counter(pids)
            gone = []
            kept: list[Pid] = []
            for pid in members[low : low + count]:
                if wanted[pid] > 0:
                    wanted[pid] -= 1
                    gone.append(pid)
                else:
                    kept.append(pid)
            members[low : low + count] = kept
        if not members:
            del self.table[key]
        if gone:
            _less(counts, key, len(gone))
        return gone

    # Who hears of it.

    def _broadcast(self, message: tuple[Any, ...]) -> Effects:
        return [Send(peer.pid, message) for peer in self.peers.values() if peer.told]

    def _tell(self, joined: bool, key: Key, pids: Sequence[Pid]) -> Effects:
        refs = [*self.of_scope, *self.of_group.get(key, ())]
        return [Tell(refs, joined, key, tuple(pids))] if refs else []


def _begin(members: list[Pid], pid: Pid) -> int:
    """Where the members of the node's life that a pid is of begin."""
    return bisect_left(members, Pid(pid.started, pid.node, pid.bits, 0))


def _pids(peer: Peer, numbers: Iterable[int]) -> list[Pid]:
    started, node, bits = peer.pid.started, peer.pid.node, peer.pid.bits
    return [Pid(started, node, bits, number) for number in numbers]


def _less(counts: dict[Any, int], key: Any, by: int) -> None:
    counts[key] -= by
    if not counts[key]:
        del counts[key]


def _without(refs: dict[Any, dict[Ref, None]], key: Any, ref: Ref) -> None:
    del refs[key][ref]
    if not refs[key]:
        del refs[key]


def _parts(pids: Sequence[Pid]) -> list[list[int]]:
    """The pids' numbers, in as many lists as messages are needed."""
    numbers = [pid.number for pid in pids]
    return [numbers[place : place + MANY] for place in range(0, len(numbers), MANY)]


def _pieces(keys: list[Key]) -> Iterable[list[Key]]:
    """Groups, in as many lists as messages are needed."""
    piece: list[Key] = []
    size = 0
    for key in keys:
        piece.append(key)
        size += weight(key)
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
