"""The name server of one node: the process around the machines of names and of locks.

Nothing that another node sends and nothing that a user's resolver does ends it.
"""

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from otpy.behaviours import gen_server
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok, Reply
from otpy.distribution.codec import function_of
from otpy.machines import global_locks
from otpy.machines.global_ import (
    Answer,
    Effects,
    ExitPid,
    Freed,
    Names,
    Notify,
    Resolve,
    Send,
    Unwatch,
    Watch,
)
from otpy.machines.global_locks import GiveBack, Locks, TableEvent, Take
from otpy.machines.global_messages import wanted_of
from otpy.machines.often import Often
from otpy.runtime import peers, process
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.runtime.node import Node
from otpy.terms.errors import NotDistributed, NotSendable
from otpy.terms.messages import Down, NameFree, NodeDown, NodeUp
from otpy.terms.names import At, is_node_name
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOPROC, is_word
from otpy.terms.signals import Message
from otpy.terms.values import is_hashable

LOG = logging.getLogger("otpy.global")
SERVER = "global_name_server"
AGAIN = ("again",)  # between servers: take me for a node that has just come up
RESOLVER_DEADLINE = 5.0  # seconds a resolver function may take


class Service(Protocol):
    """What the server needs of the name service it belongs to."""

    names: Names
    often: Often | None


def server_of(node: Node) -> Pid:
    """The name server of a node. Raises ``NotDistributed``."""
    pid = node.names.whereis(SERVER)
    if pid is None:
        raise NotDistributed(
            f"the global name server of {node.name} does not run; call global_.start(node) first"
        )
    return pid


class Server(GenServer["State"]):
    """The process."""

    kind = "cluster"

    def init(self, arg: Service) -> Ok["State"]:
        process.flag(trap_exit=True)
        state = State(arg)
        for peer in peers.watch(current()):
            state.node_up(peer)
        return Ok(state)

    def handle_call(self, request: Any, from_: From, state: "State") -> Any:
        match request:
            case ("register", parts) if (wanted := wanted_of(parts)) is not None:
                state.do(state.names.register(state.asked(from_), wanted))
                return NoReply()
            case ("register_or_monitor", parts, Ref() as ref) if (
                wanted := wanted_of(parts)
            ) is not None:
                state.do(state.names.register(state.asked(from_), wanted, (wanted.pid, ref)))
                return NoReply()
            case ("unregister", name) if is_hashable(name):
                state.do(state.names.unregister(name))
                return Reply(None)
            case ("lock", (resource, requester)) if is_hashable(resource):
                state.lock(Take(from_, resource, requester, from_.pid))
                return NoReply()
            case ("unlock", (resource, requester)) if is_hashable(resource):
                state.lock(GiveBack(from_, resource, requester, from_.pid))
                return NoReply()
            case ("sync",):
                return Reply(None)
            case ("renamed", str(name)):
                state.names.rename(name)
                return Reply(None)
            case _:
                name = state.node.name
                LOG.warning("%s: the name server does not know the call %r", name, request)
                return NoReply()  # OTP's does not answer either

    def handle_cast(self, request: Any, state: "State") -> None:
        match request:
            case ("monitor", name, Pid() as pid, Ref() as ref) if is_hashable(name):
                state.do(state.names.monitor(name, pid, ref))
            case _:
                LOG.warning(
                    "%s: the name server does not know the cast %r", state.node.name, request
                )

    def handle_info(self, message: Any, state: "State") -> None:
        match message:
            case ("global", str(sender), body):
                state.message(sender, body)
            case NodeUp(peer) if is_node_name(peer):
                state.node_up(peer)
            case NodeDown(peer) if is_node_name(peer):
                state.lock(global_locks.NodeDown(peer))
                state.node_down(peer)
            case Down(Ref() as ref, _, reason):
                state.down(ref, reason)
            case ("resolver_deadline", Ref() as ref):
                state.too_late(ref)
            case _:
                pass  # garbage is ignored, as in OTP


@dataclass(slots=True)
class Conflict:
    """A resolver function at work."""

    name: Any
    first: Pid
    second: Pid
    pid: Pid
    timer: Ref


