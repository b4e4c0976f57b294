"""The checker itself: it finds each kind of fault, and only faults."""

from collections.abc import Iterable

import pytest

from tests.chaos.checker import AWARE, BLIND, LEFT_OVER, Checker

A = "a@127.0.0.1"
Step = str | tuple[int, str, int, int]


def check(steps: Iterable[Step]) -> list[str]:
    checker = Checker()
    for step in steps:
        if step == "up":
            checker.node_up(A)
        elif step == "down":
            checker.node_down(A)
        else:
            assert not isinstance(step, str)
            checker.message(A, *step)
    return checker.violations


def blind(*numbers: int, life: int = 1) -> list[Step]:
    return [(life, BLIND, 0, number) for number in numbers]


def aware(epoch: int, *numbers: int, life: int = 1) -> list[Step]:
    return [(life, AWARE, epoch, number) for number in numbers]


@pytest.mark.parametrize(
    "steps",
    [
        ["up", *blind(4, 5, 6), "down", "up", *blind(9, 10), "down"],
        ["up", *aware(1, 0, 1, 2), "down", "up", *aware(2, 0, 1)],
        ["up", *aware(1, 0, 1), "down", "up", *aware(1, 7, 8, 9), *aware(2, 0, 1)],
        ["up", *aware(1, 0, 1), "down", "up", *aware(3, 0), *aware(4, 0, 1)],
        ["up", *blind(8, 9), "down", "up", *blind(0, 1, life=2)],
        ["up", *blind(8), *aware(1, 0), *blind(9), *aware(1, 1), "down"],
    ],
)
def test_what_a_mesh_may_do_is_no_violation(steps: list[Step]) -> None:
    assert check(steps) == []


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (["up", *blind(4, 6)], "a gap"),
        (["up", *blind(4, 5, 5)], "twice"),
        (["up", *blind(4, 6, 5)], "sent before it"),
        (["up", *blind(4), "down", "up", *blind(4)], "twice"),
        (["up", *blind(4), "down", *blind(5)], "outside a session"),
        (blind(0), "outside a session"),
        (["up", *blind(0), *blind(0, life=2)], "another life"),
        (["up", *blind(0, life=2), "down", "up", *blind(1)], "a life that was over"),
        (["up", *aware(1, *range(3, 4 + LEFT_OVER))], "a gap"),
        (["up", *aware(1, 3, 5)], "a gap"),
        (["up", *aware(1, 3), *aware(2, 1)], "a gap"),
        (["up", *aware(1, 0), *aware(2, 0), *aware(3, 0)], "a gap"),
        (["up", *aware(1, *range(1 + LEFT_OVER)), *aware(2, 0)], "a gap"),
        (["up", "up"], "NodeUp without"),
        (["down"], "NodeDown without"),
    ],
)
def test_each_kind_of_fault_is_found(steps: list[Step], words: str) -> None:
    found = check(steps)
    assert found
    assert any(words in text for text in found), found
