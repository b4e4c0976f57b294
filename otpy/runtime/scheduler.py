"""The green executor: one thread that runs many processes on pooled greenlets.

The loop itself runs on whichever pooled greenlet is free. A callback that parks
keeps its greenlet and hands the loop to another; an idle behaviour holds none.
Three rules: a record is touched by this thread only, others post to ``inbound``;
a process is woken through its record, never through a stored greenlet; whoever
switches to a body sets ``HERE.proc`` first.
"""

import heapq
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, get_args

from greenlet import getcurrent, greenlet

from otpy.runtime._current import HERE
from otpy.runtime.body import outcome
from otpy.runtime.ports import Clock
from otpy.runtime.record import ANY, RUNNING, Internal, NodeGone, Process, Server
from otpy.terms.signals import Signal

if TYPE_CHECKING:
    from otpy.runtime.node import Node

LOG = logging.getLogger("otpy.scheduler")
BUDGET = 100  # messages in one dispatch
SLICE = 0.001  # seconds in one dispatch
POLL_EVERY = 64  # dispatches between looks at timers and what comes in; a power of two
POOL = 64  # greenlets kept for reuse
FAREWELL = 5.0  # seconds a stopping scheduler waits for bodies to end
FOREVER = float("inf")


class GreenProcess(Process):
    """A process that runs on a scheduler; its state belongs to that scheduler's thread."""

    __slots__ = ("armed", "body", "context", "started")
    kind = "green"

    sched: "Scheduler"

    def __init__(
        self,
        node: "Node",
        pid: Any,
        fn: Callable[..., Any] | None,
        args: Any,
        sched: "Scheduler",
        kind: str = "green",
    ) -> None:
        super().__init__(node, pid, fn, args)
        # Narrower than a Process's: never None.
        self.sched = sched  # pyright: ignore[reportIncompatibleVariableOverride]
        self.body: greenlet | None = None
        self.context: Any = None
        self.armed = FOREVER
        self.started = False

    def submit(self, signal: Internal) -> None:
        sched = self.sched
        if HERE.sched is sched:
            self.node.emit(self.take(signal))
        else:
            sched.post(self, signal)

    def put(self, item: Any) -> None:
        sched = self.sched
        if HERE.sched is sched:
            if self.alive:
                self.mailbox.append(item)
                if self.waiting == ANY:
                    self.waiting = RUNNING
                    sched.ready.append(self)
        else:
            sched.post(self, item)

    def put_many(self, items: list[Any]) -> None:
        if HERE.sched is self.sched:
            self.extend(items)
        else:
            self.sched.post(None, lambda: self.extend(items))

    def start(self) -> None:
        if HERE.sched is self.sched:
            self.sched.ready.append(self)
        else:
            self.sched.post(self, _START)

    def wake(self) -> None:
        self.waiting = RUNNING
        self.sched.ready.append(self)

    def abandon(self) -> None:
        if self.waiting and self.body is not None:
            self.wake()
        elif self.waiting:
            self.waiting = RUNNING
            self.server = None

    def park(self, mode: int, deadline: float | None, seen: int = 0) -> None:
        if not self.alive:
            self.raise_dead()
        sched = self.sched
        if deadline is not None and deadline < self.armed:
            sched.arm(self, deadline)
        self.deadline = deadline
        self.waiting = mode
        self.body = getcurrent()
        sched.next_worker().switch()  # the root makes a new one, if it comes to that
        self.body = None
        if not self.alive:
            self.raise_dead()

    def give_way(self) -> None:
        """Let the other processes run before the body goes on."""
        sched = self.sched
        self.body = getcurrent()
        sched.ready.append(self)
        sched.next_worker().switch()
        self.body = None
        if not self.alive:
            self.raise_dead()

    def serve(self, server: Server) -> None:
        mailbox, now = self.mailbox, self.node.clock.now
        budget = BUDGET
        while self.alive:
            if mailbox:
                server.handle(mailbox.popleft())
                budget -= 1
                if not budget:
                    budget = BUDGET
                    self.give_way()
                continue
            idle = server.idle_timeout
            deadline = None if idle is None else now() + idle
            self.park(ANY, deadline)
            if deadline is not None and not mailbox and now() >= deadline:
                server.handle(TIMED_OUT)


class ThreadStandIn(GreenProcess):
    """In a simulation: a process that has a thread of its own elsewhere."""

    __slots__ = ()


class Source(Protocol):
    """What has something to do at times: ``heap`` tells when, first the earliest."""

    @property
    def heap(self) -> list[Any]: ...

    def fire(self, now: float) -> None: ...


class _Start:
    """What is posted to begin a process."""


_START = _Start()
_SIGNAL_TYPES = frozenset((*get_args(Signal), NodeGone))


