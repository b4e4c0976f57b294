"""How supervisors (SUP) stop their children, and what they log of them (LOG)."""

from typing import Any

import pytest

from otpy import (
    ChildSpec,
    Down,
    Exit,
    Node,
    Pid,
    ReceiveTimeout,
    StartError,
    Stop,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.testing.plugin import Reports
from tests.conformance.children import Child, Door, down, gated, pids, short, specs, start, told
from tests.conformance.conftest import Runner, until


def slow(run: Runner, names: str, **options: Any) -> list[ChildSpec]:
    """Children whose ``terminate`` says ("stopping", name, pid) and waits for "go"."""

    class Slow(Child, green=run.green):
        def terminate(self, reason: Any, state: Any) -> None:
            process.send(state[0], ("stopping", state[1], self_pid()))
            process.receive(where=lambda message: message == "go")
            process.send(state[0], ("stopped", state[1], reason))

    me = self_pid()
    return [supervisor.child_spec((Slow, (me, name)), id=name, **options) for name in names]


def test_sup_42_a_worker_may_take_for_ever(run: Runner) -> None:
    """infinity allowed for workers too."""

    def body() -> None:
        boss = start(run, slow(run, "a", shutdown="infinity"))
        child = pids(boss)["a"]
        process.spawn(supervisor.stop, boss, green=run.green)
        assert told(1) == [("stopping", "a", child)]
        if run.kind == "simulated":
            process.sleep(3000)  # virtual: an hour is as short as a minute
        process.send(child, "go")
        assert told(1) == [("stopped", "a", "shutdown")]

    run(body)


def mortal(run: Runner, reason: Any) -> Any:
    """A start function of a process that ends with ``reason`` when told to shut down."""

    def child(boss: Pid) -> None:
        process.flag(trap_exit=True)
        process.send(boss, "up")
        process.receive(Exit, where=lambda item: item.reason == "shutdown")
        process.exit(reason)

    def begin() -> Pid:
        pid = process.spawn_link(child, self_pid(), green=run.green)
        process.receive(str, where=lambda message: message == "up")
        return pid

    return begin


@pytest.mark.parametrize(
    ("restart", "reason", "logged"),
    [
        ("permanent", "shutdown", False),
        ("permanent", "odd", True),
        ("permanent", "normal", True),
        ("permanent", ("shutdown", 1), True),
        ("transient", "odd", True),
        ("transient", "normal", False),
        ("transient", ("shutdown", 1), False),
        ("temporary", "odd", True),
        ("permanent", ("noproc", ["no", "hash"]), True),
    ],
)
def test_sup_43_another_reason_than_shutdown_is_logged(
    run: Runner, capture_reports: Reports, restart: Any, reason: Any, logged: bool
) -> None:
    """child exiting with another reason during shutdown is fine but logged shutdown_error."""

    def body() -> None:
        capture_reports.records.clear()
        child = ChildSpec(id="x", start=(mortal(run, reason), ()), restart=restart)
        boss = supervisor.start_link([child], strategy="one_for_one")
        supervisor.stop(boss)
        found = [(report["label"], report["reason"]) for report in capture_reports.reports]
        assert found == ([("shutdown_error", reason)] if logged else [])

    run(body)


@pytest.mark.parametrize("brutal", [False, True])
def test_sup_43_the_reason_of_a_child_that_was_faster_is_logged(
    run: Runner, capture_reports: Reports, brutal: bool
) -> None:
    """child exiting with another reason during shutdown is logged: also one that ended by
    itself just before, whose exit the supervisor has not handled yet."""

    def body() -> None:
        capture_reports.records.clear()
        options: Any = {"shutdown": "brutal_kill"} if brutal else {}
        boss = start(run, [*specs(run, "a", **options), *slow(run, "b")])
        first, last = pids(boss)["a"], pids(boss)["b"]
        process.spawn(supervisor.stop, boss, green=run.green)
        assert told(1) == [("stopping", "b", last)]
        ref = process.monitor(first)
        gen_server.cast(first, "boom")
        assert down(ref) == "boom"
        ended = process.monitor(boss)
        process.send(last, "go")
        assert down(ended) == "normal"
        labels = [report["label"] for report in capture_reports.reports]
        assert labels == ["gen_server_terminate", "shutdown_error"]
        assert capture_reports.reports[1]["reason"] == "boom"

    run(body)


def test_sup_44_children_that_die_by_themselves_during_a_shutdown(run: Runner) -> None:
    """children dying on their own during shutdown must not hang or restart."""

    def body() -> None:
        boss = start(run, [*specs(run, "abc"), *slow(run, "d")])
        pid = pids(boss)
        process.spawn(supervisor.stop, boss, green=run.green)
        assert told(1) == [("stopping", "d", pid["d"])]
        for name in "bc":
            ref = process.monitor(pid[name])
            process.exit(pid[name], "kill")
            assert down(ref) == "killed"
        ended = process.monitor(boss)
        process.send(pid["d"], "go")
        assert down(ended) == "normal"
        assert short(told(2)) == ["stopped d", "stop a"]
        assert not any(map(process.alive, pid.values()))

    run(body)


def test_sup_44_a_child_that_dies_while_it_is_terminated_is_not_restarted(run: Runner) -> None:
    """children dying on their own during shutdown must not restart (terminate_child)."""

    def body() -> None:
        me = self_pid()

        def hold() -> Any:
            process.send(me, ("holding", self_pid()))
            process.receive(where=lambda message: message == "go")
            raise StartError("enough")

        def ask() -> None:
            process.send(me, ("asking",))
            supervisor.terminate_child(boss, "a")
            process.send(me, ("terminated",))

        boss = start(run, specs(run, "ab"))
        first = pids(boss)["a"]
        gate = ChildSpec(id="gate", start=(hold, ()), restart="temporary")

        def add() -> None:
            with pytest.raises(StartError):
                supervisor.start_child(boss, gate)

        process.spawn(add, green=run.green)
        assert told(1) == [("holding", boss)]
        process.spawn(ask, green=run.green)
        assert told(1) == [("asking",)]
        waits(boss, 1)
        ref = process.monitor(first)
        process.exit(first, "kill")
        assert down(ref) == "killed"
        process.send(boss, "go")
        assert told(1) == [("terminated",)]
        assert pids(boss)["a"] is None
        assert process.alive(pids(boss)["b"])
        supervisor.stop(boss)
        assert short(told(1)) == ["stop b"]

    run(body)


def waits(pid: Pid, count: int) -> None:
    """Return when so many messages wait for a process."""

    def look() -> bool:
        info = process.info(pid, "message_queue_len")
        assert info is not None
        return bool(info["message_queue_len"] >= count)

    until(look)


def test_sup_46_children_are_stopped_one_after_the_other(run: Runner) -> None:
    """ordinary strategies stop children sequentially."""

    def body() -> None:
        boss = start(run, slow(run, "abc"))
        pid = pids(boss)
        ended = process.monitor(boss)
        process.spawn(supervisor.stop, boss, green=run.green)
        for name, others in (("c", "ab"), ("b", "a"), ("a", "")):
            assert told(1) == [("stopping", name, pid[name])]
            for other in others:
                info = process.info(pid[other], "links", "message_queue_len")
                assert info is not None
                assert boss in info["links"]
                assert info["message_queue_len"] == 0
            process.send(pid[name], "go")
            assert told(1) == [("stopped", name, "shutdown")]
        assert down(ended) == "normal"

    run(body)


def test_sup_50_a_killed_supervisor_takes_its_children_along(run: Runner) -> None:
    """killing the supervisor propagates killed via links: trapping children run
    terminate(killed)."""

    def body() -> None:
        process.flag(trap_exit=True)
        boss = start(run, specs(run, "ab"))
        refs = [process.monitor(pid) for pid in pids(boss).values()]
        process.exit(boss, "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "killed")
        assert sorted(told(2)) == [("stop", "a", "killed"), ("stop", "b", "killed")]
        assert [down(ref) for ref in refs] == ["killed", "killed"]

    run(body)


THREAD = Runner("thread", None)


def test_log_07_a_child_that_ended_is_reported(node: Node, capture_reports: Reports) -> None:
    """ "Child ID of Supervisor NAME terminated" + "** (exit) r" + "Pid:" + "Start Call:"."""
    boss = start(THREAD, specs(THREAD, "a"), name="boss")
    first = pids(boss)["a"]
    process.exit(first, "kill")
    assert short(told(1)) == ["start a"]
    assert capture_reports.texts[0].splitlines()[:3] == [
        "Child 'a' of Supervisor 'boss' terminated",
        "** (exit) 'killed'",
        f"Pid: {first!r}",
    ]
    start_call = capture_reports.texts[0].splitlines()[3]
    assert start_call.startswith(f"Start Call: {Child.__module__}.Child.start_link(")
    supervisor.stop(boss)


def test_log_07_orderly_ends_and_starts_are_not_reported(
    node: Node, capture_reports: Reports
) -> None:
    """ "terminated" is for ends that are not orderly, or of a permanent child."""
    boss = start(THREAD, [*specs(THREAD, "a", restart="transient"), *specs(THREAD, "b")])
    gen_server.cast(pids(boss)["a"], "normal")
    assert short(told(1)) == ["stop a"]
    gen_server.cast(pids(boss)["b"], "normal")
    assert short(told(2)) == ["stop b", "start b"]
    supervisor.stop(boss)
    assert [(report["label"], report["child"]) for report in capture_reports.reports] == [
        ("child_terminated", "b")
    ]


def test_log_07_a_child_that_did_not_start_is_reported(
    node: Node, capture_reports: Reports
) -> None:
    """ "Child ID of Supervisor NAME failed to start" + "** (exit) r" + "Start Call:"; no Pid."""
    process.flag(trap_exit=True)
    child = gated(THREAD, "x", lambda: Stop("bad"))
    with pytest.raises(StartError):
        supervisor.start_link([child], strategy="one_for_one", name="boss")
    first, second, third = capture_reports.texts[0].splitlines()
    assert first == "Child 'x' of Supervisor 'boss' failed to start"
    assert second == "** (exit) 'bad'"
    assert third.startswith("Start Call: ")


def test_log_07_a_child_that_stopped_otherwise_is_reported(
    node: Node, capture_reports: Reports
) -> None:
    """ "Child ID of Supervisor NAME shut down abnormally" + "** (exit) r"."""
    child = ChildSpec(id="x", start=(mortal(THREAD, "odd"), ()))
    boss = supervisor.start_link([child], strategy="one_for_one", name="boss")
    pid = pids(boss)["x"]
    supervisor.stop(boss)
    assert capture_reports.texts[0].splitlines()[:3] == [
        "Child 'x' of Supervisor 'boss' shut down abnormally",
        "** (exit) 'odd'",
        f"Pid: {pid!r}",
    ]


def test_log_08_the_child_that_was_one_too_many_is_reported(
    node: Node, capture_reports: Reports
) -> None:
    """max intensity prints "** (exit) :reached_max_restart_intensity", with the child that
    "caused shutdown" (LOG-07)."""
    process.flag(trap_exit=True)
    boss = start(THREAD, specs(THREAD, "a"), max_restarts=0, name="boss")
    process.exit(pids(boss)["a"], "kill")
    assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
    ended, caused = capture_reports.texts
    assert ended.startswith("Child 'a' of Supervisor 'boss' terminated\n")
    assert caused.splitlines()[1] == "** (exit) 'reached_max_restart_intensity'"
    assert caused.splitlines()[0] == "Child 'a' of Supervisor 'boss' caused shutdown"
    assert caused.splitlines()[-1].startswith("Start Call: ")


def test_log_08_a_restart_that_failed_too_often_is_reported(
    node: Node, capture_reports: Reports
) -> None:
    """Failed restarts are reported one by one, then what they caused."""
    process.flag(trap_exit=True)
    door = Door()
    boss = start(THREAD, [gated(THREAD, "x", door)], max_restarts=2, name="boss")
    door.open = False
    process.exit(pids(boss)["x"], "kill")
    assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
    assert [report["label"] for report in capture_reports.reports] == [
        "child_terminated",
        "start_error",
        "start_error",
        "shutdown",
    ]


def test_sup_41_brutal_kill_does_not_ask(run: Runner) -> None:
    """brutal_kill: killed at once: terminate does not run, nothing is logged of it."""

    def body() -> None:
        boss = start(run, specs(run, "a", shutdown="brutal_kill"))
        first = pids(boss)["a"]
        ref = process.monitor(first)
        supervisor.terminate_child(boss, "a")
        assert process.receive(timeout=5) == Down(ref, first, "killed")
        supervisor.restart_child(boss, "a")
        assert short(told(1)) == ["start a"]
        ref = process.monitor(pids(boss)["a"])
        supervisor.stop(boss)
        assert down(ref) == "killed"
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)
