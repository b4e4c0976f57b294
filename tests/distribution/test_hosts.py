"""The host on which a node listens, and the one that it tells the others."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from otpy import Node, NodeError, discovery, node, start_node
from otpy.distribution.directory import Directory
from otpy.distribution.mesh import Mesh
from otpy.testing import eventually

COOKIE = "the cookie of these tests, long enough"
FAR = "a@127.0.0.2"


def has_ipv6() -> bool:
    """Whether this machine has the address ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")


def port_of(here: Node) -> int:
    assert isinstance(here.router, Mesh)
    return here.router.port


def told(here: Node, name: str) -> str:
    """The address at which a node knows another one."""
    assert isinstance(here.router, Mesh)
    return here.router.peers[name].address


@pytest.mark.parametrize(
    ("name", "host", "says"),
    [
        (FAR, "0.0.0.0", "127.0.0.2"),
        (FAR, "*", "127.0.0.2"),
        (FAR, None, "127.0.0.2"),
        ("a@localhost", "127.0.0.2", "127.0.0.2"),
        pytest.param("a@::1", "::", "::1", marks=needs_ipv6),
    ],
)
def test_a_node_that_listens_on_all_addresses_tells_the_host_of_its_name(
    name: str, host: str | None, says: str, tmp_path: Path
) -> None:
    with start_node(name, cookie=COOKIE, directory=tmp_path, host=host):
        entry = Directory(tmp_path).get(name)
        assert entry is not None
        assert entry.host == says


def test_others_hear_in_the_hello_where_to_dial_back(tmp_path: Path) -> None:
    with (
        start_node(FAR, cookie=COOKIE, directory=tmp_path / "one", host="0.0.0.0") as a,
        start_node(
            "b@127.0.0.1",
            cookie=COOKIE,
            discovery=[discovery.Static([f"{FAR}:{port_of(a)}"])],
        ) as b,
        start_node(
            "c@127.0.0.1",
            cookie=COOKIE,
            discovery=[discovery.Static([f"b@127.0.0.1:{port_of(b)}"])],
        ) as c,
    ):
        eventually(lambda: len(a.peers) == len(b.peers) == len(c.peers) == 2)
        assert told(c, FAR) == f"tcp://127.0.0.2:{port_of(a)}"


@pytest.mark.parametrize(("name", "host"), [("a@0.0.0.0", None), ("a@::", "0.0.0.0")])
def test_a_node_that_can_tell_no_address_is_refused(
    name: str, host: str | None, tmp_path: Path
) -> None:
    with pytest.raises(NodeError, match="its name does not say where others reach it"):
        start_node(name, cookie=COOKIE, directory=tmp_path, host=host)


@needs_ipv6
def test_nodes_meet_over_ipv6(tmp_path: Path) -> None:
    names = [f"{short}@::1" for short in "abc"]
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(start_node(name, cookie="short", directory=tmp_path))
            for name in names
        ]
        eventually(lambda: all(len(here.peers) == 2 for here in nodes))
        with nodes[0].attached():
            assert [node.ping(name) for name in names] == ["pong"] * 3
        assert told(nodes[0], "c@::1") == f"tcp://[::1]:{port_of(nodes[2])}"
