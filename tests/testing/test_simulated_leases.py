"""Leases searched through their users: named servers under supervisors, and faults by the seed.

Every sentence of ``lease_cluster.py`` and ``lease_changes.py`` is looked at, those that must never
be otherwise at every instant. Mistakes are put into the machines of leases, and the search must
find each of them.
"""

import sys
from typing import Any

import pytest

from otpy.machines.lease import Candidate, Effects, Lost
from otpy.machines.lease_granter import Effects as Granting
from otpy.machines.lease_granter import Granter, Promise, Write
from otpy.machines.lease_messages import Ask, Granted, Quorum
from tests.machines import lease_mistakes as mistakes
from tests.testing.lease_changes import SEARCH as CHANGING
from tests.testing.lease_cluster import NOT_SKEWED, SEARCH, SKEWED
from tests.testing.searches import NAMES, breaks_within

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


class GrantsUnderOlderMembers(Granter):
    """A candidate that has not heard of a change is not told of it."""

    def _ask(self, sender: str, ask: Ask, now: float) -> Granting:
        promise = self.promises.get(ask.name)
        if promise is None or ask.quorum.version >= promise.quorum.version:
            return super()._ask(sender, ask, now)
        kept, promise.quorum = promise.quorum, ask.quorum
        effects = super()._ask(sender, ask, now)
        promise.quorum = kept
        return effects


class ForgetsTheMembers(Granter):
    """In a restart: then those are the members that a name was registered with."""

    def _written(self, name: Any, promise: Promise) -> Granting:
        first = Quorum.of(NAMES)
        return [
            Write(one.record._replace(quorum=first)) if isinstance(one, Write) else one
            for one in super()._written(name, promise)
        ]


class KeepsItsWish(Candidate):
    """After one change there is never another."""

    def _adopt(self, quorum: Quorum, now: float) -> Effects:
        wish = self.wish
        effects = super()._adopt(quorum, now)
        self.wish = wish
        return effects


MISTAKES: list[Any] = [
    mistakes.GrantsAtOnceAfterARestart,
    mistakes.CountsAnotherEpoch,
    mistakes.KeepsTheLeaseItReleases,
    mistakes.ForgetsWhoIsOutOfReach,
    NeedsOneGrantOnly,
    KeepsItsLossToItself,
    PromisesForAnInstant,
]
OF_CHANGES: list[Any] = [
    mistakes.ChangesByAMinority,
    GrantsUnderOlderMembers,
    ForgetsTheMembers,
    KeepsItsWish,
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


@pytest.mark.parametrize("broken", OF_CHANGES)
def test_a_mistake_about_a_change_of_members_is_found_through_their_users(
    broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(broken, monkeypatch)
    assert breaks_within(100, CHANGING)


@pytest.mark.parametrize(
    "short", [mistakes.PromisesNoLongerThanTheLease, mistakes.TrustsTheHoldersClock]
)
def test_a_promise_is_too_short_where_clocks_are_skewed_and_only_there(
    short: type[Granter], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(short, monkeypatch)
    assert breaks_within(40, SKEWED)
    assert not breaks_within(40, NOT_SKEWED)


def test_the_machines_themselves_are_not_taken_for_a_mistake() -> None:
    assert not breaks_within(30, SEARCH)
    assert not breaks_within(40, SKEWED)
    assert not breaks_within(20, CHANGING)
