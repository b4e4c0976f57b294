"""A cluster under a seed: nodes, their meshes and global names, in one thread.

Time is virtual, the network is in memory, and which process runs next and how long a
frame travels are drawn from the seed: the same seed gives the same run.
"""

from collections.abc import Callable
from typing import Any

from otpy.cluster import global_
from otpy.distribution.memory import Network
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from otpy.runtime.simulated import Simulation, VirtualClock
from otpy.terms.reasons import KILLED

SHORTEST, LONGEST = 0.0001, 0.001  # seconds that a frame travels


def _later_than(clock: VirtualClock, instant: float) -> Callable[[], bool]:
    return lambda: clock.time > instant


class ClusterSimulation(Simulation):
    """``ClusterSimulation(seed, ("a@sim", "b@sim")).call("a@sim", fn)``."""

    def __init__(self, seed: int, nodes: tuple[str, ...] = ("a@sim", "b@sim", "c@sim")) -> None:
        super().__init__(seed, nodes)
        draw = self.sched.draw
        self.network = Network(self.sched.clock, lambda: draw.uniform(SHORTEST, LONGEST))
        self.sched.sources.append(self.network)
        self.meshes: dict[str, Mesh] = {}
        for name in nodes:
            self._join(name)

    def _join(self, name: str) -> None:
        node = self.nodes[name]
        self.meshes[name] = start_mesh(node, network=self.network)
        self.run(global_.start, node, node=name)

    def call(self, node: str, fn: Callable[..., Any], *args: Any) -> Any:
        """The result of ``fn(*args)`` as a process of ``node``."""
        return self.run(fn, *args, node=node)

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> float:
        """Let time pass until ``condition()``; the virtual seconds that took.

        Raises ``TimeoutError``.
        """
        clock = self.sched.clock
        began = clock.time
        while not condition():
            if clock.time - began > seconds:
                raise TimeoutError(f"seed {self.seed}: not so after {seconds} virtual seconds")
            # One step: until the next instant at which something happens.
            instant = clock.time
            self.sched.drive(_later_than(clock, instant), seconds)
        return clock.time - began

    def partition(self, left: list[str], right: list[str]) -> None:
        """Cut the network between two sides."""
        self.network.partition(left, right)

    def heal(self) -> None:
        """Undo every ``partition``."""
        self.network.heal()

    def kill(self, name: str) -> None:
        """End a node at once, as ``kill -9`` does."""
        node, mesh = self.nodes.pop(name), self.meshes.pop(name)
        mesh.crash()
        self.sched.sources.remove(node.timers)
        node.state = "stopped"
        for proc in list(node.procs.values()):
            # Nobody hears of it from the process itself: its node is gone.
            proc.alive, proc.reason = False, KILLED
            proc.abandon()
        node.procs.clear()
        self.loops.pop(name).crash()

    def restart(self, name: str) -> None:
        """Start a node that was killed: it is a new node under its old name."""
        self.nodes[name] = self._node(name)
        self._join(name)
