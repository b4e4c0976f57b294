"""A node that gets another name while it runs: with its distribution, and without."""

from typing import TYPE_CHECKING

from otpy.terms.pid import Creation

if TYPE_CHECKING:
    from otpy.runtime.node import Node


def rename(node: "Node", name: str) -> None:
    """Call a node that has no mesh ``name`` from now on; it is the same life of it.

    Its processes keep their pids (``Node.home``).
    """
    node.creation = Creation(node.home.started, name, node.home.bits)
    node.name = name
