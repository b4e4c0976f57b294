"""Reports (LOG) of GenServers, of supervisors and of bare processes."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

import logging
from typing import Any

import pytest

from otpy import (
    CallExit,
    Crash,
    Down,
    Node,
    Pid,
    Stop,
    Supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
    task,
)
from otpy.testing import eventually
from otpy.testing.plugin import Reports
from tests.conformance.children import (
    Child,
    down,
    pids,
    short,
    specs,
    start,
    told,
)
from tests.conformance.conftest import Runner
from tests.conformance.servers import Server, ask, cast, crashing, kind, names
from tests.conformance.waiting import gone


def test_log_01_a_crash_in_a_call_names_message_state_and_client(
    node: Node, capture_reports: Reports
) -> None:
    """'GenServer X terminating' + error + last message + state + client."""
    pid = gen_server.start(Server, {"s": 1}, name="Crasher")
    with pytest.raises(CallExit):
        ask(pid, lambda _, __: crashing(0))
    text = capture_reports.texts[0]
    assert text.startswith("GenServer 'Crasher' terminating\n** (RuntimeError) oops")
    assert f"Last message (from {self_pid()!r})" in text
    assert "State: {'s': 1}" in text
    assert f"Client {self_pid()!r} is alive" in text
    assert capture_reports.reports[0]["registered_name"] == "Crasher"  # LOG-13


def test_log_02_an_exit_reason_prints_as_stop(node: Node, capture_reports: Reports) -> None:
    """Exit reasons print as '** (stop) reason'."""
    pid, _ = gen_server.start_monitor(Server, 0)
    gen_server.cast(pid, lambda s: Stop("weird", s))
    process.receive(Down, timeout=5)
    assert "** (stop) 'weird'" in capture_reports.texts[0]


def test_log_03_a_crash_in_a_cast_has_no_client(node: Node, capture_reports: Reports) -> None:
    """cast crash: Last message: {$gen_cast, m} without Client."""
    pid, _ = gen_server.start_monitor(Server, 0)
    gen_server.cast(pid, crashing)
    process.receive(Down, timeout=5)
    assert "Last message: ('$gen_cast'," in capture_reports.texts[0]
    assert "Client" not in capture_reports.texts[0]


def test_log_06_a_bare_process_tells_what_it_raised(node: Node, capture_reports: Reports) -> None:
    """'Process PID raised an exception'; a bare exit logs nothing."""
    process.spawn_monitor(lambda: process.exit("quiet"))
    process.receive(Down, timeout=5)
    assert capture_reports.texts == []
    pid, _ = process.spawn_monitor(crashing, 0)
    process.receive(Down, timeout=5)
    assert capture_reports.texts[0].startswith(
        f"Process {pid!r} raised an exception\n** (RuntimeError) oops"
    )


def test_log_13_a_report_carries_its_facts(node: Node, capture_reports: Reports) -> None:
    """metadata crash_reason = {exception_or_reason, stack}; callers, initial_call, registered_name
    when known."""

    def crash(*_: Any) -> Any:
        raise RuntimeError("oops")

    pid, _ = gen_server.start_monitor(Server, 0, name="named")
    gen_server.cast(pid, crash)
    assert process.receive(Down, timeout=5).reason == Crash("RuntimeError", "oops")
    other, _ = gen_server.start_monitor(Server, 0)
    cast(other, lambda s: Stop("weird", s))
    assert process.receive(Down, timeout=5).reason == "weird"
    bare, _ = process.spawn_monitor(crash)
    process.receive(Down, timeout=5)
    job = task.start(crash)
    eventually(lambda: len(capture_reports.reports) == 4)
    named, unnamed, plain, of_task = capture_reports.reports
    assert (of_task["pid"], of_task["callers"]) == (job, (self_pid(),))
    assert (named["pid"], named["registered_name"]) == (pid, "named")
    assert isinstance(named["crash_reason"], RuntimeError)
    assert named["crash_reason"].__traceback__ is not None
    assert (unnamed["registered_name"], unnamed["crash_reason"]) == (None, "weird")
    assert (plain["pid"], plain["registered_name"]) == (bare, None)
    assert plain["initial_call"].endswith(".crash")
    assert isinstance(plain["crash_reason"], RuntimeError)


def test_log_04_the_client_is_shown_by_name_or_as_dead(
    run: Runner, capture_reports: Reports
) -> None:
    """client shown by registered name; dead client "is dead"."""

    def body() -> None:
        capture_reports.records.clear()
        me = self_pid()

        def client(pid: Pid) -> None:
            try:
                ask(pid, lambda _, __: crashing(0))
            except CallExit:
                process.send(me, "over")

        pid, ref = gen_server.start_monitor(kind(run), 0)
        process.spawn(client, pid, green=run.green, name="asker")
        assert process.receive(str, timeout=5) == "over"
        assert down(ref) == Crash("RuntimeError", "oops")
        assert "Client 'asker' is alive" in capture_reports.texts[0]

        def late(_: Any, __: Any) -> Any:
            process.send(me, "asked")
            process.receive(where=lambda message: message == "go")
            return crashing(0)

        pid, ref = gen_server.start_monitor(kind(run), 0)
        dead = process.spawn(gen_server.call, pid, late, green=run.green)
        assert process.receive(str, timeout=5) == "asked"
        process.exit(dead, "kill")
        gone(dead)
        process.send(pid, "go")
        assert down(ref) == Crash("RuntimeError", "oops")
        assert f"Client {dead!r} is dead" in capture_reports.texts[-1]

    run(body)


def test_log_10_debug_adds_the_facts_to_the_text(
    run: Runner, capture_reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """debug level adds queue/links/dictionary (process); the data has them at any level."""

    def body() -> None:
        capture_reports.records.clear()
        for level in (logging.INFO, logging.DEBUG):
            with caplog.at_level(level, "otpy"):
                process.spawn_monitor(crashing, 0, green=run.green)
                process.receive(Down, timeout=5)
        plain, full = capture_reports.texts
        more = full.splitlines()[4:]
        assert len(plain.splitlines()) == 4
        assert more == [
            "    Message Queue Length: 0",
            "    Messages: []",
            "    Links: []",
            "    Dictionary: {}",
            "    Trapping Exits: False",
            "    Status: running",
            "    Neighbours: []",
        ]

    run(body)


def test_log_10_debug_adds_how_a_child_is_kept(
    run: Runner, capture_reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """debug level adds Restart/Shutdown/Type (supervisor)."""

    def body() -> None:
        capture_reports.records.clear()
        for level in (logging.INFO, logging.DEBUG):
            with caplog.at_level(level, "otpy"):
                boss = start(run, specs(run, "a", shutdown=1.5))
                process.exit(pids(boss)["a"], "kill")
                assert short(told(1)) == ["start a"]
                supervisor.stop(boss)
                told(1)
        plain, full = capture_reports.texts
        assert [line.split(":")[0] for line in plain.splitlines()[2:]] == ["Pid", "Start Call"]
        assert full.splitlines()[4:] == ["Restart: 'permanent'", "Shutdown: 1.5", "Type: 'worker'"]
        for report in capture_reports.reports:
            facts = [report[key] for key in ("restart", "shutdown", "type")]
            assert facts == ["permanent", 1.5, "worker"]

    run(body)


def test_log_11_a_start_of_a_child_is_progress(run: Runner, capture_reports: Reports) -> None:
    """progress: "[info] Child Task of Supervisor .. started" + Pid + Start Call."""

    def body() -> None:
        capture_reports.records.clear()
        boss = start(run, specs(run, "a"), name="boss")
        assert capture_reports.records == []
        capture_reports.setLevel(logging.INFO)
        added = supervisor.start_child(boss, specs(run, "b")[0])
        supervisor.terminate_child(boss, "b")
        again = supervisor.restart_child(boss, "b")
        capture_reports.setLevel(logging.WARNING)
        for pid, record in zip((added, again), capture_reports.records, strict=True):
            assert record.levelname == "INFO"
            what, who, call = record.getMessage().splitlines()
            assert what == "Child 'b' of Supervisor 'boss' started"
            assert who == f"Pid: {pid!r}"
            assert call.startswith(f"Start Call: {Child.__module__}.Child.start_link(")
        supervisor.stop(boss)

    run(body)


class Callback(Supervisor):
    """Has the children it is given."""

    def init(self, arg: Any) -> Any:
        return supervisor.init(arg, strategy="one_for_one")


def test_log_12_how_a_supervisor_is_called(run: Runner, capture_reports: Reports) -> None:
    """unnamed supervisor shown as "#PID<..> (Callback.Module)"; names via local/global/via shown
    bare."""

    def shown() -> str:
        first = capture_reports.texts[-1].splitlines()[0]
        return first.removeprefix("Child 'a' of Supervisor ").removesuffix(" terminated")

    def body() -> None:
        for name in (None, *(name for name in names(run) if not isinstance(name, type))):
            boss = supervisor.start_link(Callback, specs(run, "a"), name=name)
            told(1)
            process.exit(pids(boss)["a"], "kill")
            assert short(told(1)) == ["start a"]
            assert shown() == (f"{boss!r} (Callback)" if name is None else "'one'")
            supervisor.stop(boss)
            told(1)
        boss = start(run, specs(run, "a"))
        process.exit(pids(boss)["a"], "kill")
        assert short(told(1)) == ["start a"]
        assert shown() == f"{boss!r} (Supervisor)"
        supervisor.stop(boss)

    run(body)


def test_log_15_an_unexpected_message_is_named(run: Runner, capture_reports: Reports) -> None:
    """ "MOD PID received unexpected message in handle_info/2: m"."""

    def body() -> None:
        capture_reports.records.clear()
        named = gen_server.start(kind(run), 0, name="named")
        unnamed = gen_server.start(kind(run), 0)
        for pid in (named, unnamed):
            process.send(pid, {"what": "is this"})
            assert gen_server.call(pid, "x") == ("x", 0)
        module = kind(run).__qualname__
        what = "received unexpected message in handle_info: {'what': 'is this'}"
        assert capture_reports.texts == [f"{module} 'named' {what}", f"{module} {unnamed!r} {what}"]
        for pid in (named, unnamed):
            gen_server.stop(pid)

    run(body)


def test_log_16_reports_of_a_process_can_be_filtered_out(
    run: Runner, capture_reports: Reports
) -> None:
    """a process may disable its own crash logging: a filter of ``logging`` (departures)."""
    quiet: list[Pid] = []

    def wanted(record: logging.LogRecord) -> bool:
        report: dict[str, Any] = getattr(record, "otpy_report", {})
        return report.get("pid") not in quiet

    def hushed(_: Any) -> Any:
        quiet.append(self_pid())
        return crashing(0)

    def body() -> None:
        capture_reports.records.clear()
        for fn in (hushed, crashing):
            pid, ref = gen_server.start_monitor(kind(run), 0)
            gen_server.cast(pid, fn)
            assert down(ref) == Crash("RuntimeError", "oops")
        assert [report["pid"] for report in capture_reports.reports] == [pid]

    capture_reports.addFilter(wanted)
    run(body)
