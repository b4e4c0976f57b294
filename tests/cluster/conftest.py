"""Real nodes in this interpreter, on a real mesh over loopback sockets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import Node
from otpy.cluster import global_
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from otpy.testing import eventually

COOKIE = "the cookie of the tests, long enough"


class Cluster:
    """Nodes by short name, and their meshes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.nodes: dict[str, Node] = {}
        self.meshes: dict[str, Mesh] = {}
        self.bare: list[Node] = []
        self.hidden = ""

    def start(
        self,
        names: str,
        *,
        lease_time: float = 5.0,
        durable: bool = False,
        hidden: str = "",
        **options: Any,
    ) -> "Cluster":
        """Start nodes and wait until they see each other.

        ``durable``: with a ``state_dir``; ``hidden``: which of them are; ``options`` are of
        ``start_mesh``.
        """
        self.hidden += hidden
        for short in names:
            node = Node(f"{short}@127.0.0.1").start()
            self.nodes[short] = node
            self.meshes[short] = start_mesh(
                node,
                cookie=COOKIE,
                directory=self.directory,
                hidden=short in hidden,
                **options,
            )
            state = self.directory.parent / f"state-{short}" if durable else None
            global_.start(node, lease_time=lease_time, state_dir=state)
        self.joined()
        return self

    def start_bare(self, short: str) -> Node:
        """A node of the mesh that has no name server."""
        node = Node(f"{short}@127.0.0.1").start()
        self.bare.append(node)
        start_mesh(node, cookie=COOKIE, directory=self.directory)
        return node

    def joined(self) -> None:
        """Wait for the full mesh, and until every name server has heard of every visible node."""
        for short, mesh in self.meshes.items():
            apart = self.hidden if short not in self.hidden else self.nodes
            others = sorted(n.name for s, n in self.nodes.items() if s != short and s not in apart)
            eventually(lambda mesh=mesh, others=others: mesh.nodes() == others)  # type: ignore[misc]
            names = self.nodes[short].name_services["global"].names  # type: ignore[attr-defined]
            eventually(lambda names=names, others=others: sorted(names.peers) == others)  # type: ignore[misc]

    def partition(self, left: str, right: str) -> None:
        """Cut every link between two sides and wait until they are gone."""
        self._each(left, right, lambda mesh, name: mesh.cut(name))
        for one in left:
            for other in right:
                far = self.nodes[other].name
                eventually(lambda one=one, far=far: far not in self.meshes[one].nodes())  # type: ignore[misc]

    def heal(self, left: str, right: str) -> None:
        """Undo ``partition``."""
        self._each(left, right, lambda mesh, name: mesh.heal(name))
        self.joined()

    def _each(self, left: str, right: str, do: Callable[[Mesh, str], None]) -> None:
        for one in left:
            for other in right:
                do(self.meshes[one], self.nodes[other].name)
                do(self.meshes[other], self.nodes[one].name)

    def stop(self) -> None:
        """Stop every node."""
        for node in [*self.nodes.values(), *self.bare]:
            node.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An empty cluster."""
    made = Cluster(tmp_path / "nodes")
    yield made
    made.stop()
