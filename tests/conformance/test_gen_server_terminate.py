"""GenServer (GS-47 to 63): terminate and stop."""

from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    Exit,
    GenServer,
    Node,
    Ok,
    Pid,
    Reply,
    Stop,
    gen_server,
    process,
    self_pid,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import (
    Server,
    cast,
    kind,
    links_of,
    telling,
)
from tests.conformance.waiting import nothing_more


def test_gs_47_stops_and_exceptions_run_terminate(run: Runner) -> None:
    """stop return and exception run terminate (exception: with {Error, Stack})."""

    def body() -> None:
        pid = gen_server.start(kind(run), telling())
        cast(pid, lambda s: Stop("why", s))
        assert process.receive(timeout=5) == ("terminate", "why")

        def crash(_: Any) -> Any:
            raise ValueError("x")

        pid = gen_server.start(kind(run), telling())
        gen_server.cast(pid, crash)
        assert process.receive(timeout=5) == ("terminate", Crash("ValueError", "x"))

    run(body)


def test_gs_48_an_exit_signal_does_not_run_terminate(run: Runner) -> None:
    """Non-trapping server killed by an exit signal does not run terminate (GS-52: kill)."""

    def body() -> None:
        for reason in ("shutdown", "kill"):
            pid, ref = gen_server.start_monitor(kind(run), telling())
            process.exit(pid, reason)
            assert process.receive(timeout=5).ref == ref
            nothing_more()

    run(body)


def test_gs_49_a_trapping_servers_parent_exit_runs_terminate(run: Runner) -> None:
    """EXIT from the parent -> terminate(reason), not handle_info; from others handle_info."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.flag(trap_exit=True)
            return Ok(("tell", me))

        def parent() -> None:
            process.send(me, gen_server.start_link(kind(run), init))
            process.exit(process.receive())

        boss = process.spawn(parent, green=run.green)
        pid = process.receive(timeout=5)
        other = process.spawn(lambda: process.link(pid), green=run.green)
        assert process.receive(timeout=5) == ("info", Exit(other, "normal"))
        process.send(boss, "bossgone")
        assert process.receive(timeout=5) == ("terminate", "bossgone")

    run(body)


def test_gs_50_exits_of_others_than_the_parent_are_messages(run: Runner) -> None:
    """trapping server: EXIT from non-parent goes to handle_info; from the parent it ends it
    (GS-49), also with normal (GS-51)."""

    def body() -> None:
        me = self_pid()

        class Trapping(kind(run)):  # type: ignore[misc]  # chosen at run time
            def handle_info(self, message: Any, state: Any) -> None:
                process.send(me, message)

        def init() -> Any:
            process.flag(trap_exit=True)
            return Ok(0)

        def parent() -> None:
            process.send(me, gen_server.start_link(Trapping, init))
            process.receive(where=lambda message: message == "end")

        boss = process.spawn(parent, green=run.green)
        pid = process.receive(Pid, timeout=5)
        ref = process.monitor(pid)
        for reason in ("normal", "boom", "shutdown"):

            def other(reason: str = reason) -> None:
                process.link(pid)
                process.exit(reason)

            stranger = process.spawn(other, green=run.green)
            assert process.receive(timeout=5) == Exit(stranger, reason)
        process.send(boss, "end")
        assert process.receive(timeout=5) == Down(ref, pid, "normal")

    run(body)


def test_gs_51_a_server_that_does_not_trap_outlives_its_parents_normal_end(run: Runner) -> None:
    """non-trapping linked server survives its parent exiting normally (orphan)."""

    def body() -> None:
        me = self_pid()

        def parent() -> None:
            process.send(me, gen_server.start_link(kind(run), 0))
            process.receive(where=lambda message: message == "end")

        boss = process.spawn(parent, green=run.green)
        pid = process.receive(Pid, timeout=5)
        assert boss in links_of(pid)
        ref = process.monitor(boss)
        process.send(boss, "end")
        assert process.receive(Down, timeout=5) == Down(ref, boss, "normal")
        until(lambda: boss not in links_of(pid))
        assert gen_server.call(pid, "x") == ("x", 0)
        gen_server.stop(pid)

    run(body)


def test_gs_53_a_crash_in_terminate_replaces_the_reason(run: Runner) -> None:
    """crash in terminate replaces the exit reason; stop shows it (GS-61)."""

    class Bad(kind(run)):  # type: ignore[misc]  # chosen at run time
        def terminate(self, reason: Any, state: Any) -> None:
            raise RuntimeError("in terminate")

    def body() -> None:
        pid = gen_server.start(Bad, 0)
        with pytest.raises(CallExit) as ended:
            gen_server.stop(pid)
        assert ended.value.reason == Crash("RuntimeError", "in terminate")

    run(body)


def test_gs_55_stop_returns_when_it_is_gone(run: Runner) -> None:
    """stop: not alive and name free on return; other reasons are fine (GS-57)."""

    def body() -> None:
        for reason in ("normal", "other"):
            pid = gen_server.start(kind(run), 0, name="stopping")
            gen_server.stop("stopping", reason)
            assert not process.alive(pid)
            assert process.whereis("stopping") is None

    run(body)


def test_gs_56_stop_of_nobody_is_noproc(run: Runner) -> None:
    """stop of missing -> exit noproc; of oneself calling_self (GS-59)."""

    def body() -> None:
        for server, why in (("nobody", "noproc"), (self_pid(), "calling_self")):
            with pytest.raises(CallExit) as ended:
                gen_server.stop(server)
            assert ended.value.reason == why

    run(body)


def test_gs_58_stop_may_time_out(run: Runner) -> None:
    """stop timeout -> exit timeout; a bad timeout raises and changes nothing (GS-60)."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        with pytest.raises(BadArgument, match="timeout"):
            gen_server.stop(pid, "normal", -1)
        assert process.alive(pid)
        cast(pid, lambda _: process.receive(where=lambda m: m == "go"))
        with pytest.raises(CallTimeout):
            gen_server.stop(pid, "normal", 0.01)
        process.exit(pid, "kill")

    run(body)


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "x")])
def test_gs_63_orderly_ends_are_not_logged(
    node: Node, capture_reports: Reports, reason: Any
) -> None:
    """normal, shutdown, {shutdown, _} are not logged."""
    pid = gen_server.start(Server, 0)
    gen_server.stop(pid, reason)
    assert capture_reports.texts == []


