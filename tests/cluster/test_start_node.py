"""``start_node``: a node, its mesh and the cluster's names in one call."""

import os
import socket
import time
from pathlib import Path

import pytest

from otpy import (
    AlreadyStarted,
    BadArgument,
    GenServer,
    Global,
    Node,
    NodeNameTaken,
    Ok,
    Pid,
    gen_server,
    start_node,
)
from otpy.distribution.directory import Directory
from otpy.machines.discovery import Entry
from otpy.testing import eventually

COOKIE = "the cookie of these tests"


class Here(GenServer[int]):
    def init(self, arg: int, /) -> Ok[int]:
        return Ok(arg)


def whereis(node: Node, name: Global) -> object:
    with node.attached():
        return gen_server.whereis(name)


def test_two_started_nodes_find_each_other_and_share_names(tmp_path: Path) -> None:
    name = Global("here")
    with (
        start_node("a@127.0.0.1", cookie=COOKIE, directory=tmp_path) as a,
        start_node("b@127.0.0.1", cookie=COOKIE, directory=tmp_path) as b,
    ):
        eventually(lambda: a.peers and b.peers)
        with a.attached():
            pid: Pid = gen_server.start(Here, 1, name=name)
        assert whereis(b, name) == pid


def test_a_node_whose_mesh_does_not_start_is_stopped(tmp_path: Path) -> None:
    with (
        start_node("a@127.0.0.1", cookie=COOKIE, directory=tmp_path),
        pytest.raises(NodeNameTaken, match=r"a@127\.0\.0\.1 runs already"),
    ):
        start_node("a@127.0.0.1", cookie=COOKIE, directory=tmp_path)


def test_a_started_node_knows_the_names_of_those_that_run_already(tmp_path: Path) -> None:
    names = [Global(f"name {n}") for n in range(20)]
    with start_node("a@127.0.0.1", cookie=COOKIE, directory=tmp_path) as a, a.attached():
        pids = [gen_server.start(Here, 1, name=name) for name in names]
        with start_node("b@127.0.0.1", cookie=COOKIE, directory=tmp_path) as b:
            assert [whereis(b, name) for name in names] == pids
            with b.attached(), pytest.raises(AlreadyStarted):
                gen_server.start(Here, 1, name=names[0])


def test_a_node_that_does_not_answer_is_not_waited_for_longer_than_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections and says nothing
        port = mute.getsockname()[1]
        Directory(tmp_path).add(Entry("mute@127.0.0.1", "127.0.0.1", port, os.getpid()))
        began = time.monotonic()
        with start_node(
            "a@127.0.0.1", cookie=COOKIE, directory=tmp_path, sync_nodes_timeout=0.3
        ) as a:
            assert 0.3 <= time.monotonic() - began < 2.0
            assert not a.peers


def test_a_node_of_another_cookie_is_not_waited_for(tmp_path: Path) -> None:
    with start_node("a@127.0.0.1", cookie=COOKIE, directory=tmp_path):
        began = time.monotonic()
        with start_node(
            "b@127.0.0.1", cookie="quite another cookie", directory=tmp_path, sync_nodes_timeout=60
        ) as b:
            assert time.monotonic() - began < 10
            assert not b.peers


def test_a_time_to_wait_is_seconds() -> None:
    with pytest.raises(BadArgument, match="sync_nodes_timeout=-1; expected seconds"):
        start_node("a@127.0.0.1", cookie=COOKIE, sync_nodes_timeout=-1)
