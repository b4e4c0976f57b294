"""The machine of process groups under every order of events a seed gives."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines import pg
from otpy.machines.pg_messages import Entry, Key, read
from otpy.terms.pid import Pid, Ref
from tests.machines.groups import KEYS, play
from tests.machines.pg_mistakes import MISTAKES

A, B = Pid(1, "a", 0, 1), Pid(2, "b", 0, 1)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg, "PIECE", 12)
    monkeypatch.setattr(pg, "MANY", 2)


@pytest.mark.parametrize("batch", range(8))
def test_all_nodes_agree_at_rest_whatever_happened(batch: int) -> None:
    for seed in range(batch * 100, batch * 100 + 100):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_seeded_mistake_is_found(broken: type[pg.Groups]) -> None:
    for seed in range(1500):
        try:
            play(seed, broken)
        except (AssertionError, KeyError, IndexError, RecursionError):
            return
    pytest.fail("1500 seeds found nothing")


def synced(machine: pg.Groups, entries: list[Entry], first: bool = True, last: bool = True) -> None:
    machine.message(("sync", B, first, last, entries))


def members(machine: pg.Groups, key: Key) -> list[int]:
    return [pid.number for pid in machine.table.get(key, [])]


def test_a_join_between_two_pieces_does_not_bring_back_what_an_earlier_session_told() -> None:
    """The group was empty when the pieces began, so none names it; the join is all there is."""
    machine = pg.Groups(A)
    machine.message(("discover", B))
    synced(machine, [("x", [7]), ("y", [8])])
    synced(machine, [("y", [8])], last=False)
    machine.message(("join", B, "x", [9]))
    assert members(machine, "x") == [9]
    synced(machine, [], first=False)
    assert (members(machine, "x"), members(machine, "y")) == ([9], [8])


def test_a_group_that_no_piece_names_is_gone_and_its_monitor_hears_of_it() -> None:
    machine = pg.Groups(A)
    machine.message(("discover", B))
    synced(machine, [("x", [7]), ("y", [8, 8, 9])])
    ref = Ref(1, "a", 0, 2)
    machine.monitor_scope(ref, Pid(1, "a", 0, 3))
    effects = machine.message(("sync", B, True, True, [("y", [8, 10])]))
    eight, nine, ten = (Pid(2, "b", 0, number) for number in (8, 9, 10))
    assert effects == [
        pg.Tell([ref], True, "y", (ten,)),
        pg.Tell([ref], False, "y", (eight, nine)),
        pg.Tell([ref], False, "x", (Pid(2, "b", 0, 7),)),
    ]


def test_a_peer_that_was_told_is_not_told_again_however_often_it_asks() -> None:
    """Else a thousand nodes that start at once would ask for everything a thousand times."""
    machine = pg.Groups(A)
    machine.join("x", [Pid(1, "a", 0, 2)])
    assert len(machine.message(("discover", B))) == 3  # watch, discover, and the only piece
    assert machine.message(("discover", B)) == []


def test_pg_16_what_a_stranger_says_changes_nothing() -> None:
    """messages from non-overlay scopes rejected."""
    machine = pg.Groups(A)
    synced(machine, [("x", [7])])
    machine.message(("join", B, "x", [7]))
    machine.message(("leave", B, ["x"], [7]))
    assert machine.table == {}
    machine.message(("discover", B))
    older, newer = Pid(2, "b", 0, 0), Pid(2, "b", 0, 2)
    machine.message(("join", newer, "x", [7]))
    assert machine.message(("discover", older)) == []
    assert machine.table == {}


OPS = st.lists(
    st.tuples(
        st.sampled_from(("join", "leave", "down")),
        st.sampled_from(KEYS),
        st.lists(st.integers(2, 5), min_size=1, max_size=4),
    ),
    max_size=30,
)


@given(OPS)
def test_one_node_does_what_plain_lists_do(ops: list[tuple[str, Key, list[int]]]) -> None:
    """A second implementation, slow and simple; a mirror on another node follows every step."""
    machine, mirror = pg.Groups(A), pg.Groups(B)
    machine.message(("discover", B))
    mirror.message(("discover", A))
    carried(machine.more(B), mirror)
    plain: dict[Key, Counter[int]] = {}
    for op, key, numbers in ops:
        pids = [Pid(1, "a", 0, number) for number in numbers]
        held = plain.setdefault(key, Counter())
        if op == "join":
            effects = machine.join(key, pids)
            held.update(numbers)
        elif op == "leave":
            left, effects = machine.leave(key, pids)
            assert left == any(held[number] > 0 for number in numbers)
            held.subtract(numbers)
            plain[key] = +held
        else:
            effects = machine.pid_down(pids[0])
            for counter in plain.values():
                counter.pop(numbers[0], None)
        carried(effects, mirror)
        wanted = {k: sorted(c.elements()) for k, c in plain.items() if +c}
        assert {k: members(machine, k) for k in machine.table} == wanted
        assert {k: members(mirror, k) for k in mirror.table} == wanted


def carried(effects: pg.Effects, mirror: pg.Groups) -> None:
    for effect in effects:
        if isinstance(effect, pg.Send):
            checked = read(effect.message)
            assert checked is not None
            mirror.message(checked)


PARTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.binary(max_size=2),
    st.sampled_from(("x", "discover", "sync", "join", "leave", A, B)),
)
JUNK = st.recursive(
    PARTS,
    lambda part: st.lists(part, max_size=5) | st.lists(part, max_size=5).map(tuple),
    max_leaves=12,
)
KINDS = st.sampled_from(("discover", "sync", "join", "leave"))
MESSAGES = JUNK | st.tuples(KINDS, st.lists(JUNK, max_size=4)).map(lambda m: (m[0], B, *m[1]))


@given(st.lists(MESSAGES, max_size=6))
def test_no_message_that_can_be_read_makes_the_machine_raise(messages: list[Any]) -> None:
    machine = pg.Groups(A)
    machine.message(("discover", B))
    for message in messages:
        checked = read(message)
        if checked is not None:
            machine.message(checked)
    for key, pids in machine.table.items():
        assert pids == sorted(pids), key
