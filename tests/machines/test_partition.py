"""Which partition a key belongs to."""

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.partition import partition_of, stable_bytes
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid


class Colour(Enum):
    RED = 1
    BLUE = 2


class Number(IntEnum):
    ONE = 1


@dataclass(frozen=True)
class User:
    name: str
    seen: int = field(default=0, compare=False)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
KEYS = st.recursive(
    PLAIN | st.sampled_from([Colour.RED, Number.ONE, User, User("a"), User("b", 3)]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


@given(st.integers(), st.integers(1, 100))
def test_an_int_belongs_to_its_rest(key: int, partitions: int) -> None:
    assert partition_of(key, partitions) == abs(key) % partitions


@given(KEYS, st.integers(1, 100))
def test_every_key_belongs_to_a_partition(key: Any, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(KEYS, KEYS)
def test_keys_are_equal_when_their_bytes_are(one: Any, other: Any) -> None:
    if one == one and other == other and "nan" not in repr((one, other)):
        assert (one == other) == (stable_bytes(one) == stable_bytes(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), (0.0, -0.0), (1, Number.ONE), ((1, "a"), (1.0, "a"))],
)
def test_equal_keys_of_several_types_belong_together(one: Any, other: Any) -> None:
    assert partition_of(one, 97) == partition_of(other, 97)
    assert stable_bytes(one) == stable_bytes(other)


@pytest.mark.parametrize("key", [("ab", "c"), ("a", "bc"), "abc", b"abc", ("abc",), ("abc", ())])
def test_parts_do_not_run_together(key: Any) -> None:
    others = [("ab", "c"), ("a", "bc"), "abc", b"abc", ("abc",), ("abc", ())]
    assert [other for other in others if stable_bytes(other) == stable_bytes(key)] == [key]


def test_a_field_that_is_not_compared_does_not_count() -> None:
    assert stable_bytes(User("a", 1)) == stable_bytes(User("a", 2)) != stable_bytes(User("b", 1))


def test_keys_spread() -> None:
    found = Counter(partition_of(f"user {number}", 4) for number in range(4000))
    assert sorted(found) == [0, 1, 2, 3]
    assert min(found.values()) > 900


def test_it_is_the_same_in_every_run() -> None:
    """Whatever PYTHONHASHSEED is."""
    keys = "['user', ('user', 7), None, b'x', 1.5, frozenset('abcdefgh')]"
    code = (
        "from otpy.machines.partition import partition_of\n"
        f"print([partition_of(key, 1000) for key in {keys}])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert runs == {b"[417, 880, 706, 924, 647, 262]\n"}


@pytest.mark.parametrize("key", [[1], {"a": 1}, object(), {1}, (1, [2]), bytearray(b"x")])
def test_a_key_without_a_stable_form_is_refused(key: Any) -> None:
    with pytest.raises(BadArgument, match="no hash that is the same in every run"):
        partition_of(key, 2)


def test_a_pid_is_a_key() -> None:
    assert stable_bytes(Pid(1, "a@h", 2, 3)) == stable_bytes(Pid(1, "a@h", 2, 3))
    assert stable_bytes(Pid(1, "a@h", 2, 3)) != stable_bytes(Pid(1, "a@h", 2, 4))


def test_without_partitions_there_is_none() -> None:
    with pytest.raises(BadArgument, match="no partitions"):
        partition_of(1, 0)
