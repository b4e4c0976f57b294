"""``sys`` (SYS) and ``format_status`` (GS-71, 72)."""

from pathlib import Path
from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    CallTimeout,
    Down,
    NoReply,
    Reply,
    Stop,
    gen_server,
    process,
    self_pid,
    sys,
)
from otpy.runtime._current import current
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import (
    Server,
    adds,
    ask,
    cast,
    kind,
    queue_of,
)


def test_sys_01_get_and_replace_state_work_when_running_and_suspended(run: Runner) -> None:
    """get_state and replace_state on running and suspended processes."""

    def body() -> None:
        pid = gen_server.start(kind(run), 1)
        assert sys.get_state(pid) == 1
        assert sys.replace_state(pid, lambda s: s + 1) == 2
        sys.suspend(pid)
        assert sys.replace_state(pid, lambda s: s + 1) == 3
        sys.resume(pid)
        assert gen_server.call(pid, "x") == ("x", 3)
        gen_server.stop(pid)

    run(body)


def test_sys_02_a_raising_replace_state_changes_nothing(run: Runner) -> None:
    """replace_state with a raising function: state unchanged, {callback_failed, ...}."""

    def body() -> None:
        pid = gen_server.start(kind(run), 1)
        with pytest.raises(CallExit) as ended:
            sys.replace_state(pid, lambda s: s["x"])
        assert ended.value.reason[0] == "callback_failed"
        assert sys.get_state(pid) == 1
        gen_server.stop(pid)

    run(body)


def test_sys_03_a_call_that_a_suspended_server_keeps_back_ends_with_it(run: Runner) -> None:
    """suspend queues user messages (calls time out): the caller monitors the server, and exits
    with its reason."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 1)
        sys.suspend(pid)

        def caller() -> None:
            with pytest.raises(CallExit) as ended:
                gen_server.call(pid, "x", timeout=None)
            process.send(me, ("ended", ended.value.reason))

        process.spawn(caller, green=run.green)
        # The call must be kept back, not on its way: the server has gone to sleep again after it.
        server: Any = current().node.procs[pid].server
        until(lambda: server.held)
        gen_server.stop(pid, "shutdown")
        assert process.receive(tuple, timeout=5) == ("ended", "shutdown")

    run(body)


def test_sys_03_suspend_queues_and_resume_handles_in_order(run: Runner) -> None:
    """suspend queues user messages; resume processes them in order (SYS-04, SYS-05)."""

    def body() -> None:
        pid = gen_server.start(kind(run), [])
        sys.suspend(pid)
        sys.suspend(pid)
        for number in range(5):
            cast(pid, adds(number))
        with pytest.raises(CallTimeout):
            gen_server.call(pid, "x", timeout=0.01)
        assert sys.get_state(pid) == []
        sys.resume(pid)
        sys.resume(pid)
        assert gen_server.call(pid, "y") == ("y", [0, 1, 2, 3, 4])
        gen_server.stop(pid)

    run(body)


def test_sys_03_what_a_suspended_server_keeps_back_is_in_its_queue(run: Runner) -> None:
    """suspend queues user messages: process_info counts and shows them, in order."""

    def body() -> None:
        pid = gen_server.start(kind(run), 1)
        sys.suspend(pid)
        process.send(pid, "one")
        assert sys.get_state(pid) == 1  # the first has been looked at, and left
        process.send(pid, "two")
        assert process.info(pid, "messages") == {"messages": ["one", "two"]}
        assert queue_of(pid) == 2
        sys.resume(pid)
        assert sys.get_state(pid) == 1
        assert queue_of(pid) == 0
        gen_server.stop(pid)

    run(body)


def test_sys_06_get_status_tells_who_and_how(run: Runner) -> None:
    """get_status: module, running or suspended, parent, state."""

    def body() -> None:
        pid = gen_server.start_link(kind(run), 4)
        status = sys.get_status(pid)
        assert (status["pid"], status["module"], status["status"]) == (pid, kind(run), "running")
        assert (status["parent"], status["state"]) == (self_pid(), 4)
        sys.suspend(pid)
        assert sys.get_status(pid)["status"] == "suspended"
        gen_server.stop(pid)

    run(body)


def test_sys_11_terminate_stops_with_the_reason(run: Runner) -> None:
    """terminate(pid, reason) stops with that reason."""

    def body() -> None:
        pid, _ = gen_server.start_monitor(kind(run), 0)
        sys.terminate(pid, "asked")
        assert process.receive(Down, timeout=5).reason == "asked"

    run(body)


def test_sys_04_resume_handles_what_waited_in_order(run: Runner) -> None:
    """resume processes queued messages in order, before what came later."""

    def body() -> None:
        pid = gen_server.start(kind(run), [])
        for time in range(3):
            sys.suspend(pid)
            for number in range(5):
                cast(pid, adds((time, number)))
            assert len(sys.get_state(pid)) == 5 * time
            sys.resume(pid)
            assert len(gen_server.call(pid, "x")[1]) == 5 * (time + 1)
        assert sys.get_state(pid) == [(time, number) for time in range(3) for number in range(5)]
        gen_server.stop(pid)

    run(body)


def test_sys_05_suspending_or_resuming_twice_is_no_error(run: Runner) -> None:
    """double suspend / double resume are not errors, and count once."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        for _ in range(2):
            sys.suspend(pid)
            assert sys.get_status(pid)["status"] == "suspended"
        for _ in range(2):
            sys.resume(pid)
            assert sys.get_status(pid)["status"] == "running"
        assert gen_server.call(pid, "x") == ("x", 0)
        gen_server.stop(pid)

    run(body)


