"""Nodes under SIGSTOP: one delays the others by ``net_ticktime`` at most, and always comes back."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from otpy import Pid, global_, node, process
from otpy.testing import Cluster, eventually

Make = Callable[..., Cluster]
TICK = 2.0  # net_ticktime, in seconds
CROSSED = 300  # names that all nodes want
AGREED = 20.0  # seconds until all must give the same names again
NAMES = ("before", "both", "during", "on the paused one")


def hold(name: Any) -> bool:
    """Register a new process of this node, which does nothing else."""
    pid = process.spawn(process.sleep, float("inf"), green=True)
    return global_.register_name(name, pid)


def timed(fn: Callable[..., Any], *args: Any) -> float:
    began = time.monotonic()
    assert fn(*args) is not False
    return time.monotonic() - began


def registered(name: str) -> float:
    """Seconds that a registration takes."""
    return timed(hold, name)


def synced() -> float:
    """Seconds that a sync takes."""
    return timed(global_.sync)


def names() -> dict[str, Pid | None]:
    return {name: global_.whereis_name(name) for name in NAMES}


def holds(name: str) -> bool:
    """Whether the holder is a process of this node that is alive."""
    pid = global_.whereis_name(name)
    return pid is not None and pid.node == node.self_() and process.alive(pid)


def agreed(c: Cluster) -> dict[str, Pid]:
    """Who holds the names; nothing unless all nodes say the same, and every one has a holder."""
    first, *others = [c.call(name, names) for name in c.nodes]
    found = {name: pid for name, pid in first.items() if pid is not None}
    return found if found == first and all(other == first for other in others) else {}


@pytest.mark.parametrize("paused", ["a", "b", "c"])
def test_a_paused_node_holds_a_registration_up_for_net_ticktime_at_most(
    cluster: Make, paused: str
) -> None:
    c = cluster(3, net_ticktime=TICK)
    one, other = (name for name in c.nodes if name != c.name(paused))
    assert c.call(one, hold, "before")
    assert c.call(paused, hold, "both")
    assert c.call(paused, hold, "on the paused one")
    c.pause(paused)
    with ThreadPoolExecutor(2) as pool:
        syncing = pool.submit(c.call, other, synced, timeout=60.0)
        registering = c.call(one, registered, "during", timeout=60.0)
        assert TICK / 4 < registering <= TICK  # it was held up: it asked the paused one
        assert syncing.result() <= TICK
    assert c.call(other, hold, "both")
    c.resume(paused)
    found = eventually(lambda: agreed(c), AGREED)
    nodes = {name: pid.node for name, pid in found.items()}
    assert nodes["before"] == nodes["during"] == one
    assert nodes["on the paused one"] == c.name(paused)
    assert nodes["both"] in (other, c.name(paused))
    assert c.call(nodes["both"], holds, "both")


def crossed() -> None:
    """Register many names, one after the other, all of which the other nodes want too."""
    for number in range(CROSSED):
        hold(("crossed", number))


def holders() -> list[Pid | None]:
    return [global_.whereis_name(("crossed", number)) for number in range(CROSSED)]


def alive_here(pids: list[Pid]) -> bool:
    return all(process.alive(pid) for pid in pids if pid.node == node.self_())


@pytest.mark.parametrize("paused", ["a", "c"])
def test_a_node_that_is_paused_while_all_register_the_same_names_is_merged(
    cluster: Make, paused: str
) -> None:
    c = cluster(3, net_ticktime=TICK)
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(c.call, name, crossed, timeout=120.0) for name in c.nodes]
        eventually(lambda: c.call("b", some_held))
        c.pause(paused)
        others = [work for name, work in zip(c.nodes, running, strict=True) if name[0] != paused]
        for work in others:
            work.result()
        c.resume(paused)
        for work in running:
            work.result()

    def same() -> list[Pid]:
        first, *rest = [c.call(name, holders) for name in c.nodes]
        found = [pid for pid in first if pid is not None]
        return found if found == first and all(one == first for one in rest) else []

    found = eventually(same, AGREED)
    assert all(c.call(name, alive_here, found) for name in c.nodes)


def some_held() -> bool:
    return holders()[10] is not None
