"""The simulated executor: every process on one thread, seeded order, virtual clock.

The same scheduler as the real one, with three differences: which ready process
runs next is drawn from a seed; time stands still until nothing is ready and then
jumps to the next deadline (only processes that never rest make it creep on); and
it runs on the caller's thread until asked to stop.
"""

import heapq
import inspect
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from otpy.runtime._current import HERE
from otpy.runtime.fence import Fence
from otpy.runtime.node import Node
from otpy.runtime.record import Process
from otpy.runtime.scheduler import FOREVER, POLL_EVERY, GreenProcess, Scheduler, Source
from otpy.runtime.simulated_loop import SimulatedLoop, SimulatedPool, Turn
from otpy.runtime.spawning import launch
from otpy.terms.errors import NodeError

WORK = 1e-6  # virtual seconds that a dispatch takes when no process rests


class VirtualClock:
    """Time that only the simulation moves."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        """Seconds."""
        return self.time

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.time

    def boottime(self) -> float:
        """Seconds; nothing is ever suspended here."""
        return self.time


class NodeClock:
    """The clock of one simulated node. It shows the simulation's time until it is skewed."""

    def __init__(self, base: VirtualClock) -> None:
        self._base = base
        self._since = self._shown = base.time
        self.rate = 1.0
        self.skewed = False  # once; what it has gained or lost stays

    def now(self) -> float:
        """Seconds."""
        time = self._base.time
        return self._shown + (time - self._since) * self.rate if self.skewed else time

    wall = boottime = now

    def run_at(self, rate: float) -> None:
        """Gain ``rate`` seconds in each second from now on."""
        self._shown, self._since = self.now(), self._base.time
        self.rate, self.skewed = rate, True

    def instant(self, shown: float) -> float:
        """The simulation's time at which this clock shows so much, or a little more."""
        if not self.skewed or shown == float("inf"):
            return shown
        time = self._since + (shown - self._shown) / self.rate
        while self._shown + (time - self._since) * self.rate < shown:
            time = math.nextafter(time, float("inf"))  # else who wakes then would wait once more
        return time


class _Skewed:
    """Timers of a node whose clock is skewed, as the scheduler sees them."""

    def __init__(self, clock: NodeClock, source: Source) -> None:
        self._clock = clock
        self._source = source

    @property
    def heap(self) -> list[Any]:
        """When the earliest is due, in the simulation's time."""
        heap = self._source.heap
        return [(self._clock.instant(heap[0][0]),)] if heap else []

    def fire(self, now: float) -> None:
        """Fire what is due by the node's clock."""
        self._source.fire(self._clock.now())


