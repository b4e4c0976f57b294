"""Named servers under supervisors on simulated nodes, and what must be true of their names.

At rest: every name has one holder in each component, all of its nodes know it, and no other
process of the component did run ``init`` and lives. Never: a name that nobody has. Always: who is
demoted gave way to a holder that sorts first, so of the holders that meet one stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from otpy import GenServer, Global, Ok, Pid, gen_server, self_pid, supervisor
from otpy.runtime._current import current
from otpy.runtime.record import Process
from otpy.terms.signals import ExitSignal
from otpy.testing import ClusterSimulation
from otpy.testing.faults import Break, Crash, Pause
from tests.testing.searches import NAMES, Search, at_rest

KEYS = ("x", "y")
QUIET = 3.0  # virtual seconds without a fault, a session that begins or one that ends


class Runs(dict[Pid, tuple[str, Process]]):
    """What one life of a node keeps: who ran ``init`` there, and for which name."""


class Holder(GenServer[str]):
    """A server that has a name of the cluster."""

    @classmethod
    def start_link(cls, key: str) -> Pid:
        return gen_server.start_link(cls, key, name=Global(key))

    def init(self, arg: str) -> Ok[str]:
        current().node.own(Runs)[self_pid()] = (arg, current())
        return Ok(arg)


def start() -> None:
    """What every node runs."""
    children = [supervisor.child_spec((Holder, key), id=key) for key in KEYS]
    # The seed ends holders more often than the usual intensity allows.
    supervisor.start_link(children, strategy="one_for_one", max_restarts=1000)


@dataclass
class Watched:
    """One simulation that is looked at."""

    sim: ClusterSimulation
    draw: Random = field(default_factory=Random)

    def components(self) -> list[tuple[str, ...]] | None:
        """Who sees each other; None unless whoever sees one of them sees all of them."""
        sees = {
            name: tuple(sorted((name, *mesh.nodes()))) for name, mesh in self.sim.meshes.items()
        }
        if any(sees.get(other) != group for group in sees.values() for other in group):
            return None
        return sorted(set(sees.values()))

    def at_rest(self) -> bool:
        """Whether nothing has happened for a while, and nothing is held up."""
        return at_rest(self.sim, QUIET)

    def wrong(self) -> list[str]:
        """What is not as it must be at rest."""
        found = [*self.demoted_for_nothing()]
        groups = self.components()
        for group in groups or ():
            for key in KEYS:
                views = {name: self.sim.whereis(name, key) for name in group}
                lives = [pid for name in group for pid in self.running(name, key)]
                if lives != [*{*views.values()}]:
                    found.append(f"{group}: {key} is held by {lives}, seen as {views}")
        return found

    def running(self, name: str, key: str) -> list[Pid]:
        """Who ran ``init`` for a name on a node, and lives."""
        node = self.sim.nodes[name]
        return [pid for pid, (ran, _) in node.own(Runs).items() if ran == key and pid in node.procs]

    def demoted_for_nothing(self) -> Iterator[str]:
        """Who lost a conflict that it should have won, or to a process that has got no name."""
        for node in self.sim.nodes.values():
            for pid, (key, proc) in node.own(Runs).items():
                match proc.reason if not proc.alive else None:
                    case ("name_conflict", _, Pid() as winner) if winner > pid:
                        yield f"{pid} was demoted for {winner}, which does not sort first"
                    case ("name_conflict", _, Pid() as winner) if self.stands_by(winner):
                        yield f"{pid} was demoted for {winner}, which did not get {key}"
                    case _:
                        pass

    def stands_by(self, pid: Pid) -> bool:
        """Whether a process lives and never ran ``init``."""
        node = self.sim.nodes.get(pid.node)
        return node is not None and pid in node.procs and pid not in node.own(Runs)

    def end_one(self) -> None:
        """End a holder."""
        name = self.draw.choice(NAMES)
        pid = self.sim.whereis(name, self.draw.choice(KEYS))
        if pid is not None and pid.node in self.sim.nodes:
            self.sim.nodes[pid.node].signal(ExitSignal(pid, pid, "kill", False))


def holds(sim: ClusterSimulation) -> None:
    """The test: faults and ends of holders by the seed, and a look whenever it is quiet."""
    watched = Watched(sim, Random(f"ends {sim.seed}"))
    looks = 0
    while sim.calm > sim.sched.clock.time:
        sim.let_pass(watched.draw.uniform(1.0, 6.0))
        if watched.at_rest():
            looks += 1
            assert not watched.wrong(), f"{sim.elapsed:.3f} s: {watched.wrong()}"
        if watched.draw.random() < 0.5:
            sim.network.at(0.0, watched.end_one)
    sim.heal()
    sim.wait(lambda: sim.meshed() and watched.at_rest())
    assert not watched.wrong(), f"in the end: {watched.wrong()}"


SEARCH = Search(holds, start, faults=4, window=(1.0, 30.0))
RESTLESS = Search(holds, start, faults=8, window=(1.0, 60.0), kinds=(Break, Crash, Pause))
