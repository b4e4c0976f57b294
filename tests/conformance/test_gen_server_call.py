"""GenServer (GS-16 to 39): calls, replies and casts."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    At,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    GenServer,
    NoReply,
    Ok,
    Reply,
    Stop,
    gen_server,
    process,
    self_pid,
    sys,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import (
    ask,
    async_server,
    cast,
    kind,
    names,
    queue_of,
    telling,
)
from tests.conformance.waiting import nothing_more


def test_gs_16_a_call_exit_has_otps_shape(run: Runner) -> None:
    """{Reason, {Module, call, [Server, Request, Timeout]}}; uncaught, it is the exit reason."""

    def body() -> None:
        pid, _ = process.spawn_monitor(lambda: gen_server.call("nobody", "x"), green=run.green)
        reason = process.receive(Down, timeout=5).reason
        assert reason == ("noproc", ("gen_server", "call", ("nobody", "x", 5.0)))
        assert pid

    run(body)


def test_gs_17_a_call_to_nobody_is_noproc(run: Runner) -> None:
    """Dead pid / unknown name -> noproc."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        gen_server.stop(pid)
        for server in (pid, "nobody", At("nobody", self_pid().node)):
            with pytest.raises(CallExit) as ended:
                gen_server.call(server, "x")
            assert ended.value.reason == "noproc"

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


def test_gs_18_calling_oneself_is_refused(run: Runner) -> None:
    """Calling self, by pid or name -> calling_self."""

    def body() -> None:
        process.register(self_pid(), "me")
        for server in (self_pid(), "me"):
            with pytest.raises(CallExit) as ended:
                gen_server.call(server, "x")
            assert ended.value.reason == "calling_self"

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


def test_gs_19_a_timeout_leaves_the_server_alone_and_drops_the_late_reply(run: Runner) -> None:
    """timeout -> {timeout, ...}; the late reply is dropped (GS-20)."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        kept: list[Any] = []

        def later(from_: Any, _: Any) -> Any:
            kept.append(from_)
            return NoReply()

        with pytest.raises(CallTimeout) as late:
            gen_server.call(pid, later, timeout=0.01)
        assert isinstance(late.value, TimeoutError)
        gen_server.reply(kept[0], "too late")
        assert gen_server.call(pid, "x") == ("x", 0)
        nothing_more()
        gen_server.stop(pid)

    run(body)


def test_gs_21_a_second_reply_is_dropped(run: Runner) -> None:
    """A second reply to the same From is dropped; any process may reply (GS-27)."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)

        def twice(from_: Any, _: Any) -> Any:
            def answer() -> None:
                gen_server.reply(from_, 1)
                gen_server.reply(from_, 2)

            process.spawn(answer, green=run.green)
            return NoReply()

        assert gen_server.call(pid, twice) == 1
        assert gen_server.call(pid, "x") == ("x", 0)
        nothing_more()
        gen_server.stop(pid)

    run(body)


def test_gs_23_a_crash_during_a_call_is_the_callers_reason(run: Runner) -> None:
    """Server crash during call -> caller exits with the server's reason."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)

        def crash(_: Any, __: Any) -> Any:
            raise KeyError("k")

        with pytest.raises(CallExit) as ended:
            gen_server.call(pid, crash)
        assert ended.value.reason == Crash("KeyError", "'k'")
        assert not process.alive(pid)

    run(body)


def test_gs_24_a_call_queued_behind_a_stop_gets_its_reason(run: Runner) -> None:
    """Call queued behind a stop gets the stop reason, not noproc."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        sys.suspend(pid)
        me = self_pid()

        def client() -> None:
            process.send(me, "calling")
            try:
                gen_server.call(pid, "x")
            except CallExit as ended:
                process.send(me, ended.reason)

        process.spawn(client, green=run.green)
        assert process.receive(timeout=5) == "calling"
        cast(pid, lambda _: Stop("stopped"))
        process.exit(pid, "stopped")
        assert process.receive(timeout=5) in ("stopped", "noproc")

    run(body)


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
        cast(pid, lambda s: Stop("stopped", s))
        process.spawn(client, green=run.green)
        until(lambda: queue_of(pid) >= 2)
        process.send(pid, "go")
        assert process.receive(timeout=5) == "stopped"

    run(body)


