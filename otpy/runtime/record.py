"""The process record: state and transitions that every executor shares.

Two rules. A record's fields are touched only by its owner: the scheduler's
thread for a green process, whoever holds ``lock`` for the others. A transition
never sends: it returns the signals that follow from it, and the node sends them
when no lock is held.

``alive`` ends before anything else of a death is visible: links and monitors
fire, names are free and sends vanish from then on, whatever the body still does.
"""

# pyright: reportPrivateUsage=false
# The table at the end names the class's own transitions.

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import msgspec

from otpy.runtime.answers import absent as absent
from otpy.runtime.answers import failed_call as failed_call
from otpy.runtime.answers import with_reason as with_reason
from otpy.runtime.mail import Call, Cast, From, System
from otpy.terms.errors import ProcessExit
from otpy.terms.messages import Down, Exit, Response, SpawnReply
from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import KILL, KILLED, NOCONNECTION, NOPROC, NORMAL, is_word
from otpy.terms.signals import (
    CallSignal,
    CancelCallSignal,
    CastSignal,
    DemonitorSignal,
    DownSignal,
    ExitSignal,
    LinkSignal,
    Message,
    MonitorSignal,
    ReplySignal,
    Signal,
    SpawnedSignal,
    UnlinkAckSignal,
    UnlinkSignal,
)

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.scheduler import Scheduler


class NodeGone(msgspec.Struct, frozen=True, gc=False):
    """The session with a node is over: what hangs on it breaks with "noconnection"."""

    dest: Pid
    peer: str


NO_REPLY: tuple[bool, Any] | None = None  # not a bare None: that a checker takes for final
RUNNING, ANY, REPLY = 0, 1, 2  # what a process waits for: nothing, anything, its reply only
Internal = Signal | NodeGone
Effects = list[Signal] | None


class Server(Protocol):
    """A behaviour's loop: it holds no stack while it is idle."""

    idle_timeout: float | None

    @property
    def initial_call(self) -> str: ...
    def begin(self) -> Any: ...
    def handle(self, item: Any) -> Any: ...
    def on_timeout(self) -> Any: ...
    def ends_in_order(self, sender: Pid) -> bool: ...


class Alias:
    """An active alias: ``mode`` as in OTP, ``tag`` of the monitor it belongs to."""

    __slots__ = ("mode",)

    def __init__(self, mode: str) -> None:
        self.mode = mode


class Monitor:
    """A monitor this process holds: on whom, and what its down message looks like."""

    __slots__ = ("tag", "target")

    def __init__(self, target: Pid | At, tag: Any) -> None:
        self.target = target
        self.tag = tag

    def taken_back(self, holder: Pid, ref: Ref) -> Signal:
        """The signal that says that ``holder`` has no use for it any more."""
        return DemonitorSignal(holder, self.target, ref)


class SpawnRequest(Monitor):
    """A process asked for and not yet there; it stands among the monitors until it is.

    ``told``: the answers that are delivered, True for a pid and False for a reason.
    """

    __slots__ = ("link", "monitor", "told")

    def __init__(
        self, target: At, tag: Any, link: bool, monitor: bool, told: tuple[bool, ...]
    ) -> None:
        super().__init__(target, tag)
        self.link = link
        self.monitor = monitor
        self.told = told


class CallRequest(Monitor):
    """A call whose answer comes as a message; it stands among the monitors until it does."""

    __slots__ = ()

    def taken_back(self, holder: Pid, ref: Ref) -> Signal:
        return CancelCallSignal(holder, self.target, ref)


