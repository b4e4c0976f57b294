"""The restart machine: its rules one by one, and any order of events as OTP would have it."""

from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from otpy.machines.restart import Restarts
from tests.machines.mistakes import MISTAKES
from tests.machines.supervisors import (
    AUTO,
    CONFLICT,
    CRASHES,
    ORDERLY,
    TOO_MANY,
    Driven,
    Plan,
    agrees,
    play,
)

# The rules, one by one.


def supervisor(
    strategy: Any,
    children: list[tuple[str, Any, bool]],
    *,
    max_restarts: int = 9,
    auto_shutdown: Any = "never",
) -> Driven:
    driven = Driven(Restarts(strategy, max_restarts, 5, auto_shutdown))
    for one in children:
        driven.add(*one)
    return driven


def workers(names: str, restart: str = "permanent") -> list[tuple[str, Any, bool]]:
    return [(name, restart, False) for name in names]


@pytest.mark.parametrize(
    ("strategy", "who", "expected"),
    [
        ("one_for_one", "b", "+b"),
        ("rest_for_one", "a", "-d -c -b +a +b +c +d"),
        ("rest_for_one", "b", "-d -c +b +c +d"),
        ("rest_for_one", "d", "+d"),
        ("one_for_all", "a", "-d -c -b +a +b +c +d"),
        ("one_for_all", "b", "-d -c -a +a +b +c +d"),
        ("one_for_all", "d", "-c -b -a +a +b +c +d"),
    ],
)
def test_the_strategy_says_who_is_stopped_and_started(
    strategy: str, who: str, expected: str
) -> None:
    driven = supervisor(strategy, workers("abcd"))
    driven.exit(who, "boom", 0.0)
    assert driven.told == spelt(expected)
    assert driven.running() == list("abcd")


def spelt(short: str) -> list[str]:
    words = {"+": "start", "-": "stop", "!": "fail", "0": "ignore"}
    return [f"{words[one[0]]} {one[1:]}" for one in short.split()]


@pytest.mark.parametrize("reason", [*ORDERLY, *CRASHES])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_the_restart_type_says_whether_it_is_started_again(restart: str, reason: Any) -> None:
    driven = supervisor("one_for_all", [("a", restart, False), *workers("b")])
    driven.exit("a", reason, 0.0)
    again = restart == "permanent" or (restart == "transient" and reason in CRASHES)
    assert driven.told == (spelt("-b +a +b") if again else [])
    assert driven.ids == (["b"] if restart == "temporary" else ["a", "b"])
    assert driven.running() == (["a", "b"] if again else ["b"])


@pytest.mark.parametrize(
    ("limit", "crashes", "over"),
    [
        (0, [0], True),
        (1, [0], False),
        (1, [0, 0], True),
        (1, [0, 4], True),
        (1, [0, 5], True),  # five seconds ago is within the last five seconds
        (1, [0, 6], False),
        (2, [0, 3, 5], True),
        (2, [0, 3, 6], False),
        (2, [0, 3, 6, 8], True),
        (2, [0, 3, 6, 9, 12, 15, 18], False),
        (3, [0, 0, 0, 6, 6, 6], False),
        (3, [0, 0, 0, 6, 6, 6, 6], True),
    ],
)
def test_one_restart_more_than_allowed_in_the_period_ends_it(
    limit: int, crashes: list[int], over: bool
) -> None:
    driven = supervisor("one_for_one", workers("a"), max_restarts=limit)
    for number, now in enumerate(crashes):
        assert driven.over is None, f"ended at crash {number}"
        driven.exit("a", "boom", float(now))
    assert driven.over == (TOO_MANY if over else None)


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
@pytest.mark.parametrize("restart", ["permanent", "transient"])
def test_a_lost_name_restarts_the_child_alone_and_is_not_counted(
    strategy: str, restart: str
) -> None:
    driven = supervisor(strategy, workers("ab", restart), max_restarts=0)
    for _ in range(5):
        driven.exit("a", CONFLICT, 0.0)
    assert driven.told == spelt("+a +a +a +a +a")
    assert driven.over is None
    driven.exit("a", "boom", 0.0)
    assert driven.over == TOO_MANY


def test_a_temporary_child_that_lost_its_name_is_forgotten() -> None:
    driven = supervisor("one_for_all", workers("ab", "temporary"))
    driven.exit("a", CONFLICT, 0.0)
    assert (driven.told, driven.ids) == ([], ["b"])


@pytest.mark.parametrize(
    ("auto", "ends", "over"),
    [
        ("never", ["a", "b", "c"], None),
        ("any_significant", ["c"], None),
        ("any_significant", ["b"], AUTO),
        ("all_significant", ["a", "c"], None),
        ("all_significant", ["a", "c", "b"], AUTO),
        ("all_significant", ["b", "a"], AUTO),
    ],
)
@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_significant_children_that_end_take_it_along(
    auto: str, ends: list[str], over: str | None, restart: str
) -> None:
    significant = auto != "never"
    children = [("a", restart, significant), ("b", restart, significant), ("c", restart, False)]
    driven = supervisor("one_for_one", children, auto_shutdown=auto)
    for name in ends:
        assert driven.over is None
        driven.exit(name, "normal", 0.0)
    assert driven.over == over


def test_a_significant_child_stopped_by_hand_or_with_its_siblings_ends_nothing() -> None:
    children = [("a", "permanent", False), ("b", "temporary", True), ("c", "transient", True)]
    driven = supervisor("one_for_all", children, auto_shutdown="any_significant")
    driven.terminate("c")
    driven.exit("a", "boom", 0.0)
    assert driven.over is None


def test_a_significant_child_that_crashes_is_restarted() -> None:
    driven = supervisor("one_for_one", [("a", "transient", True)], auto_shutdown="any_significant")
    driven.exit("a", "boom", 0.0)
    assert (driven.over, driven.told) == (None, spelt("+a"))