def test_gs_52_kill_never_runs_terminate(run: Runner) -> None:
    """kill never runs terminate: not of a server that traps exits either."""

    def body() -> None:
        state = telling()

        def init() -> Any:
            process.flag(trap_exit=True)
            return Ok(state)

        pid, ref = gen_server.start_monitor(kind(run), init)
        process.exit(pid, "shutdown")  # of a stranger: an info
        assert process.receive(timeout=5) == ("info", Exit(self_pid(), "shutdown"))
        process.exit(pid, "kill")
        assert process.receive(timeout=5) == Down(ref, pid, "killed")
        nothing_more()

    run(body)


class Bare(GenServer[int]):
    """Has no ``terminate``."""

    def init(self, arg: int) -> Any:
        return Ok(arg)


class GreenBare(Bare, green=True):
    """The same, green."""


def test_gs_54_a_missing_terminate_is_fine_and_a_broken_one_reported(
    run: Runner, capture_reports: Reports
) -> None:
    """missing terminate callback is fine; undef raised inside terminate is reported."""

    class Broken(kind(run)):  # type: ignore[misc]  # chosen at run time
        def terminate(self, reason: Any, state: Any) -> None:
            misspelt: Any = self
            misspelt.close_everything()

    def body() -> None:
        capture_reports.records.clear()
        gen_server.stop(gen_server.start(GreenBare if run.green else Bare, 0))
        assert capture_reports.reports == []
        pid, _ = gen_server.start_monitor(Broken, 0)
        cast(pid, lambda s: Stop("normal", s))
        reason = process.receive(Down, timeout=5).reason
        assert reason.type == "AttributeError"
        (report,) = capture_reports.reports
        assert report["reason"] == reason
        assert "close_everything" in capture_reports.texts[0]

    run(body)


def test_gs_57_stop_with_another_reason(run: Runner, capture_reports: Reports) -> None:
    """stop(pid, other_reason) -> ok and process exits with that reason."""

    def body() -> None:
        for reason in ("other", ("shutdown", 1), ("a", {"b": [1]}), "kill"):
            pid, ref = gen_server.start_monitor(kind(run), telling())
            gen_server.stop(pid, reason)
            assert process.receive(timeout=5) == ("terminate", reason)
            assert process.receive(timeout=5) == Down(ref, pid, reason)

    run(body)


def test_gs_59_a_server_cannot_stop_itself_from_inside(run: Runner) -> None:
    """stop self from inside -> calling_self."""

    def body() -> None:
        def stop_self(_: Any, __: Any) -> Any:
            try:
                gen_server.stop(self_pid())
            except CallExit as ended:
                return Reply(ended.reason)

        pid = gen_server.start(kind(run), 0)
        assert gen_server.call(pid, stop_self) == "calling_self"
        assert process.alive(pid)
        gen_server.stop(pid)

    run(body)


@pytest.mark.parametrize("timeout", [-1, "soon", float("nan")])
def test_gs_60_a_bad_timeout_of_stop_changes_nothing(run: Runner, timeout: Any) -> None:
    """stop with invalid timeout raises and leaves the server alive."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        with pytest.raises(BadArgument, match="timeout"):
            gen_server.stop(pid, "normal", timeout)
        assert gen_server.call(pid, "x") == ("x", 0)
        gen_server.stop(pid)

    run(body)


def test_gs_61_stop_tells_of_a_crash_in_terminate(run: Runner, capture_reports: Reports) -> None:
    """stop when terminate crashes -> caller exits with that crash."""

    class Bad(kind(run)):  # type: ignore[misc]  # chosen at run time
        def terminate(self, reason: Any, state: Any) -> None:
            raise ValueError(reason)

    def body() -> None:
        pid, ref = gen_server.start_monitor(Bad, 0)
        with pytest.raises(CallExit) as ended:
            gen_server.stop(pid, "why")
        assert ended.value.reason == Crash("ValueError", "why")
        assert process.receive(Down, timeout=5) == Down(ref, pid, Crash("ValueError", "why"))

    run(body)


def test_gs_62_stop_on_a_dead_node(run: Runner) -> None:
    """stop on a dead node -> {{nodedown,Node},{sys,terminate,..}}."""

    def body() -> None:
        here = self_pid()
        far = Pid(1, "bogus@nohost", here.bits, 3)
        for server in (At("x", "bogus@nohost"), far):
            with pytest.raises(CallExit) as ended:
                gen_server.stop(server)
            assert ended.value.reason == ("nodedown", "bogus@nohost")

    run(body)
