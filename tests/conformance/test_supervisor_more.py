"""Supervisors (SUP): failed starts, failed restarts, escalation, significant children."""

import gc
import weakref
from typing import Any

import pytest

from otpy import (
    BadChildSpec,
    ChildError,
    ChildSpec,
    Crash,
    Exit,
    Pid,
    StartError,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from tests.conformance.children import (
    Child,
    Door,
    GreenChild,
    down,
    gated,
    pids,
    short,
    specs,
    start,
    told,
)
from tests.conformance.conftest import Runner, until

MANY = 1_000_000


def raising() -> Any:
    raise ValueError("no")


def refusing() -> Any:
    raise StartError("r")


def odd() -> Any:
    return 17


def exiting() -> Any:
    process.exit("r")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raising, ("EXIT", Crash("ValueError", "no"))),
        (exiting, ("EXIT", "r")),
        (refusing, "r"),
        (odd, 17),
    ],
)
def test_sup_05_what_a_failed_start_says(run: Runner, function: Any, reason: Any) -> None:
    """child start raising -> {EXIT,{Err,Stack}}, also by exit; returning {error,R} -> R; other
    value V -> V."""

    def body() -> None:
        process.flag(trap_exit=True)
        child = ChildSpec(id="x", start=(function, ()))
        with pytest.raises(StartError) as failed:
            supervisor.start_link([child], strategy="one_for_one")
        assert failed.value.reason == ("shutdown", ("failed_to_start_child", "x", reason))
        boss = supervisor.start_link([], strategy="one_for_one")
        with pytest.raises(StartError) as failed:
            supervisor.start_child(boss, child)
        assert failed.value.reason == reason
        assert supervisor.which_children(boss) == []
        supervisor.stop(boss)

    run(body)


def test_sup_08_what_a_start_function_tells_beside_the_pid(run: Runner) -> None:
    """{ok, Pid, Info}: Info returned from start_child/restart_child, otherwise ignored."""

    def body() -> None:
        cls = GreenChild if run.green else Child
        me = self_pid()

        def with_info(name: str) -> Any:
            return cls.start_link((me, name)), ("info", name)

        def spec(name: str) -> ChildSpec:
            return ChildSpec(id=name, start=(with_info, (name,)))

        boss = start(run, [spec("a")])
        pid, info = supervisor.start_child(boss, spec("b"))
        assert info == ("info", "b")
        assert pids(boss)["b"] == pid
        supervisor.terminate_child(boss, "b")
        pid, info = supervisor.restart_child(boss, "b")
        assert info == ("info", "b")
        assert process.alive(pid)
        process.exit(pids(boss)["a"], "kill")
        assert short(told(4)) == ["start b", "stop b", "start b", "start a"]
        assert process.alive(pids(boss)["a"])
        supervisor.stop(boss)

    run(body)


def test_sup_18_overrides_are_merged() -> None:
    """child_spec(spec, overrides) merges overrides."""
    base = supervisor.child_spec((Child, 1))
    changed = supervisor.child_spec((Child, 1), id="own", restart="transient", shutdown=1.0)
    assert (changed.id, changed.restart, changed.shutdown) == ("own", "transient", 1.0)
    assert (changed.start, changed.type, changed.modules) == (base.start, base.type, base.modules)
    again = supervisor.child_spec(changed, shutdown="infinity")
    assert (again.id, again.restart, again.shutdown) == ("own", "transient", "infinity")
    assert supervisor.child_spec({"id": 1, "start": (print, ())}, id=2).id == 2


def test_sup_22_killed_is_abnormal_for_a_transient_child(run: Runner) -> None:
    """killed counts as abnormal for transient."""

    def body() -> None:
        boss = start(run, specs(run, "a", restart="transient"))
        first = pids(boss)["a"]
        process.exit(first, "kill")
        assert short(told(1)) == ["start a"]
        assert pids(boss)["a"] != first
        supervisor.stop(boss)

    run(body)


class Big:
    """An argument that can be watched."""


