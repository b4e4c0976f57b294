"""Global names: name servers that find each other late, or anew."""

from typing import Any

from otpy import Down, Node, Pid, global_, process, sys
from otpy.cluster._global_server import SERVER
from otpy.terms.names import At
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.global_helpers import everywhere, spawn

__all__ = ["cluster"]


def server_state(cluster: Cluster, short: str) -> Any:
    with cluster.nodes[short].attached():
        return sys.get_state(SERVER)


def two_names(cluster: Cluster) -> tuple[Node, Node, Pid, Pid]:
    """Two nodes; "here" is of the first one, "there" of the second."""
    cluster.start("ab")
    a, b = (cluster.nodes[short] for short in "ab")
    with a.attached():
        here = spawn()
        assert global_.register_name("here", here)
    with b.attached():
        there = spawn()
        assert global_.register_name("there", there)
    return a, b, here, there


def test_glob_01_a_name_server_that_began_just_after_the_look_for_it_takes_part(
    cluster: Cluster,
) -> None:
    """Names are visible on all connected nodes, whichever of a server's first words and the news
    that there is none comes first."""
    a, b, here, there = two_names(cluster)
    # The look came before b's server began, its answer after b's server had spoken.
    ref = server_state(cluster, "a").watched["server", b.name]
    with a.attached():
        process.send(SERVER, Down(ref, At(SERVER, b.name), "noproc"))
        eventually(lambda: ref not in server_state(cluster, "a").refs)
    eventually(lambda: everywhere(cluster, "there", there) and everywhere(cluster, "here", here))
    with b.attached():
        assert global_.register_name("more", spawn())


def test_glob_01_a_name_server_that_was_given_up_is_heard_again(cluster: Cluster) -> None:
    """Whoever has lost what another server told it asks for it when it hears from it."""
    cluster.start("ab")
    a, b = (cluster.nodes[short] for short in "ab")
    with b.attached():
        there = spawn()
        assert global_.register_name("there", there)
    ref = server_state(cluster, "a").watched["server", b.name]
    with a.attached():
        process.send(SERVER, Down(ref, At(SERVER, b.name), "shutdown"))
        eventually(lambda: ref not in server_state(cluster, "a").refs)
    with b.attached():
        more = spawn()
        assert global_.register_name("more", more)
    eventually(lambda: everywhere(cluster, "there", there) and everywhere(cluster, "more", more))
