"""The scopes of a node, and the process of each: it drives the machine of groups.

A scope's table belongs to its process and ends with it, as an ETS table does. Those who read
copy lists of the table. Only the process changes it, except that a monitor is set and taken
away by whoever monitors: so that needs no answer, and works where waiting is not allowed.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import Ok, Reply
from otpy.cluster._deaths import Deaths
from otpy.distribution.codec import DecodeError, decode, encode
from otpy.machines.patterns import PLAIN
from otpy.machines.pg import Discover, Effects, Groups, More, Send, Tell, Unwatch, Watch
from otpy.machines.pg_messages import Key, read, weight
from otpy.runtime import peers, process
from otpy.runtime._current import current
from otpy.runtime.mail import From
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument
from otpy.terms.messages import Down, GroupJoin, GroupLeave, NodeDown, NodeUp
from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import is_hashable, is_tuple

LONGEST = 64 * 1024  # bytes of a group's name; it stands in every message about the group


def key_of(group: Any) -> Key:
    """What a group is kept and sent as. Raises ``BadArgument``, ``NotSendable``."""
    if type(group) in PLAIN:
        return group
    if not is_hashable(group):
        raise BadArgument(f"group {group!r:.80}; expected a value that has a hash")
    return (encode(group, "group"),)


def checked_key(group: Any) -> Key:
    """As ``key_of``, for a group that others are to hear of."""
    key = key_of(group)
    encode(key, "group")
    if weight(key) > LONGEST:
        raise BadArgument(f"group {group!r:.80} takes {weight(key)} bytes; at most {LONGEST}")
    return key


def readable(keys: Sequence[Key]) -> list[tuple[Key, Any]]:
    """The groups behind the keys, without those that nobody on this node can name.

    A value of a class that is not loaded here cannot be made.
    """
    found: list[tuple[Key, Any]] = []
    for key in keys:
        try:
            found.append((key, decode(key[0]) if is_tuple(key) else key))
        except DecodeError:
            continue
    return found


class Scope:
    """What a scope's process shares. Whoever changes ``groups`` holds the lock."""

    __slots__ = ("__weakref__", "groups", "lock", "name", "pid")

    def __init__(self, name: str, pid: Pid) -> None:
        self.name = name
        self.pid = pid
        self.groups = Groups(pid)
        self.lock = threading.Lock()


class Scopes:
    """The scopes of one node, and which processes of other nodes are known to be dead."""

    def __init__(self) -> None:
        # Each is held by its process alone, and goes with it, however that ends.
        self.table: WeakValueDictionary[str, Scope] = WeakValueDictionary()
        self.deaths = Deaths(self._hold)

    def _hold(self, pid: Pid) -> bool:
        return any(scope.groups.holds(pid) for scope in list(self.table.values()))

    def find(self, node: Node, name: str) -> Scope | None:
        """The scope of that name, if its process is alive."""
        scope = self.table.get(name)
        return scope if scope is not None and scope.pid in node.procs else None

    def living(self, node: Node, pids: list[Pid]) -> list[Pid]:
        """Those of which the node does not know that they have ended or are out of reach."""
        procs, peers, masks = node.procs, node.peers, self.deaths.masks
        return [
            pid
            for pid in pids
            if pid in procs
            or (
                (life := peers.get(pid.node)) is not None
                and life.bits == pid.bits
                and life.started == pid.started
                and pid not in masks
            )
        ]


@dataclass(frozen=True, slots=True)
class Join:
    """Processes of this node want to join: a call."""

    key: Key
    pids: list[Pid]


@dataclass(frozen=True, slots=True)
class Leave:
    """Processes of this node want to leave: a call; whether one was a member."""

    key: Key
    pids: list[Pid]


@dataclass(frozen=True, slots=True)
class Look:
    """To the scope's process: whether you have to watch this one has changed."""

    pid: Pid


