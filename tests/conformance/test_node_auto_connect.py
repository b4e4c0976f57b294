"""NODE: to whom a node connects by itself, ``dist_auto_connect``, on a real mesh."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from otpy import BadArgument, CallExit, Node, NodeDown, gen_server, node, process, start_node
from otpy.distribution.discovery import LocalDirectory
from otpy.distribution.mesh import Mesh
from otpy.machines.discovery import Entry
from otpy.terms.names import At
from otpy.testing import eventually
from tests.cluster.conftest import COOKIE

A, B = "a@127.0.0.1", "b@127.0.0.1"
TICKS = 3  # looks of the discovery


class Looks:
    """A strategy that finds nobody, and counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def found(self) -> list[Entry]:
        self.count += 1
        return []


class Pair:
    """Nodes, of which each connects by itself as it was told."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = LocalDirectory(directory)
        self.stack = stack
        self.looks: dict[str, Looks] = {}

    def start(self, name: str, how: Any, **options: Any) -> Node:
        """One more node."""
        self.looks[name] = Looks()
        found: list[Any] = [self.directory, self.looks[name]]
        return self.stack.enter_context(
            start_node(name, cookie=COOKIE, discovery=found, auto_connect=how, **options)
        )

    def looked(self, here: Node) -> None:
        """Return when a node has looked for others a few times more, and done what came of it."""
        looks = self.looks[here.name]
        enough = looks.count + TICKS
        eventually(lambda: looks.count >= enough)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """No nodes yet."""
    with ExitStack() as stack:
        yield Pair(tmp_path / "nodes", stack)


def mesh_of(here: Node) -> Mesh:
    assert isinstance(here.router, Mesh)
    return here.router


def lost(a: Node, b: Node) -> None:
    """End the session between two nodes, as one that disconnects."""
    eventually(lambda: b.name in a.peers and a.name in b.peers)  # one of them knows it first
    with a.attached():
        assert node.disconnect(b.name)
    eventually(lambda: not a.peers and not b.peers)


def test_node_14_never_connects_by_being_told_only(pair: Pair) -> None:
    """auto-connect never/once honoured: never."""
    a, b = pair.start(A, "never"), pair.start(B, "never")
    pair.looked(a)
    with a.attached():
        assert node.list_() == []
        assert node.ping(B) == "pang"
        process.send(At("nobody", B), "hello")
        with pytest.raises(CallExit, match="nodedown"):
            gen_server.call(At("nobody", B), "x")
        node.monitor(B, True)
        assert process.receive(timeout=5) == NodeDown(B, "connection_setup_failed")
        assert node.connect(B) is True
        assert node.ping(B) == "pong"
        lost(a, b)
        pair.looked(a)
        assert node.ping(B) == "pang"
        assert node.connect(B) is True
    lost(b, a)
    pair.looked(a)
    with a.attached():
        assert node.ping(B) == "pang"


def test_node_14_never_lets_others_in(pair: Pair) -> None:
    """auto-connect never/once honoured: it is about this node's own attempts."""
    a, b = pair.start(A, "never"), pair.start(B, "always")
    eventually(lambda: a.peers and b.peers)
    with b.attached():
        assert node.ping(A) == "pong"


def test_node_14_never_dials_whom_others_tell_of(pair: Pair) -> None:
    """auto-connect never/once honoured: also for what peers say of their peers."""
    a, c = pair.start(A, "never"), pair.start("c@127.0.0.1", "never")
    b = pair.start(B, "always")
    eventually(lambda: len(b.peers) == 2)
    pair.looked(b)
    for one in (a, c):
        assert [*one.peers] == [B]
    with a.attached():
        assert node.connect(c.name) is True


def test_node_14_never_asked_for_what_does_not_come_is_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """auto-connect never/once honoured: an attempt that failed leaves nothing behind."""
    monkeypatch.setattr("otpy.distribution.mesh.PATIENCE", 0.2)
    a, b = pair.start(A, "never"), pair.start(B, "never", refused=[A])
    with a.attached():
        assert node.connect(B) is False
    eventually(lambda: not mesh_of(a).auto.asked)
    eventually(lambda: mesh_of(a).peers[B].link is None)  # what was under way has failed, too
    pair.looked(b)
    mesh_of(b).heal(A)
    pair.looked(a)
    assert not a.peers


def test_node_14_once_connects_by_itself_until_the_session_ends(pair: Pair) -> None:
    """auto-connect never/once honoured: once."""
    a, b = pair.start(A, "once"), pair.start(B, "once")
    eventually(lambda: a.peers and b.peers)
    for _ in range(2):
        lost(a, b)
        pair.looked(a)
        pair.looked(b)
        with a.attached():
            assert node.ping(B) == "pang"
            assert node.list_() == []
            assert node.connect(B) is True
            assert node.ping(B) == "pong"


def test_node_14_once_connects_to_a_node_that_it_has_not_met(pair: Pair) -> None:
    """auto-connect never/once honoured: one that was lost does not bar the others."""
    a, b = pair.start(A, "once"), pair.start(B, "once")
    eventually(lambda: a.peers and b.peers)
    lost(a, b)
    c = pair.start("c@127.0.0.1", "once")
    eventually(lambda: [*a.peers] == [*b.peers] == [c.name])
    pair.looked(a)
    assert [*a.peers] == [c.name]


def test_node_14_a_node_connects_always_once_or_never(tmp_path: Path) -> None:
    """auto-connect never/once honoured: and nothing else is taken."""
    with pytest.raises(BadArgument, match="auto_connect='twice'; expected always, once, never"):
        start_node(A, cookie=COOKIE, directory=tmp_path, auto_connect="twice")  # type: ignore[arg-type]
