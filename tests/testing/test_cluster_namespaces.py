"""Clusters in network namespaces: packets that are lost without a word."""

import os
import shutil
import socket
from collections.abc import Callable

import pytest

from otpy import node
from otpy.testing import Cluster
from otpy.testing._namespaces import Namespaces, NoNamespaces, check_possible

A, B, C = "a@10.0.0.1", "b@10.0.0.2", "c@10.0.0.3"
TICK = 1.0  # seconds


def interfaces() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def nowhere(_command: str) -> None:
    """``shutil.which`` where nothing is installed."""


def views(c: Cluster) -> list[list[str]]:
    return [c.call(name, node.list_) for name in c.nodes]


def test_lost_packets_are_found_by_the_tick_and_a_heal_joins_the_nodes(
    cluster: Callable[..., Cluster],
) -> None:
    before = interfaces()
    c = cluster(3, network="netns", net_ticktime=TICK)
    assert views(c) == [[B, C], [A, C], [A, B]]
    assert interfaces() == before
    assert c.call("a", interfaces) == ["eth0", "lo"]
    c.partition({"a"}, {"b", "c"})
    c.wait_for(lambda: views(c) == [[], [C], [B]])
    downs = [line for name in c.nodes for line in c.logs(name).splitlines() if "is down" in line]
    # By the tick of either layer, and not because anybody said so.
    assert len(downs) == 4
    assert all(line.endswith(("(net_tick_timeout)", "(connection_closed)")) for line in downs)
    c.kill("b")
    c.restart("b")
    assert views(c) == [[], [C], [B]]
    c.heal()
    assert views(c) == [[B, C], [A, C], [A, B]]
    c.close()
    assert interfaces() == before


def test_one_lost_direction_ends_the_session_of_both(cluster: Callable[..., Cluster]) -> None:
    c = cluster(2, network="netns", net_ticktime=TICK)
    c.cut("b", "a")
    c.wait_for(lambda: views(c) == [[], []])
    c.heal()
    assert views(c) == [[B], [A]]


def test_a_pair_that_loses_its_packets_is_in_two_groups_in_the_end(
    cluster: Callable[..., Cluster],
) -> None:
    c = cluster(3, network="netns", net_ticktime=TICK)
    c.partition({"a"}, {"c"})
    c.wait_for(lambda: sorted(map(len, views(c))) == [0, 1, 1])
    lonely = next(name for name, view in zip(c.nodes, views(c), strict=True) if view == [])
    assert lonely != B
    line = f"session with {lonely} ended and kept so, to prevent overlapping partitions"
    assert [c.logs(name).count(line) for name in c.nodes] == [0, 1, 0]
    c.heal()
    assert views(c) == [[B, C], [A, C], [A, B]]


def test_the_machines_own_network_is_never_touched() -> None:
    before = interfaces()
    with pytest.raises(OSError, match="has no network namespace of its own"):
        Namespaces(os.getpid(), 1)
    assert interfaces() == before


def test_what_is_missing_for_namespaces_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", nowhere)
    with pytest.raises(NoNamespaces, match="not installed: ip, nsenter, unshare"):
        check_possible()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoNamespaces, match="need root"):
        check_possible()


def test_a_test_that_needs_them_is_skipped_where_they_cannot_be(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_it(cluster): cluster(2, network='netns')")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = pytester.runpytest_inprocess("-p", "no:randomly", "-rs")
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["*network namespaces need root*"])
