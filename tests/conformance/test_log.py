"""Reports (LOG) of GenServers and of bare processes."""

from typing import Any

import pytest

from otpy import CallExit, Crash, Down, Node, Stop, gen_server, process, self_pid
from otpy.testing.plugin import Reports
from tests.conformance.servers import (
    Server,
    crashing,
)


def test_log_01_a_crash_in_a_call_names_message_state_and_client(
    node: Node, capture_reports: Reports
) -> None:
    """'GenServer X terminating' + error + last message + state + client."""
    pid = gen_server.start(Server, {"s": 1}, name="Crasher")
    with pytest.raises(CallExit):
        gen_server.call(pid, lambda *_: crashing(0))
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
    """metadata crash_reason = {exception_or_reason, stack}; initial_call, registered_name when
    known."""

    def crash(*_: Any) -> Any:
        raise RuntimeError("oops")

    pid, _ = gen_server.start_monitor(Server, 0, name="named")
    gen_server.cast(pid, crash)
    assert process.receive(Down, timeout=5).reason == Crash("RuntimeError", "oops")
    other, _ = gen_server.start_monitor(Server, 0)
    gen_server.cast(other, lambda s: Stop("weird", s))
    assert process.receive(Down, timeout=5).reason == "weird"
    bare, _ = process.spawn_monitor(crash)
    process.receive(Down, timeout=5)
    named, unnamed, plain = capture_reports.reports
    assert (named["pid"], named["registered_name"]) == (pid, "named")
    assert isinstance(named["crash_reason"], RuntimeError)
    assert named["crash_reason"].__traceback__ is not None
    assert (unnamed["registered_name"], unnamed["crash_reason"]) == (None, "weird")
    assert (plain["pid"], plain["registered_name"]) == (bare, None)
    assert plain["initial_call"].endswith(".crash")
    assert isinstance(plain["crash_reason"], RuntimeError)
