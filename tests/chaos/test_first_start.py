"""The first start of a cluster, whose nodes are alone before they meet."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from otpy import ClusterReady, GenServer, Global, Ok, gen_server, process, supervisor
from otpy.runtime._current import current
from otpy.testing import Cluster, eventually

Make = Callable[..., Cluster]
SERVERS = 2  # of names and of leases: they too hear of nodes


class Leader(GenServer[int]):
    """Counts how often its ``init`` has run in this OS process."""

    led = 0

    @classmethod
    def start_link(cls, arg: Any = None, /) -> Any:
        return gen_server.start_link(cls, arg, name=Global(cls))

    def init(self, arg: Any, /) -> Ok[int]:
        Leader.led += 1
        return Ok(0)


def lead(first: list[Any]) -> None:
    """Start a supervised leader, behind the children that come first."""
    pid = supervisor.start_link([*first, (Leader, None)], strategy="one_for_one")
    process.unlink(pid)


def ready() -> None:
    lead([(ClusterReady, {"min_nodes": 3, "timeout": 30.0})])


def alone() -> None:
    lead([])


def led() -> int:
    return Leader.led


def waiting_or_led() -> bool:
    """Whether the start has come as far as it can while this node is alone."""
    waits = len(current().node.node_watchers) > SERVERS
    return waits or Leader.led > 0


def in_all(c: Cluster, fn: Callable[[], Any]) -> list[Any]:
    return [c.call(name, fn) for name in c.nodes]


def started_apart(c: Cluster, start: Callable[[], None]) -> None:
    """Start on three nodes that do not see each other yet, and let them meet."""
    c.partition({"a"}, {"b"}, {"c"})
    with ThreadPoolExecutor(3) as pool:
        starting = [pool.submit(c.call, name, start, timeout=40.0) for name in c.nodes]
        eventually(lambda: in_all(c, waiting_or_led) == [True] * 3)
        c.heal()
        for one in starting:
            one.result()


def test_nodes_that_are_not_waited_for_each_lead(cluster: Make) -> None:
    c = cluster(3)
    started_apart(c, alone)
    assert in_all(c, led) == [1, 1, 1]


def test_behind_cluster_ready_exactly_one_ever_leads(cluster: Make) -> None:
    c = cluster(3)
    started_apart(c, ready)
    assert sum(in_all(c, led)) == 1
