"""A node: the object that owns processes, names, timers, executors, clock and entropy."""

import asyncio
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from otpy.runtime import peers
from otpy.runtime._current import HERE, forked_from, running_loop
from otpy.runtime.belongings import Belongings
from otpy.runtime.busy import hold_back
from otpy.runtime.locked import LockedProcess
from otpy.runtime.names import LocalNames
from otpy.runtime.node_monitors import NodeMonitors
from otpy.runtime.orphans import Orphans
from otpy.runtime.pool import Jobs, Pool
from otpy.runtime.ports import (
    Clock,
    Entropy,
    Held,
    NameService,
    NodeType,
    Router,
    SystemClock,
    system_entropy,
)
from otpy.runtime.record import Effects, Process, Server, absent, with_reason
from otpy.runtime.scheduler import GreenProcess, Scheduler, ThreadStandIn
from otpy.runtime.spawning import spawn_here
from otpy.runtime.stopping import After, Before, Stopping
from otpy.runtime.tasks import LoopThread, TaskProcess
from otpy.runtime.telemetry import Events
from otpy.runtime.threads import ThreadProcess
from otpy.runtime.timers import Timers
from otpy.runtime.watchdog import Watchdog
from otpy.terms.errors import NodeError, NodeStopped, NotSendable
from otpy.terms.names import NO_NODE, NODE_EXPECTED, At, is_node_name
from otpy.terms.pid import Creation, Pid, Ref
from otpy.terms.reasons import NOCONNECTION, NOPROC
from otpy.terms.signals import CastSignal, ExitSignal, Message, Signal, SpawnSignal, dead_in

T = TypeVar("T")


