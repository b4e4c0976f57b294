"""Named servers that hold leases, under supervisors on simulated nodes, and what must be true.

Ever: no two of them have a valid lease at one instant, also on a node that is paused; the later
one has the greater token; who has been demoted for its lease has none that is valid. In the end:
one holds, every node knows it, and nobody else has run ``init`` and lives.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from otpy import GenServer, Global, Ok, Pid, gen_server, global_, self_pid, supervisor
from otpy.runtime._current import current
from otpy.terms.signals import ExitSignal
from otpy.testing import ClusterSimulation
from otpy.testing.faults import SKEW, ClockSkew, Crash, OneWay, Partition, Pause
from tests.testing.searches import NAMES, Search

LEASE = 2.0  # seconds
KEY = "x"


class Held(dict[Pid, global_.Lease]):
    """What one life of a node keeps: who ran ``init`` there, and the lease it had then."""


class Holder(GenServer[None], green=True):
    """A server whose name is a lease."""

    @classmethod
    def start_link(cls, arg: None) -> Pid:
        return gen_server.start_link(cls, arg, name=Global(KEY, quorum=NAMES))

    def init(self, arg: None) -> Ok[None]:
        current().node.own(Held)[self_pid()] = global_.lease(KEY)
        return Ok(None)


def start() -> None:
    """What every node runs."""
    supervisor.start_link([(Holder, None)], strategy="one_for_one", max_restarts=1000)


@dataclass
class Watched:
    """One simulation that is looked at; ``token``: the greatest one seen."""

    sim: ClusterSimulation
    draw: Random
    seen: dict[Pid, None] = field(default_factory=dict[Pid, None])
    token: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def leases(self) -> list[tuple[Pid, global_.Lease]]:
        """Those of nodes that have not crashed; a paused one may go on at any instant."""
        return [item for node in self.sim.nodes.values() for item in node.own(Held).items()]

    def look(self) -> None:
        """See that what must never be is not so at this instant."""
        valid: list[Pid] = []
        for pid, lease in self.leases():
            if pid not in self.seen:
                self.seen[pid] = None
                self.begins(pid, lease)
            if lease.valid():
                valid.append(pid)
        if len(valid) > 1:
            self.wrong.append(f"{self.sim.elapsed:.6f} s: {valid} have a valid lease")

    def begins(self, pid: Pid, lease: global_.Lease) -> None:
        """A server has got the name."""
        token = lease.token
        if not isinstance(token, int):
            self.wrong.append(f"{pid} has no token, though every node has a disk")
        elif token <= self.token:
            self.wrong.append(f"{pid} has the token {token} after {self.token}")
        else:
            self.token = token

    def end_one(self) -> None:
        """End a holder, or who stands by."""
        node = self.sim.nodes.get(self.draw.choice(self.sim.names))
        held = [pid for pid in node.own(Held) if pid in node.procs] if node else []
        for pid in held[:1]:
            self.sim.nodes[pid.node].signal(ExitSignal(pid, pid, "kill", False))

    def agreed(self) -> bool:
        """Whether one has the name, and every node knows that."""
        views = {self.sim.whereis(name, KEY) for name in self.sim.names}
        lives = [pid for pid, _ in self.leases() if pid in self.sim.nodes[pid.node].procs]
        valid = [pid for pid, lease in self.leases() if lease.valid()]
        return lives == valid == [*views]


def holds(sim: ClusterSimulation) -> None:
    """The test: faults and ends of holders by the seed, and a look at every instant."""
    watched = Watched(sim, Random(f"ends {sim.seed}"))
    before: Callable[[], None] | None = sim.sched.at_rest

    def look() -> None:
        if before is not None:
            before()
        watched.look()

    sim.sched.at_rest = look
    while sim.calm > sim.sched.clock.time:
        sim.let_pass(watched.draw.uniform(1.0, 6.0))
        assert not watched.wrong, watched.wrong[0]
        if watched.draw.random() < 0.3:
            sim.network.at(0.0, watched.end_one)
    sim.heal()
    sim.wait(lambda: sim.meshed() and watched.agreed(), 6 * LEASE)
    assert not watched.wrong, watched.wrong[0]


OPTIONS = {"lease_time": LEASE, "state_dir": "leases"}
SEARCH = Search(
    holds,
    start,
    faults=6,
    window=(1.0, 15.0),
    kinds=(Crash, Crash, OneWay, Partition, Pause, ClockSkew),
    options=OPTIONS,
)
# Whoever holds it on the node with the slow clock is paused; the others' clocks are fast, but not
# before it is held: else a fast one would be the first to get it.
SLOW_AND_PAUSED = (
    (4.0, ClockSkew(NAMES[0], 1 - SKEW, 40.0)),
    (4.0, ClockSkew(NAMES[1], 1 + SKEW, 40.0)),
    (4.0, ClockSkew(NAMES[2], 1 + SKEW, 40.0)),
    (8.0, Pause(NAMES[0], 10.0)),
)
SKEWED = Search(holds, start, faults=SLOW_AND_PAUSED, options=OPTIONS)
NOT_SKEWED = replace(SKEWED, faults=SLOW_AND_PAUSED[-1:])
