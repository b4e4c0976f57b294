"""The tables of a registry beside a dumb one, and the patterns."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otpy.machines.patterns import ANY, Var, exact, matches, same
from otpy.machines.patterns import given as given_back
from otpy.machines.registry import DuplicateEntries, UniqueEntries, share
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid

PIDS = [Pid(1, "a@x", 1, number) for number in range(4)]
KEYS: list[Any] = ["a", 1, 1.0, True, (1,), (1.0,)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "drop", "drop_one", "die", "forget"]),
        st.sampled_from(PIDS),
        st.sampled_from(KEYS),
        st.integers(1, 3),
    ),
    max_size=40,
)


class Dumb:
    """A list of all entries."""

    def __init__(self, unique: bool) -> None:
        self.unique = unique
        self.rows: list[tuple[Any, Pid, int]] = []

    def add(self, key: Any, pid: Pid, value: int, alive: dict[Pid, None]) -> Pid | None:
        if self.unique:
            for row in self.rows:
                if same(row[0], key) and row[1] in alive:
                    return row[1]
            self.rows = [row for row in self.rows if not same(row[0], key)]
        self.rows.append((key, pid, value))
        return None

    def drop(self, key: Any, pid: Pid, values: tuple[int, ...]) -> None:
        self.rows = [
            row
            for row in self.rows
            if not (same(row[0], key) and row[1] == pid and row[2] in values)
        ]


def shown(rows: Any) -> list[str]:
    return sorted(repr(row) for row in rows)


@pytest.mark.parametrize("unique", [True, False])
@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_a_table_has_what_a_list_of_entries_would_have(unique: bool, steps: Any) -> None:
    table = UniqueEntries({}) if unique else DuplicateEntries()
    dumb = Dumb(unique)
    alive: dict[Pid, None] = dict.fromkeys(PIDS)
    for step, pid, key, value in steps:
        if step == "die":
            alive.pop(pid, None)
        elif step == "forget" and pid not in alive:
            while table.forget(pid, 2):
                pass
            dumb.rows = [row for row in dumb.rows if row[1] != pid]
        elif pid not in alive:
            continue
        elif step == "add":
            assert table.add(key, pid, value, alive) == dumb.add(key, pid, value, alive)
        elif step == "drop":
            table.drop(key, pid)
            dumb.drop(key, pid, (1, 2, 3))
        elif step == "drop_one":
            numbers = [number for number, held in table.held(key, pid) if held == value]
            table.drop(key, pid, numbers)
            dumb.drop(key, pid, (value,))
        assert table.size() == len(dumb.rows)
        assert shown(table.rows(alive)) == shown(row for row in dumb.rows if row[1] in alive)
        for one in alive:
            mine = [row for row in dumb.rows if row[1] == one]
            assert shown(table.keys_of(one)) == shown(row[0] for row in mine)
            assert table.has(one) == bool(mine)
        found = [row[1:] for row in dumb.rows if same(row[0], key) and row[1] in alive]
        assert table.lookup(key, alive) == found
    for pid in PIDS:
        while table.forget(pid, 1):
            pass
    assert (table.size(), list(table.rows(alive))) == (0, [])
    assert not any(table.has(pid) for pid in PIDS)


NUMBERS: list[Any] = [1, 1.0, True, Decimal(1), Fraction(1), complex(1)]


def bare(number: Any) -> Any:
    return number


def in_a_tuple(number: Any) -> Any:
    return (number, "y")


def deep(number: Any) -> Any:
    return (("z", number),)


@pytest.mark.parametrize("wrap", [bare, in_a_tuple, deep])
def test_equal_numbers_of_different_types_are_different_keys_at_any_depth(wrap: Any) -> None:
    kept = [exact(wrap(number)) for number in NUMBERS]
    assert len(dict.fromkeys(kept)) == len(NUMBERS)
    assert [exact(wrap(number)) for number in NUMBERS] == kept
    for number, key in zip(NUMBERS, kept, strict=True):
        assert given_back(key) == wrap(number)
        assert [same(wrap(number), wrap(other)) for other in NUMBERS].count(True) == 1


def test_a_key_without_a_hash_is_refused_at_any_depth() -> None:
    unhashable: list[Any] = [[1], {}, ("a", [1])]
    for key in unhashable:
        with pytest.raises(BadArgument, match="expected a key that can be hashed"):
            exact(key)


def test_a_variable_stands_for_one_value() -> None:
    x, y = Var("x"), Var("y")
    bound: dict[str, Any] = {}
    assert matches((x, (y, x)), (1, (2, 1)), bound)
    assert bound == {"x": 1, "y": 2}
    assert not matches((x, x), (1, True), {})
    assert matches((x, ANY, x), ([1], 2, [1]), {})


@pytest.mark.parametrize("partitions", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 8, 16])
def test_partitions_have_like_shares_whatever_the_gaps_between_pids(
    partitions: int, step: int
) -> None:
    shares = [share(Pid(1, "a@x", 1, step * number), partitions) for number in range(1600)]
    for index in range(partitions):
        assert 0.7 <= shares.count(index) * partitions / 1600 <= 1.3
