"""``simulate``: seeds that fail are found, made smaller, shown and replayed."""

import json
import re
import time
import unittest
from pathlib import Path
from typing import Any

import pytest

from otpy import global_, process
from otpy.terms.errors import BadArgument
from otpy.testing import ClusterSimulation, SimulationFailed, simulate
from otpy.testing.faults import Break, ClockSkew, Crash, Fault, OneWay, Partition, Pause
from otpy.testing.shrink import smallest
from tests.testing import lease_cluster
from tests.testing.cluster_program import start

A, B, C = NAMES = ("a@sim", "b@sim", "c@sim")


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the timelines go; the environment of the test run itself does not count."""
    monkeypatch.setenv("OTPY_TIMELINES", str(tmp_path))
    monkeypatch.delenv("OTPY_SEED", raising=False)
    monkeypatch.delenv("OTPY_SEEDS_TIMES", raising=False)
    return tmp_path


def passes(sim: ClusterSimulation) -> None:
    sim.let_faults_pass()
    sim.wait(sim.meshed)


def never_paused_while_cut(sim: ClusterSimulation) -> None:
    """Fails if a node is paused while some cut is there: two faults are needed."""
    met: list[Any] = []
    sim.sched.at_rest = lambda: (
        met.append(sim.elapsed) if sim.network.cuts and sim.sched.drawn.aside else None
    )
    sim.let_faults_pass()
    assert not met, "paused while cut"


def downs(sim: ClusterSimulation) -> list[Any]:
    """The crashes until now."""
    return [event for event in sim.history.events if event.kind == "down"]


def none_of(found: list[Any]) -> None:
    """A helper with an assertion."""
    assert not found


FAULTS: list[tuple[float, Fault]] = [
    (1.0, Break(A, B)),
    (2.0, Partition((A,), (B, C), 5.0)),
    (3.0, Crash(C, 0.5)),
    (4.0, Pause(B, 1.0)),
    (8.0, OneWay(A, C, 1.0)),
    (10.0, Break(C, B)),
]


def test_a_test_that_holds_passes_under_every_seed() -> None:
    seen: list[int] = []

    def test(sim: ClusterSimulation) -> None:
        seen.append(sim.seed)
        passes(sim)

    assert simulate(test, seeds=5) == 5
    assert seen == [0, 1, 2, 3, 4]


def test_seeds_draw_different_faults_and_one_seed_the_same() -> None:
    drawn: list[list[str]] = []

    def test(sim: ClusterSimulation) -> None:
        passes(sim)
        drawn.append([str(event) for event in sim.history.events if event.kind == "fault"])

    simulate(test, seeds=[3, 3, 4], kinds=[Partition, Pause], window=(1.0, 9.0))
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(faults) == 5 for faults in drawn)


def test_the_few_faults_that_matter_are_found() -> None:
    with pytest.raises(SimulationFailed, match="2 of 6 faults are needed") as failed:
        simulate(never_paused_while_cut, seeds=[7], faults=FAULTS)
    assert failed.value.faults == [FAULTS[1], FAULTS[3]]
    assert failed.value.seed == 7
    assert isinstance(failed.value.__cause__, AssertionError)


def test_the_same_failure_comes_back_by_the_line_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SimulationFailed) as failed:
        simulate(never_paused_while_cut, seeds=200, kinds=[OneWay, Pause])
    seed = failed.value.seed
    here = "test_simulate.py::test_the_same_failure_comes_back_by_the_line_it_prints"
    assert f"OTPY_SEED={seed} pytest 'tests/testing/{here}'" in capsys.readouterr().err
    monkeypatch.setenv("OTPY_SEED", str(seed))
    with pytest.raises(SimulationFailed) as again:
        simulate(never_paused_while_cut, seeds=200, kinds=[OneWay, Pause])
    assert again.value.seed == seed
    assert again.value.faults == failed.value.faults
    assert len(again.value.faults) == 2


def test_the_hash_seed_stands_in_the_replay_line_if_it_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    line = r"replay: PYTHONHASHSEED=5 simulate\(never_paused_while_cut, seeds=\[1\], \.\.\.\)"
    with pytest.raises(SimulationFailed, match=line):
        simulate(never_paused_while_cut, seeds=[1], faults=FAULTS)


def test_the_picture_shows_nodes_sessions_faults_and_leaders() -> None:
    def fails(sim: ClusterSimulation) -> None:
        sim.note("look: here; it is #1")
        sim.let_faults_pass()
        sim.wait(sim.meshed)
        crashes = [event for event in sim.history.events if event.kind == "down"]
        assert not crashes, "a node was down"

    with pytest.raises(SimulationFailed) as failed:
        simulate(fails, seeds=[1], faults=[(2.0, Crash(A, 3.0)), (3.0, Break(B, C))], start=start)
    text = failed.value.picture.read_text()
    assert failed.value.faults == [(2.0, Crash(A, 3.0))]
    for line in (
        "```mermaid\ngantt",
        "    section faults\n    Crash(node='a@sim', seconds=3.0) :crit, 2000, 5000",
        "    section notes\n    look  here  it is  1 :milestone, 0, 0",
        "    section nodes\n    a@sim :0, 2000\n    a@sim :5000, ",
        "    section sessions\n    ",
        "    a@sim sees b@sim :",
        "    section holder of x\n    ",
        "    c@sim sees a@sim ",
        "    c@sim sees b@sim ",
    ):
        assert line in text, f"{line!r} is not in\n{text}"
    ends = re.findall(r"a@sim sees \S+.* :(\d+), (\d+)\n", text)
    assert {int(end) for begin, end in ends if int(begin) < 2000} == {2000}, "they end with it"
    for line in text.partition("```mermaid")[2].partition("```")[0].splitlines()[5:]:
        assert line.count(":") == (0 if line.startswith("    section") else 1), line


def faults_in(picture: str) -> list[str]:
    """The lines of the section of faults."""
    return picture.partition("    section faults\n")[2].partition("    section ")[0].splitlines()


def picture_of(test: Any, **options: Any) -> str:
    """What is drawn of a test that fails at its end."""

    def fails(sim: ClusterSimulation) -> None:
        test(sim)
        raise AssertionError("the end")

    with pytest.raises(SimulationFailed, match="the end") as failed:
        simulate(fails, seeds=[1], **options)
    return failed.value.picture.read_text()


def test_the_picture_shows_who_took_whom_for_the_holder_of_a_lease() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.wait(lambda: sim.whereis(C, lease_cluster.KEY) is not None)
        holder = sim.whereis(C, lease_cluster.KEY)
        assert holder is not None
        sim.wait(lambda: {sim.whereis(name, lease_cluster.KEY) for name in NAMES} == {holder})
        seen.append(holder)

    seen: list[Any] = []
    text = picture_of(test, faults=0, start=lease_cluster.start, lease_time=lease_cluster.LEASE)
    holder = seen[-1]
    for name in NAMES:
        assert f"    {name} sees {holder.node} {holder.number} :" in text, text
        assert f" holder {name} x {holder}\n" in text, text


def test_the_picture_shows_who_took_whom_for_a_holder_at_the_instant_of_the_failure() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.wait(sim.meshed)
        pid = sim.call(A, lambda: process.spawn(process.sleep, float("inf")))
        assert sim.call(A, global_.register_name, "here", pid)

    text = picture_of(test, faults=0)
    assert sorted(re.findall(r" holder (\S+@sim) here", text)) == [*NAMES], text


def test_the_picture_shows_what_is_done_by_hand_until_it_is_undone() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.partition([A], [B, C])
        sim.let_pass(1.0)
        sim.pause(B)
        sim.skew(C, 1.25)
        sim.let_pass(1.0)
        sim.heal()
        sim.kill(A)
        sim.let_pass(1.0)
        sim.resume(B)
        sim.restart(A)
        sim.skew(C, 1.0)
        sim.pause(A)
        sim.let_pass(1.0)
        sim.kill(A)
        sim.let_pass(1.0)

    text = picture_of(test, faults=0)
    assert faults_in(text) == [
        "    partition a@sim from b@sim, c@sim :crit, 0, 2000",
        "    pause b@sim :crit, 1000, 3000",
        "    skew c@sim 1.25 :crit, 1000, 3000",
        "    kill a@sim :crit, 2000, 3000",
        "    pause a@sim :crit, 3000, 4000",
        "    kill a@sim :crit, 4000, 5000",
    ]
    log = [line.split(maxsplit=1) for line in text.partition("```text\n")[2].splitlines()]
    mine = ("partition", "heal", "pause", "resume", "skew", "kill", "restart")
    assert [line for line in log if len(line) == 2 and line[1].startswith(mine)] == [
        ["0.000000", "partition ('a@sim',) ('b@sim', 'c@sim')"],
        ["1.000000", "pause b@sim"],
        ["1.000000", "skew c@sim 1.25"],
        ["2.000000", "heal"],
        ["2.000000", "kill a@sim"],
        ["3.000000", "resume b@sim"],
        ["3.000000", "restart a@sim"],
        ["3.000000", "skew c@sim 1.0"],
        ["3.000000", "pause a@sim"],
        ["4.000000", "kill a@sim"],
    ]


def test_a_drawn_fault_is_drawn_until_it_is_undone_by_hand_and_notes_nothing_more() -> None:
    def test(sim: ClusterSimulation) -> None:
        for fault in (Partition((A,), (B, C), 9.0), Pause(B, 9.0), ClockSkew(C, 1.25, 9.0)):
            sim.inject(fault)
        sim.inject(Crash(A, 9.0))
        sim.let_pass(1.0)
        sim.heal()
        sim.resume(B)
        sim.restart(A)
        sim.skew(C, 1.5)
        sim.let_faults_pass()
        assert sim.network.rates[C] == 1.5, "the end of the fault is not that of the later skew"
        sim.inject(Pause(B, 2.0))
        sim.pause(B)  # twice is once
        sim.inject(ClockSkew(C, 1.125, 2.0))
        sim.let_pass(4.0)

    text = picture_of(test, faults=0)
    assert faults_in(text) == [
        "    ClockSkew(node='c@sim', rate=1.25, seconds=9.0) :crit, 0, 1000",
        "    Crash(node='a@sim', seconds=9.0) :crit, 0, 1000",
        "    Partition(left=('a@sim',), right=('b@sim', 'c@sim'), seconds=9.0) :crit, 0, 1000",
        "    Pause(node='b@sim', seconds=9.0) :crit, 0, 1000",
        "    skew c@sim 1.5 :crit, 1000, 9000",
        "    ClockSkew(node='c@sim', rate=1.125, seconds=2.0) :crit, 9000, 11000",
        "    Pause(node='b@sim', seconds=2.0) :crit, 9000, 11000",
    ]


def test_a_run_that_reads_the_real_world_is_told_apart() -> None:
    runs: list[int] = []

    def fails_once(sim: ClusterSimulation) -> None:
        runs.append(sim.seed)
        assert len(runs) > 1, "the first time"

    with pytest.raises(SimulationFailed, match="run again, the same seed gave None"):
        simulate(fails_once, seeds=[1])


def test_another_error_does_not_count_while_faults_are_left_out() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()
        faults = [event for event in sim.history.events if event.kind == "fault"]
        if len(faults) < len(FAULTS):
            raise TimeoutError("another one")
        raise AssertionError("the one")

    with pytest.raises(SimulationFailed) as failed:
        simulate(test, seeds=[1], faults=FAULTS)
    assert failed.value.faults == FAULTS


def test_another_assertion_of_the_test_is_another_failure() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()
        assert not downs(sim), "a node was down"
        raise AssertionError("what always fails")

    with pytest.raises(SimulationFailed, match="a node was down") as failed:
        simulate(test, seeds=[1], faults=FAULTS)
    assert failed.value.faults == [FAULTS[2]]
    assert "a node was down" in failed.value.picture.read_text()


def test_a_helper_that_fails_for_two_lines_of_the_test_has_failed_in_two_ways() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()
        none_of(downs(sim))
        none_of(["always"])

    with pytest.raises(SimulationFailed) as failed:
        simulate(test, seeds=[1], faults=FAULTS)
    assert failed.value.faults == [FAULTS[2]]


def test_a_method_of_the_library_that_fails_is_told_by_the_line_that_calls_it() -> None:
    case = unittest.TestCase()

    def test(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()
        case.assertEqual(downs(sim), [])  # noqa: PT009 - it raises in the library
        case.assertEqual(1, 2)  # noqa: PT009

    with pytest.raises(SimulationFailed) as failed:
        simulate(test, seeds=[1], faults=FAULTS)
    assert failed.value.faults == [FAULTS[2]]


def test_an_error_of_the_library_is_told_by_its_type_and_the_line_that_calls_it() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()
        happened = [event for event in sim.history.events if event.kind == "fault"]
        # The library raises the one here, the other there.
        json.loads("{}x" if len(happened) == len(FAULTS) else "x")

    with pytest.raises(SimulationFailed, match="JSONDecodeError") as failed:
        simulate(test, seeds=[1], faults=FAULTS)
    assert failed.value.faults == []


def test_a_failure_whose_text_changes_with_the_faults_is_the_same() -> None:
    def test(sim: ClusterSimulation) -> None:
        sim.let_faults_pass()
        happened = [event for event in sim.history.events if event.kind == "fault"]
        assert not downs(sim), f"{len(happened)} faults until {sim.elapsed}"

    with pytest.raises(SimulationFailed, match="6 faults until") as failed:
        simulate(test, seeds=[1], faults=FAULTS)
    assert failed.value.faults == [FAULTS[2]]


def test_more_seeds_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTPY_SEEDS_TIMES", "3")
    assert simulate(lambda sim: None, seeds=4) == 12


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seeds": 0}, "seeds=0"),
        ({"seeds": "5"}, "seeds='5'"),
        ({"nodes": "a@sim"}, "nodes='a@sim'"),
        ({"faults": -1}, "faults=-1"),
        ({"window": (5.0, 1.0)}, "window="),
    ],
)
def test_what_it_cannot_take_is_named(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(BadArgument, match=told):
        simulate(passes, **wrong)


def test_a_test_of_coroutines_is_refused_and_does_not_pass_unrun() -> None:
    async def coroutines(*_: Any) -> None:
        raise AssertionError("it is not run")

    with pytest.raises(BadArgument, match="none of coroutines"):
        simulate(coroutines, seeds=1)
    with pytest.raises(BadArgument, match=r"start=.* is a coroutine function"):
        simulate(passes, seeds=1, start=coroutines)
    with pytest.raises(SimulationFailed, match="something to await"):
        simulate(lambda sim: coroutines(sim), seeds=1)


def test_no_seed_and_no_kind_are_refused() -> None:
    with pytest.raises(BadArgument, match=r"seeds=\[\]; expected one or more"):
        simulate(passes, seeds=[])
    with pytest.raises(BadArgument, match=r"kinds=.*expected kinds of"):
        simulate(passes, seeds=1, kinds=[int])  # type: ignore[list-item]


def test_a_failure_says_that_no_hash_seed_was_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: ClusterSimulation) -> None:
        raise AssertionError("always")

    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    with pytest.raises(SimulationFailed, match="PYTHONHASHSEED was not fixed"):
        simulate(fails, seeds=1)
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    with pytest.raises(SimulationFailed) as failed:
        simulate(fails, seeds=1)
    assert "was not fixed" not in str(failed.value)


@pytest.mark.parametrize(("name", "value"), [("OTPY_SEED", "x"), ("OTPY_SEEDS_TIMES", "0")])
def test_what_the_environment_cannot_say_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadArgument, match=f"{name}='{value}'"):
        simulate(passes)


def test_an_hour_of_the_cluster_takes_seconds() -> None:
    began = time.perf_counter()

    def test(sim: ClusterSimulation) -> None:
        sim.call(A, process.sleep, 3500.0)

    simulate(test, seeds=1, faults=0)
    assert time.perf_counter() - began < 30


# Shrinking.


@pytest.mark.parametrize("needed", [set[int](), {3}, {0, 9}, {2, 3, 7}, set(range(10))])
def test_the_smallest_failing_part_is_what_is_needed(needed: set[int]) -> None:
    asked: list[list[int]] = []

    def fails(items: list[int]) -> bool:
        asked.append(items)
        return needed <= set(items)

    assert smallest(range(10), fails) == sorted(needed)
    assert len(asked) < 100


def test_shrinking_gives_up_after_so_many_tries_with_something_that_fails() -> None:
    asked: list[list[int]] = []

    def fails(items: list[int]) -> bool:
        asked.append(items)
        return {1, 50, 99} <= set(items)

    left = smallest(range(100), fails, tries=10)
    assert {1, 50, 99} <= set(left)
    assert len(asked) == 10
