"""The processes of one node that want a name as a lease, or hold one.

``Contests`` is the half of the lease server (``_lease_server.py``) that acts for them; the other
half grants, and hears from other nodes.

| a process                            | becomes                                                  |
|--------------------------------------|----------------------------------------------------------|
| registers; a plain holder has it     | refused; who may stand by is told when that one is gone  |
| registers                            | a contest, which asks for the lease                      |
| wins while it waits for its answer   | announced to all                                         |
| wins while it stands by              | told with ``NameFree``, announced when it has come       |
| ends, gives the name back            | the lease is over, then all are told                     |
| cannot renew; lost its lease server  | the same, and ``("lease_lost", name)`` for the process   |
| its node stops                       | killed; the lease is over when it has ended              |
"""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from otpy.behaviours import gen_server
from otpy.cluster._lease_store import Kept, LeaseStore
from otpy.machines.lease import (
    HOLDING,
    Candidate,
    Changed,
    Effects,
    Lost,
    Mistake,
    Refusals,
    Won,
)
from otpy.machines.lease_granter import Send
from otpy.machines.lease_holders import Freed, Holders
from otpy.machines.lease_messages import Quorum
from otpy.runtime import peers, process
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.terms.errors import NotSendable
from otpy.terms.messages import NameFree
from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import KILL
from otpy.terms.signals import Message

LOG = logging.getLogger("otpy.global")
SERVER = "global_lease_server"
PATIENCE = 2.0  # leases: as long as a process that may not stand by waits for a majority
NEVER = float("inf")


@dataclass(slots=True)
class Contest:
    """A process of this node that wants a name, or has it.

    ``request`` waits for an answer until ``deadline``; without a deadline the process stands by,
    and ``NameFree(ref)`` tells it of its lease. ``announced``: all know that it holds the name.
    """

    candidate: Candidate
    request: From | None = None
    deadline: float = NEVER
    ref: Ref | None = None
    token: int | None = None
    announced: bool = False
    change: tuple[From, tuple[str, ...]] | None = None

    @property
    def wake(self) -> float:
        """When there is something to do."""
        return min(self.candidate.wake, self.deadline)


class Service(Protocol):
    """What the server needs of the service it belongs to; it outlives a lease server."""

    lease_time: float
    store: LeaseStore | None
    kept: Kept | None
    holders: Holders
    contests: dict[tuple[Any, Pid], Contest]
    asked: int

    def whereis(self, name: Any) -> Pid | None: ...
    def plain(self, name: Any) -> Pid | None: ...
    def monitor_plain(self, name: Any, pid: Pid, ref: Ref) -> None: ...


