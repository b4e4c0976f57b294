"""GenServer (GS), its reports (LOG) and monitors by name (MON): lines beside those of
``test_gen_server``."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    At,
    CallExit,
    Crash,
    Down,
    Exit,
    GenServer,
    Global,
    Node,
    NoReply,
    Ok,
    Pid,
    Reply,
    Stop,
    Via,
    gen_server,
    process,
    self_pid,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until


class Server(GenServer[Any]):
    """Does what it is sent: functions of the state."""

    def init(self, arg: Any) -> Any:
        return arg() if callable(arg) else Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return request(from_, state) if callable(request) else Reply((request, state))

    def handle_cast(self, request: Any, state: Any) -> Any:
        return request(state)

    def handle_continue(self, arg: Any, state: Any) -> Any:
        return arg(state)


class GreenServer(Server, green=True):
    """The same, green."""


def kind(run: Runner) -> type[Server]:
    return GreenServer if run.green else Server


class Book:
    """A name service for ``Via``."""

    scope = "node"

    def __init__(self) -> None:
        self.pids: dict[Any, Pid] = {}

    def register_name(self, key: Any, pid: Pid) -> bool:
        if key in self.pids and process.alive(self.pids[key]):
            return False
        self.pids[key] = pid
        return True

    def unregister_name(self, key: Any) -> None:
        self.pids.pop(key, None)

    def whereis_name(self, key: Any) -> Pid | None:
        pid = self.pids.get(key)
        return pid if pid is not None and process.alive(pid) else None


def names(run: Runner) -> list[Any]:
    """A name of every form; the cluster's names are not simulated here."""
    every: list[Any] = ["one", Server, Via(Book(), "one")]
    return every if run.node is None else [*every, Global("one")]


def test_gs_12_a_name_has_one_of_three_forms(run: Runner) -> None:
    """names: local atom, {global, n}, {via, mod, n}; a taken one is already_started (GS-11),
    calls and casts find it, whereis resolves it (GS-69)."""

    def body() -> None:
        for name in names(run):
            pid = gen_server.start(kind(run), 0, name=name)
            assert gen_server.whereis(name) == pid
            gen_server.cast(name, lambda s: NoReply(s + 1))
            assert gen_server.call(name, "x") == ("x", 1)
            with pytest.raises(AlreadyStarted) as taken:
                gen_server.start(kind(run), 0, name=name)
            assert taken.value.pid == pid
            gen_server.stop(name)
            assert gen_server.whereis(name) is None

    run(body)


def test_gs_17_nobody_has_that_name_of_any_form(run: Runner) -> None:
    """dead pid / unknown local, global or via name -> noproc; cast is ok (GS-35)."""

    def body() -> None:
        for name in names(run):
            with pytest.raises(CallExit) as ended:
                gen_server.call(name, "x")
            assert ended.value.reason == "noproc"
            gen_server.cast(name, "x")

    run(body)


def test_gs_18_calling_oneself_by_any_name(run: Runner) -> None:
    """calling self (by pid, name, global, via) -> calling_self."""

    def body() -> None:
        for name in names(run):

            def ask(_: Any, __: Any, name: Any = name) -> Any:
                try:
                    gen_server.call(name, "x")
                except CallExit as ended:
                    return Reply(ended.reason)

            pid = gen_server.start(kind(run), 0, name=name)
            assert gen_server.call(pid, ask) == "calling_self"
            gen_server.stop(pid)

    run(body)


def queue_of(pid: Pid) -> int:
    info = process.info(pid, "message_queue_len")
    assert info is not None
    length: int = info["message_queue_len"]
    return length


def links_of(pid: Pid) -> list[Any]:
    info = process.info(pid, "links")
    assert info is not None
    links: list[Any] = info["links"]
    return links


def test_gs_24_a_call_that_waits_behind_a_stop_gets_its_reason(run: Runner) -> None:
    """call queued behind a stop gets the stop reason, not noproc."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 0)

        def busy(_: Any) -> None:
            process.send(me, "busy")
            process.receive(where=lambda message: message == "go")

        def client() -> None:
            try:
                gen_server.call(pid, "x")
            except CallExit as ended:
                process.send(me, ended.reason)

        gen_server.cast(pid, busy)
        assert process.receive(timeout=5) == "busy"
        gen_server.cast(pid, lambda s: Stop("stopped", s))
        process.spawn(client, green=run.green)
        until(lambda: queue_of(pid) >= 2)
        process.send(pid, "go")
        assert process.receive(timeout=5) == "stopped"

    run(body)


def test_gs_33_an_unexpected_message_is_logged_and_no_more(
    run: Runner, capture_reports: Reports
) -> None:
    """default handle_info logs and continues (LOG-15: "MOD PID received unexpected message in
    handle_info/2: m")."""

    def body() -> None:
        capture_reports.records.clear()
        pid = gen_server.start(kind(run), 0)
        process.send(pid, ("what", "is this"))
        assert gen_server.call(pid, "x") == ("x", 0)
        gen_server.stop(pid)
        assert capture_reports.texts == [
            f"{kind(run).__qualname__} {pid!r} received unexpected message in handle_info: "
            "('what', 'is this')"
        ]

    run(body)


def test_gs_46_continue_may_chain_and_stop(run: Runner) -> None:
    """continue may chain to another continue and may stop."""

    def body() -> None:
        def last(state: Any) -> Any:
            return Stop(("seen", [*state, "third"]), state)

        def second(state: Any) -> Any:
            return NoReply([*state, "second"], continue_=last)

        def first(state: Any) -> Any:
            return NoReply([*state, "first"], continue_=second)

        pid, ref = gen_server.start_monitor(kind(run), lambda: Ok([], continue_=first))
        reason = ("seen", ["first", "second", "third"])
        assert process.receive(Down, timeout=5) == Down(ref, pid, reason)

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


def test_mon_03_a_monitor_by_name_tells_the_name(run: Runner) -> None:
    """monitoring by name: DOWN object is {name, node}, not a pid."""

    def body() -> None:
        for name in ("one", Server):
            for target in (name, At(name, self_pid().node)):
                pid = gen_server.start(kind(run), 0, name=name)
                ref = process.monitor(target)
                gen_server.stop(pid, "over")
                expected = Down(ref, At(name, self_pid().node), "over")
                assert process.receive(Down, timeout=5) == expected

    run(body)


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
