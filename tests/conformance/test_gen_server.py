"""GenServer (GS), sys (SYS) and its reports (LOG), each as thread and green processes."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    IGNORE,
    AlreadyStarted,
    At,
    BadArgument,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    Exit,
    GenServer,
    Ignored,
    Node,
    NoReply,
    NotAName,
    Ok,
    ReceiveTimeout,
    Reply,
    StartError,
    Stop,
    Timeout,
    gen_server,
    process,
    self_pid,
    sys,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner


class Server(GenServer[Any]):
    """Does what it is sent: functions of the state."""

    def init(self, arg: Any) -> Any:
        return arg() if callable(arg) else Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        if callable(request):
            return request(from_, state)
        return Reply((request, state))

    def handle_cast(self, request: Any, state: Any) -> Any:
        return request(state) if callable(request) else None

    def handle_info(self, message: Any, state: Any) -> Any:
        if callable(message):
            return message(state)
        if isinstance(state, tuple) and state and state[0] == "tell":
            process.send(state[1], ("info", message))
        return None

    def handle_continue(self, arg: Any, state: Any) -> Any:
        return arg(state)

    def terminate(self, reason: Any, state: Any) -> None:
        if isinstance(state, tuple) and state and state[0] == "tell":
            process.send(state[1], ("terminate", reason))


class GreenServer(Server, green=True):
    """The same, green."""


def kind(run: Runner) -> type[Server]:
    return GreenServer if run.green else Server


def nothing_more() -> None:
    with pytest.raises(ReceiveTimeout):
        process.receive(timeout=0)


def telling() -> tuple[str, Any]:
    return ("tell", self_pid())


def test_gs_01_start_returns_after_init(run: Runner) -> None:
    """start_link returns {ok, pid} only after init has completed."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.send(me, "init")
            return Ok(1)

        pid = gen_server.start_link(kind(run), init)
        assert process.receive(timeout=0) == "init"
        gen_server.stop(pid)

    run(body)


def test_gs_02_the_name_is_registered_when_init_runs(run: Runner) -> None:
    """The name is registered when init runs; ancestors are set."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.send(me, (process.whereis("early"), self_pid()))
            return Ok(1)

        pid = gen_server.start_link(kind(run), init, name="early")
        assert process.receive(timeout=0) == (pid, pid)
        info = process.info(pid, "ancestors")
        assert info is not None
        assert info["ancestors"][0] == me
        gen_server.stop(pid)

    run(body)


def test_gs_03_init_stop_is_a_start_error(run: Runner) -> None:
    """init {stop, R} -> {error, R} (as OTP 26: no EXIT is left, GS-04)."""

    def body() -> None:
        process.flag(trap_exit=True)
        with pytest.raises(StartError) as failed:
            gen_server.start_link(kind(run), lambda: Stop("why"))
        assert failed.value.reason == "why"
        nothing_more()

    run(body)


def test_gs_05_init_ignore_leaves_no_name(run: Runner) -> None:
    """init ignore -> ignore; the name is unregistered before return."""

    def body() -> None:
        for _ in range(10):
            with pytest.raises(Ignored):
                gen_server.start_link(kind(run), lambda: IGNORE, name="ign")
            assert process.whereis("ign") is None

    run(body)


def test_gs_06_a_failed_init_leaves_no_name(run: Runner) -> None:
    """A failed init never leaves the name registered."""

    def body() -> None:
        for _ in range(10):
            with pytest.raises(StartError):
                gen_server.start(kind(run), lambda: Stop("no"), name="failing")
            assert process.whereis("failing") is None

    run(body)


def test_gs_07_init_raising_is_a_start_error_with_the_crash(run: Runner) -> None:
    """init raising -> {error, {Error, Stack}}; exit(R) in init -> {error, R}."""

    def body() -> None:
        def raising() -> Any:
            raise ValueError("no")

        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), raising)
        assert failed.value.reason == Crash("ValueError", "no")
        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), lambda: process.exit("out"))
        assert failed.value.reason == "out"

    run(body)


def test_gs_08_init_returning_garbage_is_named(run: Runner) -> None:
    """init returning garbage -> {error, {bad_return_value, V}}."""

    def body() -> None:
        with pytest.raises(StartError) as failed:
            gen_server.start(kind(run), lambda: 17)
        assert failed.value.reason == ("bad_return_value", 17)

    run(body)


def test_gs_10_a_start_timeout_kills_the_process(run: Runner) -> None:
    """start timeout -> {error, timeout}, process killed, no stray messages."""

    def body() -> None:
        process.flag(trap_exit=True)
        before = set(process.list_())

        def init() -> Any:
            process.receive(where=lambda _: False)

        with pytest.raises(StartError, match="longer than"):
            gen_server.start_link(kind(run), init, timeout=0.01)
        nothing_more()
        assert set(process.list_()) == before

    run(body)


def test_gs_11_a_taken_name_is_already_started(run: Runner) -> None:
    """Registered name -> {error, {already_started, pid}}; init is not run."""

    def body() -> None:
        me = self_pid()
        pid = gen_server.start(kind(run), 0, name="one")
        with pytest.raises(AlreadyStarted) as refused:
            gen_server.start_link(kind(run), lambda: process.send(me, "ran"), name="one")
        assert refused.value.pid == pid
        nothing_more()
        gen_server.stop(pid)

    run(body)


def test_gs_12_bad_names_are_refused_with_the_allowed_forms(run: Runner) -> None:
    """Other names raise and list the allowed forms; None means unnamed (GS-13)."""

    def body() -> None:
        for bad in (7, ("x",), At("x", "a@h")):
            with pytest.raises(NotAName, match="Global"):
                gen_server.start(kind(run), 0, name=bad)
        gen_server.stop(gen_server.start(kind(run), 0, name=None))

    run(body)


def test_gs_14_start_monitor_gives_the_exit_reason(run: Runner) -> None:
    """start_monitor returns {pid, ref}; the DOWN reason is the exit reason."""

    def body() -> None:
        pid, ref = gen_server.start_monitor(kind(run), 0)
        gen_server.stop(pid, "over")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "over")

    run(body)


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


def test_gs_18_calling_oneself_is_refused(run: Runner) -> None:
    """Calling self, by pid or name -> calling_self."""

    def body() -> None:
        process.register(self_pid(), "me")
        for server in (self_pid(), "me"):
            with pytest.raises(CallExit) as ended:
                gen_server.call(server, "x")
            assert ended.value.reason == "calling_self"

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
        gen_server.cast(pid, lambda _: Stop("stopped"))
        process.exit(pid, "stopped")
        assert process.receive(timeout=5) in ("stopped", "noproc")

    run(body)


def test_gs_25_terminate_runs_before_the_reply_of_a_stop(run: Runner) -> None:
    """{stop, R, Reply, S}: terminate runs before the reply is sent."""

    def body() -> None:
        pid = gen_server.start(kind(run), telling())
        assert gen_server.call(pid, lambda _, s: Stop("normal", s, reply="bye")) == "bye"
        assert process.receive(timeout=0) == ("terminate", "normal")

    run(body)


def test_gs_26_a_stop_without_reply_ends_the_call_with_its_reason(run: Runner) -> None:
    """{stop, R, S} without reply: the caller exits even for normal."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        with pytest.raises(CallExit) as ended:
            gen_server.call(pid, lambda _, s: Stop("normal", s))
        assert ended.value.reason == "normal"

    run(body)