def test_gs_25_terminate_runs_before_the_reply_of_a_stop(run: Runner) -> None:
    """{stop, R, Reply, S}: terminate runs before the reply is sent."""

    def body() -> None:
        pid = gen_server.start(kind(run), telling())
        assert ask(pid, lambda _, s: Stop("normal", s, reply="bye")) == "bye"
        assert process.receive(timeout=0) == ("terminate", "normal")

    run(body)


def test_gs_26_a_stop_without_reply_ends_the_call_with_its_reason(run: Runner) -> None:
    """{stop, R, S} without reply: the caller exits even for normal."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        with pytest.raises(CallExit) as ended:
            ask(pid, lambda _, s: Stop("normal", s))
        assert ended.value.reason == "normal"

    run(body)


@pytest.mark.parametrize("how", ["call", "cast", "info"])
def test_gs_28_a_bad_return_ends_the_server_and_is_named(run: Runner, how: str) -> None:
    """bad return -> server dies {bad_return_value, V}; the caller sees the same."""

    def body() -> None:
        pid, _ = gen_server.start_monitor(kind(run), 0)
        if how == "call":
            with pytest.raises(CallExit) as ended:
                ask(pid, lambda _, __: "oops")
            assert ended.value.reason == ("bad_return_value", "oops")
        elif how == "cast":
            cast(pid, lambda _: "oops")
        else:
            process.send(pid, lambda _: "oops")
        assert process.receive(Down, timeout=5).reason == ("bad_return_value", "oops")

    run(body)


def test_gs_28_async_callbacks_follow_the_same_rules(run: Runner) -> None:
    """A class with async callbacks: replies, bad returns and crashes as any other."""

    def body() -> None:
        pid, _ = gen_server.start_monitor(async_server(), 1)
        assert [gen_server.call(pid, "x"), gen_server.call(pid, "x")] == [2, 3]
        cast(pid, lambda _: "oops")
        assert process.receive(Down, timeout=5).reason == ("bad_return_value", "oops")

    run(body)


def test_gs_30_an_unreachable_node_is_nodedown(run: Runner) -> None:
    """{name, bogus_node} -> {{nodedown, bogus_node}, ...}."""

    def body() -> None:
        with pytest.raises(CallExit) as ended:
            gen_server.call(At("x", "bogus@nohost"), "x")
        assert ended.value.reason == ("nodedown", "bogus@nohost")

    run(body)


def test_gs_32_a_missing_clause_says_so(run: Runner) -> None:
    """Default handle_call and handle_cast raise 'attempted to call/cast ...'."""

    class Empty(GenServer[int], green=run.green):
        def init(self, arg: int) -> Any:
            return Ok(arg)

    def body() -> None:
        pid, _ = gen_server.start_monitor(Empty, 0)
        with pytest.raises(CallExit) as ended:
            gen_server.call(pid, "x")
        assert "attempted to call GenServer" in ended.value.reason.message
        assert "no handle_call clause was provided" in ended.value.reason.message

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


def test_gs_35_cast_to_nobody_is_fine(run: Runner) -> None:
    """cast always returns ok, even to missing names and nodes."""

    def body() -> None:
        gen_server.cast("nobody", "x")
        gen_server.cast(At("nobody", "nowhere@nohost"), "x")

    run(body)


def test_gs_37_casts_then_a_call_are_handled_in_order(run: Runner) -> None:
    """Casts then call from one client are processed in order."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        for _ in range(300):
            cast(pid, lambda s: NoReply(s + 1))
        assert gen_server.call(pid, "x") == ("x", 300)
        gen_server.stop(pid)

    run(body)


