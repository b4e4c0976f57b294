"""The lease server of one node: the process around the machines of leases.

It grants for other nodes, and asks for the processes of its own that want a name. A process that
may stand by is told with ``NameFree`` when its lease is there, and announced as the holder when
it has come to take it.
"""

import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

from otpy.behaviours import gen_server
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok
from otpy.cluster._lease_store import LeaseStore
from otpy.machines.lease import (
    HOLDING,
    Candidate,
    Changed,
    Lost,
    Mistake,
    Refusals,
    Won,
)
from otpy.machines.lease import Effects as CandidateEffects
from otpy.machines.lease_granter import Effects as GranterEffects
from otpy.machines.lease_granter import Granter, Record, Send, Write
from otpy.machines.lease_holders import Freed, Holders
from otpy.machines.lease_messages import Ask, Propose, Quorum, Release, read
from otpy.runtime import peers, process
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.terms.errors import BadArgument, NotSendable
from otpy.terms.messages import Down, NameFree, NodeDown, NodeUp
from otpy.terms.names import At, is_node_name, quorum_of
from otpy.terms.pid import Pid, Ref
from otpy.terms.signals import Message
from otpy.terms.values import is_hashable

LOG = logging.getLogger("otpy.global")
SERVER = "global_lease_server"
PATIENCE = 2.0  # leases: as long as a process that may not stand by waits for a majority


@dataclass(slots=True)
class Contest:
    """A process of this node that wants a name, or has it.

    ``request`` waits for an answer until ``deadline``; without a deadline the process stands by,
    and ``NameFree(ref)`` tells it of its lease. ``announced``: all know that it holds the name.
    """

    candidate: Candidate
    request: From | None = None
    deadline: float = float("inf")
    ref: Ref | None = None
    token: int | None = None
    announced: bool = False
    change: tuple[From, tuple[str, ...]] | None = None

    @property
    def wake(self) -> float:
        """When there is something to do."""
        return min(self.candidate.wake, self.deadline)


class Service(Protocol):
    """What the server needs of the service it belongs to."""

    lease_time: float
    store: LeaseStore | None
    records: tuple[Record, ...]
    holders: Holders
    contests: dict[tuple[Any, Pid], Contest]

    def whereis(self, name: Any) -> Pid | None: ...


class LeaseServer(GenServer["State"], kernel=True):
    """The process."""

    def init(self, arg: Service) -> Ok["State"]:
        process.flag(trap_exit=True)
        me = current()
        me.node.node_watchers[me.pid] = {"visible": 1}
        state = State(arg)
        for peer in peers.visible(me.node):
            state.node_up(peer)
        return Ok(state)

    def handle_call(self, request: Any, from_: From, state: "State") -> Any:
        state.call(request, from_)
        state.rest()
        return NoReply()

    def handle_cast(self, request: Any, state: "State") -> None:
        state.cast(request)
        state.rest()

    def handle_info(self, message: Any, state: "State") -> None:
        state.info(message)
        state.rest()