@pytest.mark.parametrize("how", ["call", "cast", "info"])
def test_gs_28_a_bad_return_ends_the_server_and_is_named(run: Runner, how: str) -> None:
    """bad return -> server dies {bad_return_value, V}; the caller sees the same."""

    def body() -> None:
        pid, _ = gen_server.start_monitor(kind(run), 0)
        if how == "call":
            with pytest.raises(CallExit) as ended:
                gen_server.call(pid, lambda *_: "oops")
            assert ended.value.reason == ("bad_return_value", "oops")
        elif how == "cast":
            gen_server.cast(pid, lambda _: "oops")
        else:
            process.send(pid, lambda _: "oops")
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
            gen_server.cast(pid, lambda s: NoReply(s + 1))
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


def test_gs_40_a_timeout_is_an_info_and_any_message_cancels_it(run: Runner) -> None:
    """{.., Timeout} delivers info timeout; any message cancels it (GS-41)."""

    def body() -> None:
        me = self_pid()

        class Waiting(kind(run)):  # type: ignore[misc]  # chosen at run time
            def handle_info(self, message: Any, state: Any) -> Any:
                process.send(me, message)

        pid = gen_server.start(Waiting, lambda: Ok(0, timeout=0.01))
        assert process.receive(timeout=5) == Timeout()
        gen_server.stop(pid)
        pid = gen_server.start(Waiting, lambda: Ok(0, timeout=0.2))
        process.send(pid, "other")
        assert process.receive(timeout=5) == "other"
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0.3)
        gen_server.stop(pid)

    run(body)


def test_gs_43_a_timeout_of_zero_fires_only_with_an_empty_mailbox(run: Runner) -> None:
    """timeout 0: a queued message wins."""

    def body() -> None:
        me = self_pid()

        class Waiting(kind(run)):  # type: ignore[misc]  # chosen at run time
            def handle_info(self, message: Any, state: Any) -> Any:
                process.send(me, message)

        def init() -> Any:
            process.send(self_pid(), "queued")
            return Ok(0, timeout=0)

        pid = gen_server.start(Waiting, init)
        assert process.receive(timeout=5) == "queued"
        gen_server.stop(pid)
        pid = gen_server.start(Waiting, lambda: Ok(0, timeout=0))
        assert process.receive(timeout=5) == Timeout()
        gen_server.stop(pid)

    run(body)