def test_a_significant_child_that_is_being_restarted_has_not_ended() -> None:
    children = [("a", "transient", True), ("b", "transient", True)]
    driven = supervisor("one_for_one", children, auto_shutdown="all_significant")
    driven.starts = iter(["fail"])
    driven.exit("a", "boom", 0.0)
    driven.exit("b", "normal", 0.0)
    assert driven.over is None


@pytest.mark.parametrize(
    ("strategy", "starts", "expected"),
    [
        ("one_for_one", "fail fail start", "!b | !b | +b"),
        ("rest_for_one", "start fail start start", "-d -c +b !c | +c +d"),
        ("rest_for_one", "fail start start start", "-d -c !b | +b +c +d"),
        ("one_for_all", "start fail", "-d -c -a +a !b | -a +a +b +c +d"),
        ("one_for_all", "start start fail", "-d -c -a +a +b !c | -b -a +a +b +c +d"),
    ],
)
def test_a_failed_start_is_tried_again_from_the_one_that_failed(
    strategy: str, starts: str, expected: str
) -> None:
    driven = supervisor(strategy, workers("abcd"))
    driven.starts = chain(starts.split(), repeat("start"))
    driven.exit("b", "boom", 0.0)
    for part in expected.split(" | "):
        assert driven.told == spelt(part)
        driven.told.clear()
        if driven.again:
            driven.retry(0.0)
    assert driven.running() == list("abcd")


def test_failed_starts_are_counted() -> None:
    driven = supervisor("one_for_one", workers("a"), max_restarts=3)
    driven.starts = repeat("fail")
    driven.exit("a", "boom", 0.0)
    driven.retry(0.0)
    driven.retry(0.0)
    assert driven.over is None
    driven.retry(0.0)
    assert [driven.over, *driven.told] == [TOO_MANY, *spelt("!a !a !a")]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_temporary_siblings_are_stopped_and_forgotten(strategy: str) -> None:
    children = [*workers("a"), *workers("b", "temporary"), *workers("c", "transient")]
    driven = supervisor(strategy, children)
    driven.exit("a", "boom", 0.0)
    assert driven.told == spelt("-c -b +a +c")
    assert driven.ids == ["a", "c"]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_siblings_that_did_not_run_are_started_too(strategy: str) -> None:
    """As OTP does: one ended normally, one was stopped by hand."""
    children = [*workers("a"), *workers("b", "transient"), *workers("c")]
    driven = supervisor(strategy, children)
    driven.exit("b", "normal", 0.0)
    driven.terminate("c")
    driven.told.clear()
    driven.exit("a", "boom", 0.0)
    assert driven.told == spelt("+a +b +c")


def test_only_the_child_whose_start_failed_is_restarting() -> None:
    """Its siblings were stopped: one may be started, or deleted, by hand as in OTP."""
    driven = supervisor("one_for_all", workers("ab"))
    driven.starts = chain(["fail"], repeat("start"))
    driven.exit("a", "boom", 0.0)
    driven.terminate("a")
    driven.retry(0.0)  # nobody waits for it any more
    driven.revive("b")
    assert driven.running() == ["b"]


# Any order of events.

NUMBER = st.integers(0, 5)
REASON = st.sampled_from([*ORDERLY, *CRASHES, CONFLICT])
OUTCOMES = st.lists(st.sampled_from(["start", "start", "fail", "ignore"]), max_size=4)
EXIT = st.tuples(st.just("exit"), NUMBER, REASON, OUTCOMES)
RESTART = st.sampled_from(["permanent", "transient", "temporary"])
EVENT = st.one_of(
    EXIT,
    EXIT,
    st.tuples(st.just("retry"), st.just(0), OUTCOMES),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["terminate", "delete"]), NUMBER),
    st.tuples(st.just("revive"), NUMBER, OUTCOMES),
    st.tuples(st.just("add"), st.just(0), RESTART, st.just(())),
)


@st.composite
def plans(draw: st.DrawFn, strategy: str | None = None) -> Plan:
    auto = draw(st.sampled_from(["never", "any_significant", "all_significant"]))
    children: list[tuple[str, str, bool]] = []
    for name in "abcd"[: draw(st.integers(1, 4))]:
        restart = draw(RESTART)
        might = auto != "never" and restart != "permanent"
        children.append((name, restart, might and draw(st.booleans())))
    return Plan(
        strategy or draw(st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"])),
        draw(st.integers(0, 3)),
        draw(st.integers(1, 3)),
        auto,
        tuple(children),
        tuple(draw(st.lists(EVENT, max_size=20))),
    )


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_it_does_what_otp_does_whatever_happens(strategy: str) -> None:
    @settings(max_examples=250, derandomize=True, deadline=None)
    @given(plans(strategy))
    def search(plan: Plan) -> None:
        play(plan)

    search()


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(0, 3), st.integers(1, 4), st.lists(st.integers(0, 5), max_size=10))
def test_it_counts_crashes_as_otp_does(limit: int, period: int, waits: list[int]) -> None:
    crash = ("exit", 0, "boom", ())
    events = tuple(event for wait in waits for event in (crash, ("wait", wait)))
    play(Plan("one_for_one", limit, period, "never", (("a", "permanent", False),), events))


# Seeded mistakes: each is found by the same search.


@pytest.mark.parametrize("broken", MISTAKES)
def test_a_seeded_mistake_is_found(broken: type[Restarts]) -> None:
    find(
        plans(),
        lambda plan: agrees(plan) and not agrees(plan, broken),
        settings=settings(
            max_examples=3000, derandomize=True, deadline=None, phases=[Phase.generate]
        ),
    )
