"""Fake nodes with a real mesh, and what it takes to see that they are one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh
from tests.distribution.fakes import FakeNode

Join = Callable[..., FakeNode]


@pytest.fixture
def join(tmp_path: Path) -> Iterator[Join]:
    """Start a node: ``join(name, cookie=..., bits=..., **options of start_mesh)``."""
    meshes: list[Mesh] = []

    def make(
        name: str, cookie: str = "cookie of the tests", bits: int = 0, **more: Any
    ) -> FakeNode:
        node = FakeNode(name, bits)
        if "discovery" not in more:
            more.setdefault("directory", tmp_path)
        meshes.append(start_mesh(node, cookie=cookie, **more))  # type: ignore[arg-type]  # a fake
        return node

    yield make
    for mesh in meshes:
        mesh.stop()


def meshed(*nodes: FakeNode) -> bool:
    """Whether each of these nodes is connected to all the others, and to nobody else."""
    names = sorted(node.name for node in nodes)
    return all(node.router.nodes() == [n for n in names if n != node.name] for node in nodes)