def test_gs_44_continue_runs_before_any_message(run: Runner) -> None:
    """{continue, X} runs before any mailbox message, also ones queued during init; it chains."""

    def body() -> None:
        def init() -> Any:
            process.send(self_pid(), lambda s: NoReply([*s, "message"]))

            def second(state: list[str]) -> Any:
                return NoReply([*state, "second"])

            return Ok([], continue_=lambda s: NoReply([*s, "first"], continue_=second))

        pid = gen_server.start(kind(run), init)
        assert gen_server.call(pid, "x") == ("x", ["first", "second", "message"])
        gen_server.stop(pid)

    run(body)


def test_gs_45_the_reply_is_sent_before_continue(run: Runner) -> None:
    """continue from call: the reply is sent before handle_continue runs."""

    def body() -> None:
        pid, _ = gen_server.start_monitor(kind(run), 0)
        reply = gen_server.call(pid, lambda *_: Reply("r", continue_=lambda s: Stop("done", s)))
        assert reply == "r"
        assert process.receive(Down, timeout=5).reason == "done"

    run(body)


def test_gs_47_stops_and_exceptions_run_terminate(run: Runner) -> None:
    """stop return and exception run terminate (exception: with {Error, Stack})."""

    def body() -> None:
        pid = gen_server.start(kind(run), telling())
        gen_server.cast(pid, lambda s: Stop("why", s))
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
        gen_server.cast(pid, lambda _: process.receive(where=lambda m: m == "go"))
        with pytest.raises(CallTimeout):
            gen_server.stop(pid, "normal", 0.01)
        process.exit(pid, "kill")

    run(body)


def test_gs_69_whereis_resolves_names(run: Runner) -> None:
    """whereis: pid -> pid, name -> pid or nil, {name, other node} -> as it is."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0, name="here")
        assert gen_server.whereis(pid) == pid
        assert gen_server.whereis("here") == pid
        assert gen_server.whereis(At("here", self_pid().node)) == pid
        assert gen_server.whereis("nobody") is None
        assert gen_server.whereis(At("x", "b@h")) == At("x", "b@h")
        gen_server.stop(pid)

    run(body)


def test_gs_70_child_spec_has_defaults_and_class_options() -> None:
    """child_spec: id is the module; options of the class override."""

    class Custom(Server, restart="transient", shutdown=1.0, id="own"):
        pass

    spec = Server.child_spec(5)
    assert (spec.id, spec.start[1], spec.restart) == (Server, (5,), "permanent")
    own = Custom.child_spec(5)
    assert (own.id, own.restart, own.shutdown) == ("own", "transient", 1.0)
    with pytest.raises(BadArgument, match="restrat"):

        class Misspelt(Server, restrat="x"):  # pyright: ignore[reportUnusedClass]  # never made
            pass


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


def test_sys_03_suspend_queues_and_resume_handles_in_order(run: Runner) -> None:
    """suspend queues user messages; resume processes them in order (SYS-04, SYS-05)."""

    def body() -> None:
        pid = gen_server.start(kind(run), [])
        sys.suspend(pid)
        sys.suspend(pid)
        for number in range(5):
            gen_server.cast(pid, lambda s, number=number: NoReply([*s, number]))
        with pytest.raises(CallTimeout):
            gen_server.call(pid, "x", timeout=0.01)
        assert sys.get_state(pid) == []
        sys.resume(pid)
        sys.resume(pid)
        assert gen_server.call(pid, "y") == ("y", [0, 1, 2, 3, 4])
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


def crashing(_: Any) -> Any:
    raise RuntimeError("oops")


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


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "x")])
def test_gs_63_orderly_ends_are_not_logged(
    node: Node, capture_reports: Reports, reason: Any
) -> None:
    """normal, shutdown, {shutdown, _} are not logged."""
    pid = gen_server.start(Server, 0)
    gen_server.stop(pid, reason)
    assert capture_reports.texts == []


def async_server() -> type[GenServer[int]]:
    class Async(GenServer[int]):
        async def init(self, arg: int) -> Any:
            return Ok(arg)

        async def handle_call(self, request: Any, from_: Any, state: int) -> Any:
            return Reply(state + 1, state + 1)

        async def handle_cast(self, request: Callable[[int], Any], state: int) -> Any:
            return request(state)

    return Async


def test_gs_28_async_callbacks_follow_the_same_rules(node: Node) -> None:
    """A class with async callbacks: replies, bad returns and crashes as any other."""
    pid, _ = gen_server.start_monitor(async_server(), 1)
    assert [gen_server.call(pid, "x"), gen_server.call(pid, "x")] == [2, 3]
    gen_server.cast(pid, lambda _: "oops")
    assert process.receive(Down, timeout=5).reason == ("bad_return_value", "oops")
