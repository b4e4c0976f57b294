"""Random supervision trees and crash sequences: otpy does what Erlang/OTP does.

``OTPY_DIFFERENTIAL_CASES`` plays more than 140 seeds, ``OTPY_DIFFERENTIAL_FIRST`` other ones. See
docs/testing.md.
"""

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otpy.behaviours import dynamic_supervisor, supervisor
from otpy.behaviours._children import start
from otpy.behaviours._stop_children import stop_children
from otpy.machines.restart import Child, Restarts
from otpy.runtime import process
from tests.differential.cases import Case, draw, make
from tests.differential.compare import (
    OTPY,
    Difference,
    differences,
    engines,
    nodes,
    reduced,
    shrunk,
    steady,
)
from tests.differential.engines import missing, simulated
from tests.differential.logs import Entry, canonical
from tests.machines import dynamic_mistakes
from tests.machines.mistakes import MISTAKES, DemotionsCount

FIRST = int(os.environ.get("OTPY_DIFFERENTIAL_FIRST", "0"))
CASES = int(os.environ.get("OTPY_DIFFERENTIAL_CASES", "140"))


def agree(cases: list[Case], kinds: list[str]) -> None:
    found: list[Difference] = []
    for one in differences(cases, kinds):
        if steady(one):
            found.append(one)
        else:
            warnings.warn(f"once only, not when played again: {one}", stacklevel=2)
    if found:
        pytest.fail(f"{len(found)} differences. The first: {shrunk(found[0])}", pytrace=False)


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.timeout(120 + CASES)
def test_otpy_does_what_otp_does() -> None:
    agree(draw(FIRST, CASES), engines())


@pytest.mark.timeout(120 + CASES)
def test_the_executors_of_otpy_do_the_same() -> None:
    """All cases where there is no Erlang to compare with; else a few more."""
    count = CASES if missing() else 30
    agree(draw(-count, count), [*OTPY])


# Seeded mistakes.


@pytest.fixture(autouse=True)
def no_reports() -> Iterator[None]:
    """Thousands of children crash here, as they are meant to."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def told(case: Case) -> list[Entry]:
    try:
        return canonical(simulated(0, case))
    except Exception as error:  # noqa: BLE001 - a supervisor with a mistake may do anything
        return [["failed", repr(error)]]


Played = Callable[[Case], list[Entry]]


@pytest.fixture(scope="module")
def right() -> Played:
    """The logs of otpy as it is; the tests above compare them with OTP's."""
    known: dict[str, list[Entry]] = {}

    def played(case: Case) -> list[Entry]:
        key = json.dumps(case)
        if key not in known:
            known[key] = told(case)
        return known[key]

    return played


class CountsTheDead(Restarts):
    """Not of the machine: ``count_children`` asks only whether there is a pid."""


def counts_the_dead(pid: Any) -> bool:
    return True


def break_it(monkeypatch: pytest.MonkeyPatch, broken: type[Restarts]) -> None:
    if broken is CountsTheDead:
        monkeypatch.setattr(supervisor, "_lives", counts_the_dead)
    else:
        monkeypatch.setattr(supervisor, "Restarts", broken)


