"""``pg`` searched through its users: members, monitors and a soft leader, and faults by the seed.

Every sentence of ``pg_cluster.py`` is looked at whenever the cluster is quiet. Mistakes are put
into the machine of groups, and the search must find each of them.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from otpy import Pid
from otpy.cluster import _pg_server as driver
from otpy.machines import pg
from otpy.machines.pg_messages import Key
from tests.machines import pg_mistakes
from tests.testing import pg_cluster
from tests.testing.searches import breaks_within

pytestmark = pytest.mark.usefixtures("quiet_log")


# Mistakes.


class JoinsAtTheEnd(pg.Groups):
    """The members are in no order, so two nodes have two lists."""

    def _add(self, counts: pg.Counts, key: Key, pids: Sequence[Pid]) -> None:
        super()._add(counts, key, pids)
        self.table[key].sort(key=lambda pid: pid.number)


class LeavesOnceAtTheEnd(pg.Groups):
    """Who joined twice and ends has left once, as the other nodes hear it."""

    def pid_down(self, pid: Pid) -> pg.Effects:
        effects: pg.Effects = []
        for effect in super().pid_down(pid):
            if isinstance(effect, pg.Send):
                kind, scope, keys, numbers = effect.message
                effect = pg.Send(effect.pid, (kind, scope, list(dict.fromkeys(keys)), numbers))
            effects.append(effect)
        return effects


class TellsNoMonitorOfLeaves(pg.Groups):
    def _vanish(self, peer: pg.Peer, key: Key, pids: Sequence[Pid]) -> pg.Effects:
        super()._vanish(peer, key, pids)
        return []


class TellsAPeerOnce(pg.Groups):
    """A node that comes back is taken to know what it was told in its former session."""

    def _discovered(self, pid: Pid) -> pg.Effects:
        told = pid in self.__dict__.setdefault("ever", set())
        self.__dict__["ever"].add(pid)
        effects = super()._discovered(pid)
        kept = [e for e in effects if not (isinstance(e, pg.Send) and e.message[0] == "sync")]
        return kept if told else effects


class ForgetsItsOwn(pg.Groups):
    """With a peer go all members of its groups, wherever they live."""

    def _drop(self, peer: pg.Peer, key: Key, count: int) -> pg.Effects:
        return super()._drop(peer, key, len(self.table[key]))


class LeavesEveryGroup(pg.Groups):
    """Who leaves one group has left all of them, as the other nodes hear it."""

    def leave(self, key: Key, pids: Sequence[Pid]) -> tuple[bool, pg.Effects]:
        left, effects = super().leave(key, pids)
        changed: pg.Effects = []
        for effect in effects:
            if isinstance(effect, pg.Send):
                kind, scope, _, numbers = effect.message
                effect = pg.Send(effect.pid, (kind, scope, list(self.counts), numbers))
            changed.append(effect)
        return left, changed


# What no server can see is left to the machine's own tests: a dead monitor that is kept, and
# what an earlier session has left behind, of whose end this driver always hears first.
UNSEEN = (pg_mistakes.KeepsDeadMonitors, pg_mistakes.KeepsTheStale)
MISTAKES: list[type[pg.Groups]] = [
    *(broken for broken in pg_mistakes.MISTAKES if broken not in UNSEEN),
    JoinsAtTheEnd,
    LeavesOnceAtTheEnd,
    TellsNoMonitorOfLeaves,
    TellsAPeerOnce,
    ForgetsItsOwn,
    LeavesEveryGroup,
]


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_mistake_in_the_machine_is_found_through_its_users(
    broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "Groups", broken)
    assert breaks_within(200, pg_cluster.SEARCH)


def test_the_machine_itself_is_not_taken_for_a_mistake() -> None:
    assert not breaks_within(100, pg_cluster.SEARCH)