class Rest(Protocol):
    """Where a scheduler's thread waits while nothing is ready."""

    def wait(self, seconds: float) -> None:
        """Wait for ``wake``, or for so long; -1 is without end."""

    def wake(self) -> None:
        """End the wait, from any thread."""

    def look(self) -> None:
        """Do what would have ended the wait; called now and then while much is ready."""


class Bell:
    """A rest in which nothing but ``wake`` happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=seconds)

    def wake(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # somebody else has rung already

    def look(self) -> None:
        pass


class Scheduler:
    """Runs green processes on one thread, in the order in which they became ready."""

    def __init__(self, name: str, clock: Clock, every: int = POLL_EVERY) -> None:
        self.name = name
        self.every = every
        self.sources: list[Source] = []
        self.ready: deque[GreenProcess] = deque()
        self.inbound: deque[tuple[GreenProcess | None, Any]] = deque()
        self.free: list[greenlet] = []
        self.heap: list[tuple[float, int, GreenProcess]] = []
        self.sequence = 0
        self.running: GreenProcess | None = None
        self.turn = 0  # changes with every dispatch: how the watchdog sees a held scheduler
        self.on_wake: Callable[[], None] | None = None  # told when the thread has slept
        self.late: dict[Any, Callable[[Any], None]] = {}  # to do when the dispatch is over
        self.stopping = False
        self.now = clock.now
        self.rest: Rest = Bell()
        self._sleeping = False
        self._root: greenlet | None = None
        self.over = False
        self.thread: threading.Thread | None = None
        self._begun = threading.Lock()

    # From any thread.

    def begin(self) -> None:
        """Start the thread. A second call does nothing."""
        if self.thread is not None:
            return
        with self._begun:
            if self.thread is None:
                thread = threading.Thread(target=self._main, name=self.name, daemon=True)
                thread.start()
                self.thread = thread

    def post(self, proc: GreenProcess | None, what: Any) -> None:
        """Hand a signal, an item or a function to this thread."""
        self.inbound.append((proc, what))
        self.ring()

    def ring(self) -> None:
        """Wake the thread if it sleeps."""
        if self._sleeping:
            self._sleeping = False  # one ring is enough, until it sleeps again
            self.rest.wake()

    @property
    def sleeping(self) -> bool:
        """Whether the thread waits for something to do, or was never begun."""
        return self._sleeping or self.thread is None

    def stop(self, timeout: float) -> bool:
        """End the thread after every parked body was woken to end; whether it did in time."""
        self.stopping = True
        thread = self.thread
        if thread is None or thread is threading.current_thread():
            return True
        self.post(None, lambda: None)
        thread.join(timeout)
        return not thread.is_alive()

    # On this thread only.

    def rest_in(self, rest: Rest) -> None:
        """Wait there from now on, while nothing is ready."""
        self.rest = rest

    def awake(self) -> None:
        """Nobody need ring: this thread sees by itself what is posted."""
        self._sleeping = False

    def _main(self) -> None:
        HERE.sched = self
        self.work()

    def work(self) -> None:
        """Run until the loop ends; the current greenlet makes the workers.

        A greenlet begins as deep in the interpreter's recursion limit as whoever starts it
        stands. Started by a body that parks, each would stand deeper than the one before.
        """
        self._root = root = getcurrent()
        self.over = False
        while not self.over:
            greenlet(self._loop, root).switch()

    def arm(self, proc: GreenProcess, deadline: float) -> None:
        """See that ``proc`` is looked at when ``deadline`` has passed."""
        self.sequence += 1
        proc.armed = deadline
        heapq.heappush(self.heap, (deadline, self.sequence, proc))

    def next_worker(self) -> greenlet:
        """A greenlet that will run the loop, or the root, which then makes one."""
        root = self._root
        assert root is not None
        return self.free.pop() if self.free else root

    def _loop(self) -> None:
        ready, free, here = self.ready, self.free, HERE
        me: Any = getcurrent()
        mask = self.every - 1
        while True:
            self.turn = turn = self.turn + 1
            if self.late:
                self.do_late()
            if not turn & mask:
                self.poll()
                self.rest.look()
            if not ready:
                self.turn = (turn | mask) + 1  # idle polls: the next one is so many away
                if not self.idle():
                    break
                continue
            proc = ready.popleft()
            body = proc.body
            here.proc = self.running = proc
            if body is not None:
                if len(free) < POOL:
                    free.append(me)
                    # A parked frame that names its own greenlet is a cycle which is never found.
                    me = None
                    body.switch()
                    me = getcurrent()
                    continue
                me.parent = body
                return
            # Context variables belong to greenlets; a process keeps its own across dispatches.
            me.gr_context = proc.context
            self.dispatch(proc)
            proc.context = me.gr_context
            here.proc = None
        self.over = True
        assert self._root is not None
        me.parent = self._root  # which goes on when this one ends, as it must: else it stays

    def dispatch(self, proc: GreenProcess) -> None:
        """Run a process that holds no stack, for one slice."""
        error: BaseException | None = None
        try:
            if not proc.alive:
                pass
            elif proc.server is not None:
                if self._serve(proc):
                    return
            elif proc.fn is not None and not proc.started:
                proc.started = True
                proc.fn(*proc.args)
        except BaseException as raised:  # noqa: BLE001 - a body's end, whatever it is, is its own
            error = raised
        self._ended(proc, error)

    def _serve(self, proc: GreenProcess) -> bool:
        """Let a behaviour handle what has come; whether the process goes on."""
        server = proc.server
        assert server is not None
        if not proc.started:
            proc.started = True
            server.begin()
        mailbox = proc.mailbox
        budget = BUDGET
        until = 0.0
        while mailbox and proc.alive:
            server.handle(mailbox.popleft())
            budget -= 1
            if not budget & 15:
                now = self.now()
                until = until or now + SLICE
                if not budget or now > until:
                    self.ready.append(proc)
                    return True
        if not proc.alive:
            return False
        idle = server.idle_timeout
        if idle is None:
            proc.deadline = None
        elif idle <= 0.0:
            server.on_timeout()
            if proc.alive:
                self.ready.append(proc)
            return proc.alive
        else:
            proc.deadline = deadline = proc.node.clock.now() + idle
            if deadline < proc.armed:
                self.arm(proc, deadline)
        proc.waiting = ANY
        return True

    def _ended(self, proc: GreenProcess, error: BaseException | None) -> None:
        reason = outcome(proc, error)
        effects = proc.die(reason)
        proc.server = None  # not before: calls that it kept back end with it
        proc.node.emit(effects)

    def poll(self) -> None:
        """Take in what other threads posted, and the deadlines that have passed."""
        # What is done here, and where the thread rests, is nobody's: a body that has just parked
        # would else be taken for who runs.
        self.running = HERE.proc = None
        inbound = self.inbound
        while inbound:
            proc, what = inbound.popleft()
            if proc is None:
                what()
            elif type(what) in _SIGNAL_TYPES:
                proc.node.emit(proc.take(what))
            elif what is _START:
                self.ready.append(proc)
            else:
                proc.put(what)
        if self.heap or self.sources:
            now = self.now()
            self._expire(now)
            for timers in self.sources:
                heap = timers.heap
                if heap and heap[0][0] <= now:
                    timers.fire(now)
        if self.late:
            self.do_late()

    def do_late(self) -> None:
        """Do what was put off until the dispatch is over."""
        late, self.late = self.late, {}
        for what, do in late.items():
            try:
                do(what)
            except Exception:  # what one link breaks must not cost the node its scheduler
                LOG.exception("%s: what was put off failed: %r", self.name, what)

    def _expire(self, now: float) -> None:
        heap = self.heap
        while heap and heap[0][0] <= now:
            when, _, proc = heapq.heappop(heap)
            if when == proc.armed:
                self._look_at(proc, now)

    def _look_at(self, proc: GreenProcess, now: float) -> None:
        """The instant for which a process was armed has come; its deadline may have moved."""
        proc.armed = FOREVER
        deadline = proc.deadline
        if not proc.waiting or deadline is None:
            return
        if deadline > now:
            self.arm(proc, deadline)
        elif proc.body is not None:
            proc.wake()
        elif proc.server is not None:
            proc.waiting = RUNNING
            self.expired(proc)

    def expired(self, proc: GreenProcess) -> None:
        """An idle behaviour's time is up."""
        self.ready.append(proc)
        proc.put(TIMED_OUT)

    def next_due(self) -> float | None:
        """When the earliest deadline or timer is due."""
        # Whoever cancels a timer may put another list in a heap's place between two looks at it.
        times = [heap[0][0] for heap in [timers.heap for timers in self.sources] if heap]
        if self.heap:
            times.append(self.heap[0][0])
        return min(times) if times else None

    def idle(self) -> bool:
        """Nothing is ready: wait for something; False ends the loop."""
        self.poll()
        if self.ready:
            return True
        if self.stopping and not self.inbound:
            self.rest.look()  # what was left to do there is done
            return bool(self.ready or self.inbound)
        # The flag is up before these looks, so whoever appends or arms a timer after them rings.
        self._sleeping = True
        due = self.next_due()
        timeout = -1.0 if due is None else max(0.0, due - self.now())
        if not self.inbound:
            self.rest.wait(min(timeout, 3600.0))
        self._sleeping = False
        if self.on_wake is not None:
            self.on_wake()
        return True


class TimedOut:
    """What an idle behaviour finds in its mailbox when its time-out has passed."""


TIMED_OUT = TimedOut()
