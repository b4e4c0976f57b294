"""Leases searched through their users: named servers under supervisors, and faults by the seed.

Every sentence of ``lease_cluster.py`` is looked at, those that must never be otherwise at every
instant. Mistakes are put into the machines of leases, and the search must find each of them.
"""

import sys
from typing import Any

import pytest

from otpy.machines.lease import Candidate, Effects, Lost
from otpy.machines.lease_granter import Granter
from otpy.machines.lease_messages import Granted
from tests.machines import lease_mistakes as mistakes
from tests.testing.lease_cluster import NOT_SKEWED, SEARCH, SKEWED
from tests.testing.searches import breaks_within

pytestmark = pytest.mark.usefixtures("quiet_log")


# Mistakes.


class NeedsOneGrantOnly(Candidate):
    def _granted(self, sender: str, granted: Granted, now: float, chance: float) -> Effects:
        effects = super()._granted(sender, granted, now, chance)
        if self.state == "asking" and self.granted:
            self.until = granted.sent + self.lease
            return self._win(now, chance)
        return effects


class KeepsItsLossToItself(Candidate):
    """Its lease ends, and its process goes on as if it did not."""

    def _lose(self) -> Effects:
        return [effect for effect in super()._lose() if not isinstance(effect, Lost)]


class PromisesForAnInstant(Granter):
    def length(self, lease: float) -> float:
        return lease / 100


MISTAKES: list[Any] = [
    mistakes.GrantsAtOnceAfterARestart,
    mistakes.CountsAnotherEpoch,
    mistakes.KeepsTheLeaseItReleases,
    mistakes.ForgetsWhoIsOutOfReach,
    NeedsOneGrantOnly,
    KeepsItsLossToItself,
    PromisesForAnInstant,
]


def put(broken: type[Candidate] | type[Granter], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process of leases have the broken machine."""
    name = "Candidate" if issubclass(broken, Candidate) else "Granter"
    drivers = [name for name in sys.modules if name.startswith("otpy.cluster._lease_")]
    for driver in drivers:
        if hasattr(sys.modules[driver], name):
            monkeypatch.setattr(sys.modules[driver], name, broken)


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_mistake_in_the_machines_is_found_through_their_users(
    broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(broken, monkeypatch)
    assert breaks_within(250, SEARCH)


def test_a_promise_as_long_as_the_lease_is_too_short_where_clocks_are_skewed_and_only_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(mistakes.PromisesNoLongerThanTheLease, monkeypatch)
    assert breaks_within(40, SKEWED)
    assert not breaks_within(40, NOT_SKEWED)


def test_the_machines_themselves_are_not_taken_for_a_mistake() -> None:
    assert not breaks_within(30, SEARCH)
    assert not breaks_within(40, SKEWED)
