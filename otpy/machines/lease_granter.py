"""One node's part in granting leases; the theory is in ``machines/lease.py``.

| event                            | effect                                                 |
|----------------------------------|--------------------------------------------------------|
| Ask, the name is free here       | promise it, write that, Granted                        |
| Ask of who has the promise       | promise it for longer, Granted                         |
| Ask, promised to another         | Refused, and the node is told when it may be free      |
| Ask with a token already given   | Refused with that token                                |
| Ask under older members          | Refused with the newer ones                            |
| Ask under newer members          | they are taken over first: they were chosen            |
| Release                          | the promise is over; those refused are told            |
| Propose, by who has the promise  | accept, write that, Accepted                           |
| Ask of a new name, among many    | drop what is over                                      |

A promise lasts ``length(lease)`` from when its request arrived. When the node starts it may have
promised anything an instant ago, so every name counts as promised for that long: to whom its disk
says, or without a disk to nobody.

What is over binds the granter by its token alone, if the members have never changed. So it drops
that, and keeps the greatest token of all that it dropped: under a name it does not know it
promises only greater ones. Without a disk not even that is needed: then it is as if it had been
started anew. There are never more than twice as many names as at the last look, or ``FEW``.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from otpy.machines.lease_messages import (
    BEHIND,
    CROWDED,
    HELD,
    NO_MEMBER,
    OTHER_LEASE,
    OTHER_QUORUM,
    STALE,
    Accepted,
    Ask,
    Free,
    Granted,
    Pending,
    Propose,
    Quorum,
    Refused,
    Release,
    ToCandidate,
    ToGranter,
)
from otpy.terms.pid import Pid

EPSILON = 0.01  # by how much the rate of any clock may be off, either way
FEW = 64  # names that may be over before the first look
AT_ONCE = 256  # names that are dropped in one step, as the disk must forget each


class Record(NamedTuple):
    """What must survive a restart, for one name; ``lease`` is how long its leases were."""

    name: Any
    quorum: Quorum
    token: int
    pid: Pid | None
    pending: Pending | None
    lease: float


@dataclass(slots=True)
class Write:
    """Bring this to the disk; until it is there, none of the effects behind it may be done."""

    record: Record


@dataclass(slots=True)
class Drop:
    """The disk needs these names no more, once ``floor`` stands there. It may fail."""

    names: list[Any]
    floor: int


@dataclass(slots=True)
class Send:
    """A message for the lease server of a node, which may be this one."""

    node: str
    message: ToGranter | ToCandidate


Effects = list[Write | Drop | Send]


@dataclass(slots=True)
class Promise:
    """One name: the greatest token promised, to whom, and until when nobody else gets it.

    ``given``: that has happened; before, another quorum may be named.
    """

    quorum: Quorum
    until: float
    token: int = 0
    pid: Pid | None = None
    given: bool = True
    pending: Pending | None = None
    written: Record | None = None
    refused: dict[str, None] = field(default_factory=dict[str, None])


class Granter:
    """The promises of one node. ``now`` is its clock, which must run through a suspend.

    ``durable``: it has a disk, whose ``records`` and ``floor`` it is started with.
    """

    def __init__(
        self,
        node: str,
        lease: float,
        now: float,
        durable: bool = False,
        records: tuple[Record, ...] = (),
        floor: int = 0,
    ) -> None:
        self.node = node
        self.lease = lease
        self.durable = durable
        self.peers: dict[str, None] = {}
        self.promises: dict[Any, Promise] = {}
        self.floor = floor
        self.many = FEW
        self.sat_out = now + self.length(lease)
        # Of names that are equal but not the same, such as 1 and True, each has a record.
        for old in sorted(records, key=lambda record: record.token):
            until = now + self.length(max(lease, old.lease))
            self.promises[old.name] = Promise(
                old.quorum, until, old.token, old.pid, pending=old.pending, written=old
            )

    def length(self, lease: float) -> float:
        """For how long a promise lasts here: longer than the lease by any other clock.

        That one may be slow by EPSILON, and ours fast.
        """
        return lease * (1 + EPSILON) / (1 - EPSILON)

    def node_up(self, peer: str) -> None:
        """A node came up."""
        self.peers[peer] = None

    def node_down(self, peer: str) -> None:
        """A node went down. What was promised there stays promised."""
        self.peers.pop(peer, None)
        for promise in self.promises.values():
            promise.refused.pop(peer, None)

    def message(self, sender: str, message: ToGranter, now: float) -> Effects:
        """A request of a candidate on the node ``sender``."""
        match message:
            case Ask():
                return self._ask(sender, message, now)
            case Release():
                return self._release(message, now)
            case Propose():
                return self._propose(sender, message)

    def unwritten(self, record: Record) -> None:
        """The disk did not take it: what comes next for the name is written, whatever it is."""
        self.promises[record.name].written = None

    def _ask(self, sender: str, ask: Ask, now: float) -> Effects:
        dropped = [] if ask.name in self.promises else self._drop(now)
        promise = self.promises.setdefault(
            ask.name, Promise(ask.quorum, self.sat_out, self.floor, given=False)
        )
        if not promise.given or ask.quorum.version > promise.quorum.version:
            promise.quorum, promise.pending = ask.quorum, None  # nothing given binds us to less
        why = self._mistake(promise, ask) or self._denied(promise, ask, now)
        if why is not None:
            if why == HELD:
                promise.refused[sender] = None
            return [*dropped, Send(sender, self._refusal(promise, ask, why, now))]
        promise.token, promise.pid, promise.given = ask.token, ask.pid, True
        promise.until = max(promise.until, now + self.length(self.lease))
        promise.refused.pop(sender, None)
        granted = Granted(
            ask.name,
            ask.pid,
            ask.token,
            promise.quorum.version,
            ask.sent,
            self.durable,
            promise.pending,
        )
        return [*dropped, *self._written(ask.name, promise), Send(sender, granted)]

    def _drop(self, now: float) -> Effects:
        """Before there is one name more: what is over, when there are too many."""
        if len(self.promises) < self.many:
            return []
        over = [name for name, promise in self.promises.items() if self._over(promise, now)]
        written: list[Any] = []
        for name in over[:AT_ONCE]:
            promise = self.promises.pop(name)
            if self.durable and promise.given:
                self.floor = max(self.floor, promise.token)
                written.append(name)
        # With more to drop it goes on at the next name.
        self.many = max(FEW, 2 * len(self.promises)) if len(over) <= AT_ONCE else 0
        return [Drop(written, self.floor)] if written else []

    def _over(self, promise: Promise, now: float) -> bool:
        """Whether nothing but its token binds us any more."""
        return now >= promise.until and promise.quorum.version == 0 and promise.pending is None

    def _mistake(self, promise: Promise, ask: Ask) -> str | None:
        """What stands in the way whoever has the promise."""
        if ask.lease != self.lease:
            return OTHER_LEASE
        if ask.quorum.version < promise.quorum.version:
            return STALE
        if ask.quorum != promise.quorum:
            return OTHER_QUORUM
        if not ask.quorum.members:
            return CROWDED if len(self.peers) >= ask.quorum.size else None
        return None if self.node in ask.quorum.members else NO_MEMBER

    def _denied(self, promise: Promise, ask: Ask, now: float) -> str | None:
        if ask.pid == promise.pid:
            # A process has one candidate, which has given up all that it asked before.
            return BEHIND if ask.token < promise.token else None
        if now < promise.until:
            return HELD
        return BEHIND if ask.token <= promise.token else None

    def _refusal(self, promise: Promise, ask: Ask, why: str, now: float) -> Refused:
        wait = max(0.0, promise.until - now) if why == HELD else 0.0
        return Refused(
            ask.name,
            ask.pid,
            ask.token,
            why,
            promise.token,
            wait,
            promise.quorum,
            self.lease,
            len(self.peers) + 1,
        )

    def _release(self, release: Release, now: float) -> Effects:
        promise = self.promises.get(release.name)
        if promise is None or promise.pid != release.pid or release.token < promise.token:
            return []
        # The token counts as given, so a request that this has overtaken promises nothing.
        promise.token, promise.pid, promise.until = release.token, None, now
        refused, promise.refused = promise.refused, {}
        return [Send(node, Free(release.name)) for node in refused]

    def _propose(self, sender: str, propose: Propose) -> Effects:
        promise = self.promises.get(propose.name)
        if (
            promise is None
            or not self.durable
            or (promise.pid, promise.token) != (propose.pid, propose.token)
            or promise.quorum.version != propose.version
            or not promise.quorum.one_apart(propose.members)
        ):
            return []
        promise.pending = Pending(propose.token, propose.members)
        accepted = Accepted(propose.name, propose.pid, propose.token, propose.version)
        return [*self._written(propose.name, promise), Send(sender, accepted)]

    def _written(self, name: Any, promise: Promise) -> Effects:
        if not self.durable:
            return []
        record = Record(
            name, promise.quorum, promise.token, promise.pid, promise.pending, self.lease
        )
        if record == promise.written:
            return []
        promise.written = record
        return [Write(record)]
