"""Dynamic supervisors (DSUP): restarts, and how many children are stopped at once."""

from typing import Any

import pytest

from otpy import (
    IGNORE,
    ChildError,
    ChildSpec,
    Down,
    Exit,
    Pid,
    dynamic_supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.testing.plugin import Reports
from tests.conformance.children import Door, down, gated, short, specs, told
from tests.conformance.conftest import Runner, until
from tests.conformance.test_dynamic_supervisor import restarting, running, start
from tests.conformance.test_supervisor_shutdown import mortal, slow, waits
from tests.conformance.waiting import nothing_more, wait


def child(boss: Pid, spec: ChildSpec) -> Pid:
    """The pid of a child that is started, and has said so."""
    pid: Pid = dynamic_supervisor.start_child(boss, spec)
    assert told(1)[0][0] == "start"
    return pid


def ends(pid: Pid, reason: Any) -> None:
    ref = process.monitor(pid)
    if reason == "kill":
        process.exit(pid, "kill")
        assert down(ref) == "killed"
        return
    gen_server.cast(pid, reason)
    assert down(ref) == reason


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", 1), "boom", "kill"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_dsup_13_who_is_restarted(
    run: Runner, capture_reports: Reports, restart: str, reason: Any
) -> None:
    """temporary/transient/permanent as Supervisor; non-restarted children disappear from
    counts."""

    def body() -> None:
        boss = start()
        first = child(boss, specs(run, "a", restart=restart)[0])
        ends(first, reason)
        abnormal = reason in ("boom", "kill")
        again = restart == "permanent" or (restart == "transient" and abnormal)
        expected = (["stop a"] if reason != "kill" else []) + (["start a"] if again else [])
        assert short(told(len(expected))) == expected
        assert dynamic_supervisor.count_children(boss) == ((1, 1, 0, 1) if again else (0, 0, 0, 0))
        assert first not in running(boss)
        dynamic_supervisor.stop(boss)

    run(body)


