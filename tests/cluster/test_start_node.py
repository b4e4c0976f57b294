"""``start_node``: a node, its mesh and the cluster's names in one call."""

from pathlib import Path

import pytest

from otpy import GenServer, Global, Node, NodeNameTaken, Ok, Pid, gen_server, start_node
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
