"""The lease server of one node: the process around the machines of leases.

It grants for other nodes, and asks for the processes of its own that want a name
(``_lease_contests.py``). A process that may stand by is told with ``NameFree`` when its lease is
there, and announced as the holder when it has come to take it. ``_lease_keeper.py`` starts it, and
starts it again when it has ended: then its processes hold nothing any more.
"""

import logging
from collections.abc import Callable
from typing import Any, assert_never

from otpy.behaviours import gen_server
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok
from otpy.cluster._lease_contests import NEVER, Contests, Service, held
from otpy.cluster._lease_store import Kept
from otpy.machines.lease import HOLDING
from otpy.machines.lease_granter import Drop, Effects, Granter, Record, Send, Write
from otpy.machines.lease_messages import Ask, Propose, Quorum, Release, read
from otpy.runtime import peers, process
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.terms.errors import BadArgument
from otpy.terms.messages import Down, NameFree, NodeDown, NodeUp
from otpy.terms.names import is_node_name, quorum_of
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import is_hashable

LOG = logging.getLogger("otpy.global")


class LeaseServer(GenServer["State"]):
    """The process."""

    kind = "cluster"

    def init(self, arg: Service) -> Ok["State"]:
        process.flag(trap_exit=True)
        state = State(arg)
        for peer in peers.watch(current()):
            state.node_up(peer)
        state.rest()
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

    def terminate(self, reason: Any, state: "State") -> None:
        state.abandon()


class State(Contests):
    """The machines, and what they wait for."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.timer: tuple[float, Ref] | None = None
        self.abandon()
        self.resume()
        kept = self.load()
        self.life = kept.life
        durable = service.store is not None
        self.granter = Granter(self.here, self.lease, self.now(), durable, kept.records, kept.floor)

    def renamed(self, here: str) -> None:
        """This node has another name: nothing that it holds or has promised is of that one.

        So its holders are demoted, and it grants nothing before a promise of any node of that
        name that may have run before is over. Who stands by asks anew.
        """
        self.here = here
        self.granter = Granter(here, self.lease, self.now())
        for contest in list(self.contests.values()):
            name, pid, ref = contest.candidate.name, contest.candidate.pid, contest.ref
            if contest.candidate.state == HOLDING:
                self.lost(contest)
            else:
                self.end(contest, "renamed")
                if ref is not None:
                    process.send(pid, NameFree(ref, name, "renamed"))

    # The disk.

    def load(self) -> Kept:
        """What this node has granted before. Raises as ``LeaseStore.load``."""
        kept, self.service.kept = self.service.kept, None
        store = self.service.store
        if store is None:
            return Kept(0, (), 0)
        if kept is not None:
            return kept  # read by who started the service
        return store.load() if self.node.simulated else process.blocking(store.load)

    def disk(self, what: str, so: str, fn: Callable[..., None], *args: Any) -> bool:
        """Whether it is on the disk now."""
        try:
            if self.node.simulated:
                fn(self.life, *args)
            else:
                process.blocking(fn, self.life, *args)
        except OSError as error:
            LOG.error("%s: cannot write %s in state_dir (%s); it %s", self.here, what, error, so)
            return False
        return True

    # What the machines want.

    def grant(self, effects: Effects) -> None:
        """Carry out what the granter decided, the disk first."""
        for effect in effects:
            match effect:
                case Write(record):
                    if not self.write(record):
                        return  # who asked is not answered, so nothing rests on it
                case Drop(names, floor):
                    self.drop(names, floor)
                case Send(node, message):
                    self.send(node, message)
                case _:
                    assert_never(effect)

    def write(self, record: Record) -> bool:
        """Whether the record is on the disk now."""
        store = self.service.store
        assert store is not None
        if self.disk(f"the promise of {record.name!r}", "is not given", store.write, record):
            return True
        self.granter.unwritten(record)
        return False

    def drop(self, names: list[Any], floor: int) -> None:
        """Names that the disk need not keep; if it does, the next life drops them."""
        store = self.service.store
        assert store is not None
        self.disk("what is over", "stays there", store.drop, names, floor)

    def rest(self) -> None:
        """Deliver what our machines have for each other, and see to the timer."""
        while self.own:
            self.dispatch(self.here, self.own.popleft())
        wake = min((contest.wake for contest in self.contests.values()), default=NEVER)
        if wake == NEVER or (self.timer is not None and self.timer[0] <= wake):
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
            case ("stop",):
                self.stop(from_)
            case ("renamed", str(here)):
                self.renamed(here)
                gen_server.reply(from_, None)
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
            case ("sync",) if type(body) is tuple:
                self.send(sender, ("synced",))
            case ("synced",) if type(body) is tuple:
                self.heard(sender)
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

    def due(self, wake: float) -> None:
        """The timer has fired."""
        if self.timer is not None and self.timer[0] == wake:
            self.timer = None
        now = self.now()
        for contest in list(self.contests.values()):
            if contest.candidate.wake <= now:
                self.tick(contest)
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
        self.heard(peer)

    def down(self, pid: Pid, reason: Any) -> None:
        """A process of ours ended."""
        self.watched.pop(pid, None)
        self.holders.pid_down(pid)
        for contest in list(self.contests.values()):
            if contest.candidate.pid == pid:
                self.end(contest, reason)


def _configured(quorum: Any) -> Quorum | None:
    """A quorum as a registration gives it; None if it is none."""
    try:
        return Quorum.of(quorum_of(quorum))
    except BadArgument:
        return None
