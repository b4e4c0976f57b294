"""How soon another holds the name when its holder's OS process is killed or stopped, and that the
one that was stopped never takes its lease for valid while another has one.
"""

from collections.abc import Callable, Iterator

import pytest

from otpy.machines.lease import LAST_WAIT, RENEW
from otpy.machines.lease_granter import EPSILON
from otpy.testing import Cluster
from tests.cluster import lease_witness
from tests.cluster.lease_witness import NAMES, Term, Witness, first_term, now

LEASE = 2.0
SLACK = 1.5  # seconds that a busy machine may add
# A promise by the slowest clock, one attempt that finds it in place, and a random wait.
CEILING = LEASE * ((1 + EPSILON) / (1 - EPSILON) ** 2 + RENEW + LAST_WAIT) + SLACK


@pytest.fixture
def led() -> Iterator[Cluster]:
    """Three nodes, one of which leads; sessions that end by silence only do so after the test."""
    with Cluster(3, lease_time=LEASE, net_ticktime=60.0, modules=[lease_witness]) as c:
        for node in c.nodes:
            c.start(node, [Witness])
        yield c


def holder(c: Cluster, among: tuple[str, ...] = NAMES) -> tuple[str, Term]:
    """The first of these nodes to lead, and what it has seen of that."""

    def leads() -> tuple[str, Term] | None:
        terms = [(node, c.call(node, first_term)) for node in among]
        led = [(node, term) for node, term in terms if term is not None]
        return min(led, key=lambda one: one[1].won, default=None)

    found = c.wait_for(leads)
    assert found is not None
    return found


def others(node: str) -> tuple[str, ...]:
    return tuple(name for name in NAMES if name != node)


@pytest.mark.parametrize("harm", [Cluster.kill, Cluster.pause])
def test_another_holds_the_name_soon_after_its_holder_is_killed_or_stopped(
    led: Cluster, harm: Callable[[Cluster, str], None]
) -> None:
    leader, _ = holder(led)
    began = now()
    harm(led, leader)
    _, term = holder(led, others(leader))
    assert term.won - began < CEILING


def test_a_holder_that_was_stopped_was_never_valid_when_another_was(led: Cluster) -> None:
    leader, _ = holder(led)
    led.pause(leader)
    _, later = holder(led, others(leader))
    led.resume(leader)

    def ended() -> Term | None:
        term = led.call(leader, first_term)
        return term if term is not None and term.over is not None else None

    first = led.wait_for(ended)
    assert first is not None
    assert first.valid is not None
    assert first.over is not None
    assert first.valid < later.won < first.over