def test_sup_23_a_temporary_child_does_not_keep_its_arguments(run: Runner) -> None:
    """temporary children do not retain start args/spec (given to start_child)."""

    def body() -> None:
        me = self_pid()

        def wait() -> None:
            process.receive(where=lambda _: False)

        def begin(big: Big) -> Pid:
            process.send(me, type(big).__name__)
            return process.spawn_link(wait, green=run.green)

        boss = supervisor.start_link([], strategy="one_for_one")
        kept: list[weakref.ref[Big]] = []
        for restart in ("permanent", "temporary"):
            big = Big()
            kept.append(weakref.ref(big))
            spec = ChildSpec(id=restart, start=(begin, (big,)), restart=restart)
            supervisor.start_child(boss, spec)
            assert process.receive(str, timeout=5) == "Big"
            del big, spec
        supervisor.which_children(boss)  # the supervisor has left the start behind
        gc.collect()
        assert kept[0]() is not None
        assert kept[1]() is None
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize(
    ("strategy", "victim", "expected"),
    [
        ("one_for_all", "a", ["start a", "start b", "start c", "start d"]),
        ("rest_for_one", "b", ["stop d", "start b", "start c", "start d"]),
    ],
)
def test_sup_25_stopped_siblings_are_started_too(
    run: Runner, strategy: str, victim: str, expected: list[str]
) -> None:
    """one_for_all: all restarted in order; rest_for_one (SUP-26): dead + later in order.

    That includes those that were terminated by hand or had ended normally.
    """

    def body() -> None:
        children = [*specs(run, "ab"), *specs(run, "cd", restart="transient")]
        boss = start(run, children, strategy)
        supervisor.terminate_child(boss, "c")
        assert short(told(1)) == ["stop c"]
        if strategy == "one_for_all":
            supervisor.terminate_child(boss, "b")
            gen_server.cast(pids(boss)["d"], "normal")
            assert short(told(2)) == ["stop b", "stop d"]
            until(lambda: pids(boss)["d"] is None)
        process.exit(pids(boss)[victim], "kill")
        assert short(told(len(expected))) == expected
        supervisor.stop(boss)

    run(body)


def test_sup_29_one_for_all_stops_what_it_had_restarted_before_it_tries_again(run: Runner) -> None:
    """one_for_all: a child failing during restart causes already restarted children to be
    terminated before retry."""

    def body() -> None:
        door = Door()
        door.shut_at = {2}
        boss = start(run, [*specs(run, "ab"), gated(run, "c", door)], "one_for_all")
        process.exit(pids(boss)["b"], "kill")
        assert short(told(9)) == [
            *("stop c", "stop a"),
            *("start a", "start b"),
            *("stop b", "stop a"),
            *("start a", "start b", "start c"),
        ]
        supervisor.stop(boss)

    run(body)


def test_sup_30_rest_for_one_tries_again_from_the_child_that_failed(run: Runner) -> None:
    """rest_for_one: a later child failing during restart retries from the failed child;
    restarted earlier ones are kept."""

    def body() -> None:
        door = Door()
        door.shut_at = {2, 3}
        children = [*specs(run, "ab"), gated(run, "c", door), *specs(run, "d")]
        boss = start(run, children, "rest_for_one")
        process.exit(pids(boss)["b"], "kill")
        assert short(told(5)) == ["stop d", "stop c", "start b", "start c", "start d"]
        supervisor.stop(boss)
        assert short(told(4)) == ["stop d", "stop c", "stop b", "stop a"]

    run(body)


def test_sup_34_restarts_far_apart_never_trip_it(run: Runner) -> None:
    """restarts spread over longer than the period never trip it."""

    def body() -> None:
        boss = start(run, specs(run, "a"), max_restarts=1, max_seconds=0.005)
        for _ in range(5):
            process.exit(pids(boss)["a"], "kill")
            assert short(told(1)) == ["start a"]
            process.send_after(self_pid(), ("period", "over"), 0.006)
            assert told(1) == [("period", "over")]
        supervisor.stop(boss)

    run(body)


def stuck(run: Runner, strategy: str = "one_for_one") -> tuple[Any, Door]:
    """A supervisor of "a" and "x" that tries to restart "x" again and again."""
    door = Door()
    children = [*specs(run, "a"), gated(run, "x", door)]
    boss = start(run, children, strategy, max_restarts=MANY)
    door.open = False
    process.exit(pids(boss)["x"], "kill")
    until(lambda: door.asked >= 3)
    return boss, door


def test_sup_36_a_child_under_restart_is_seen_as_such(run: Runner) -> None:
    """during retry child pid is restarting; count_children active excludes it, workers
    includes it."""

    def body() -> None:
        boss, _ = stuck(run)
        assert pids(boss)["x"] == "restarting"
        assert supervisor.count_children(boss) == (2, 1, 0, 2)
        supervisor.stop(boss)

    run(body)