def test_sup_31_a_child_is_restarted_with_its_own_arguments(
    run: Runner, capture_reports: Reports
) -> None:
    """simple_one_for_one restarts with the same per-child args."""

    def body() -> None:
        boss = start()
        pids = {name: child(boss, specs(run, name)[0]) for name in "abc"}
        for name in "bac":
            ends(pids[name], "kill")
            assert short(told(1)) == [f"start {name}"]
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_08_a_restart_that_wants_no_process(run: Runner, capture_reports: Reports) -> None:
    """restart returning :ignore removes the child."""

    def body() -> None:
        gate: list[Any] = [None]
        boss = start()
        first = child(boss, gated(run, "a", lambda: gate[0]))
        gate[0] = IGNORE
        ends(first, "kill")
        assert dynamic_supervisor.count_children(boss) == (0, 0, 0, 0)
        with pytest.raises(ChildError, match="not_found"):
            dynamic_supervisor.terminate_child(boss, first)
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_09_a_restart_that_fails_is_tried_again(run: Runner, capture_reports: Reports) -> None:
    """restart returning error -> :restarting and retried."""

    def body() -> None:
        capture_reports.records.clear()
        door = Door()
        door.shut_at = {2, 3}
        boss = start(max_restarts=3)
        first = child(boss, gated(run, "a", door))
        ends(first, "kill")
        assert short(told(1)) == ["start a"]
        assert door.asked == 4
        assert len(running(boss)) == 1
        labels = [report["label"] for report in capture_reports.reports]
        assert labels == ["child_terminated", "start_error", "start_error"]
        assert [report["pid"] for report in capture_reports.reports] == [
            first,
            ("restarting", first),
            ("restarting", first),
        ]
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_09_each_failed_restart_counts(run: Runner, capture_reports: Reports) -> None:
    """each failed restart counts toward max_restarts."""

    def body() -> None:
        process.flag(trap_exit=True)
        door = Door()
        boss = start(max_restarts=3)
        first = child(boss, gated(run, "a", door))
        door.open = False
        ends(first, "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert door.asked == 1 + 3

    run(body)


def test_dsup_10_too_many_restarts_end_it(run: Runner, capture_reports: Reports) -> None:
    """max_restarts exceeded -> exits :shutdown; the other children are stopped."""

    def body() -> None:
        process.flag(trap_exit=True)
        capture_reports.records.clear()
        boss = start(max_restarts=1)
        first, other = (child(boss, spec) for spec in specs(run, "ab"))
        ends(first, "kill")
        assert short(told(1)) == ["start a"]
        ref = process.monitor(other)
        again = running(boss)[0]
        ends(again, "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert down(ref) == "shutdown"
        assert short(told(1)) == ["stop b"]
        assert [(report["label"], report["pid"]) for report in capture_reports.reports] == [
            ("child_terminated", first),
            ("child_terminated", again),
            ("shutdown", again),
        ]

    run(body)


def test_dsup_11_a_restarting_child_is_terminated_by_its_old_pid(
    run: Runner, capture_reports: Reports
) -> None:
    """terminate_child on a restarting child works by its old pid; it is tried no more."""

    def body() -> None:
        boss, first, door = restarting(run)
        until(lambda: running(boss) == ["restarting"])
        dynamic_supervisor.terminate_child(boss, first)
        assert dynamic_supervisor.count_children(boss) == (0, 0, 0, 0)
        asked = door.asked
        door.open = True
        with pytest.raises(ChildError, match="not_found"):
            dynamic_supervisor.terminate_child(boss, first)
        assert dynamic_supervisor.which_children(boss) == []
        assert door.asked == asked
        dynamic_supervisor.stop(boss)
        nothing_more()

    run(body)


def test_dsup_11_one_that_is_stopped_does_not_wait_for_restarting_children(
    run: Runner, capture_reports: Reports
) -> None:
    """terminate with restarting children: they have no process to wait for."""

    def body() -> None:
        boss, _, _ = restarting(run)
        until(lambda: running(boss) == ["restarting"])
        dynamic_supervisor.stop(boss)
        nothing_more()

    run(body)


def test_dsup_12_extra_arguments_come_first(run: Runner, capture_reports: Reports) -> None:
    """extra_arguments are prepended to start args, also on restart."""

    def body() -> None:
        me = self_pid()

        def begin(*args: Any) -> Pid:
            process.send(me, ("args", args))
            return process.spawn_link(wait, green=run.green)

        boss = start(extra_arguments=[1, "two"])
        for restart, args in (("permanent", (3,)), ("temporary", (3,)), ("permanent", ())):
            spec = ChildSpec("x", (begin, args), restart=restart)  # type: ignore[arg-type]
            pid = dynamic_supervisor.start_child(boss, spec)
            assert told(1) == [("args", (1, "two", *args))]
            ends(pid, "kill")
            if restart == "permanent":
                assert told(1) == [("args", (1, "two", *args))]
        dynamic_supervisor.stop(boss)
        nothing_more()

    run(body)


def test_dsup_14_brutal_kill(run: Runner, capture_reports: Reports) -> None:
    """shutdown: brutal_kill -> :killed."""

    def body() -> None:
        boss = start()
        first = child(boss, specs(run, "a", shutdown="brutal_kill")[0])
        ref = process.monitor(first)
        dynamic_supervisor.stop(boss)
        assert down(ref) == "killed"
        assert capture_reports.reports == []
        nothing_more()

    run(body)


def test_dsup_14_a_child_that_takes_too_long_is_killed(
    run: Runner, capture_reports: Reports
) -> None:
    """shutdown: integer expired -> :killed; each waits its own time, all at once."""

    def body() -> None:
        capture_reports.records.clear()
        boss = start()
        given = {"a": 0.01, "b": "infinity", "c": 0.02}
        pids = {name: child(boss, slow(run, name, shutdown=s)[0]) for name, s in given.items()}
        refs = {name: process.monitor(pid) for name, pid in pids.items()}
        over = process.monitor(boss)
        process.spawn(dynamic_supervisor.stop, boss, green=run.green)
        assert sorted(told(3)) == [("stopping", name, pids[name]) for name in "abc"]
        assert [down(refs[name]) for name in "ac"] == ["killed", "killed"]
        assert process.alive(boss)
        process.send(pids["b"], "go")
        assert down(over) == "normal"
        assert told(1) == [("stopped", "b", "shutdown")]
        found = [(report["label"], report["reason"]) for report in capture_reports.reports]
        assert found == [("shutdown_error", "killed")] * 2

    run(body)


@pytest.mark.parametrize(
    ("restart", "reason", "logged"),
    [
        ("permanent", "shutdown", False),
        ("permanent", ("shutdown", 1), False),
        ("permanent", "normal", True),
        ("transient", "normal", False),
        ("temporary", "odd", True),
    ],
)
def test_dsup_14_why_a_child_ended(
    run: Runner, capture_reports: Reports, restart: Any, reason: Any, logged: bool
) -> None:
    """child's own reason visible in DOWN; logged unless it is an orderly one."""

    def body() -> None:
        capture_reports.records.clear()
        boss = start()
        spec = ChildSpec(id="x", start=(mortal(run, reason), ()), restart=restart)
        pid = dynamic_supervisor.start_child(boss, spec)
        ref = process.monitor(pid)
        dynamic_supervisor.stop(boss)
        assert down(ref) == reason
        found = [report["reason"] for report in capture_reports.labelled("shutdown_error")]
        assert found == ([reason] if logged else [])

    run(body)


def test_dsup_14_the_reason_of_a_child_that_was_faster_is_logged(
    run: Runner, capture_reports: Reports
) -> None:
    """A child that ended before it could be told: the exit that waits has the reason."""

    def body() -> None:
        capture_reports.records.clear()
        me = self_pid()

        def hold() -> Any:
            process.send(me, ("holding",))
            process.receive(where=lambda message: message == "go")
            return IGNORE

        boss = start()
        first = child(boss, specs(run, "a")[0])
        last = child(boss, specs(run, "b")[0])
        gate = ChildSpec(id="gate", start=(hold, ()))
        process.spawn(dynamic_supervisor.start_child, boss, gate, green=run.green)
        assert told(1) == [("holding",)]
        process.spawn(dynamic_supervisor.stop, boss, green=run.green)
        waits(boss, 1)
        ends(first, "boom")
        over = process.monitor(boss)
        process.send(boss, "go")
        assert down(over) == "normal"
        assert short(told(2)) == ["stop a", "stop b"]
        assert not process.alive(last)
        labels = [report["label"] for report in capture_reports.reports]
        assert labels == ["gen_server_terminate", "shutdown_error"]
        assert capture_reports.reports[1]["reason"] == "boom"

    run(body)


def test_sup_45_children_are_stopped_at_once(run: Runner) -> None:
    """simple_one_for_one/DynamicSupervisor children stopped in parallel under one shutdown
    timeout: all are told before any has ended."""

    def body() -> None:
        boss = start()
        pids = {name: child(boss, slow(run, name)[0]) for name in "abc"}
        over = process.monitor(boss)
        process.spawn(dynamic_supervisor.stop, boss, green=run.green)
        assert sorted(told(3)) == [("stopping", name, pids[name]) for name in "abc"]
        for name in "cab":
            process.send(pids[name], "go")
            assert told(1) == [("stopped", name, "shutdown")]
        assert down(over) == "normal"

    run(body)


def test_sup_45_what_else_waits_stays_in_order(run: Runner) -> None:
    """Only the children's ends are taken out of the mailbox while a child is terminated."""

    def body() -> None:
        me = self_pid()
        boss = start()
        first = child(boss, slow(run, "a")[0])
        second = child(boss, specs(run, "b")[0])
        process.spawn(dynamic_supervisor.terminate_child, boss, first, green=run.green)
        assert told(1) == [("stopping", "a", first)]

        def ask(spec: ChildSpec) -> None:
            process.send(me, ("asking",))
            dynamic_supervisor.start_child(boss, spec)

        for number, spec in enumerate(specs(run, "xyz"), 1):
            process.spawn(ask, spec, green=run.green)
            assert told(1) == [("asking",)]
            waits(boss, number)
        ends(second, "normal")
        assert short(told(1)) == ["stop b"]
        waits(boss, 4)
        process.send(first, "go")
        assert short(told(5)) == ["stopped a", "start x", "start y", "start z", "start b"]
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_14_it_ends_with_its_parent(run: Runner) -> None:
    """A supervisor of supervisors stops its dynamic supervisors, and they their children."""

    def body() -> None:
        top = supervisor.start_link(
            [dynamic_supervisor.child_spec(name="jobs")], strategy="one_for_one"
        )
        first = child("jobs", specs(run, "a")[0])  # type: ignore[arg-type]
        ref = process.monitor(first)
        supervisor.stop(top)
        assert down(ref) == "shutdown"
        assert short(told(1)) == ["stop a"]

    run(body)


def test_dsup_14_a_killed_one_takes_its_children_along(run: Runner) -> None:
    """Children are linked: they hear of the end with "killed"."""

    def body() -> None:
        process.flag(trap_exit=True)
        boss = start()
        ref = process.monitor(child(boss, specs(run, "a")[0]))
        process.exit(boss, "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "killed")
        assert process.receive(Down, timeout=5).ref == ref
        assert told(1) == [("stop", "a", "killed")]

    run(body)


def test_log_09_how_its_children_are_called_in_reports(
    run: Runner, capture_reports: Reports
) -> None:
    """DynamicSupervisor children print as "Child :undefined of Supervisor"; extra_arguments
    shown in Start Call."""

    def begin(*args: Any) -> Pid:
        return process.spawn_link(wait, green=run.green)

    def body() -> None:
        capture_reports.records.clear()
        boss = start(name="boss", extra_arguments=(1,))
        first = dynamic_supervisor.start_child(boss, ChildSpec("x", (begin, (2,))))
        ends(first, "kill")
        until(lambda: len(running(boss)) == 1)
        first_line, why, pid, call = capture_reports.texts[0].splitlines()
        assert first_line == "Child 'undefined' of Supervisor 'boss' terminated"
        assert (why, pid) == ("** (exit) 'killed'", f"Pid: {first!r}")
        assert call.endswith(".begin(1, 2)")
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_14_hundreds_are_stopped_at_once(run: Runner) -> None:
    """More children than are told in one go, some of which had ended, or end by themselves."""

    def begin() -> Pid:
        return process.spawn_link(wait, green=True)

    def body() -> None:
        boss = start(max_restarts=0, green=run.green)
        spec = ChildSpec("x", (begin, ()), restart="temporary")
        pids = [dynamic_supervisor.start_child(boss, spec) for _ in range(450)]
        over = process.monitor(boss)
        process.spawn(dynamic_supervisor.stop, boss, green=True)
        for pid in pids[::7]:
            process.exit(pid, "normal")
        assert down(over) == "normal"
        assert not any(map(process.alive, pids))

    run(body)
