"""Nodes that register, free and end each other's processes, and what must be true of the names.

At rest: all nodes have the same holder for each name, which lives; no name server has died, and
none keeps a request, a grant or a claim that is over.
"""

import random

from otpy import Exit, OtpyError, Pid, ProcessExit, erpc, global_, process
from otpy.cluster.global_ import GlobalNames
from otpy.testing import ClusterSimulation
from otpy.testing.faults import Break, OneWay
from tests.testing.searches import NAMES, Search

KEYS = ("x", "y", "z")
POOL = 3  # processes of each node that are registered
CALM = 20.0  # virtual seconds of a node after which it does nothing any more


def pool() -> None:
    """Processes that wait to be registered; one that ends is replaced."""
    process.flag(trap_exit=True)
    pids = [_waiting(number) for number in range(POOL)]
    while True:
        gone = process.receive(Exit).pid
        pids[pids.index(gone)] = _waiting(pids.index(gone))


def _waiting(number: int) -> Pid:
    pid = process.spawn_link(process.sleep, float("inf"), green=True)
    process.register(pid, f"waiting {number}")
    return pid


def one_of(number: int) -> Pid | None:
    """A process of the pool of this node."""
    return process.whereis(f"waiting {number}")


def meddle() -> None:
    """Do something to a process of any node, again and again."""
    until = process.monotonic_time() + CALM
    while process.monotonic_time() < until:
        process.sleep(random.uniform(0.01, 0.4))
        try:
            pid = erpc.call(random.choice(NAMES), one_of, random.randrange(POOL), timeout=2.0)
            if pid is not None:
                _do_something(pid)
        except (OtpyError, ProcessExit):
            pass  # the other node has gone meanwhile


def _do_something(pid: Pid) -> None:
    name, chance = random.choice(KEYS), random.random()
    if chance < 0.5:
        global_.register_name(name, pid)
    elif chance < 0.7:
        global_.re_register_name(name, pid)
    elif chance < 0.9:
        global_.unregister_name(name)
    else:
        process.exit(pid, "kill")


def start() -> None:
    """What every node runs."""
    process.spawn(pool)
    process.spawn(meddle)


def holds(sim: ClusterSimulation) -> None:
    """The test."""
    sim.let_faults_pass()
    sim.heal()
    sim.wait(sim.meshed, 60.0)
    sim.let_pass(CALM + 5.0)  # with time to come to rest
    for key in KEYS:
        views = {name: sim.whereis(name, key) for name in NAMES}
        holder = views[NAMES[0]]
        assert set(views.values()) == {holder}, f"{key}: {views}"
        assert holder is None or holder in sim.nodes[holder.node].procs, f"{key}: {holder} is dead"
    for node in sim.nodes.values():
        assert node.names.whereis("global_name_server") is not None, f"{node.name} has no server"
        service = node.name_services["global"]
        assert isinstance(service, GlobalNames)
        names = service.names
        left = (names.requests, names.origins, names.granted, names.queued, names.pending)
        assert not any(left), f"{node.name} keeps {left}"


SEARCH = Search(holds, start, faults=6, window=(1.0, 20.0))
ONE_WAY = Search(holds, start, faults=6, window=(1.0, 20.0), kinds=(OneWay, Break))