class Process:
    """One process; see ``GreenProcess``, ``ThreadProcess`` and ``TaskProcess``."""

    __slots__ = (
        "__weakref__",
        "actor_ref",
        "aliases",
        "alive",
        "ancestors",
        "args",
        "call_tag",
        "call_to",
        "callers",
        "deadline",
        "deferred",
        "dictionary",
        "fn",
        "handling",
        "kind",
        "links",
        "mailbox",
        "monitored_by",
        "monitors",
        "name",
        "node",
        "peers",
        "pid",
        "reason",
        "reply",
        "sched",
        "server",
        "standby_allowed",
        "trap_exit",
        "unlinking",
        "waiting",
    )
    kind: str
    owned: AbstractContextManager[Any] = nullcontext()

    def __init__(self, node: "Node", pid: Pid, fn: Callable[..., Any] | None, args: Any) -> None:
        self.node = node
        self.pid = pid
        self.fn = fn
        self.args = args
        self.sched: Scheduler | None = None
        self.server: Server | None = None
        self.alive = True
        self.reason: Any = None
        self.trap_exit = False
        self.mailbox: deque[Any] = deque()
        self.waiting = RUNNING
        self.deadline: float | None = None
        self.call_tag = 0
        self.call_to: tuple[int, Pid | At] | None = None  # a call's tag, and who is called
        self.reply: tuple[bool, Any] | None = None
        self.handling: From | None = None
        self.deferred: dict[int, From] | None = None
        self.links: dict[Pid, None] | None = None
        self.unlinking: dict[Pid, int] | None = None  # unlinks not yet acknowledged
        self.monitors: dict[Ref, Monitor] | None = None
        self.monitored_by: dict[Ref, tuple[Pid, bool]] | None = None
        self.aliases: dict[Ref, Alias] | None = None
        self.name: str | None = None
        self.dictionary: dict[Any, Any] | None = None
        self.ancestors: tuple[Any, ...] = ()
        self.callers: tuple[Pid, ...] = ()
        self.standby_allowed: str | None = None  # the restart type of the child being started
        self.peers: dict[str, None] | None = None
        self.actor_ref: Any = None  # Pykka's, once somebody asked for it

    # What each executor does in its own way.

    def submit(self, signal: Internal) -> None:
        """Bring a signal to this process, from any thread."""
        raise NotImplementedError

    def put(self, item: Any) -> None:
        """Put one item into the mailbox, from any thread."""
        raise NotImplementedError

    def put_many(self, items: list[Any]) -> None:
        """Put items into the mailbox, in order, from any thread."""
        raise NotImplementedError

    def park(self, mode: int, deadline: float | None, seen: int = 0) -> None:
        """Block the body until it is woken or ``deadline`` passes; may wake for nothing.

        With ``ANY`` it returns at once when the mailbox holds more than the ``seen``
        items that the body has looked at. Raises ``ProcessExit`` when the process is dead.
        """
        raise NotImplementedError

    def give_way(self) -> None:
        """Let those run that share the body's thread; here none do."""

    def wake(self) -> None:
        """Let a parked body go on. Called by the owner."""
        raise NotImplementedError

    def abandon(self) -> None:
        """The process died; see to its body. Called by the owner."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to run the body."""
        raise NotImplementedError

    def serve(self, server: Server) -> None:
        """Be a behaviour from here on, in the body: it handles what comes until it ends."""
        raise NotImplementedError

    def ask(self, dest: Pid | At, kind: str, request: Any) -> int:
        """Send a request, of a call or of ``sys``, whose answer comes into ``reply``; its tag."""
        tag = self.call_tag = next(self.node.numbers)
        self.reply = NO_REPLY
        self.call_to = (tag, dest)
        signal = CallSignal(self.pid, dest, self.pid.request(tag), kind, request)
        self.node.send_signal(self, signal)
        return tag

    # Transitions; all are called by the owner.

    def raise_dead(self) -> NoReturn:
        """End a body whose process is dead."""
        raise ProcessExit(self.reason)

    def append(self, item: Any) -> None:
        """Take one item into the mailbox."""
        self.mailbox.append(item)
        if self.waiting == ANY:
            self.wake()

    def extend(self, items: list[Any]) -> None:
        """Take items into the mailbox."""
        if self.alive:
            self.mailbox.extend(items)
            if self.waiting == ANY:
                self.wake()

    def take(self, signal: Internal) -> Effects:
        """Apply one signal; the result is what must be sent because of it."""
        if not self.alive:
            return absent(signal, NOPROC)
        return _HANDLERS[type(signal)](self, signal)

    def _on_message(self, signal: Message) -> Effects:
        dest = signal.dest
        if type(dest) is Ref:
            return self._on_aliased(dest, signal.body)
        self.append(signal.body)
        return None

    def _on_aliased(self, ref: Ref, body: Any) -> Effects:
        alias = self.aliases.get(ref) if self.aliases else None
        if alias is None:
            return None
        self.append(body)
        if alias.mode in ("reply", "reply_demonitor"):
            return self.drop_alias(ref, alias.mode == "reply_demonitor")
        return None

    def drop_alias(self, ref: Ref, demonitor: bool) -> Effects:
        """Deactivate an alias and, if asked, the monitor it belongs to."""
        if self.aliases is not None:
            self.aliases.pop(ref, None)
        if demonitor and self.monitors is not None:
            monitor = self.monitors.pop(ref, None)
            if monitor is not None:
                return [DemonitorSignal(self.pid, monitor.target, ref)]
        return None

    def _on_link(self, signal: LinkSignal) -> Effects:
        if self.unlinking and signal.sender in self.unlinking:
            return None  # sent before our unlink got there, which takes it away again
        if self.links is None:
            self.links = {}
        self.links[signal.sender] = None
        return None

    def _on_unlink(self, signal: UnlinkSignal) -> Effects:
        if self.links is not None:
            self.links.pop(signal.sender, None)
        return [UnlinkAckSignal(self.pid, signal.sender, signal.id)]

    def _on_unlink_ack(self, signal: UnlinkAckSignal) -> Effects:
        if self.unlinking and self.unlinking.get(signal.sender) == signal.id:
            del self.unlinking[signal.sender]
        return None

    def _on_exit(self, signal: ExitSignal) -> Effects:
        reason, sender = signal.reason, signal.sender
        if signal.link:
            if self.links is None or sender not in self.links:
                return None
            del self.links[sender]
        elif is_word(reason, KILL):
            return self.die(KILLED)
        if self.trap_exit or (self.server is not None and self.server.ends_in_order(sender)):
            self.append(Exit(sender, reason))
            return None
        if is_word(reason, NORMAL) and (signal.link or sender != self.pid):
            return None
        return self.die(reason)

    def _on_monitor(self, signal: MonitorSignal) -> Effects:
        if self.monitored_by is None:
            self.monitored_by = {}
        self.monitored_by[signal.ref] = (signal.sender, type(signal.dest) is At)
        return None

    def _on_demonitor(self, signal: DemonitorSignal) -> Effects:
        if self.monitored_by is not None:
            holder = self.monitored_by.get(signal.ref)
            if holder is not None and holder[0] == signal.sender:
                del self.monitored_by[signal.ref]
        return None

    def _on_down(self, signal: DownSignal) -> Effects:
        monitor = self.monitors.pop(signal.ref, None) if self.monitors else None
        if monitor is None:
            return None
        if type(monitor) is SpawnRequest:
            self._spawn_reply(signal.ref, monitor, False, signal.reason)
            return None
        if type(monitor) is CallRequest:
            self.append(Response(signal.ref, False, ("nodedown", monitor.target.node)))
            return None
        if self.aliases is not None:
            alias = self.aliases.get(signal.ref)
            if alias is not None and alias.mode != "explicit_unalias":
                del self.aliases[signal.ref]
        self.append(Down(signal.ref, monitor.target, signal.reason, monitor.tag))
        return None

    def _on_spawned(self, signal: SpawnedSignal) -> Effects:
        ref, pid = signal.ref, signal.pid
        request = self.monitors.pop(ref, None) if self.monitors else None
        if type(request) is not SpawnRequest or self.monitors is None:
            return None
        if pid is None:
            self._spawn_reply(ref, request, False, signal.reason)
            return None
        if request.link:
            if self.links is None:
                self.links = {}
            self.links[pid] = None
        if request.monitor:
            self.monitors[ref] = Monitor(pid, None)
        self._spawn_reply(ref, request, True, pid)
        return None

    def _spawn_reply(self, ref: Ref, request: SpawnRequest, ok: bool, what: Any) -> None:
        if ok in request.told:
            self.append(SpawnReply(ref, ok, what, request.tag))

    def _on_call(self, signal: CallSignal) -> Effects:
        from_ = From(signal.sender, signal.ref.number, self.pid)
        if signal.kind == "call":
            self.append(Call(from_, signal.request))
        else:
            self.append(System(from_, signal.kind, signal.request))
        return None

    def _on_cast(self, signal: CastSignal) -> Effects:
        self.append(Cast(signal.request))
        return None

    def _on_reply(self, signal: ReplySignal) -> Effects:
        self.take_reply(signal.ref.number, signal.ok, signal.value)
        return None

    def take_reply(self, tag: int, ok: bool, value: Any) -> None:
        """Put the answer into the caller's slot; an answer nobody waits for is dropped."""
        if self.call_tag == tag:
            self.call_tag = 0
            self.reply = (ok, value)
            if self.waiting:
                self.wake()
        elif self.monitors:
            ref = self.pid.request(tag)
            if type(self.monitors.get(ref)) is CallRequest:
                del self.monitors[ref]
                self.append(Response(ref, ok, value))

    def awaits(self, tag: int) -> bool:
        """Whether an answer to this process's call of that number is still wanted."""
        if self.call_tag == tag:
            return True
        return self.monitors is not None and self.pid.request(tag) in self.monitors

    def _on_cancel(self, signal: CancelCallSignal) -> Effects:
        if self.deferred is not None:
            self.deferred.pop(signal.ref.number, None)
        return None

    def _on_node_gone(self, signal: NodeGone) -> Effects:
        peer = signal.peer
        effects: list[Signal] = []
        for pid in [pid for pid in self.links or () if pid.node == peer]:
            more = self._on_exit(ExitSignal(pid, self.pid, NOCONNECTION, True))
            if more is not None:
                effects.extend(more)
        if not self.alive:
            return effects
        for pid in [pid for pid in self.unlinking or () if pid.node == peer]:
            del self.unlinking[pid]  # type: ignore[union-attr]  # not None: it had items
        for ref in [ref for ref, held in (self.monitors or {}).items() if held.target.node == peer]:
            self._on_down(DownSignal(self.pid, ref, NOCONNECTION))
        for ref in [ref for ref, by in (self.monitored_by or {}).items() if by[0].node == peer]:
            del self.monitored_by[ref]  # type: ignore[union-attr]  # not None: it had items
        # Only if it is the call that waits now: one that was faster leaves its mark behind.
        if self.call_to is not None and self.call_to[1].node == peer:
            self.take_reply(self.call_to[0], False, ("nodedown", peer))
        return effects

    def die(self, reason: Any) -> Effects:
        """End the process as the rest of the world sees it; once."""
        if not self.alive:
            return None
        self.alive = False
        self.reason = reason
        node = self.node
        node.forget(self)
        effects: list[Signal] = []
        pid = self.pid
        self._fail_calls(reason, effects)
        if self.links:
            effects.extend(ExitSignal(pid, peer, reason, True) for peer in self.links)
        if self.monitored_by:
            effects.extend(
                DownSignal(holder, ref, reason, pid)
                for ref, (holder, _) in self.monitored_by.items()
            )
        if self.monitors:
            effects.extend(monitor.taken_back(pid, ref) for ref, monitor in self.monitors.items())
        self.links = self.unlinking = self.monitored_by = self.monitors = self.aliases = None
        self.call_tag = 0
        self.abandon()
        return effects

    def _fail_calls(self, reason: Any, effects: list[Signal]) -> None:
        waiting = [self.handling] if self.handling is not None else []
        waiting.extend((self.deferred or {}).values())
        mailbox, self.mailbox = self.mailbox, deque()
        held = getattr(self.server, "held", None)  # what a suspended behaviour keeps back
        if held:
            mailbox.extend(held)
        if mailbox:
            waiting.extend(item.from_ for item in mailbox if type(item) in (Call, System))
        self.handling = self.deferred = None
        effects.extend(failed_call(from_, reason, self.pid) for from_ in waiting)


_HANDLERS: dict[type, Callable[[Process, Any], Effects]] = {
    Message: Process._on_message,
    LinkSignal: Process._on_link,
    UnlinkSignal: Process._on_unlink,
    UnlinkAckSignal: Process._on_unlink_ack,
    ExitSignal: Process._on_exit,
    MonitorSignal: Process._on_monitor,
    DemonitorSignal: Process._on_demonitor,
    DownSignal: Process._on_down,
    CallSignal: Process._on_call,
    CastSignal: Process._on_cast,
    SpawnedSignal: Process._on_spawned,
    ReplySignal: Process._on_reply,
    CancelCallSignal: Process._on_cancel,
    NodeGone: Process._on_node_gone,
}
