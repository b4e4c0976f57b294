"""The seeds under which clusters are searched in every run of the tests: ten thousand, in chunks.

They are the same ones each time. ``OTPY_SEEDS_TIMES=100`` runs a hundred times as many.
"""

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.testing import global_cluster, global_elsewhere, lease_changes, lease_cluster, pg_cluster
from tests.testing.searches import Search

CHUNK = 100


@dataclass(frozen=True, slots=True)
class Share:
    """A search, and how many seeds of the ten thousand are its own."""

    name: str
    search: Search
    seeds: int


SHARES = (
    Share("global", global_cluster.SEARCH, 5000),
    Share("global_restless", global_cluster.RESTLESS, 200),
    Share("global_elsewhere", global_elsewhere.SEARCH, 100),
    Share("global_elsewhere_one_way", global_elsewhere.ONE_WAY, 100),
    Share("pg", pg_cluster.SEARCH, 4200),
    Share("leases", lease_cluster.SEARCH, 500),
    Share("leases_skewed", lease_cluster.SKEWED, 100),
    Share("leases_changed", lease_changes.SEARCH, 200),
)
CHUNKS = [
    pytest.param(share.search, first, id=f"{share.name}-{first}")
    for share in SHARES
    for first in range(0, share.seeds, CHUNK)
]

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> Iterator[None]:
    """What was there before is no garbage: a tenth of the time went into looking at it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("search", "first"), CHUNKS)
def test_what_is_promised_holds_under_every_seed(search: Search, first: int) -> None:
    times = int(os.environ.get("OTPY_SEEDS_TIMES", "1"))
    size = CHUNK * times
    ran = search.run(range(first * times, first * times + size))
    assert ran == size or "OTPY_SEED" in os.environ


def test_ten_thousand_seeds_are_searched() -> None:
    assert len(CHUNKS) * CHUNK >= 10_000
    assert {share.name for share in SHARES} >= {"global", "pg", "leases", "leases_changed"}
    assert len({chunk.id for chunk in CHUNKS}) == len(CHUNKS), "no seed counts twice"
