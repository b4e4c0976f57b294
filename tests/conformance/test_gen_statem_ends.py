"""``gen_statem`` (STATEM): starting, replies and ends."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    IGNORE,
    AlreadyStarted,
    BadArgument,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    Exit,
    From,
    Ignored,
    Node,
    StartError,
    gen_statem,
    process,
    self_pid,
    sys,
)
from otpy.behaviours.gen_statem import (
    Call,
    ChangeCallbackModule,
    EventType,
    Hibernate,
    KeepState,
    NextEvent,
    NextState,
    Ok,
    PopCallbackModule,
    Postpone,
    Reply,
    SetStateTimeout,
    SetTimeout,
    Stop,
    StopAndReply,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.machines import (
    Machine,
    Step,
    begin,
    does,
    goes,
    heard,
    keeps,
    kind,
    where,
)
from tests.conformance.servers import names
from tests.conformance.waiting import gone, nothing_more


def replies(make: Callable[[From], Any]) -> Step:
    """A step of a call: what ``make`` returns for the ``from_``."""

    def step(event_type: EventType, _: Any, __: Any) -> Any:
        assert isinstance(event_type, Call)
        return make(event_type.from_)

    return step


def test_statem_19_stop_and_reply_replies_before_terminate(run: Runner) -> None:
    """stop_and_reply: replies sent before terminate (opposite of GenServer)."""

    def body() -> None:
        me = self_pid()

        class Slow(kind(run)):  # type: ignore[misc]  # of the kind under test
            def terminate(self, reason: Any, state: Any, data: Any) -> None:
                process.send(me, ("terminate", data))
                process.receive(where=lambda m: m == "go on")

        pid, ref = gen_statem.start_monitor(Slow, 0)
        step = replies(lambda from_: StopAndReply("why", [Reply(from_, "bye")], 7))
        assert gen_statem.call(pid, step, 5) == "bye"  # while terminate waits
        assert heard() == ("terminate", 7)
        process.send(pid, "go on")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "why")

    run(body)


def test_statem_20_callers_of_one_that_stops_get_its_reason(run: Runner) -> None:
    """{stop,R}: pending caller exits {R,{gen_statem,call,..}}."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        stop = does(Stop("why"))
        with pytest.raises(CallExit) as ended:
            gen_statem.call(pid, stop, 5)
        assert ended.value.exit_reason == ("why", ("gen_statem", "call", (pid, stop, 5)))
        with pytest.raises(CallExit) as ended:
            gen_statem.call(pid, "x")
        assert ended.value.exit_reason == ("noproc", ("gen_statem", "call", (pid, "x", None)))
        # So do those whose calls are postponed.
        pid, me = gen_statem.start(kind(run), 0), self_pid()

        def waits() -> None:
            with pytest.raises(CallExit) as failed:
                gen_statem.call(pid, keeps(Postpone()))
            process.send(me, ("failed", failed.value.reason))

        process.spawn(waits, green=run.green)
        until(lambda: sys.get_status(pid)["postponed"])
        gen_statem.cast(pid, does(Stop("other")))
        assert heard() == ("failed", "other")

    run(body)


