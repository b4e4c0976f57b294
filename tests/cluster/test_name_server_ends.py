"""A name server that somebody has killed."""

import pytest

from otpy import Down, NotDistributed, global_, process
from otpy.cluster._global_server import SERVER
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.global_helpers import everywhere, spawn
from tests.conformance.test_global_servers import two_names

__all__ = ["cluster"]


def test_a_name_server_that_was_killed_is_started_again_without_a_name(cluster: Cluster) -> None:
    a, b, here, there = two_names(cluster)
    with a.attached():
        server = process.whereis(SERVER)
        assert server is not None
        ref = process.monitor(server)
        process.exit(server, "kill")
        assert process.receive(Down, timeout=5).ref == ref
        with pytest.raises(NotDistributed, match=r"call global_\.start\(node\)"):
            global_.register_name("more", spawn())
    with b.attached():
        eventually(lambda: global_.whereis_name("here") is None)
    global_.start(a)
    eventually(lambda: everywhere(cluster, "there", there))
    with a.attached():
        assert global_.register_name("here", here)
    assert everywhere(cluster, "here", here)
    global_.start(a)
    assert everywhere(cluster, "here", here)
