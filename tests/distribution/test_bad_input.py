"""What users get for wrong names and options of nodes: one clear error, and the mesh goes on."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import At, BadArgument, Node, NodeError, NotAName, NotSendable, gen_server, process
from otpy.cluster.start import start_node
from otpy.distribution.directory import Directory
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from otpy.machines.discovery import Entry
from otpy.testing.waiting import eventually

A, B = "a@127.0.0.1", "b@127.0.0.1"
NOT_NODES: list[Any] = [
    5,
    None,
    "",
    "nohost",
    "a@",
    "@h",
    "a b@h",
    "a\n@h",
    "a@b\0",
    "n" * 255 + "@h",
]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Node]:
    """Two connected nodes; the test is a process of the first."""
    options: dict[str, Any] = {"cookie": "cookie of the tests", "directory": tmp_path}
    with start_node(A, **options) as a, start_node(B, **options), a.attached():
        assert isinstance(a.router, Mesh)
        assert a.router.connect(B)
        yield a


@pytest.mark.parametrize("node", NOT_NODES)
def test_an_address_on_what_is_no_node_is_refused_where_it_is_made(node: Any) -> None:
    with pytest.raises(NotAName, match=r"expected 'name@host'"):
        At("a", node)


@pytest.mark.parametrize("node", NOT_NODES)
def test_a_node_with_a_bad_name_is_refused(node: Any) -> None:
    with pytest.raises(NodeError, match=r"expected 'name@host'"):
        Node(node)


def test_a_job_that_breaks_does_not_cost_a_node_its_mesh(
    pair: Node, caplog: pytest.LogCaptureFixture
) -> None:
    router = pair.router
    assert isinstance(router, Mesh)

    def broken() -> None:
        raise RuntimeError("broken job")

    with caplog.at_level(logging.ERROR, "otpy.mesh"):
        router.wire.soon(broken)
        assert router.disconnect(B)
        assert router.connect(B)
    assert "broken job" in caplog.text


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: gen_server.multi_call("n" * 256, "x"), NotAName),
        (lambda: gen_server.multi_call("name", "x", ["nohost"]), NotAName),
        (lambda: gen_server.multi_call("name", [object()], [B]), NotSendable),
        (lambda: gen_server.multi_call("name", "x", timeout=-1), BadArgument),
    ],
)
@pytest.mark.usefixtures("pair")
@pytest.mark.timeout(20)
def test_multi_call_raises_what_is_wrong_and_does_not_wait_for_ever(
    call: Callable[[], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("port", "x"),
        ("port", -1),
        ("port", 65536),
        ("port", 1.5),
        ("cookie", 5),
        ("cookie", b"bytes"),
        ("cookie", ""),
        ("host", 5),
        ("host", ""),
        ("net_ticktime", 0),
        ("net_ticktime", -1),
        ("net_ticktime", "x"),
        ("net_ticktime", float("nan")),
    ],
)
def test_a_wrong_option_of_a_mesh_is_named(option: str, value: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"cookie": "c", "directory": tmp_path, option: value}
    with Node(A) as node, pytest.raises(BadArgument, match=f"{option}.*expected"):
        start_mesh(node, **options)


def test_a_host_that_is_not_here_is_no_port_in_use(tmp_path: Path) -> None:
    with Node(A) as node, pytest.raises(NodeError, match=r"cannot listen on 192\.0\.2\.1") as bad:
        start_mesh(node, host="192.0.2.1", cookie="c" * 30, directory=tmp_path)
    assert type(bad.value) is NodeError


@pytest.mark.parametrize("name", ["n" * 245 + "@127.0.0.1", "é" * 200 + "@127.0.0.1"])
def test_the_longest_names_of_nodes_can_be_used(name: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"cookie": "cookie of the tests", "directory": tmp_path}
    with start_node(name, **options), start_node(B, **options) as b:
        eventually(lambda: b.router is not None and b.router.nodes() == [name])


def test_names_that_differ_in_a_slash_only_are_two_nodes(tmp_path: Path) -> None:
    table = Directory(tmp_path)
    one, other = Entry("a/b@h", "h", 1, 1), Entry("a_b@h", "h", 2, 1)
    table.add(one)
    table.add(other)
    assert table.get("a/b@h") == one
    assert table.get("a_b@h") == other


@pytest.mark.usefixtures("pair")
def test_a_long_global_name_that_nobody_has_can_be_monitored() -> None:
    from otpy import Down, Global

    ref = process.monitor(Global("g" * 250))
    assert process.receive(Down, timeout=5).ref == ref
