"""The observer, and what the members of a cluster know of it: nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.leader_election.leader_worker import LeaderWorker
from examples.observer import observer
from examples.observer.health import Ask, Health, Level, Status
from examples.observer.observer import holders, observing, report
from otpy import Global, gen_server, global_, node, self_pid
from otpy.testing import Cluster

ROOT = Path(__file__).parents[2]
LEADER = Global(LeaderWorker).name


@pytest.fixture
def three(cluster: Callable[..., Cluster]) -> Cluster:
    c = cluster(3)
    c.start_all([(Health, None), (LeaderWorker, {})])
    return c


def of(c: Cluster) -> dict[str, Any]:
    return {"cookie": c.cookie, "directory": c.directory}


def statuses(c: Cluster) -> list[Status]:
    return [c.call(name, gen_server.call, Health, Ask()) for name in c.nodes]


def leaders(c: Cluster) -> set[str]:
    pids = [c.call(name, global_.whereis_name, LEADER) for name in c.nodes]
    return {pid.node for pid in pids if pid is not None}


def test_it_sees_all_members_and_is_none_itself(three: Cluster) -> None:
    with observing(three.nodes[:1], **of(three)) as members:
        assert members == three.nodes
        assert holders(members) == {LEADER: leaders(three)}
        assert global_.registered_names() == []
        assert node.list_() == []
        assert node.list_("hidden") == three.nodes
        me = node.self_()
        for name in three.nodes:
            assert three.call(name, node.list_) == [other for other in members if other != name]
            assert three.call(name, node.list_, "hidden") == [me]

    three.wait_for(lambda: three.call("a", node.list_, "hidden") == [])
    assert three.logs("a").count("@127.0.0.1 is up") == 3  # the two members, and it


def test_its_own_names_are_unknown_to_the_members(three: Cluster) -> None:
    with observing(three.nodes[:1], **of(three)) as members:
        assert global_.register_name(LEADER, self_pid())  # a name that the cluster has, too
        assert holders(members) == {LEADER: leaders(three)}
        assert len(leaders(three)) == 1


def test_it_has_all_members_log_from_another_level_on(three: Cluster) -> None:
    before = statuses(three)
    assert [status.level for status in before] == ["INFO"] * 3
    with observing(["a@127.0.0.1"], **of(three)) as members:
        answers, silent = gen_server.multi_call(Health, Level("DEBUG"), members)
    assert [(name, status.level) for name, status in answers] == [
        (name, "INFO") for name in three.nodes
    ]
    assert silent == []
    assert [status.level for status in statuses(three)] == ["DEBUG"] * 3


def test_it_sees_both_sides_of_a_split_and_the_leader_of_each(
    three: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    three.partition({"a"}, {"b", "c"})
    three.wait_for(lambda: len(leaders(three)) == 2)
    with observing(["a@127.0.0.1", "b@127.0.0.1"], **of(three)) as members:
        assert members == three.nodes
        assert not report(members)
    told = capsys.readouterr().out
    assert "a@127.0.0.1 and b@127.0.0.1 do not see each other" in told
    assert f"{LEADER!r} is on {', '.join(sorted(leaders(three)))}" in told


def command(c: Cluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "examples.observer.observer", *arguments],
        cwd=ROOT,
        env={**os.environ, "COOKIE": c.cookie},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_tells_how_the_cluster_is(three: Cluster) -> None:
    directory = str(three.directory)
    done = command(three, "a@127.0.0.1", "--directory", directory, "--level", "WARNING")
    assert done.returncode == 0, done.stderr
    [leader] = leaders(three)
    assert f"{LEADER!r} is on {leader}" in done.stdout
    assert done.stdout.count("level='INFO'") == 3
    assert [status.level for status in statuses(three)] == ["WARNING"] * 3


def test_a_node_that_is_paused_holds_it_up_no_longer_than_it_has_patience(
    three: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "PATIENCE", 0.5)
    three.pause("b")
    with observing(["a@127.0.0.1"], **of(three)) as members:
        assert not report(members)
    told = capsys.readouterr().out
    assert "b@127.0.0.1: no answer" in told
    assert "not connected to observer" in told


def test_a_node_that_is_not_there_is_named_and_the_command_fails(three: Cluster) -> None:
    done = command(three, "a@127.0.0.1", "x@127.0.0.1", "--directory", str(three.directory))
    assert done.returncode == 1
    assert "x@127.0.0.1: no answer" in done.stdout
    assert done.stdout.count("Status(") == 3
