"""A cluster under a seed: nodes, their meshes and global names, in one thread.

Time is virtual, the network is in memory, and which process runs next and how long a
frame travels are drawn from the seed: the same seed gives the same run. ``faults.py`` says
what can happen to it, ``simulate.py`` searches for what must not.
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, assert_never

from otpy.cluster import global_
from otpy.cluster.lease import LEASE_TIME
from otpy.distribution.memory import Network
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from otpy.machines.auto_connect import AutoConnect
from otpy.runtime import process
from otpy.runtime._current import HERE
from otpy.runtime.node import Node
from otpy.runtime.simulated import Simulation, VirtualClock
from otpy.terms.errors import BadArgument, NodeError, ProcessExit, StartError
from otpy.terms.names import Global
from otpy.terms.pid import Pid
from otpy.terms.reasons import KILLED
from otpy.testing.disk import Disk, DiskFolder, Holder
from otpy.testing.faults import (
    Break,
    ClockSkew,
    Crash,
    Fault,
    OneWay,
    Partition,
    Pause,
    Schedule,
    check_fault,
    check_nodes,
    checked_side,
    lasts,
)
from otpy.testing.history import History

SHORTEST, LONGEST = 0.0001, 0.001  # seconds that a frame travels


def _later_than(clock: VirtualClock, instant: float) -> Callable[[], bool]:
    return lambda: clock.time > instant


class ClusterSimulation(Simulation):
    """``ClusterSimulation(seed, ("a@sim", "b@sim")).call("a@sim", fn)``.

    ``start`` runs as a process on every node when that has started, also again, and the
    process stays: what it links itself to lives as long as the node. What ``start`` raises
    is raised by the next ``wait`` or ``let_faults_pass``; ``StartError`` if it is ended by an exit,
    as by a supervisor whose child does not start, and ``NodeError`` if such an exit comes later,
    while the node runs. With ``recording`` the history also says, for each instant, whom each node
    takes for the holder of each global name.
    ``auto_connect`` and ``prevent_overlapping_partitions`` are as in ``start_node``, for all nodes.
    ``lease_time`` is that of ``global_.start``; with ``state_dir`` each node keeps what it has
    granted on its own disk, in files whose names begin with it.
    """

    def __init__(
        self,
        seed: int,
        nodes: tuple[str, ...] = ("a@sim", "b@sim", "c@sim"),
        *,
        start: Callable[[], Any] | None = None,
        recording: bool = False,
        auto_connect: AutoConnect = "always",
        prevent_overlapping_partitions: bool = True,
        lease_time: float = LEASE_TIME,
        state_dir: str | None = None,
    ) -> None:
        super().__init__(seed, nodes)
        self.names = nodes
        self._start = start
        self._auto_connect: AutoConnect = auto_connect
        self._prevent = prevent_overlapping_partitions
        self._lease_time = lease_time
        self._state_dir = state_dir
        self._raised: list[Exception] = []
        self._skewed: dict[str, object] = {}  # the last skew of each clock
        draw = self.sched.draw
        self.network = Network(self.sched.clock, lambda: draw.uniform(SHORTEST, LONGEST))
        self.sched.sources.append(self.network)
        self.meshes: dict[str, Mesh] = {}
        self.disks: dict[str, Disk] = {name: Disk() for name in nodes}
        self._tearing = Random(draw.getrandbits(64))
        self.history = History(self.sched.clock)
        if recording:
            self.sched.at_rest = lambda: self.history.look(self.nodes)
        self.began = self.sched.clock.time
        self.calm = self.began  # when the last fault is over
        for name in nodes:
            self._boot(name)
        self._await_boot()

    @property
    def elapsed(self) -> float:
        """The virtual seconds since ``began``."""
        return self.sched.clock.time - self.began

    # Nodes.

    def _boot(self, name: str) -> None:
        """Let a node that has been made join; a process of its own does what has to wait."""
        node = self.nodes[name]
        node.own(Holder).disk = self.disks[name]
        self.history.watch(node)
        self.meshes[name] = start_mesh(
            node,
            network=self.network,
            auto_connect=self._auto_connect,
            prevent_overlapping_partitions=self._prevent,
        )
        path = self._state_dir
        folder = None if path is None else DiskFolder(self.disks[name], path)

        def body() -> None:
            try:
                global_.start(node, lease_time=self._lease_time, state_dir=folder)
                if self._start is not None:
                    self._start()
            except Exception as error:  # raised again by whoever drives the simulation
                self._raised.append(error)
                raise
            except ProcessExit as error:
                text = f"{node.name}: start was ended by the exit reason {error.reason!r}"
                self._ended(node, error, StartError(error.reason, text))
                raise
            try:
                process.sleep(float("inf"))
            except ProcessExit as error:
                text = f"{node.name}: what start has linked itself to ended: {error.reason!r}"
                self._ended(node, error, NodeError(text))
                raise

        node.make("green", body).start()

    def _ended(self, node: Node, error: ProcessExit, told: Exception) -> None:
        """The process of ``start`` is ended, which is nothing to tell if its node is, too."""
        if self.nodes.get(node.name) is node and node.state == "running":
            told.__cause__ = error
            self._raised.append(told.with_traceback(error.__traceback__))

    def _await_boot(self) -> None:
        self.sched.drive(
            lambda: all("global" in node.name_services for node in self.nodes.values()), 1.0
        )
        self.check()

    def check(self) -> None:
        """Raise what ``start`` raised on a node, if it did."""
        if self._raised:
            raise self._raised.pop(0)

    def call(self, node: str, fn: Callable[..., Any], *args: Any) -> Any:
        """The result of ``fn(*args)`` as a process of ``node``."""
        return self.run(fn, *args, node=node)

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> float:
        """Let time pass until ``condition()``; the virtual seconds that took.

        Raises ``TimeoutError``.
        """
        with self.sched.fence.up():  # once, not in every step
            return self._wait(condition, seconds)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> float:
        clock = self.sched.clock
        began = clock.time
        while not condition():
            if clock.time - began > seconds:
                raise TimeoutError(f"seed {self.seed}: not so after {seconds} virtual seconds")
            # One step: until the next instant at which something happens.
            instant = clock.time
            self.sched.drive(_later_than(clock, instant), seconds)
            self.check()
        return clock.time - began

    def let_pass(self, seconds: float) -> None:
        """Let so many virtual seconds pass."""
        clock = self.sched.clock
        until = clock.time + seconds
        self.network.at(seconds, lambda: None)  # something happens then, whatever else does
        # Nobody looks meanwhile, so these are not the steps of ``wait``.
        self.sched.drive(lambda: clock.time >= until or bool(self._raised), seconds + 1.0)
        self.check()

    def whereis(self, node: str, name: object) -> Pid | None:
        """Whom a node takes for the holder of ``Global(name)``; None while it is down."""
        there = self.nodes.get(node)
        service = there.name_services.get("global") if there is not None else None
        return service.whereis_name(Global(name).name) if service is not None else None

    def meshed(self) -> bool:
        """Whether every node runs and is connected to every other one."""
        others = len(self.names) - 1
        return len(self.nodes) == len(self.names) and all(
            len(mesh.nodes()) == others for mesh in self.meshes.values()
        )

    def disk(self, name: str) -> Disk:
        """A node's disk; while it is down, what its crash left."""
        return self.disks[name]

    def kill(self, name: str) -> None:
        """End a node at once, as ``kill -9`` does.

        Raises ``BadArgument`` for a node that does not run.
        """
        self._check_runs("kill", name)
        self.history.add("kill", name)
        self._kill(name)

    def _kill(self, name: str) -> None:
        self._resume(name)
        node, mesh = self.nodes.pop(name), self.meshes.pop(name)
        mesh.crash()
        self.sched.remove(node)
        node.state = "stopped"
        for proc in list(node.procs.values()):
            # Nobody hears of it from the process itself: its node is gone.
            proc.alive, proc.reason = False, KILLED
            proc.abandon()
        node.procs.clear()
        self.loops.pop(name).crash()
        self.disks[name] = self.disks[name].crash(self._tearing)
        self.history.add("down", name)

    def restart(self, name: str) -> None:
        """Start a node that was killed: a new node of the old name, on the disk that is left."""
        check_nodes(f"restart({name!r})", (name,), self.names)
        if name in self.nodes:
            raise BadArgument(f"restart({name!r}): it runs; kill it first")
        self.history.add("restart", name)
        self._restart(name)

    def _restart(self, name: str) -> None:
        self.nodes[name] = self._node(name)
        rate = self.network.rates.get(name, 1.0)
        if rate != 1.0:
            self.sched.skew(self.nodes[name], rate)
        self._boot(name)
        if HERE.sched is not self.sched:
            self._await_boot()

    def close(self) -> None:
        """Kill every node, and let what ran there end. The simulation is over."""
        for name in list(self.nodes):
            self._kill(name)
        self.network.heal()
        self.network.heap.clear()
        self.sched.drive(lambda: not self.sched.ready, 0.0)

    # Faults.

    def partition(self, left: Sequence[str], right: Sequence[str]) -> None:
        """Cut the network between two sides. Raises ``BadArgument`` for a node that is none."""
        left, right = checked_side(left), checked_side(right)
        check_nodes(f"partition({left}, {right})", (*left, *right), self.names)
        self.network.partition(left, right)
        self.history.add("partition", "", left, right)

    def heal(self) -> None:
        """Undo every ``partition``, and every cut of a fault."""
        self.history.add("heal", "")
        self.network.heal()

    def pause(self, name: str) -> None:
        """Let a node run nothing, until ``resume``; its clock goes on. Twice is once.

        Raises ``BadArgument`` for a node that does not run.
        """
        self._check_runs("pause", name)
        self.history.add("pause", name)
        self._pause(name)

    def _pause(self, name: str) -> None:
        self.sched.pause(self.nodes[name])
        self.network.pause(name)

    def resume(self, name: str) -> None:
        """Undo ``pause``. Raises ``BadArgument`` for a node that does not run."""
        self._check_runs("resume", name)
        self.history.add("resume", name)
        self._resume(name)

    def _resume(self, name: str) -> None:
        self.sched.resume(self.nodes[name])
        self.network.resume(name)

    def skew(self, name: str, rate: float) -> None:
        """Let a node's clock gain ``rate`` seconds in each second, also after it starts again.

        All that happens there follows it: timers, ticks, ``time.monotonic``. Raises
        ``BadArgument`` unless ``rate`` is above 0.
        """
        check_nodes(f"skew({name!r}, {rate!r})", (name,), self.names)
        if not 0 < rate < float("inf"):
            raise BadArgument(f"skew({name!r}, {rate!r}); expected a rate above 0")
        self.history.add("skew", name, rate)
        self._skewed.pop(name, None)  # the end of a fault does not undo this
        self._skew(name, rate)

    def _skew(self, name: str, rate: float) -> None:
        self.network.rates[name] = rate
        if name in self.nodes:
            self.sched.skew(self.nodes[name], rate)

    def inject(self, fault: Fault) -> None:
        """Let a fault begin now. What cannot happen (a pause of a node that is down) does not.

        Raises ``BadArgument`` for what is no fault of these nodes.
        """
        check_fault(fault, self.names)
        self.calm = max(self.calm, self.sched.clock.time + lasts(fault))
        match fault:
            case Partition(left, right, seconds):
                cut = self.network.partition(left, right)
                self.network.at(seconds, lambda: self.network.mend(cut))
            case OneWay(source, target, seconds):
                way = self.network.cut_one_way(source, target)
                self.network.at(seconds, lambda: self.network.mend(way))
            case Break(source, target):
                self.network.break_connection(source, target)
            case Pause(name, seconds):
                self._pause_for(name, seconds)
            case Crash(name, seconds):
                if name in self.nodes:
                    self._kill(name)
                    self.network.at(seconds, lambda: self._start_again(name))
            case ClockSkew(name, rate, seconds):
                self._skew(name, rate)
                self._skewed[name] = mine = object()
                self.network.at(seconds, lambda: self._end_skew(name, mine))
            case _:
                assert_never(fault)
        self.history.add("fault", "", fault, lasts(fault))

    def _check_runs(self, what: str, name: str) -> None:
        check_nodes(f"{what}({name!r})", (name,), self.names)
        if name not in self.nodes:
            raise BadArgument(f"{what}({name!r}): it does not run")

    def _end_skew(self, name: str, which: object) -> None:
        if self._skewed.get(name) is which:  # no later one has begun
            self._skew(name, 1.0)

    def _pause_for(self, name: str, seconds: float) -> None:
        node = self.nodes.get(name)
        if node is None or node in self.sched.drawn.aside:
            return

        def resume() -> None:
            if self.nodes.get(name) is node:
                self._resume(name)

        self._pause(name)
        self.network.at(seconds, resume)

    def _start_again(self, name: str) -> None:
        if name not in self.nodes:
            self._restart(name)

    def schedule(self, faults: Schedule) -> None:
        """Let faults begin at their instants, in seconds since ``began``.

        Raises ``BadArgument`` for an instant that is over, and what is no fault of these nodes.
        """
        for instant, fault in faults:
            check_fault(fault, self.names)
            wait = instant - self.elapsed
            if wait < 0:
                raise BadArgument(f"{fault!r} at {instant} s: {self.elapsed:.3f} s have passed")
            self.calm = max(self.calm, self.began + instant + lasts(fault))
            self.network.at(wait, partial(self.inject, fault))

    def let_faults_pass(self) -> None:
        """Let time pass until every fault is over: the nodes run, and nothing is cut."""
        while (left := self.calm - self.sched.clock.time) > 0:
            self.let_pass(left)

    def note(self, text: str) -> None:
        """Write a line of one's own into the history."""
        self.history.add("note", "", text)