class State:
    """The machines, and whom they watch."""

    def __init__(self, service: Service) -> None:
        self.node = current().node
        self.names = service.names
        self.often = service.often
        self.locks = Locks()
        self.watched: dict[tuple[str, Any], Ref] = {}  # by machine, and pid or node
        self.refs: dict[Ref, tuple[str, Any]] = {}
        self.conflicts: dict[Ref, Conflict] = {}
        self.requests: dict[int, From] = {}  # by the number that stands for it in messages
        self.heard: dict[str, None] = {}  # which name servers have spoken since they came up

    def asked(self, from_: From) -> int:
        """A number for a request, which no earlier server or life of this node has used."""
        number = (self.node.home.bits & 0x7FFFFFFF) << 32 | next(self.node.numbers) & 0xFFFFFFFF
        self.requests[number] = from_
        return number

    # What the machines want.

    def do(self, effects: Effects) -> None:
        """Carry out what the machine of names decided."""
        for effect in effects:
            match effect:
                case Send(node, message):
                    self.send(node, message)
                case Answer(request, value, others, name):
                    if value:
                        self.registered(name)
                    gen_server.reply(self.requests.pop(request), (value, others))
                case Watch(pid):
                    self.watch("names", pid, pid)
                case Unwatch(pid):
                    self.unwatch("names", pid)
                case Freed(name, reason, watchers):
                    for pid, ref in watchers:
                        process.send(pid, NameFree(ref, name, reason))
                case ExitPid(pid, reason):
                    process.exit(pid, reason)
                case Notify(pid, message):
                    process.send(pid, message)
                case Resolve(name, first, second, resolver):
                    self.resolve(name, first, second, resolver)

    def registered(self, name: Any) -> None:
        """A process of this node has registered a name; every node was told."""
        told = self.often and self.often.happened(self.node.clock.now())
        if not told:
            return
        self.node.events.emit(
            "names_registered_often",
            name=name,
            count=told.count,
            seconds=told.seconds,
            rate=told.rate,
        )
        LOG.warning(
            "%s: %d global names registered within %.1f s, the last one %r: each is told to every "
            "node, and granted by one; otpy.registry on one node, or otpy.pg, does better",
            self.node.name,
            told.count,
            told.seconds,
            name,
        )

    def lock(self, event: TableEvent) -> None:
        """Bring an event to the lock table."""
        for effect in self.locks.handle(event):
            match effect:
                case global_locks.Reply(request, value):
                    gen_server.reply(request, value)
                case global_locks.Watch(pid):
                    self.watch("locks", pid, pid)
                case global_locks.Unwatch(pid):
                    self.unwatch("locks", pid)

    def send(self, node: str, message: tuple[Any, ...]) -> None:
        """A message for the name server of another node."""
        me = current()
        dest, mine = At(SERVER, node), self.node.name
        try:
            self.node.send_signal(me, Message(me.pid, dest, ("global", mine, message)))
        except NotSendable as error:
            # An exit reason may be anything; names and resolvers were checked before.
            LOG.error("%s: %s to %s: %s", mine, message[0], node, error)
            if message[0] == "gone":
                told = (*message[:-1], ("not_sendable", str(error)))
                self.node.send_signal(me, Message(me.pid, dest, ("global", mine, told)))

    def watch(self, machine: str, who: Any, target: Pid | At) -> None:
        """Hear of the end of a process, once for each machine."""
        if (machine, who) not in self.watched:
            ref = process.monitor(target)
            self.watched[machine, who] = ref
            self.refs[ref] = (machine, who)

    def unwatch(self, machine: str, who: Any) -> None:
        """Undo ``watch``."""
        ref = self.watched.pop((machine, who), None)
        if ref is not None:
            del self.refs[ref]
            process.demonitor(ref, flush=True)

    # What happens.

    def message(self, sender: str, body: Any) -> None:
        """A message of another name server; the first one may be how we learn of it."""
        if not peers.sees(self.node, sender):
            return
        if body == AGAIN:
            self.node_down(sender)
            self.node_up(sender)
            return
        if sender not in self.names.peers:
            first = isinstance(body, tuple) and body[:1] == ("sync",)
            if not first:
                self.send(sender, AGAIN)  # we have lost what it told us before
            self.node_up(sender)
            if not first:
                return
        self.heard[sender] = None
        self.do(self.names.message(sender, body))

    def node_up(self, peer: str) -> None:
        """A node came up. It takes part for as long as a name server runs there."""
        if peer not in self.names.peers:
            self.watch("server", peer, At(SERVER, peer))
            self.do(self.names.node_up(peer))

    def node_down(self, peer: str) -> None:
        """A node went down, or its name server did."""
        self.heard.pop(peer, None)
        self.unwatch("server", peer)
        self.do(self.names.node_down(peer))

    def server_down(self, peer: str, reason: Any) -> None:
        """The name server of another node ended, or was not there when we looked for it."""
        heard = is_word(reason, NOPROC) and peer in self.heard
        self.node_down(peer)
        if heard and peers.sees(self.node, peer):
            # It began just after the look, and has spoken to us already. What we told it may
            # have come too early: both begin anew.
            self.send(peer, AGAIN)
            self.node_up(peer)

    def down(self, ref: Ref, reason: Any) -> None:
        """A watched process ended."""
        if ref in self.conflicts:
            self.decided(ref, reason)
            return
        found = self.refs.pop(ref, None)
        if found is None:
            return
        machine, who = found
        del self.watched[machine, who]
        if machine == "names":
            self.do(self.names.pid_down(who, reason))
        elif machine == "locks":
            self.lock(global_locks.PidDown(who))
        else:
            self.server_down(who, reason)

    # Resolver functions.

    def resolve(self, name: Any, first: Pid, second: Pid, resolver: str) -> None:
        """Run a user's resolver in a thread process of its own, with a deadline."""
        pid, ref = process.spawn_monitor(_decide, resolver, name, first, second)
        timer = process.send_after(
            process.self_pid(), ("resolver_deadline", ref), RESOLVER_DEADLINE
        )
        self.conflicts[ref] = Conflict(name, first, second, pid, timer)

    def too_late(self, ref: Ref) -> None:
        """The deadline of a resolver has passed."""
        conflict = self.conflicts.get(ref)
        if conflict is not None:
            process.exit(conflict.pid, "kill")

    def decided(self, ref: Ref, reason: Any) -> None:
        """A resolver ended: with its choice, or without one."""
        conflict = self.conflicts.pop(ref)
        process.cancel_timer(conflict.timer)
        first, second = conflict.first, conflict.second
        winner: Pid | None = first
        match reason:
            case ("decided", value):
                winner = value if isinstance(value, Pid) and value in (first, second) else None
            case _:
                LOG.error(
                    "%s: the resolver of %r gave no answer (%r); %r keeps the name",
                    self.node.name,
                    conflict.name,
                    reason,
                    first,
                )
        self.do(self.names.resolved(conflict.name, first, second, winner))


def _decide(resolver: str, name: Any, first: Pid, second: Pid) -> None:
    process.exit(("decided", function_of(resolver)(name, first, second)))