class State:
    """The machines, and what they wait for."""

    def __init__(self, service: Service) -> None:
        self.node = current().node
        self.here = self.node.name
        self.lease = service.lease_time
        self.holders = service.holders
        self.contests = service.contests
        self.whereis = service.whereis
        self.store = service.store
        durable = self.store is not None
        self.granter = Granter(self.here, self.lease, self.now(), durable, service.records)
        self.asked: dict[Any, int] = {}  # the greatest token that a former candidate asked for
        self.own: deque[Any] = deque()  # messages of this node's machines for each other
        self.watched: dict[Pid, Ref] = {}
        self.timer: tuple[float, Ref] | None = None

    def now(self) -> float:
        """The clock of leases, which runs through a suspend."""
        return self.node.clock.boottime()

    # What the machines want.

    def grant(self, effects: GranterEffects) -> None:
        """Carry out what the granter decided, the disk first."""
        for effect in effects:
            match effect:
                case Write(record):
                    if not self.write(record):
                        return  # who asked is not answered, so nothing rests on it
                case Send(node, message):
                    self.send(node, message)

    def write(self, record: Record) -> bool:
        """Whether the record is on the disk now."""
        assert self.store is not None
        try:
            if self.node.simulated:
                self.store.write(record)
            else:
                process.blocking(self.store.write, record)
        except OSError as error:
            LOG.error(
                "%s: cannot write the promise of %r in state_dir (%s); it is not given",
                self.here,
                record.name,
                error,
            )
            self.granter.unwritten(record)
            return False
        return True

    def contend(self, contest: Contest, effects: CandidateEffects) -> None:
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
                    if contest.deadline == float("inf"):
                        self.answer(contest, False)
                case Mistake(node, why, quorum):
                    LOG.error(
                        "%s: %s does not grant %r: %s; it has %r and leases of its lease_time, "
                        "we have %r and %s s",
                        self.here,
                        node,
                        candidate.name,
                        why,
                        quorum,
                        candidate.quorum,
                        self.lease,
                    )
                case Changed(quorum):
                    LOG.info("%s: %r has the members %r", self.here, candidate.name, quorum)
                    self.changed(contest, quorum.members)

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

    def rest(self) -> None:
        """Deliver what our machines have for each other, and see to the timer."""
        while self.own:
            self.dispatch(self.here, self.own.popleft())
        wake = min((contest.wake for contest in self.contests.values()), default=float("inf"))
        if wake == float("inf") or (self.timer is not None and self.timer[0] <= wake):
            return
        if self.timer is not None:
            process.cancel_timer(self.timer[1], info=False)
        timer = process.send_after(
            process.self_pid(), ("lease_due", wake), max(0.0, wake - self.now())
        )
        self.timer = (wake, timer)

    # What comes in.

    def call(self, request: Any, from_: From) -> None:
        """Of the functions of ``global_``."""
        match request:
            case ("register", name, Pid() as pid, given, None | Ref() as ref) if (
                is_hashable(name) and (quorum := _configured(given)) is not None
            ):
                self.register(from_, name, pid, quorum, ref)
            case ("unregister", name):
                self.unregister(name)
                gen_server.reply(from_, None)
            case ("change", name, str(action), str(member)):
                self.change(from_, name, action, member)
            case ("members", name):
                contest = self.holding(name)
                found = None if contest is None else contest.candidate.quorum.members
                gen_server.reply(from_, found)
            case _:
                LOG.warning("%s: the lease server does not know the call %r", self.here, request)

    def cast(self, request: Any) -> None:
        """Of the functions of ``global_``."""
        match request:
            case ("monitor", name, Pid() as pid, Ref() as ref) if is_hashable(name):
                self.watch(pid)
                self.freed(self.holders.monitor(name, pid, ref))
            case _:
                LOG.warning("%s: the lease server does not know the cast %r", self.here, request)

    def info(self, message: Any) -> None:
        """Of other lease servers, of nodes, processes and time."""
        match message:
            case ("lease", str(sender), body):
                self.message(sender, body)
            case ("lease_due", float(wake)):
                self.due(wake)
            case NodeUp(peer) if is_node_name(peer):
                self.node_up(peer)
            case NodeDown(peer) if is_node_name(peer):
                self.node_down(peer)
            case Down(_, Pid() as pid, reason):
                self.down(pid, reason)
            case _:
                pass  # garbage is ignored, as by the name server

    # What happens.

    def message(self, sender: str, body: Any) -> None:
        """A message of another lease server."""
        if not peers.sees(self.node, sender):
            return
        match body:
            case ("held", name, Pid() as pid, int(token)) if self.is_of(name, pid, sender):
                self.holders.held(name, pid, token)
                self.give_way(name)
            case ("gone", name, Pid() as pid, reason) if self.is_of(name, pid, sender):
                self.freed(self.holders.gone(name, pid, reason))
            case ("hello",) if type(body) is tuple:
                for contest in self.contests.values():
                    if contest.announced:
                        self.send(sender, held(contest))
            case _:
                self.dispatch(sender, body)

    def is_of(self, name: Any, pid: Pid, sender: str) -> bool:
        """Whether a node may say so: of its own processes only."""
        return is_hashable(name) and pid.node == sender

    def dispatch(self, sender: str, body: Any) -> None:
        """A message for one of the machines."""
        message = read(body)
        if message is None:
            return
        if isinstance(message, Ask | Release | Propose):
            self.grant(self.granter.message(sender, message, self.now()))
            return
        for contest in self.of(message.name):
            now, chance = self.now(), self.node.entropy.random()
            self.contend(contest, contest.candidate.message(sender, message, now, chance))

    def of(self, name: Any) -> list[Contest]:
        """The contests for a name."""
        return [one for (wanted, _), one in self.contests.items() if wanted == name]

    def holding(self, name: Any) -> Contest | None:
        """The contest of a process of ours that holds the name."""
        return next((one for one in self.of(name) if one.candidate.state == HOLDING), None)

    def due(self, wake: float) -> None:
        """The timer has fired."""
        if self.timer is not None and self.timer[0] == wake:
            self.timer = None
        now = self.now()
        for contest in list(self.contests.values()):
            if contest.candidate.wake <= now:
                effects = contest.candidate.tick(now, self.node.entropy.random())
                self.contend(contest, effects)
            if contest.deadline <= now:
                self.refuse(contest)

    def node_up(self, peer: str) -> None:
        """A node came up: it tells us who holds what there."""
        self.granter.node_up(peer)
        self.send(peer, ("hello",))
        for contest in self.contests.values():
            contest.candidate.node_up(peer, self.now(), self.node.entropy.random())

    def node_down(self, peer: str) -> None:
        """A node went down."""
        self.granter.node_down(peer)
        for contest in self.contests.values():
            contest.candidate.node_down(peer)
        self.freed(self.holders.node_down(peer))

    def down(self, pid: Pid, reason: Any) -> None:
        """A process of ours ended."""
        self.watched.pop(pid, None)
        self.holders.pid_down(pid)
        for contest in list(self.contests.values()):
            if contest.candidate.pid == pid:
                self.end(contest, reason)

    # Registrations.

    def register(self, from_: From, name: Any, pid: Pid, quorum: Quorum, ref: Ref | None) -> None:
        """A process wants the name; with ``ref`` it may stand by."""
        contest = self.contests.get((name, pid))
        if contest is None:
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

    def begin(self, name: Any, pid: Pid, quorum: Quorum) -> Contest:
        """A new contest, which asks at once."""
        asked = self.asked.get(name, 0)
        others = tuple(peers.visible(self.node))
        candidate = Candidate(self.here, name, pid, quorum, self.lease, others, asked)
        contest = self.contests[name, pid] = Contest(candidate)
        self.watch(pid)
        return contest

    def watch(self, pid: Pid) -> None:
        """Hear of the end of a process of ours, once."""
        if pid not in self.watched:
            self.watched[pid] = process.monitor(pid)

    def answer(self, contest: Contest, ok: bool) -> None:
        """The answer to its registration, if it still waits for one."""
        request, contest.request = contest.request, None
        contest.deadline = float("inf")
        if request is not None:
            gen_server.reply(request, ok)

    def won(self, contest: Contest) -> None:
        """Its lease is there. Who stands by must come and take it."""
        if contest.request is not None:
            self.announce(contest)
        elif contest.ref is not None:
            name, ref, contest.ref = contest.candidate.name, contest.ref, None
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
            if contest.deadline < float("inf") and self.whereis(name) is not None:
                self.refuse(contest)

    def refuse(self, contest: Contest) -> None:
        """It does not get the name."""
        self.answer(contest, False)
        self.end(contest, "refused")

    def lost(self, contest: Contest) -> None:
        """It could not renew: demoted, before another can hold the name."""
        candidate = contest.candidate
        self.end(contest, "lease_lost")
        process.exit(candidate.pid, ("lease_lost", candidate.name))

    def end(self, contest: Contest, reason: Any) -> None:
        """The contest is over; the lease ends before anybody hears of it."""
        candidate = contest.candidate
        name, pid = candidate.name, candidate.pid
        self.contests.pop((name, pid), None)
        self.asked[name] = max(self.asked.get(name, 0), candidate.token)
        effects = candidate.end()
        self.changed(contest, ())
        self.answer(contest, False)
        if contest.announced:
            self.freed(self.holders.gone(name, pid, reason))
            self.tell_all(("gone", name, pid, reason))
        self.contend(contest, effects)

    def unregister(self, name: Any) -> None:
        """Free a name that a process of ours holds."""
        contest = self.holding(name)
        if contest is not None:
            self.end(contest, "unregistered")

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


def _configured(quorum: Any) -> Quorum | None:
    """A quorum as a registration gives it; None if it is none."""
    try:
        return Quorum.of(quorum_of(quorum))
    except BadArgument:
        return None


def held(contest: Contest) -> tuple[str, Any, Pid, int]:
    """How the others are told of a holder."""
    candidate = contest.candidate
    return "held", candidate.name, candidate.pid, candidate.first