class Contests:
    """What the lease server does for the processes of its node."""

    def __init__(self, service: Service) -> None:
        self.node = current().node
        self.here = self.node.name
        self.service = service
        self.lease = service.lease_time
        self.holders = service.holders
        self.contests = service.contests
        self.whereis = service.whereis
        self.own: deque[Any] = deque()  # messages of this node's machines for each other
        self.watched: dict[Pid, Ref] = {}
        self.closed = False  # this node stops
        self.stopping: list[From] = []  # who waits until nothing is held here any more
        self.granters: dict[str, None] = {}  # that have to hear of it

    def now(self) -> float:
        """The clock of leases, which runs through a suspend."""
        return self.node.clock.boottime()

    def contend(self, contest: Contest, effects: Effects) -> None:
        """Carry out what a candidate decided."""
        candidate = contest.candidate
        for effect in effects:
            match effect:
                case Send(node, message):
                    self.send(node, message)
                case Won(token):
                    contest.token = token
                    self.won(contest)
                case Lost():
                    self.lost(contest)
                case Refusals():
                    if contest.deadline == NEVER:
                        self.answer(contest, False)
                case Mistake(node, refused):
                    LOG.error(
                        "%s: %s does not grant %r: %s; it sees %d nodes, itself among them, and "
                        "has %r and a lease_time of %s s; we have %r and %s s",
                        self.here,
                        node,
                        candidate.name,
                        refused.why,
                        refused.nodes,
                        refused.quorum,
                        refused.lease,
                        candidate.quorum,
                        self.lease,
                    )
                case Changed(quorum):
                    LOG.info("%s: %r has the members %r", self.here, candidate.name, quorum)
                    self.changed(contest, quorum.members)
                case _:
                    assert_never(effect)

    def send(self, node: str, message: Any) -> None:
        """A message for a lease server; the others' if we see them."""
        if node == self.here:
            self.own.append(message)
        elif peers.sees(self.node, node):
            me = current()
            dest = At(SERVER, node)
            try:
                self.node.send_signal(me, Message(me.pid, dest, ("lease", self.here, message)))
            except NotSendable as error:  # an exit reason may be anything
                told = (*message[:-1], ("not_sendable", str(error)))
                self.node.send_signal(me, Message(me.pid, dest, ("lease", self.here, told)))

    def tell_all(self, message: tuple[Any, ...]) -> None:
        """A message for every other lease server."""
        for peer in peers.visible(self.node):
            self.send(peer, message)

    def freed(self, freed: list[Freed]) -> None:
        """Tell those who watch names."""
        for one in freed:
            for pid, ref in one.watchers:
                process.send(pid, NameFree(ref, one.name, one.reason))

    def of(self, name: Any) -> list[Contest]:
        """The contests for a name."""
        return [one for (wanted, _), one in self.contests.items() if wanted == name]

    def holding(self, name: Any) -> Contest | None:
        """The contest of a process of ours that holds the name."""
        return next((one for one in self.of(name) if one.candidate.state == HOLDING), None)

    # Registrations.

    def register(self, from_: From, name: Any, pid: Pid, quorum: Quorum, ref: Ref | None) -> None:
        """A process wants the name; with ``ref`` it may stand by."""
        contest = self.contests.get((name, pid))
        if contest is not None and contest.candidate.wake <= self.now():
            self.tick(contest)  # a lease that ran out while nothing ran here is not to be had
            contest = self.contests.get((name, pid))
        if self.closed or self.service.plain(name) is not None:
            self.turn_away(name, pid, from_, ref)
        elif contest is None:
            other = self.whereis(name)
            if other is not None and ref is None:
                gen_server.reply(from_, False)
                return
            contest = self.begin(name, pid, quorum)
            contest.request, contest.ref = from_, ref
            if ref is None:
                contest.deadline = self.now() + PATIENCE * self.lease
            elif other is not None:
                self.answer(contest, False)
        elif contest.candidate.state == HOLDING:
            contest.request, contest.ref = from_, None
            self.announce(contest)
        else:
            contest.ref = ref if ref is not None else contest.ref
            gen_server.reply(from_, False)

    def turn_away(self, name: Any, pid: Pid, from_: From, ref: Ref | None) -> None:
        """A process holds the name without a lease, or this node stops."""
        contest = self.contests.get((name, pid))
        if contest is not None:
            self.end(contest, "refused")
        if ref is not None and not self.closed:
            self.service.monitor_plain(name, pid, ref)
        gen_server.reply(from_, False)

    def begin(self, name: Any, pid: Pid, quorum: Quorum) -> Contest:
        """A new contest, which asks at once."""
        others = tuple(peers.visible(self.node))
        asked = self.service.asked
        candidate = Candidate(self.here, name, pid, quorum, self.lease, others, asked)
        contest = self.contests[name, pid] = Contest(candidate)
        self.watch(pid)
        return contest

    def tick(self, contest: Contest) -> None:
        """What is due for it."""
        effects = contest.candidate.tick(self.now(), self.node.entropy.random())
        self.contend(contest, effects)

    def watch(self, pid: Pid) -> None:
        """Hear of the end of a process of ours, once."""
        if pid not in self.watched:
            self.watched[pid] = process.monitor(pid)

    def answer(self, contest: Contest, ok: bool) -> None:
        """The answer to its registration, if it still waits for one."""
        request, contest.request = contest.request, None
        contest.deadline = NEVER
        if request is not None:
            gen_server.reply(request, ok)

    def won(self, contest: Contest) -> None:
        """Its lease is there. Who stands by must come and take it."""
        name, request, ref = contest.candidate.name, contest.request, contest.ref
        if request is not None and self.service.plain(name) is not None:
            contest.request = None
            self.turn_away(name, contest.candidate.pid, request, ref)
        elif request is not None:
            self.announce(contest)
        elif ref is not None:
            contest.ref = None
            process.send(contest.candidate.pid, NameFree(ref, name, self.holders.why(name)))

    def announce(self, contest: Contest) -> None:
        """All hear that it holds the name."""
        if not contest.announced:
            contest.announced = True
            _, name, pid, token = told = held(contest)
            self.holders.held(name, pid, token)
            self.tell_all(told)
        self.answer(contest, True)

    def give_way(self, name: Any) -> None:
        """Another holds it: who may not stand by need not wait for a majority."""
        for contest in self.of(name):
            if contest.deadline < NEVER and self.whereis(name) is not None:
                self.refuse(contest)

    def refuse(self, contest: Contest) -> None:
        """It does not get the name."""
        self.answer(contest, False)
        self.end(contest, "refused")

    def lost(self, contest: Contest) -> None:
        """It could not renew: demoted, before another can hold the name.

        One that has yet to come and take it finds that it must wait once more.
        """
        candidate = contest.candidate
        self.end(contest, "lease_lost")
        if contest.announced:
            process.exit(candidate.pid, ("lease_lost", candidate.name))

    def end(self, contest: Contest, reason: Any) -> None:
        """The contest is over; the lease ends before anybody hears of it."""
        candidate = contest.candidate
        name, pid = candidate.name, candidate.pid
        self.contests.pop((name, pid), None)
        self.service.asked = max(self.service.asked, candidate.token)
        effects = candidate.end()
        self.changed(contest, ())
        self.answer(contest, False)
        if contest.announced:
            self.freed(self.holders.gone(name, pid, reason))
            self.tell_all(("gone", name, pid, reason))
        self.contend(contest, effects)
        if self.closed and not self.contests:
            self.stopped()

    def unregister(self, name: Any) -> None:
        """Free a name that a process of ours holds."""
        contest = self.holding(name)
        if contest is not None:
            self.end(contest, "unregistered")

    # The end of the lease server, and of the node.

    def abandon(self) -> None:
        """This lease server ends, or the one before it has: what is held here is so no more."""
        for (name, pid), contest in list(self.contests.items()):
            effects = contest.candidate.end()
            self.service.asked = max(self.service.asked, contest.candidate.token)
            if contest.announced:
                process.exit(pid, ("lease_lost", name))
            if contest.ref is None or contest.request is not None:
                del self.contests[name, pid]  # it has ended, asks again, or hears it as its caller
            self.contend(contest, effects)
        for here in dict.fromkeys((self.here, self.node.home.node)):
            for name, pid in self.holders.of(here):
                self.freed(self.holders.gone(name, pid, "lease_lost"))
                self.tell_all(("gone", name, pid, "lease_lost"))

    def resume(self) -> None:
        """Those who stood by when the lease server before this one ended go on to."""
        for pid in self.holders.watching():
            self.watch(pid)
        for (name, pid), contest in list(self.contests.items()):
            self.begin(name, pid, contest.candidate.quorum).ref = contest.ref

    def stop(self, from_: From) -> None:
        """The node stops: those who hold a name are killed, as all will be, and nobody gets one.

        The answer comes when what they held is over and the granters have heard of it.
        """
        self.closed = True
        self.stopping.append(from_)
        for contest in list(self.contests.values()):
            self.granters |= dict.fromkeys(contest.candidate.places)
            if contest.announced:
                process.exit(contest.candidate.pid, KILL)
            else:
                self.refuse(contest)
        if not self.contests:
            self.stopped()

    def stopped(self) -> None:
        """Nothing is held here any more: ask the granters whether they have heard."""
        self.granters = {node: None for node in self.granters if peers.sees(self.node, node)}
        for node in self.granters:
            self.send(node, ("sync",))
        self.heard(None)

    def heard(self, node: str | None) -> None:
        """A granter has heard all that we sent, or is out of reach."""
        if node is not None:
            self.granters.pop(node, None)
        if self.closed and not self.contests and not self.granters:
            for from_ in self.stopping:
                gen_server.reply(from_, None)
            self.stopping.clear()

    # Other members.

    def change(self, from_: From, name: Any, action: str, member: str) -> None:
        """Let the node be a member, or be none; the answer comes when that is so."""
        contest = self.holding(name)
        if contest is None:
            gen_server.reply(from_, "not_holder")
            return
        members = [node for node in contest.candidate.quorum.members if node != member]
        if action == "add":
            members.append(member)
        wish = tuple(sorted(members))
        effects = contest.candidate.change(wish, self.now())
        if isinstance(effects, str):
            gen_server.reply(from_, effects)
            return
        contest.change = (from_, wish)
        self.contend(contest, effects)

    def changed(self, contest: Contest, members: tuple[str, ...]) -> None:
        """The members are these now; none: it is not ours to say any more."""
        if contest.change is not None:
            (from_, wish), contest.change = contest.change, None
            other = "busy" if members else "not_holder"
            gen_server.reply(from_, "changed" if members == wish else other)


def held(contest: Contest) -> tuple[str, Any, Pid, int]:
    """How the others are told of a holder."""
    candidate = contest.candidate
    return "held", candidate.name, candidate.pid, candidate.first
