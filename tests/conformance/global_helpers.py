"""What the tests of global names share."""

from typing import Any

from otpy import global_, process
from tests.cluster.conftest import Cluster


def spawn() -> Any:
    """A process that does nothing until it is told to end."""
    return process.spawn(lambda: process.receive(where=lambda m: m == "end"), green=True)


def everywhere(cluster: Cluster, name: Any, pid: Any) -> bool:
    """Whether every node gives ``pid`` as the holder."""
    return all(
        node.name_services["global"].whereis_name(name) == pid for node in cluster.nodes.values()
    )


def synced(cluster: Cluster) -> None:
    """Return when every node knows every other one's names, and has acted on that."""
    for _ in range(2):
        for node in cluster.nodes.values():
            with node.attached():
                global_.sync()
