"""Leases whose members change under faults: what ``lease_cluster.py`` says of leases, and more.

On every node a process asks for one change after the other, whatever became of the last one: a
member more or one less, of any node. Ever: what must never be of leases is not so. In the end:
one holds, every node knows it, and the members change when that is asked for.
"""

import random

from otpy import CallTimeout, process
from otpy.cluster import global_
from otpy.runtime._current import current
from otpy.terms.errors import BadArgument, NotRegistered, QuorumError
from otpy.testing import ClusterSimulation
from otpy.testing.faults import ClockSkew, Crash, OneWay, Partition, Pause
from tests.testing import lease_cluster
from tests.testing.lease_cluster import KEY, LEASE, OPTIONS
from tests.testing.searches import NAMES, Search

NODES = (*NAMES, "d@sim")  # the last is no member in the beginning


class Done(list[str]):
    """The changes that one life of a node was told have come about."""


def changes() -> None:
    """Ask for changes, for ever."""
    done = current().node.own(Done)
    while True:
        process.sleep(random.uniform(0.05, 0.5) * LEASE)
        change = random.choice((global_.add_member, global_.remove_member))
        try:
            change(KEY, node := random.choice(NODES))
        except (BadArgument, CallTimeout, NotRegistered, QuorumError):
            continue  # not now
        done.append(node)


def start() -> None:
    """What every node runs."""
    lease_cluster.start()
    process.spawn_link(changes)


def holds(sim: ClusterSimulation) -> None:
    """The test: that of leases, and changes in the end."""
    lease_cluster.holds(sim)

    def count() -> int:
        return sum(len(node.own(Done)) for node in sim.nodes.values())

    before = count()
    sim.wait(lambda: count() > before, 10 * LEASE)


SEARCH = Search(
    holds,
    start,
    faults=6,
    window=(1.0, 15.0),
    kinds=(Crash, Crash, OneWay, Partition, Partition, Pause, ClockSkew),
    options=OPTIONS,
    nodes=NODES,
)