def test_sup_37_what_may_be_done_to_a_child_under_restart(run: Runner) -> None:
    """restarting child: restart_child/delete_child -> {error, restarting}; start_child ->
    already_present; terminate_child -> ok."""

    def body() -> None:
        boss, door = stuck(run)
        for refused in (supervisor.restart_child, supervisor.delete_child):
            with pytest.raises(ChildError) as error:
                refused(boss, "x")
            assert error.value.reason == "restarting"
        with pytest.raises(ChildError) as error:
            supervisor.start_child(boss, gated(run, "x", door))
        assert error.value.reason == "already_present"
        supervisor.terminate_child(boss, "x")
        assert pids(boss)["x"] is None
        asked = door.asked
        for _ in range(20):
            supervisor.count_children(boss)
        assert door.asked == asked
        door.open = True
        assert supervisor.restart_child(boss, "x") == pids(boss)["x"]
        assert short(told(1)) == ["start x"]
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
def test_sup_38_a_failing_loop_leaves_the_supervisor_responsive(run: Runner, strategy: str) -> None:
    """supervisor stays responsive and stoppable in a failing restart loop."""

    def body() -> None:
        boss, door = stuck(run, strategy)
        before = door.asked
        until(lambda: set(pids(boss)) == {"a", "x"} and door.asked >= before + 5)
        ref = process.monitor(boss)
        supervisor.stop(boss, timeout=5.0)
        assert down(ref) == "normal"

    run(body)


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_sup_39_a_sub_supervisor_escalates(run: Runner, restart: str) -> None:
    """escalation: sub-supervisor exit shutdown is restarted per its own restart type;
    dynamic children are lost."""

    def body() -> None:
        fixed = specs(run, "b")

        def start_inner() -> Pid:
            return supervisor.start_link(fixed, strategy="one_for_one", max_restarts=0)

        inner = supervisor.child_spec(
            {"id": "inner", "start": (start_inner, ()), "type": "supervisor", "restart": restart}
        )
        boss = start(run, [*specs(run, "a"), inner])
        first = pids(boss)["inner"]
        supervisor.start_child(first, specs(run, "c")[0])
        ref = process.monitor(first)
        process.exit(pids(first)["b"], "kill")
        assert down(ref) == "shutdown"
        assert short(told(2)) == ["start c", "stop c"]
        if restart == "permanent":
            assert short(told(1)) == ["start b"]
            assert list(pids(pids(boss)["inner"])) == ["b"]
        else:
            until(lambda: pids(boss).get("inner") != first)
            assert pids(boss).get("inner", "gone") == (None if restart == "transient" else "gone")
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize(
    ("restart", "reason"), [("temporary", "boom"), ("temporary", "normal"), ("transient", "normal")]
)
def test_sup_65_any_significant_child_that_ends_by_itself(
    run: Runner, restart: str, reason: str
) -> None:
    """any_significant: self-initiated exit of a significant transient(normal)/temporary(any)
    child stops supervisor with shutdown."""

    def body() -> None:
        process.flag(trap_exit=True)
        children = [*specs(run, "a"), *specs(run, "b", restart=restart, significant=True)]
        boss = start(run, children, auto_shutdown="any_significant")
        gen_server.cast(pids(boss)["b"], reason)
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert short(told(2)) == ["stop b", "stop a"]

    run(body)


def test_sup_66_a_significant_child_under_restart_has_not_ended(run: Runner) -> None:
    """all_significant: only after the last significant child exits."""

    def body() -> None:
        process.flag(trap_exit=True)
        door = Door()
        options = {"restart": "transient", "significant": True}
        children = [*specs(run, "a", **options), gated(run, "x", door, **options)]
        boss = start(run, children, max_restarts=MANY, auto_shutdown="all_significant")
        ref = process.monitor(boss)
        door.open = False
        process.exit(pids(boss)["x"], "kill")
        until(lambda: pids(boss)["x"] == "restarting")
        gen_server.cast(pids(boss)["a"], "normal")
        assert short(told(1)) == ["stop a"]
        until(lambda: pids(boss)["a"] is None)
        door.open = True
        assert short(told(1)) == ["start x"]
        gen_server.cast(pids(boss)["x"], "normal")
        assert down(ref) == "shutdown"

    run(body)


def test_sup_67_a_sibling_ending_a_significant_child_is_no_reason_to_stop(run: Runner) -> None:
    """terminate_child or sibling-induced termination of a significant child does not trigger
    it."""

    def body() -> None:
        children = [
            *specs(run, "a"),
            *specs(run, "b", restart="transient", significant=True),
            *specs(run, "c", restart="temporary", significant=True),
        ]
        boss = start(run, children, "one_for_all", auto_shutdown="any_significant")
        process.exit(pids(boss)["a"], "kill")
        assert short(told(4)) == ["stop c", "stop b", "start a", "start b"]
        supervisor.terminate_child(boss, "b")
        assert pids(boss).keys() == {"a", "b"}
        supervisor.stop(boss)

    run(body)


def test_sup_68_a_significant_child_in_the_wrong_company_is_refused_later_as_well(
    run: Runner,
) -> None:
    """significant with auto_shutdown never -> {bad_combination,_}; the supervisor goes on."""

    def body() -> None:
        process.flag(trap_exit=True)
        boss = start(run, specs(run, "a"))
        wrong = specs(run, "b", restart="transient", significant=True)[0]
        with pytest.raises(BadChildSpec) as refused:
            supervisor.start_child(boss, wrong)
        assert refused.value.reason[0] == "bad_combination"
        assert list(pids(boss)) == ["a"]
        supervisor.stop(boss)

    run(body)
