"""What 10,000 groups and 100,000 memberships cost the machine: as much as what changes."""

import random
import time
from collections.abc import Callable

import pytest

from otpy.machines import pg
from otpy.machines.pg_messages import read
from otpy.terms.pid import Pid

A, B = Pid(1, "a", 0, 1), Pid(2, "b", 0, 1)
SLACK = 5.0  # ten times the work may take 50 times as long before a test fails; squared is 100
PATIENCE = 10.0  # seconds; looked for from the front of the list, 50,000 members take a minute


def two(groups: int, members: int) -> tuple[pg.Groups, pg.Groups]:
    """Two machines that know each other; the second has so many members in so many groups."""
    here, there = pg.Groups(A), pg.Groups(B)
    for group in range(groups):
        pids = [Pid(2, "b", 0, 2 + group * members + number) for number in range(members)]
        there.join(group, pids)
    here.message(("discover", B))
    return here, there


def sync(groups: int, members: int) -> Callable[[], None]:
    here, there = two(groups, members)

    def work() -> None:
        carry(there.message(("discover", A)), there, here)
        assert sum(map(len, here.table.values())) == groups * members

    return work


def carry(effects: pg.Effects, there: pg.Groups, here: pg.Groups) -> None:
    waiting = list(effects)
    for effect in waiting:
        match effect:
            case pg.Send(_, message) if message[0] != "discover":
                checked = read(message)
                assert checked is not None
                here.message(checked)
            case pg.More(pid):
                waiting += there.more(pid)
            case _:
                pass  # its effects on others do not count here


def peer_down(groups: int, members: int) -> Callable[[], None]:
    here, there = two(groups, members)
    carry(there.message(("discover", A)), there, here)
    here.join(0, [Pid(1, "a", 0, 5)])

    def work() -> None:
        here.peer_down(B)
        assert here.table == {0: [Pid(1, "a", 0, 5)]}

    return work


def deaths(groups: int, members: int) -> Callable[[], None]:
    _, there = two(groups, members)
    pids = [pid for pids in there.table.values() for pid in pids]
    random.Random(1).shuffle(pids)

    def work() -> None:
        for pid in pids:
            there.pid_down(pid)
        assert there.table == {}

    return work


def seconds(make: Callable[[int, int], Callable[[], None]], groups: int, members: int) -> float:
    taken: list[float] = []
    for _ in range(3):
        work = make(groups, members)
        began = time.thread_time()  # not what others of this machine do meanwhile
        work()
        taken.append(time.thread_time() - began)
    return min(taken)


FEW, MANY = (1_000, 10), (10_000, 10)
FEW_IN_ONE, MANY_IN_ONE = (1, 5_000), (1, 50_000)


@pytest.mark.parametrize(
    ("make", "few", "many"),
    [
        (sync, FEW, MANY),
        (sync, FEW_IN_ONE, MANY_IN_ONE),
        (peer_down, FEW, MANY),
        (peer_down, FEW_IN_ONE, MANY_IN_ONE),
        (deaths, FEW, MANY),
    ],
)
def test_ten_times_as_many_memberships_cost_about_ten_times_as_much(
    make: Callable[[int, int], Callable[[], None]], few: tuple[int, int], many: tuple[int, int]
) -> None:
    assert seconds(make, *many) < seconds(make, *few) * 10 * SLACK + 0.01


def test_members_of_one_large_group_that_end_one_by_one_are_found_at_once() -> None:
    """What is left of the cost is that the rest of the list moves up: some microseconds."""
    assert seconds(deaths, 1, 50_000) < PATIENCE


def test_no_message_of_a_sync_is_large_whatever_the_groups_are() -> None:
    """Between two pieces others have their turn; one group with all members is cut as well."""
    there = pg.Groups(B)
    for group in range(2_000):
        there.join("g" * 50 + str(group), [Pid(2, "b", 0, number) for number in range(2, 12)])
    there.join("all", [Pid(2, "b", 0, number) for number in range(2, 2 + 3 * pg.MANY)])
    sizes: list[int] = []
    waiting = list(there.message(("discover", A)))
    for effect in waiting:
        if isinstance(effect, pg.More):
            waiting += there.more(effect.pid)
        elif isinstance(effect, pg.Send) and effect.message[0] == "sync":
            entries = effect.message[4]
            sizes.append(sum(len(key) + 5 * len(numbers) for key, numbers in entries))
    assert len(sizes) > 20
    assert max(sizes) < 5 * pg.MANY + 2 * pg.PIECE
