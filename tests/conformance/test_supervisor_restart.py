"""Supervisors (SUP): who is restarted, and when it is too much."""

from typing import Any

import pytest

from otpy import (
    ChildError,
    ChildSpec,
    Exit,
    Pid,
    gen_server,
    process,
    supervisor,
)
from tests.conformance.children import (
    down,
    pids,
    short,
    specs,
    start,
    told,
)
from tests.conformance.conftest import Runner, until
from tests.conformance.waiting import nothing_more


@pytest.mark.parametrize(
    ("reason", "restarted"),
    [
        ("normal", False),
        ("shutdown", False),
        (("shutdown", "x"), False),
        (("shutdown", "x", "y"), True),
        ("boom", True),
    ],
)
def test_sup_20_a_transient_child_is_restarted_for_abnormal_reasons_only(
    run: Runner, reason: Any, restarted: bool
) -> None:
    """transient restarted only for abnormal reasons; normal/shutdown/{shutdown,_} keep the spec
    with pid undefined."""

    def body() -> None:
        boss = start(run, specs(run, "a", restart="transient"))
        first = pids(boss)["a"]
        gen_server.cast(first, reason)
        assert short(told(1)) == ["stop a"]
        if restarted:
            assert short(told(1)) == ["start a"]
            assert pids(boss)["a"] not in (None, first)
        else:
            until(lambda: pids(boss) == {"a": None})
            assert supervisor.get_childspec(boss, "a").restart == "transient"
            assert supervisor.restart_child(boss, "a") == pids(boss)["a"]
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize("reason", ["normal", "shutdown", "boom", "terminate_child"])
def test_sup_21_a_temporary_child_is_forgotten_when_it_ends(run: Runner, reason: str) -> None:
    """temporary never restarted; spec removed on exit or terminate_child."""

    def body() -> None:
        boss = start(run, [*specs(run, "a", restart="temporary"), *specs(run, "b")])
        if reason == "terminate_child":
            supervisor.terminate_child(boss, "a")
        else:
            gen_server.cast(pids(boss)["a"], reason)
        assert short(told(1)) == ["stop a"]
        until(lambda: list(pids(boss)) == ["b"])
        for unknown in (supervisor.restart_child, supervisor.get_childspec):
            with pytest.raises(ChildError, match="not_found"):
                unknown(boss, "a")
        nothing_more()
        supervisor.stop(boss)

    run(body)


def test_sup_26_rest_for_one_leaves_the_earlier_children_alone(run: Runner) -> None:
    """rest_for_one: later children terminated in reverse, then dead + later restarted in order;
    earlier untouched."""

    def body() -> None:
        boss = start(run, specs(run, "abcde"), "rest_for_one")
        before = pids(boss)
        process.exit(before["c"], "kill")
        assert short(told(5)) == ["stop e", "stop d", "start c", "start d", "start e"]
        after = pids(boss)
        assert [name for name in "abcde" if before[name] == after[name]] == ["a", "b"]
        process.exit(after["e"], "kill")
        assert short(told(1)) == ["start e"]
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_sup_28_a_transient_sibling_that_was_stopped_is_restarted(
    run: Runner, strategy: str
) -> None:
    """transient siblings terminated by the supervisor ARE restarted."""

    def body() -> None:
        boss = start(run, [*specs(run, "a"), *specs(run, "b", restart="transient")], strategy)
        first = pids(boss)["b"]
        process.exit(pids(boss)["a"], "kill")
        assert short(told(3)) == ["stop b", "start a", "start b"]
        assert pids(boss)["b"] != first
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_sup_33_without_restarts_the_first_one_is_too_many(run: Runner, strategy: str) -> None:
    """intensity 0: first restart attempt already shuts down."""

    def body() -> None:
        process.flag(trap_exit=True)
        children = [*specs(run, "a"), *specs(run, "b", restart="temporary"), *specs(run, "c")]
        boss = start(run, children, strategy, max_restarts=0)
        gen_server.cast(pids(boss)["b"], "boom")  # nobody restarts it, so nothing is counted
        assert short(told(1)) == ["stop b"]
        until(lambda: sorted(pids(boss)) == ["a", "c"])
        process.exit(pids(boss)["a"], "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert short(told(1)) == ["stop c"]
        nothing_more()

    run(body)


def test_sup_69_a_significant_transient_child_that_crashes_is_restarted(run: Runner) -> None:
    """transient significant crash restarts instead of shutting down."""

    def body() -> None:
        process.flag(trap_exit=True)
        for auto in ("any_significant", "all_significant"):
            children = specs(run, "a", restart="transient", significant=True)
            boss = start(run, children, auto_shutdown=auto)
            gen_server.cast(pids(boss)["a"], "boom")
            assert short(told(2)) == ["stop a", "start a"]
            assert process.alive(boss)
            gen_server.cast(pids(boss)["a"], "normal")
            assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
            assert short(told(1)) == ["stop a"]

    run(body)


@pytest.mark.parametrize("significant", [True, False])
def test_sup_70_an_auto_shutdown_goes_up_through_significant_supervisors(
    run: Runner, significant: bool
) -> None:
    """nested auto-shutdown propagates only if sub-supervisor itself is significant."""

    def body() -> None:
        process.flag(trap_exit=True)
        leaf = specs(run, "a", restart="transient", significant=True)

        def start_inner() -> Pid:
            return supervisor.start_link(
                leaf, strategy="one_for_one", auto_shutdown="any_significant"
            )

        inner = ChildSpec(
            id="inner",
            start=(start_inner, ()),
            type="supervisor",
            restart="transient",
            significant=significant,
        )
        boss = start(run, [inner, *specs(run, "b")], auto_shutdown="any_significant")
        ref = process.monitor(pids(boss)["inner"])
        gen_server.cast(pids(pids(boss)["inner"])["a"], "normal")
        assert down(ref) == "shutdown"
        if significant:
            assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
            assert short(told(2)) == ["stop a", "stop b"]
        else:
            until(lambda: pids(boss)["inner"] is None)
            supervisor.stop(boss)

    run(body)