class _Drawn(deque[GreenProcess]):
    """A ready queue that gives any of its members but those of paused nodes."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.draw = draw
        self.aside: dict[Node, list[GreenProcess]] = {}

    def append(self, proc: GreenProcess, /) -> None:
        aside = self.aside.get(proc.node) if self.aside else None
        if aside is None:
            super().append(proc)
        else:
            aside.append(proc)

    def pause(self, node: Node) -> None:
        """Give no process of a node any more."""
        self.aside[node] = [proc for proc in self if proc.node is node]
        others = [proc for proc in self if proc.node is not node]
        self.clear()
        self.extend(others)

    def resume(self, node: Node) -> None:
        """Undo ``pause``."""
        self.extend(self.aside.pop(node, ()))

    def popleft(self) -> GreenProcess:
        if len(self) > 1:
            self.rotate(-self.draw.randrange(len(self)))
        return super().popleft()


def instant_of(proc: GreenProcess, deadline: float) -> float:
    """When a process's clock shows ``deadline``, in the simulation's time."""
    clock = proc.node.clock
    return clock.instant(deadline) if isinstance(clock, NodeClock) and clock.skewed else deadline


class SimulatedScheduler(Scheduler):
    """A scheduler that the caller drives."""

    def __init__(self, seed: int) -> None:
        self.clock = VirtualClock()
        super().__init__("simulated", self.clock)
        self.draw = random.Random(seed)
        self.fence = Fence(self, seed)
        self.drawn = _Drawn(self.draw)
        self.ready = self.drawn
        self.until: Callable[[], bool] = lambda: False
        self.limit = float("inf")
        self.at_rest: Callable[[], None] | None = None  # called before time jumps
        self._sources: dict[Node, list[Source]] = {}

    def begin(self) -> None:
        """There is no thread to start."""

    def poll(self) -> None:
        if self.ready:
            # So many dispatches without a rest: time goes on, or a busy loop would stop it.
            self.clock.time += POLL_EVERY * WORK
        super().poll()

    def dispatch(self, proc: GreenProcess | Turn) -> None:
        if isinstance(proc, Turn):
            self.running = None
            proc.loop.run_turn(proc)
        else:
            super().dispatch(proc)

    def add(self, node: Node, loop: SimulatedLoop) -> None:
        """Fire the timers of a node, which has added its own, and those of its loop."""
        self._sources[node] = [node.timers, loop]
        self.sources.append(loop)

    def remove(self, node: Node) -> None:
        """The node has ended: none of its timers fires any more."""
        self._take(node)
        del self._sources[node]

    def _take(self, node: Node) -> None:
        for source in self._sources[node]:
            if source in self.sources:
                self.sources.remove(source)

    def pause(self, node: Node) -> None:
        """Run nothing of a node and fire none of its timers, until ``resume``; time goes on."""
        if node not in self.drawn.aside:
            self.drawn.pause(node)
            self._take(node)

    def resume(self, node: Node) -> None:
        """Undo ``pause``: timers that were due meanwhile fire now. Twice is once."""
        if node in self.drawn.aside:
            self.drawn.resume(node)
            self.sources.extend(self._sources[node])

    def skew(self, node: Node, rate: float) -> None:
        """Let a node's clock gain ``rate`` seconds in each second from now on."""
        clock = node.clock
        assert isinstance(clock, NodeClock)
        runs = node not in self.drawn.aside
        if not clock.skewed:
            self._take(node)
            self._sources[node] = [_Skewed(clock, source) for source in self._sources[node]]
            if runs:
                self.sources.extend(self._sources[node])
        clock.run_at(rate)
        # What waits for that clock is due at another instant now.
        self.heap = [
            (clock.instant(proc.armed) if proc.node is node else when, number, proc)
            for when, number, proc in self.heap
            if proc.armed != FOREVER
        ]
        heapq.heapify(self.heap)

    def arm(self, proc: GreenProcess, deadline: float) -> None:
        self.sequence += 1
        proc.armed = deadline
        heapq.heappush(self.heap, (instant_of(proc, deadline), self.sequence, proc))

    def _expire(self, now: float) -> None:
        heap = self.heap
        while heap and heap[0][0] <= now:
            when, _, proc = heapq.heappop(heap)
            if when == instant_of(proc, proc.armed):
                self._look_at(proc, proc.node.clock.now())

    def idle(self) -> bool:
        self.poll()
        if self.until():
            return False
        if self.ready:
            return True
        if self.at_rest is not None:
            self.at_rest()
        due = self.next_due()
        if due is None or due > self.limit:
            return False
        self.clock.time = max(self.clock.time, due)
        return True

    def drive(self, until: Callable[[], bool], limit: float = float("inf")) -> None:
        """Run until nothing is ready and ``until()``, or nothing happens in ``limit`` seconds."""
        self.limit = self.clock.time + limit
        before, sched = HERE.proc, HERE.sched
        HERE.sched = self
        self.until = until
        try:
            with self.fence.up():
                self.work()
        finally:
            HERE.proc, HERE.sched = before, sched
            self.free.clear()


class Simulation:
    """Nodes in one thread under a seed.

    ``run(fn, *args)`` runs ``fn`` as a process of the first node and returns its result.
    """

    def __init__(self, seed: int, nodes: tuple[str, ...] = ("a@sim",)) -> None:
        self.seed = seed
        self.sched = SimulatedScheduler(seed)
        self.loops: dict[str, SimulatedLoop] = {}
        self.nodes = {name: self._node(name) for name in nodes}

    def _node(self, name: str) -> Node:
        entropy = random.Random(self.sched.draw.getrandbits(64))
        clock = NodeClock(self.sched.clock)
        node = Node(name, clock=clock, entropy=entropy, scheduler=self.sched)
        # What a loop must have and this one has not raises NotSimulated.
        self.loops[name] = SimulatedLoop(node, self.sched)  # type: ignore[abstract]
        node.outer_loop = self.loops[name]
        self.sched.add(node, self.loops[name])
        node.pool = SimulatedPool(node)
        return node.start()

    def run(
        self,
        fn: Callable[..., Any],
        *args: Any,
        node: str | None = None,
        limit: float = 3600.0,
    ) -> Any:
        """The result of ``fn(*args)``, a function or coroutine function; raises what it raised.

        ``NodeError`` if it has not ended in ``limit`` virtual seconds, or cannot.
        """
        home = self.nodes[node or next(iter(self.nodes))]
        box: list[Any] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                box.append(fn(*args))
            except BaseException as error:  # raised again where the simulation was run
                errors.append(error)
                raise

        async def coroutine() -> None:
            try:
                box.append(await fn(*args))
            except BaseException as error:  # raised again where the simulation was run
                errors.append(error)
                raise

        boss: Process = home.implicit()
        is_async = inspect.iscoroutinefunction(fn)
        proc, _ = launch(boss, "async" if is_async else "green", coroutine if is_async else body)
        self.sched.drive(lambda: not proc.alive, limit)
        boss.end("normal")  # type: ignore[attr-defined]  # implicit processes have it
        if errors:
            raise errors[0]
        if not box:
            raise NodeError(
                f"seed {self.seed}: {proc.pid!r} waits for ever, or for more than {limit} s"
            )
        return box[0]

    def settle(self) -> None:
        """Run until nothing is ready and no timer is armed."""
        self.sched.drive(lambda: False)
