"""NODE: large messages beside small ones."""

import time

from otpy import gen_server, process, self_pid
from tests.cluster.conftest import Cluster, cluster
from tests.cluster.test_large_messages import LARGE, PATIENCE, keeper

__all__ = ["cluster"]


def test_node_15_a_large_message_does_not_delay_small_ones(cluster: Cluster) -> None:
    """large messages do not delay small signals unboundedly."""
    cluster.start("ab")
    large, small = keeper(cluster, "large"), keeper(cluster, "small")
    with cluster.nodes["a"].attached():
        done = self_pid()

        def body() -> None:
            for _ in range(5):
                gen_server.call(large, b"L" * LARGE, timeout=PATIENCE)
            process.send(done, "done")

        process.spawn(body)
        waits: list[float] = []
        while process.info(done, "message_queue_len") == {"message_queue_len": 0}:
            began = time.monotonic()
            assert gen_server.call(small, len(waits), timeout=PATIENCE) == len(waits)
            waits.append(time.monotonic() - began)
    # Without pieces there is one small answer for each large one, after it.
    assert len(waits) >= 20, waits