@pytest.mark.parametrize(
    "broken",
    # Losing a cluster-wide name is otpy's own: OTP restarts no child for that.
    [CountsTheDead, *(one for one in MISTAKES if one is not DemotionsCount)],
)
def test_a_seeded_mistake_is_found(
    broken: type[Restarts], right: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(200):
        case = make(seed)
        expected = right(case)
        with monkeypatch.context() as patched:
            break_it(patched, broken)
            if told(case) != expected:
                return
    pytest.fail(f"{broken.__name__} was not found")


def without_extra_arguments(child: Child, extra: tuple[Any, ...] = ()) -> tuple[bool, Any]:
    """Not of the machine: a child that is started again gets its own arguments only."""
    return start(child, extra if child.pid is None else ())


def without_patience(children: list[Child]) -> list[Any]:
    """Not of the machine: children are killed instead of being asked to stop."""
    for child in children:
        if not child.restarting:
            process.exit(child.pid, "kill")
    return stop_children(children)


DYNAMIC_MISTAKES: list[tuple[str, Any]] = [
    ("start", without_extra_arguments),
    ("stop_children", without_patience),
    *(
        ("Dynamic", one)
        for one in dynamic_mistakes.MISTAKES
        if one is not dynamic_mistakes.DemotionsCount
    ),
]


@pytest.mark.parametrize(("name", "broken"), DYNAMIC_MISTAKES)
def test_a_mistake_of_a_dynamic_supervisor_is_found(
    name: str, broken: Any, right: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(0, 200, 2):
        case = make(seed, True)
        expected = right(case)
        with monkeypatch.context() as patched:
            patched.setattr(dynamic_supervisor, name, broken)
            if told(case) != expected:
                return
    pytest.fail(f"{broken.__name__} was not found")


def test_a_difference_is_made_small_and_printed_with_both_logs(
    right: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = next(one for one in MISTAKES if one.__name__ == "StopsInStartOrder")

    def differ(cases: list[Case]) -> list[bool]:
        expected = [right(case) for case in cases]
        with monkeypatch.context() as patched:
            break_it(patched, broken)
            return [told(case) != want for case, want in zip(cases, expected, strict=True)]

    case = next(make(seed) for seed in range(200) if differ([make(seed)])[0])
    small = reduced(case, differ)
    assert len(small["script"]) <= 1  # or none: a restart in a start that fails
    assert len(list(nodes(small["tree"]))) <= 6
    with monkeypatch.context() as patched:
        break_it(patched, broken)
        wrong = told(small)
    text = str(Difference(small, "right", right(small), "wrong", wrong))
    assert f"--case '{json.dumps(small)}'" in text
    assert sum(line.startswith("! ") for line in text.splitlines()) >= 2


# The cases and the logs themselves.


def test_a_seed_gives_the_same_case_and_it_is_plain_data() -> None:
    for seed in range(50):
        case = make(seed, seed % 2 == 0)
        assert case == make(seed, seed % 2 == 0) == json.loads(json.dumps(case))


def test_a_case_is_played_twice_the_same() -> None:
    for seed, case in enumerate(draw(0, 30)):
        assert simulated(seed, case) == simulated(seed, case)


REACHED = (
    "restarting",
    "error already_present",
    "error already_started",
    "error running",
    "error restarting",
    "error not_found",
    "error max_children",
    "undefined=restarting",
    "error bad_combination",
    "error {bad_return_value,junk}",
    "error {EXIT,raised}",
    "exit shutdown",
    "ok none",
    "absent",
    "left",
    "aside stopping",
    "raised",
    "killed",
    "{shutdown,x}",
    "{shutdown,{failed_to_start_child,",
    "root ",
)


def test_the_cases_reach_what_can_happen(right: Played) -> None:
    logs = [right(case) for case in draw(0, 200)]
    text = "\n".join(" ".join(entry) for log in logs for entry in log)
    assert [one for one in REACHED if one not in text] == []
    assert "never quiet" not in text


def test_logs_that_differ_in_an_order_that_matters_are_different() -> None:
    log = [["start", "w1#1", "ok", ""], ["start", "w2#1", "ok", ""]]
    stops = [["stopping", "w2#1", "shutdown"], ["stopping", "w1#1", "shutdown"]]
    ends = [["end", "w2#1", "killed"], ["end", "w1#1", "killed"]]
    assert canonical([*log, *stops]) != canonical([*log, *reversed(stops)])
    assert canonical([*log, *ends]) == canonical([*log, *reversed(ends)])


def test_what_a_dynamic_supervisor_stops_has_an_order_in_each_child_only() -> None:
    log = [["start", "d1#1", "ok", ""]]
    log += [["start", name, "ok", "d1#1"] for name in ("w2#1", "w3#1")]
    one = [["stopping", "w2#1", "shutdown"], ["end", "w2#1", "shutdown"]]
    other = [["stopping", "w3#1", "shutdown"], ["end", "w3#1", "shutdown"]]
    own = ["end", "d1#1", "shutdown"]
    told = canonical([*log, *one, *other, own])
    assert told == canonical([*log, other[0], *one, other[1], own])
    assert told != canonical([*log, *one, *other[::-1], own])
    assert told != canonical([*log, *one, own, *other])


def test_the_children_of_a_killed_supervisor_may_end_while_it_is_restarted() -> None:
    log = [["start", "s1#1", "ok", "s0#1"], ["start", "w2#1", "ok", "s1#1"]]
    killed, end, again = ["end", "s1#1", "killed"], ["end", "w2#1", "killed"], ["event", "1"]
    assert canonical([*log, killed, end, again]) == canonical([*log, killed, again, end])
    orderly = ["end", "s1#1", "shutdown"]
    assert canonical([*log, orderly, end, again]) != canonical([*log, orderly, again, end])