def add_one(state: int) -> Any:
    return NoReply(state + 1)


def test_sys_07_statistics_count_what_came_in_and_went_out(run: Runner) -> None:
    """statistics on/get/off; get when off -> {ok, no_statistics}; counts in/out exclude system
    messages."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        assert sys.statistics(pid, "get") == "no_statistics"
        sys.statistics(pid, True)
        cast(pid, add_one)
        process.send(pid, add_one)
        gen_server.call(pid, "x")
        ask(pid, lambda _, __: Reply("y", continue_=add_one))
        sys.get_state(pid)
        assert sys.statistics(pid, "get") == {"messages_in": 4, "messages_out": 2}
        sys.statistics(pid, False)
        assert sys.statistics(pid, "get") == "no_statistics"
        gen_server.stop(pid)

    run(body)


def test_sys_08_log_keeps_the_last_events(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """log keeps last N events; get returns in order; print; false disables."""

    def body() -> None:
        capsys.readouterr()
        me = self_pid()
        pid = gen_server.start(kind(run), ("tell", me), name="logged")
        assert sys.log(pid, "get") == []
        sys.log(pid, 3)
        gen_server.cast(pid, 1)
        gen_server.cast(pid, 2)
        process.send(pid, "info")
        gen_server.call(pid, "x")
        expected = [
            ("in", "info"),
            ("in", ("$gen_call", me, "x")),
            ("out", ("x", ("tell", me)), me),
        ]
        assert sys.log(pid, "get") == expected
        sys.log(pid, 2)
        assert sys.log(pid, "get") == expected[1:]
        sys.log(pid, "print")
        printed = capsys.readouterr().out
        assert printed == "".join(f"*DBG* logged {event!r}\n" for event in expected[1:])
        sys.log(pid, False)
        gen_server.cast(pid, 3)
        assert sys.log(pid, "get") == []
        sys.log(pid, True)
        for number in range(12):
            gen_server.cast(pid, number)
        assert [event[1][1] for event in sys.log(pid, "get")] == list(range(2, 12))
        gen_server.stop(pid)

    run(body)


class Secret(Server):
    """Shows nothing of what it keeps."""

    def format_status(self, why: str, status: dict[str, Any]) -> dict[str, Any]:
        return {key: f"hidden {key} ({why})" for key in status}


class GreenSecret(Secret, green=True):
    """The same, green."""


class Careless(Server):
    """Cannot say what it keeps."""

    def format_status(self, why: str, status: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("no status")


class GreenCareless(Careless, green=True):
    """The same, green."""


def test_gs_71_format_status_decides_what_is_shown(run: Runner, capture_reports: Reports) -> None:
    """format_status filters state in get_status and crash logs; a crashing format_status yields
    a fallback string."""

    def body() -> None:
        capture_reports.records.clear()
        pid, _ = gen_server.start_monitor(GreenSecret if run.green else Secret, "password")
        assert sys.get_status(pid)["state"] == "hidden state (normal)"
        assert sys.get_state(pid) == "password"
        cast(pid, lambda s: Stop("weird", s))
        process.receive(Down, timeout=5)
        assert "State: 'hidden state (terminate)'" in capture_reports.texts[0]
        assert "password" not in capture_reports.texts[0]
        capture_reports.records.clear()
        pid, _ = gen_server.start_monitor(GreenCareless if run.green else Careless, "password")
        broken = (
            f"{'Green' if run.green else ''}Careless.format_status raised ValueError: no status"
        )
        assert sys.get_status(pid)["state"] == broken
        assert gen_server.call(pid, "x") == ("x", "password")
        cast(pid, lambda s: Stop("weird", s))
        assert process.receive(Down, timeout=5).reason == "weird"
        assert capture_reports.reports[0]["state"] == broken

    run(body)


def test_gs_72_format_status_may_hide_everything(run: Runner, capture_reports: Reports) -> None:
    """format_status may redact message, reason, state and log."""

    def crash(_: Any) -> Any:
        raise RuntimeError("password in the reason")

    def body() -> None:
        capture_reports.records.clear()
        pid, _ = gen_server.start_monitor(GreenSecret if run.green else Secret, "password")
        sys.log(pid, 5)
        gen_server.call(pid, "password")
        assert sys.get_status(pid)["log"] == "hidden log (normal)"
        gen_server.cast(pid, crash)
        assert process.receive(Down, timeout=5).reason.type == "RuntimeError"
        (report,) = capture_reports.reports
        for key, shown in (
            ("state", "state"),
            ("reason", "reason"),
            ("crash_reason", "reason"),
            ("last_message", "message"),
            ("log", "log"),
        ):
            assert report[key] == f"hidden {shown} (terminate)"
        assert "password" not in capture_reports.texts[0]
        assert capture_reports.records[0].exc_info is None

    run(body)


def test_sys_09_trace_prints_and_log_to_file_writes(
    run: Runner,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """trace prints *DBG* lines; log_to_file writes them."""
    file = tmp_path / "events"
    file.touch()
    reader = file.open()  # here: a simulation opens no files
    request.addfinalizer(reader.close)

    def written() -> list[str]:
        reader.seek(0)
        return reader.read().splitlines()

    def body() -> None:
        capsys.readouterr()
        me = self_pid()
        pid = gen_server.start(kind(run), 0, name="traced")
        sys.trace(pid, True)
        sys.log_to_file(pid, str(file))
        gen_server.call(pid, "x")
        cast(pid, add_one)
        sys.get_state(pid)
        lines = [
            f"*DBG* traced ('in', ('$gen_call', {me!r}, 'x'))",
            f"*DBG* traced ('out', ('x', 0), {me!r})",
            f"*DBG* traced ('in', ('$gen_cast', {add_one!r}))",
        ]
        assert capsys.readouterr().out.splitlines() == lines
        assert written() == lines
        sys.trace(pid, False)
        sys.log_to_file(pid, False)
        gen_server.call(pid, "y")
        assert capsys.readouterr().out == ""
        assert written() == lines
        with pytest.raises(CallExit) as ended:
            sys.log_to_file(pid, str(tmp_path / "nowhere" / "events"))
        assert ended.value.reason[0] == "open_file"
        wrongs: list[Any] = [True, "", 7]
        for wrong in wrongs:
            with pytest.raises(BadArgument, match="name of a file"):
                sys.log_to_file(pid, wrong)
        with pytest.raises(BadArgument, match="True or False"):
            sys.trace(pid, "on")  # type: ignore[arg-type]  # wrong on purpose
        gen_server.stop(pid)

    run(body)


def tells(state: Any, event: Any, who: Any) -> Any:
    """A debug function that counts, and tells somebody."""
    boss, number, last = state
    process.send(boss, (event[0], number, who))
    return "done" if number == last else (boss, number + 1, last)


def test_sys_10_a_debug_function_sees_events(run: Runner, capture_reports: Reports) -> None:
    """install debug fun sees events with its own state; same id installed once; remove by id or
    fun; no_debug clears."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 0, name="watched")

        def seen() -> list[Any]:
            gen_server.call(pid, "x")
            return [process.receive(timeout=0) for _ in range(queue_of(me))]

        sys.install(pid, (tells, (me, 0, None)))
        sys.install(pid, (tells, (me, 100, None)))
        assert seen() == [("in", 0, "watched"), ("out", 1, "watched")]
        sys.remove(pid, tells)
        assert seen() == []
        sys.install(pid, ("id", tells, (me, 0, 2)))
        sys.install(pid, ("id", tells, (me, 100, 2)))
        sys.install(pid, ("other", tells, (me, 50, None)))
        assert [number for _, number, _ in seen()] == [50, 0, 51, 1]
        sys.remove(pid, "other")
        sys.remove(pid, "nothing")
        assert [number for _, number, _ in seen()] == [2]
        assert seen() == []
        sys.install(pid, (tells, (me, 0, None)))
        sys.statistics(pid, True)
        sys.log(pid, 5)
        sys.no_debug(pid)
        assert seen() == []
        assert sys.statistics(pid, "get") == "no_statistics"
        assert sys.log(pid, "get") == []
        capture_reports.records.clear()
        sys.install(pid, (tells, "no tuple"))
        assert seen() == []
        assert "the debug function" in capture_reports.texts[0]
        assert "is removed" in capture_reports.texts[0]
        sys.remove(pid, tells)
        assert len(capture_reports.records) == 1
        wrongs: list[Any] = [tells, (tells,), ("id", "fn", 1), ("id", tells, 1, 2)]
        for wrong in wrongs:
            with pytest.raises(BadArgument, match=r"\(fn, state\) or"):
                sys.install(pid, wrong)
        gen_server.stop(pid)

    run(body)