class Node:
    """One node. ``with Node("a@127.0.0.1") as node: node.run(main)``.

    ``clock`` and ``entropy`` are all that a node knows of time and chance. A green
    process that keeps its scheduler for ``green_limit`` seconds is ended
    (``float("inf")``: never); without ``watchdog`` it is not even reported. Raises
    ``NodeError`` for a bad name and ``BadArgument`` for a bad limit.
    """

    def __init__(
        self,
        name: str = NO_NODE,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        scheduler: Scheduler | None = None,
        orphan_grace: float = 5.0,
        green_limit: float = 5.0,
        watchdog: bool = True,
    ) -> None:
        if not is_node_name(name):
            raise NodeError(f"{name!r:.80} is not a node name; expected {NODE_EXPECTED}")
        Watchdog.check_limit(green_limit)
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self.entropy: Entropy = entropy or system_entropy()
        self.orphan_grace = orphan_grace
        bits = self.entropy.getrandbits(32)
        # A pid is a value and bears the first name for good; the mesh writes the present one.
        self.home = self.creation = Creation(int(self.clock.wall() * 1000), name, bits)
        self.numbers = itertools.count(1)
        self.procs: dict[Pid, Process] = {}
        self.names = LocalNames()
        self.timers = Timers(self)
        self.events = Events()
        self.name_services: dict[str, NameService] = {}
        self.masks: dict[str, Callable[[Pid], None]] = {}  # told of deaths elsewhere, before all
        self.router: Router | None = None
        self.peers: dict[str, Creation] = {}
        self.hidden: dict[str, None] = {}  # those of them with which the connection is hidden
        self.belongings = Belongings(self)
        self.busy: dict[Held, None] = {}  # for whom too much waits, and whose: see busy.py
        self.peer_users: dict[str, dict[Pid, None]] = {}
        self.node_watchers: dict[Pid, dict[NodeType, int]] = {}
        self.node_monitors = NodeMonitors()
        self.orphans = Orphans(self)
        self.pool: Jobs = Pool(f"otpy-blocking-{name}")
        self.system_process: Pid | None = None
        self.simulated = scheduler is not None
        self.kernel = scheduler or Scheduler(f"otpy-kernel-{name}", self.clock)
        self.user = scheduler or Scheduler(f"otpy-user-{name}", self.clock)
        # The cluster's own servers run on the thread that serves the sockets of the mesh.
        self.cluster = scheduler or Scheduler(f"otpy-mesh-{name}", self.clock, every=4)
        self.schedulers = {"green": self.user, "kernel": self.kernel, "cluster": self.cluster}
        self.kernel.sources.append(self.timers)
        self.watchdog: Watchdog | None = None
        if watchdog and not self.simulated:
            self.watchdog = Watchdog(self, [self.kernel, self.user], green_limit, self.cluster)
        self._loop: LoopThread | None = None
        self.outer_loop: asyncio.AbstractEventLoop | None = None
        self.lock = threading.Lock()
        self._owned: dict[type, Any] = {}
        self._stopping = Stopping(self)
        self._pid_of_os = os.getpid()
        self.state = "new"

    # Life.

    def start(self) -> Self:
        """Start the schedulers. Starting twice does nothing."""
        with self.lock:
            if self.state == "stopped":
                raise NodeStopped(f"{self.name} was stopped; make a new Node")
            if self.state == "new":
                self.state = "running"
                self.kernel.begin()
                self.user.begin()
                if self.watchdog is not None:
                    self.watchdog.start()
        return self

    def stop(self, timeout: float = 5.0, reason: Any = "normal") -> list[Pid]:
        """Stop the node; the pids of the processes whose bodies run on.

        What ``before_stop`` was told of comes first, the applications above all, and has
        ``timeout`` seconds; then every process is killed. ``reason`` is for those who are told.
        From the beginning on the node drains.
        """
        if self.elsewhere:
            return []  # its threads are not in this process, and its connections are not ours
        if not self._stopping.begin(reason, timeout):
            return []
        with self.lock:
            was_running, self.state = self.state == "running", "stopping"
        try:
            if was_running:
                self._end(timeout)
        finally:
            self.state = "stopped"
            self._stopping.end()
        return list(self.orphans)

    def _end(self, timeout: float) -> None:
        if self.router is not None:
            self.router.stop()
        for pid, proc in list(self.procs.items()):
            proc.submit(ExitSignal(pid, pid, "kill", False))
        if not self.simulated:
            for sched in self.schedulers.values():
                sched.stop(timeout)
        if self.watchdog is not None:
            self.watchdog.stop(timeout)
        self.orphans.join(min(timeout, self.orphan_grace))
        if self._loop is not None:
            self._loop.stop(timeout)
        if not self.simulated:
            self.belongings.wait(timeout)
        self.pool.stop()

    def drain(self) -> None:
        """Begin to leave the cluster: connect to nobody any more, and let nobody else connect.

        Sessions that are up stay up; the others hear at their end that this node drains, and do
        not connect to it again until it is started anew. Nothing leads back; ``stop`` begins
        with it.
        """
        if self.router is not None and not self.elsewhere:
            self.router.drain()

    def halt(self, reason: Any, timeout: float = 5.0) -> None:
        """Have the node stopped, on a thread of its own, and return: ``init:stop``."""
        self._stopping.halt(reason, timeout)

    def before_stop(self, hook: Before) -> None:
        """Call ``hook(reason, seconds)`` before the processes are killed, the latest hook first.

        It runs as a process, may wait, and has so many seconds: kernel's ``shutdown_func``.
        """
        self._stopping.before.append(hook)

    def after_stop(self, hook: After) -> None:
        """Call ``hook(reason)`` when the node has stopped; the OS process may end with it."""
        self._stopping.after.append(hook)

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until the node has stopped; the reason, or None if that takes longer."""
        return self._stopping.wait(timeout)

    def own(self, kind: type[T]) -> T:
        """The node's one ``kind()``, made on first use: what a behaviour keeps for each node."""
        with self.lock:
            if kind not in self._owned:
                self._owned[kind] = kind()
            found: T = self._owned[kind]
            return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ``NodeStopped`` or ``NodeForked`` if the node cannot be used."""
        if self.elsewhere:
            raise forked_from(self.name)
        if self.state == "new":
            self.start()
        elif self.state != "running":
            raise NodeStopped(f"{self.name} was stopped")

    @property
    def elsewhere(self) -> bool:
        """Whether this is a forked child and the node is the parent's."""
        return os.getpid() != self._pid_of_os

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop of async processes."""
        if self.outer_loop is not None:
            return self.outer_loop
        with self.lock:
            if self._loop is None:
                self._loop = LoopThread(self)
            return self._loop.loop

    # Processes.

    def is_here(self, dest: Pid | Ref | At) -> bool:
        """Whether it is of this node, under the present name or the one that it had at first."""
        return dest.node == self.name or dest.node == self.home.node

    def new_pid(self) -> Pid:
        """A pid that no process of this node had before."""
        made = self.home
        return Pid(made.started, made.node, made.bits, next(self.numbers))

    def new_ref(self, owner: int = 0) -> Ref:
        """A reference that was never used before."""
        made = self.home
        return Ref(made.started, made.node, made.bits, next(self.numbers), owner)

    def make(
        self,
        kind: str,
        fn: Callable[..., Any] | None,
        args: tuple[Any, ...] = (),
        server: Server | None = None,
    ) -> Process:
        """A process that is not started yet: kind is thread, green, kernel, cluster or async."""
        if self.state != "running":
            self.check()
        pid = self.new_pid()
        sched = self.user if self.simulated else self.schedulers.get(kind)
        if kind == "async":
            proc: Process = TaskProcess(self, pid, fn, args, self.loop)
        elif sched is not None:
            sched.begin()  # that of the cluster's servers begins when there is one
            proc = (ThreadStandIn if kind == "thread" else GreenProcess)(self, pid, fn, args, sched)
        else:
            proc = ThreadProcess(self, pid, fn, args)
        proc.server = server
        self.procs[pid] = proc
        return proc

    def forget(self, proc: Process) -> None:
        """A process died: its sockets, name and timers go before anybody hears of it."""
        if self.belongings.table:
            self.belongings.owner_died(proc)  # first: whoever finds the name free can bind the port
        self.procs.pop(proc.pid, None)
        if proc.name is not None:
            self.names.release(proc.name, proc.pid)
        if self.timers.by_pid:
            self.timers.forget(proc.pid)
        if proc.peers is not None:
            for peer in proc.peers:
                self.peer_users.get(peer, {}).pop(proc.pid, None)
        self.node_watchers.pop(proc.pid, None)
        if self.node_monitors.table:
            self.node_monitors.forget(proc.pid)
        if isinstance(proc, ThreadProcess) and proc.actor is not None:
            self.orphans.add(proc)

    def body_ended(self, proc: Process) -> None:
        """The thread of a dead process has ended: it is no orphan any more."""
        self.orphans.drop(proc.pid)

    # Signals.

    def signal(self, signal: Signal) -> None:
        """Bring a signal to its destination, here or on another node."""
        dest = signal.dest
        if dest.node != self.name and dest.node != self.home.node:
            self.remote(dest.node, signal)
            return
        if type(dest) is Ref:
            pid: Pid | None = Pid(dest.started, dest.node, dest.bits, dest.owner)
        elif type(dest) is At:
            if type(signal) is SpawnSignal:
                spawn_here(self, signal)
                return
            pid = self.names.table.get(dest.name)
        else:
            pid = dest  # type: ignore[assignment]  # what is neither Ref nor At is a Pid
        proc = self.procs.get(pid) if pid is not None else None
        if proc is None:
            self.emit(absent(signal, NOPROC))
        else:
            sender = getattr(signal, "sender", None)
            if type(sender) is Pid and sender.node != self.name and not self.is_here(sender):
                self.note_peer(proc, sender.node)
            proc.submit(signal)

    def emit(self, effects: Effects) -> None:
        """Send what follows from a transition; deep chains of deaths do not nest."""
        if not effects:
            return
        pending = HERE.draining
        if pending is not None:
            pending.extend((self, signal) for signal in effects)
            return
        self._drain(deque((self, signal) for signal in effects))

    def emit_when_quiet(self, dead: LockedProcess, effects: Effects) -> None:
        """As ``emit``, after the last send of a process that was just killed is through."""
        pending = HERE.draining
        if pending is None:
            dead.close_gate()
            self.emit(effects)
            return
        pending.append((self, dead.close_gate))
        pending.extend((self, signal) for signal in effects or ())

    def _drain(self, pending: "deque[tuple[Node, Any]]") -> None:
        HERE.draining = pending
        try:
            while pending:
                node, what = pending.popleft()
                if callable(what):
                    what()
                else:
                    node.signal(what)
        finally:
            HERE.draining = None

    def send_signal(self, me: Process, signal: Signal) -> None:
        """A signal of the current process: sent only if it is alive, and before its death shows."""
        if self.busy:
            hold_back(self, me, signal.dest.node)
        if not isinstance(me, LockedProcess) or HERE.draining is not None:
            self.signal(signal)
            return
        pending: deque[tuple[Node, Any]] = deque()
        HERE.draining = pending
        try:
            with me.gate:
                if not me.alive:
                    me.raise_dead()
                self.signal(signal)
        finally:
            HERE.draining = None
        if pending:
            self._drain(pending)

    def stream(self, me: Process, dest: Pid | At, cast: bool, body: Any) -> None:
        """A message or a cast of the current process for another node."""
        router = self.router
        if self.busy:
            hold_back(self, me, dest.node)
        if router is None:
            make = CastSignal if cast else Message
            self.unreachable(make(me.pid, dest, body))
        elif not isinstance(me, LockedProcess):
            router.stream(me.pid, dest, cast, body)
        else:
            with me.gate:
                if not me.alive:
                    me.raise_dead()
                router.stream(me.pid, dest, cast, body)

    def put(self, me: Process, proc: Process, item: Any) -> None:
        """An item of the current process for a mailbox of this node."""
        if isinstance(me, LockedProcess):
            with me.gate:
                if not me.alive:
                    me.raise_dead()
                proc.put(item)
        else:
            proc.put(item)

    def deliver(self, dest: Pid | str, message: Any) -> None:
        """A message from nobody in particular, such as a timer's."""
        pid = self.names.table.get(dest) if isinstance(dest, str) else dest
        proc = self.procs.get(pid) if pid is not None else None
        if proc is not None:
            proc.put(message)

    # Other nodes.

    def note_peer(self, proc: Process, peer: str) -> None:
        """Remember that a process must hear when the session with ``peer`` ends."""
        if proc.peers is None:
            proc.peers = {}
        if peer not in proc.peers:
            proc.peers[peer] = None
            self.peer_users.setdefault(peer, {})[proc.pid] = None

    def remote(self, peer: str, signal: Signal) -> None:
        """Hand a signal to the router; without one the other node is unreachable."""
        router = self.router
        if router is None:
            self.unreachable(signal)
            return
        sender = getattr(signal, "sender", None)
        if sender is not None and type(signal) not in (Message, CastSignal):
            proc = self.procs.get(sender)
            if proc is not None:
                self.note_peer(proc, peer)
        try:
            router.route(peer, signal)
        except NotSendable as error:
            told = with_reason(signal, ("not_sendable", str(error)))
            if told is None:
                raise
            router.route(peer, told)  # an end is never silent, whatever its reason is

    def unreachable(self, signal: Signal) -> None:
        """The signal's node cannot be reached: answer what wants an answer."""
        self.events.emit("send_unreachable", signal=type(signal).__name__)
        self.emit(absent(signal, NOCONNECTION))

    def inbound(self, signal: Signal) -> None:
        """A signal from another node, on the I/O thread.

        A death is masked in the tables of names and groups before anybody here hears of it.
        """
        dead = dead_in(signal)
        if dead is not None:
            for mask in list(self.masks.values()):
                mask(dead)
        self.signal(signal)

    def inbound_items(self, dest: Pid | At, items: list[Any]) -> None:
        """Messages or casts from another node for one process, in order, on the I/O thread."""
        pid = self.names.table.get(dest.name) if type(dest) is At else dest
        proc = self.procs.get(pid) if pid is not None else None  # type: ignore[arg-type]
        if proc is not None:
            proc.put_many(items)

    def peer_up(self, creation: Creation, hidden: bool = False) -> None:
        """A session with another node began."""
        peers.came_up(self, creation, hidden)

    def peer_down(self, creation: Creation, reason: Any) -> None:
        """A session ended; everything that came in it has been handed in."""
        peers.went_down(self, creation, reason)

    # Running code on the node.

    @contextmanager
    def attached(self) -> Generator[Pid, None, None]:
        """Make the current thread a process of this node while the block runs; gives its pid.

        In a coroutine ``async with aio.attached(node)`` makes the task one, and no other task
        of the thread: only such a one can receive.
        """
        self.check()
        before = HERE.proc
        proc = self.implicit()
        HERE.proc = proc
        try:
            yield proc.pid
        finally:
            HERE.proc = before if not self.elsewhere else None
            if not self.elsewhere:
                proc.end("normal")

    def implicit(self) -> ThreadProcess:
        """A process on the calling thread."""
        proc = ThreadProcess(self, self.new_pid(), None, ())
        proc.thread = threading.current_thread()
        proc.on_loop = running_loop()
        self.procs[proc.pid] = proc
        return proc

    def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run ``fn(*args)`` as a process on the calling thread; its result, or what it raised."""
        with self.attached():
            return fn(*args)

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.state}, {len(self.procs)} processes)"
