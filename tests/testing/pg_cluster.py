"""Servers in process groups, under supervisors on simulated nodes, and what must be true of them.

Whenever it is quiet, on every node: each group has exactly the living members of the nodes that
it sees, as often as they joined, and the soft leader is the smallest of them; its own members are
those that live here; whoever monitors a group, or all of them, has been told just that.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from otpy import (
    GenServer,
    GroupJoin,
    GroupLeave,
    NoReply,
    Ok,
    Pid,
    gen_server,
    pg,
    self_pid,
    supervisor,
)
from otpy.machines import pg as machine
from otpy.runtime._current import current
from otpy.terms.signals import ExitSignal
from otpy.testing import ClusterSimulation
from tests.testing.searches import NAMES, Search, at_rest

KEYS = ("x", "y", ("z", 1))
MEMBERS = 3  # on each node
QUIET = 0.6  # virtual seconds without a fault, a session that begins or ends, a change
BUSY = 6.0  # virtual seconds in which processes join, leave and end
View = dict[Any, list[Pid]]


class Joined(dict[Pid, Counter[Any]]):
    """What one life of a node keeps: how often each process has joined, by its own word."""


class Told(dict[Any, Counter[Pid]]):
    """What one life of a node keeps: the members, as its monitor was told."""


class Member(GenServer[None], green=True):
    """Is in groups: from its start in one, by its number, and where it is told to go."""

    @classmethod
    def start_link(cls, number: int) -> Pid:
        return gen_server.start_link(cls, number)

    def init(self, arg: int) -> Ok[None]:
        self.join(KEYS[arg % len(KEYS)])
        return Ok(None)

    def handle_info(self, message: Any, state: None) -> NoReply[None]:
        match message:
            case ("join", key):
                self.join(key)
            case ("leave", key):
                joined = current().node.own(Joined)[self_pid()]
                assert pg.leave(key, self_pid()) == (joined[key] > 0)
                joined[key] = max(0, joined[key] - 1)
            case _:
                raise ValueError(message)
        return NoReply()

    def join(self, key: Any) -> None:
        pg.join(key, self_pid())
        current().node.own(Joined).setdefault(self_pid(), Counter())[key] += 1


class Monitor(GenServer[None], green=True):
    """Follows all groups on the first node, and each of them on the others."""

    @classmethod
    def start_link(cls, arg: None) -> Pid:
        return gen_server.start_link(cls, arg)

    def init(self, arg: None) -> Ok[None]:
        told = self.told()
        told.clear()
        if current().node.name == NAMES[0]:
            groups = pg.monitor_scope()[1]
        else:
            groups = {key: pg.monitor(key)[1] for key in KEYS}
        for key, pids in groups.items():
            told[key] = Counter(pids)
        return Ok(None)

    def told(self) -> Told:
        return current().node.own(Told)

    def handle_info(self, message: Any, state: None) -> NoReply[None]:
        match message:
            case GroupJoin(_, key, pids):
                self.told().setdefault(key, Counter()).update(pids)
            case GroupLeave(_, key, pids):
                self.told()[key].subtract(pids)
            case _:
                raise ValueError(message)
        return NoReply()


def start() -> None:
    """What every node runs. Whoever joined a scope that ends must join the next one."""
    children = [pg.child_spec(), supervisor.child_spec((Monitor, None), id="monitor")]
    children += [supervisor.child_spec((Member, number), id=number) for number in range(MEMBERS)]
    supervisor.start_link(children, strategy="rest_for_one", max_restarts=1000)


def leader(key: Any) -> Pid | None:
    """The soft leader, as the current process's node sees it."""
    return min(pg.get_members(key), default=None)


def seen() -> tuple[View, View, dict[Any, Pid | None], list[Any]]:
    """What the functions of ``pg`` say on a node: members, its own, leaders, groups."""
    return (
        {key: pg.get_members(key) for key in KEYS},
        {key: pg.get_local_members(key) for key in KEYS},
        {key: leader(key) for key in KEYS},
        sorted(pg.which_groups(), key=repr),
    )


@dataclass
class Watched:
    """One simulation that is looked at; ``changed``: when a process was last told something."""

    sim: ClusterSimulation
    draw: Random
    changed: float = 0.0

    def at_rest(self) -> bool:
        """Whether nothing has happened for a while, and nothing is held up."""
        return at_rest(self.sim, QUIET, self.changed)

    def members(self, name: str, key: Any) -> list[Pid]:
        """The living members on a node, as often as they joined."""
        node = self.sim.nodes[name]
        joined = node.own(Joined)
        return sorted(
            pid for pid, keys in joined.items() if pid in node.procs for _ in range(keys[key])
        )

    def wrong(self) -> list[str]:
        """What is not as it must be at rest."""
        found: list[str] = []
        for name, mesh in self.sim.meshes.items():
            if name not in self.sim.nodes:
                continue
            views, own, leaders, groups = self.sim.call(name, seen)
            told = self.sim.nodes[name].own(Told)
            for key in KEYS:
                here = self.members(name, key)
                there = [self.members(peer, key) for peer in mesh.nodes()]
                wanted = sorted(here + [pid for pids in there for pid in pids])
                events = sorted((+told.get(key, Counter())).elements())
                got = (views[key], own[key], leaders[key], events, key in groups)
                right = (wanted, here, min(wanted, default=None), wanted, bool(wanted))
                if got != right:
                    found.append(f"{name}: {key!r} is {got}, expected {right}")
        return found

    def change(self) -> None:
        """Tell a member to join or to leave, or end something that runs on a node."""
        self.changed = self.sim.sched.clock.time
        node = self.sim.nodes.get(self.draw.choice(NAMES))
        members = [pid for pid in node.own(Joined) if pid in node.procs] if node else []
        if node is None or not members:
            return
        pid, key = self.draw.choice(members), self.draw.choice(KEYS)
        match self.draw.randrange(8):
            case 0:
                victim = node.names.table.get("pg", pid)
                node.signal(ExitSignal(victim, victim, "kill", False))
            case 1 | 2:
                node.signal(ExitSignal(pid, pid, "kill", False))
            case 3 | 4 | 5:
                node.deliver(pid, ("join", key))
            case _:
                node.deliver(pid, ("leave", key))


def holds(sim: ClusterSimulation) -> None:
    """The test: faults and changes by the seed, and a look whenever it is quiet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "PIECE", 12)  # what a node tells comes in pieces, as if it had much
        patch.setattr(machine, "MANY", 2)
        _holds(sim)


def _holds(sim: ClusterSimulation) -> None:
    watched = Watched(sim, Random(f"changes {sim.seed}"))
    draw = watched.draw
    while sim.calm > sim.sched.clock.time:
        # What takes long is waited for; what happens does so in the midst of the rest.
        busy = sim.elapsed < BUSY
        sim.let_pass(draw.random() * draw.choice((0.02, 0.5, 2.0)) if busy else 4.0)
        if watched.at_rest():
            assert not watched.wrong(), f"{sim.elapsed:.3f} s: {watched.wrong()}"
        if busy:
            watched.change()
    sim.heal()
    sim.wait(lambda: sim.meshed() and watched.at_rest())
    assert not watched.wrong(), f"in the end: {watched.wrong()}"


SEARCH = Search(holds, start, faults=3, window=(0.5, 5.0))