def test_statem_21_a_call_that_times_out_never_sees_its_reply(run: Runner) -> None:
    """call timeout exits; late reply dropped (clean and dirty forms)."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        step = replies(lambda from_: KeepState(from_))
        with pytest.raises(CallTimeout) as late:
            gen_statem.call(pid, step, 0.01)
        assert late.value.request == ("gen_statem", "call", (pid, step, 0.01))
        gen_statem.reply(gen_statem.call(pid, "where", 5)[1], "too late")
        nothing_more()
        assert gen_statem.call(pid, "where", 5)[0] == "a"
        gen_statem.stop(pid)

    run(body)


def test_statem_22_a_reply_may_come_later_from_a_kept_from(run: Runner) -> None:
    """reply may come later from stored From."""

    def body() -> None:
        pid, me = gen_statem.start(kind(run), 0), self_pid()

        def asks() -> None:
            kept = gen_statem.call(pid, replies(lambda from_: KeepState(from_)), 5)
            process.send(me, ("answer", kept))

        ways: list[Callable[[From], None]] = [
            lambda kept: gen_statem.cast(pid, keeps(Reply(kept, "later"))),
            lambda kept: gen_statem.reply(kept, "later"),
            lambda kept: gen_statem.reply([Reply(kept, "later")]),
        ]
        for how in ways:
            process.spawn(asks, green=run.green)
            until(lambda: where(pid)[1] != 0)
            how(where(pid)[1])
            assert heard() == ("answer", "later")
            gen_statem.cast(pid, does(KeepState(0)))
        gen_statem.stop(pid)
        with pytest.raises(BadArgument, match=r"reply\('x'\): expected Reply"):
            gen_statem.reply("x")  # type: ignore[arg-type]  # what is refused

    run(body)


WRONG_ACTIONS: list[Any] = [
    "postpone",
    Postpone("yes"),  # type: ignore[arg-type]  # what is refused
    Hibernate(1),  # type: ignore[arg-type]  # what is refused
    5,
    Reply("nobody", 1),  # type: ignore[arg-type]  # what is refused
    SetStateTimeout(-1),
    SetStateTimeout("1"),  # type: ignore[arg-type]  # what is refused
    SetTimeout([], 1),  # type: ignore[arg-type]  # what is refused
    SetTimeout(([],), 1),
    NextEvent("cast", 1),  # type: ignore[arg-type]  # what is refused
    ChangeCallbackModule("x"),
    PopCallbackModule(),
]


def test_statem_23_bad_results_and_actions_end_the_machine(run: Runner) -> None:
    """bad return -> {bad_return_from_state_function,V}; bad action ->
    {bad_action_from_state_function,A}."""

    def body() -> None:
        def ends(step: Any) -> Any:
            pid, _ = gen_statem.start_monitor(kind(run), 0)
            gen_statem.cast(pid, step)
            return process.receive(Down, timeout=5).reason

        for result in (None, "keep_state", NextState):
            assert ends(does(result)) == ("bad_return_from_state_function", result)
        for action in WRONG_ACTIONS:
            assert ends(keeps(action)) == ("bad_action_from_state_function", action)
        wrong = does(StopAndReply("why", "x"))  # type: ignore[arg-type]  # what is refused
        assert ends(wrong) == ("bad_reply_action_from_state_function", "x")
        pid, _ = gen_statem.start_monitor(kind(run), lambda: Ok("a", 0, "x"))  # type: ignore[arg-type]
        down = process.receive(Down, timeout=5)
        assert (down.pid, down.reason) == (pid, ("bad_action_from_state_function", "x"))
        with pytest.raises(StartError) as failed:
            gen_statem.start(kind(run), lambda: "nonsense")
        assert failed.value.reason == ("bad_return_from_init", "nonsense")

    run(body)


def test_statem_24_starting_and_stopping_is_as_of_a_gen_server(run: Runner) -> None:
    """start/stop/name/timeout/ignore/already_started semantics as GenServer."""

    def body() -> None:
        module = kind(run)
        process.flag(trap_exit=True)
        with pytest.raises(Ignored):
            gen_statem.start(module, lambda: IGNORE)
        with pytest.raises(StartError) as failed:
            gen_statem.start_link(module, lambda: Stop("why"))
        assert failed.value.reason == "why"
        with pytest.raises(StartError) as failed:
            gen_statem.start_link(module, lambda: 1 / 0)
        assert isinstance(failed.value.reason, Crash)
        nothing_more()
        with pytest.raises(StartError) as failed:
            gen_statem.start(module, lambda: process.sleep(60), timeout=0.01)
        assert failed.value.reason == "timeout"
        for name in names(run):
            pid = gen_statem.start(module, 0, name=name)
            assert gen_statem.whereis(name) == pid
            with pytest.raises(AlreadyStarted) as taken:
                gen_statem.start(module, 0, name=name)
            assert taken.value.pid == pid
            assert where(name) == ("a", 0)
            gen_statem.stop(name)
            assert gen_statem.whereis(name) is None
        pid = gen_statem.start_link(module, 0)
        gen_statem.stop(pid, "why")
        assert process.receive(Exit, timeout=5) == Exit(pid, "why")
        with pytest.raises(CallExit) as ended:
            gen_statem.stop(pid)
        assert ended.value.exit_reason == ("noproc", ("gen_statem", "stop", (pid, "normal", None)))
        pid, ref = gen_statem.start_monitor(module, 0)
        process.exit(pid, "kill")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "killed")

    run(body)


def test_statem_25_terminate_gets_reason_state_and_data(run: Runner) -> None:
    """terminate(Reason, State, Data); crash in terminate reported."""

    def body() -> None:
        pid = begin(run)
        gen_statem.cast(pid, goes("b"))
        gen_statem.stop(pid, "why")
        assert heard() == ("terminate", "why", "b")
        pid = begin(run)
        gen_statem.cast(pid, does(Stop("data", self_pid())))
        assert heard() == ("terminate", "data", "a")

        class Breaks(kind(run)):  # type: ignore[misc]  # of the kind under test
            def terminate(self, reason: Any, state: Any, data: Any) -> None:
                raise RuntimeError("in terminate")

        pid, _ = gen_statem.start_monitor(Breaks, 0)
        gen_statem.cast(pid, does(Stop()))
        reason = process.receive(Down, timeout=5).reason
        assert isinstance(reason, Crash)
        assert reason.message == "in terminate"

    run(body)


def test_statem_25_a_parents_exit_ends_one_that_traps_exits(run: Runner) -> None:
    """terminate(Reason, State, Data), for the parent's exit as for a stop."""

    def body() -> None:
        me = self_pid()

        def parent() -> None:
            def init() -> Any:
                process.flag(trap_exit=True)
                return Ok("a", me)

            gen_statem.start_link(kind(run), init)
            process.exit("gone")

        process.spawn(parent, green=run.green)
        assert heard() == ("terminate", "gone", "a")

    run(body)


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "x")])
def test_statem_26_orderly_ends_are_not_logged(
    node: Node, capture_reports: Reports, reason: Any
) -> None:
    """shutdown reasons not logged."""
    pid = gen_statem.start(Machine, 0)
    gen_statem.cast(pid, does(Stop(reason)))
    gone(pid)
    assert capture_reports.texts == []