class Server(GenServer["State"], kernel=True):
    """The process. What it does not know ends it, as in OTP."""

    def init(self, arg: str) -> Ok["State"]:
        me = current()
        state = State(me.node, Scope(arg, me.pid))
        scopes = me.node.own(Scopes)
        me.node.masks["pg"] = scopes.deaths.mask
        scopes.table[arg] = state.scope
        for peer in peers.watch(me):
            state.do(state.groups.node_up(peer))
        return Ok(state)

    def handle_call(self, request: Any, from_: From, state: "State") -> Reply["State"]:
        match request:
            case Join(key, pids):
                with state.scope.lock:
                    effects = state.groups.join(key, pids)
                state.do(effects)
                return Reply(None)
            case Leave(key, pids):
                with state.scope.lock:
                    found, effects = state.groups.leave(key, pids)
                state.do(effects)
                return Reply(found)
            case _:
                raise BadArgument(f"the scope {state.scope.name!r} got the call {request!r:.80}")

    def handle_cast(self, request: Any, state: "State") -> None:
        raise BadArgument(f"the scope {state.scope.name!r} got the cast {request!r:.80}")

    def handle_info(self, message: Any, state: "State") -> None:
        match message:
            case ("pg", body) if (checked := read(body)) is not None:
                state.message(checked)
            case More(pid):
                with state.scope.lock:
                    effects = state.groups.more(pid)
                state.do(effects)
            case Look(pid):
                state.look(pid)
            case Down(ref, _, _):
                state.down(ref)
            case NodeUp(peer):
                state.do(state.groups.node_up(peer))
            case NodeDown():
                pass  # the end of its scope's process tells more: it may have been there or not
            case _:
                name = state.scope.name
                raise BadArgument(f"the scope {name!r} got the message {message!r:.80}")


class State:
    """The machine, and whom it watches."""

    def __init__(self, node: Node, scope: Scope) -> None:
        self.node = node
        self.scope = scope
        self.groups = scope.groups
        self.watched: dict[Pid, Ref] = {}
        self.refs: dict[Ref, Pid] = {}

    def do(self, effects: Effects) -> None:
        """Carry out what the machine decided."""
        for effect in effects:
            match effect:
                case Send(pid, message):
                    process.send(pid, ("pg", message))
                case Tell(refs, joined, key, pids):
                    self.tell(refs, GroupJoin if joined else GroupLeave, key, pids)
                case Watch(pid):
                    self.watch(pid)
                case Unwatch(pid):
                    self.unwatch(pid)
                case Discover(peer):
                    hello = ("pg", ("discover", self.scope.pid))
                    process.send(At(self.scope.name, peer), hello)
                case More():
                    # Not a message at once: the scheduler looks at what other threads and
                    # nodes have brought only when nobody is ready.
                    process.send_after(self.scope.pid, effect, 0.0)

    def tell(
        self,
        refs: list[Ref],
        event: type[GroupJoin] | type[GroupLeave],
        key: Key,
        pids: tuple[Pid, ...],
    ) -> None:
        """Send an event to the monitors, which are aliases."""
        for _, group in readable([key]):
            for ref in refs:
                process.send(ref, event(ref, group, pids))

    def watch(self, pid: Pid) -> None:
        """Hear of the end of a process, once."""
        if pid not in self.watched:
            ref = process.monitor(pid)
            self.watched[pid] = ref
            self.refs[ref] = pid

    def unwatch(self, pid: Pid) -> None:
        """Undo ``watch``."""
        ref = self.watched.pop(pid, None)
        if ref is not None:
            del self.refs[ref]
            process.demonitor(ref, flush=True)

    def look(self, pid: Pid) -> None:
        """A process of this node began to monitor, or monitors no more."""
        (self.watch if self.groups.concerns(pid) else self.unwatch)(pid)

    def down(self, ref: Ref) -> None:
        """A watched process ended, or is out of reach."""
        pid = self.refs.pop(ref, None)
        if pid is None:
            return
        del self.watched[pid]
        with self.scope.lock:
            groups = self.groups
            here = self.node.is_here(pid)
            effects = groups.pid_down(pid) if here else groups.peer_down(pid)
        self.do(effects)

    def message(self, message: tuple[Any, ...]) -> None:
        """What the scope's process of another node says, if the session with it still runs."""
        pid: Pid = message[1]
        life = self.node.peers.get(pid.node)
        if life is None or life.bits != pid.bits or life.started != pid.started:
            return  # it will discover us again, or its next life will
        if pid.node in self.node.hidden:
            return
        with self.scope.lock:
            effects = self.groups.message(message)
        self.do(effects)