def test_gs_39_multi_call_tells_replies_and_bad_nodes(run: Runner) -> None:
    """multi_call returns {[{node, reply}], bad_nodes}."""

    def body() -> None:
        here = self_pid().node
        pid = gen_server.start(kind(run), 7, name="many")
        good, bad = gen_server.multi_call("many", "x", [here, "nowhere@nohost"])
        assert (good, bad) == ([(here, ("x", 7))], ["nowhere@nohost"])
        gen_server.abcast("many", lambda s: NoReply(s + 1))
        assert gen_server.call(pid, "x") == ("x", 8)
        gen_server.stop(pid)

    run(body)


def test_gs_20_a_late_reply_never_reaches_the_mailbox(run: Runner) -> None:
    """late reply after timeout is dropped (alias), mailbox stays clean."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 0)

        def late(_: Any, __: Any) -> Any:
            process.receive(where=lambda message: message == "go")
            return Reply("late")

        with pytest.raises(CallTimeout):
            gen_server.call(pid, late, timeout=0.01)
        process.send(pid, "go")
        cast(pid, lambda s: process.send(me, "answered") and None)
        assert process.receive(timeout=5) == "answered"
        nothing_more()
        assert gen_server.call(pid, "x") == ("x", 0)
        gen_server.stop(pid)

    run(body)


def test_gs_22_a_second_reply_at_once_is_dropped_as_well(run: Runner) -> None:
    """two replies sent back to back before the caller resumes: OTP leaves the second in its
    mailbox, otpy drops it (departures)."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)

        def twice(from_: Any, _: Any) -> Any:
            gen_server.reply(from_, 1)
            gen_server.reply(from_, 2)
            return NoReply()

        for _ in range(50):
            assert gen_server.call(pid, twice) == 1
            nothing_more()
        assert gen_server.call(pid, "x") == ("x", 0)
        gen_server.stop(pid)

    run(body)


def test_gs_27_any_process_may_reply_later(run: Runner) -> None:
    """noreply + later reply(From, R) from any process works."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 0)

        def later(from_: Any, _: Any) -> Any:
            process.send(me, ("asked", from_))
            return NoReply()

        def client() -> None:
            process.send(me, ("told", gen_server.call(pid, later)))

        process.spawn(client, green=run.green)
        asked, from_ = process.receive(tuple, timeout=5)
        assert asked == "asked"
        assert gen_server.call(pid, "x") == ("x", 0)  # the server goes on meanwhile
        process.spawn(gen_server.reply, from_, "from afar", green=run.green)
        assert process.receive(tuple, timeout=5) == ("told", "from afar")
        gen_server.stop(pid)

    run(body)


def test_gs_31_a_request_without_a_case_ends_the_server(
    run: Runner, capture_reports: Reports
) -> None:
    """unknown handle_call clause -> function_clause crash of server; a match without a case
    gives None in Python, and that is no result."""

    class Strict(GenServer[int], green=run.green):
        def init(self, arg: int) -> Any:
            return Ok(arg)

        def handle_call(self, request: Any, from_: Any, state: int) -> Any:
            match request:  # pyright: ignore[reportMatchNotExhaustive]  # on purpose
                case "known":
                    return Reply(state)

    def body() -> None:
        pid, ref = gen_server.start_monitor(Strict, 1)
        assert gen_server.call(pid, "known") == 1
        with pytest.raises(CallExit) as ended:
            gen_server.call(pid, "unknown")
        assert ended.value.reason == ("bad_return_value", None)
        assert process.receive(Down, timeout=5) == Down(ref, pid, ("bad_return_value", None))

    run(body)


def test_gs_34_a_missing_name_in_a_callback_is_a_crash(
    run: Runner, capture_reports: Reports
) -> None:
    """undef raised inside handle_info body still crashes (not confused with a missing
    callback)."""

    class Calls(kind(run)):  # type: ignore[misc]  # chosen at run time
        def handle_info(self, message: Any, state: Any) -> Any:
            misspelt: Any = self
            return misspelt.handle_inof(message, state)

    def body() -> None:
        pid, _ = gen_server.start_monitor(Calls, 0)
        process.send(pid, "x")
        reason = process.receive(Down, timeout=5).reason
        assert reason.type == "AttributeError"
        assert "handle_inof" in reason.message

    run(body)
