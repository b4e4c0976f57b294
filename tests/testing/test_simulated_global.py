"""``global_`` searched through its users: named servers under supervisors, and faults by the seed.

Every sentence of ``global_cluster.py`` is looked at whenever the cluster is quiet. Mistakes are
put into the machine of names, and the search must find each of them.
"""

from typing import Any

import pytest

from otpy import Pid
from otpy.cluster import global_ as driver
from otpy.machines import global_ as g
from otpy.machines.global_messages import Wanted
from otpy.testing import simulate
from otpy.testing.faults import OneWay
from tests.machines.global_mistakes import (
    ForgetsNodeDown,
    NeverRefuses,
    NeverYields,
    TellsNobodyOfDeaths,
    TellsNoWatcher,
)
from tests.testing import global_elsewhere
from tests.testing.global_cluster import SEARCH, holds, start
from tests.testing.searches import NAMES, Search, breaks_within

pytestmark = pytest.mark.usefixtures("quiet_log")


def test_a_standby_that_is_refused_again_and_again_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nodes that do not all see each other: free here, taken there, for as long as that lasts."""
    tries: list[Any] = []
    real = driver.GlobalNames.register_or_monitor

    def counted(self: driver.GlobalNames, name: Any, pid: Pid, ref: Any) -> bool:
        tries.append(pid)
        return real(self, name, pid, ref)

    monkeypatch.setattr(driver.GlobalNames, "register_or_monitor", counted)
    cut = [(1.0, OneWay(NAMES[0], NAMES[1], 60.0))]
    simulate(holds, seeds=3, faults=cut, start=start, prevent_overlapping_partitions=False)
    assert 100 < len(tries) < 1000, "once a second in the end, not once a millisecond"


# Mistakes.


class BothYield(g.Names):
    """The comparison that says whose claim goes is missing."""

    def _conflict(self, name: Any, pid: Pid) -> g.Effects:
        mine = [own for own in self.table.get(name, {}) if own.node == self.node and own != pid]
        lost = [self._lost(name, own, g.ExitPid(own, ("name_conflict", name, pid))) for own in mine]
        return [effect for effects in lost for effect in effects]


class LosersLiveOn(g.Names):
    def _lost(self, name: Any, mine: Pid, fate: g.Effect) -> g.Effects:
        return [e for e in super()._lost(name, mine, fate) if not isinstance(e, g.ExitPid)]


class TellsNewNodesNothing(g.Names):
    def node_up(self, peer: str) -> g.Effects:
        self.peers[peer] = None
        return []


class AsksNobodyWhoComesUp(g.Names):
    """A node that comes up is told of claims that may still be refused, as if they were not."""

    def node_up(self, peer: str) -> g.Effects:
        pending, self.pending = self.pending, {}
        effects = super().node_up(peer)
        self.pending = pending
        return effects


class WaitsForTheDead(g.Names):
    """A registration goes on waiting for the yes of a node that went down."""

    def node_down(self, peer: str) -> g.Effects:
        kept = {request: wanted for request, wanted in self.requests.items() if wanted.missing}
        for request in kept:
            del self.requests[request]
        effects = super().node_down(peer)
        self.requests.update(kept)
        return effects


class KeepsGrants(g.Names):
    """The boss never hears that a registration is through, and lets nobody else have the name."""

    def _next(self, name: Any) -> g.Effects:
        return []


class WatchesNobody(g.Names):
    """The owner does not look whether its process still lives."""

    def _granted(self, request: Any, ok: bool, others: g.Pids) -> g.Effects:
        effects = super()._granted(request, ok, others)
        return [effect for effect in effects if not isinstance(effect, g.Watch)]


class AnswersOthersHere(g.Names):
    """What another node has asked is answered here, when a third one goes down."""

    def node_down(self, peer: str) -> g.Effects:
        origins, self.origins = self.origins, {}
        effects = super().node_down(peer)
        self.origins = origins
        return effects


class ForgetsWhatItReplaced(g.Names):
    """A claim that another was put before is gone, though its owner may never hear of that one."""

    def _take(self, wanted: Wanted) -> g.Effects:
        effects = super()._take(wanted)
        self.behind.clear()
        return effects


MISTAKES = [
    ForgetsNodeDown,
    NeverRefuses,
    TellsNobodyOfDeaths,
    NeverYields,
    BothYield,
    LosersLiveOn,
    TellsNoWatcher,
    TellsNewNodesNothing,
    AsksNobodyWhoComesUp,
    WaitsForTheDead,
    KeepsGrants,
    WatchesNobody,
]


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_mistake_in_the_machine_is_found_through_its_users(
    broken: type[g.Names], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "Names", broken)
    assert breaks_within(100, SEARCH)


def test_the_machine_itself_is_not_taken_for_a_mistake() -> None:
    assert not breaks_within(100, SEARCH)


@pytest.mark.parametrize(
    ("broken", "search"),
    [
        (AnswersOthersHere, global_elsewhere.SEARCH),
        (ForgetsWhatItReplaced, global_elsewhere.ONE_WAY),
    ],
)
def test_a_mistake_about_processes_of_other_nodes_is_found(
    broken: type[g.Names], search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "Names", broken)
    assert breaks_within(50, search)


def test_the_machine_itself_is_not_taken_for_one_of_those() -> None:
    assert not breaks_within(50, global_elsewhere.ONE_WAY)
