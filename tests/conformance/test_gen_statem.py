"""``gen_statem`` (STATEM): events, postponing, time-outs and state enter calls."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import Down, gen_statem, process, self_pid, sys
from otpy.behaviours.gen_statem import (
    Action,
    Call,
    CancelEventTimeout,
    CancelStateTimeout,
    CancelTimeout,
    Cast,
    Enter,
    EventTimeout,
    EventType,
    Info,
    Internal,
    KeepStateAndData,
    NamedTimeout,
    NextEvent,
    NextState,
    Ok,
    Postpone,
    RepeatState,
    RepeatStateAndData,
    Reply,
    SetEventTimeout,
    SetStateTimeout,
    SetTimeout,
    StateTimeout,
    UpdateEventTimeout,
    UpdateStateTimeout,
    UpdateTimeout,
)
from tests.conformance.conftest import Runner
from tests.conformance.machines import (
    LATE,
    TIMEOUTS,
    at_once,
    begin,
    contents,
    does,
    entering,
    goes,
    heard,
    keeps,
    where,
)

SHORT = 0.02


def test_statem_01_inserted_events_come_in_order_before_postponed_and_mailbox(run: Runner) -> None:
    """next_event actions are processed in listed order before postponed and mailbox events."""

    def body() -> None:
        pid = begin(run)
        process.send(pid, "postponed")
        inserted = [NextEvent(Internal(), "i1"), NextEvent(Cast(), "i2")]
        at_once(pid, goes("b", *inserted), "mailbox")
        assert contents(4) == ["i1", "i2", "postponed", "mailbox"]
        gen_statem.stop(pid)

    run(body)


def test_statem_02_postponed_events_are_retried_in_order_before_newer_ones(run: Runner) -> None:
    """postponed events are retried in original order after a state change, before newer mailbox
    events."""

    def body() -> None:
        me = self_pid()
        pid = begin(run)

        def later(number: int) -> Any:
            def step(_: EventType, state: Any, __: Any) -> Any:
                if state == "a":
                    return KeepStateAndData(Postpone())
                process.send(me, ("", number, state))
                return KeepStateAndData()

            return step

        at_once(pid, later(1), later(2), later(3), goes("b"), "newer")
        assert contents(4) == [1, 2, 3, "newer"]
        gen_statem.stop(pid)

    run(body)


def test_statem_03_the_same_state_again_retries_nothing(run: Runner) -> None:
    """next_state with equal state is not a state change: no retry of postponed events."""

    def body() -> None:
        pid = begin(run)
        process.send(pid, "postponed")
        at_once(pid, goes("a"), "x")
        assert contents(1) == ["x"]
        at_once(pid, goes("b"), "y")
        assert contents(2) == ["postponed", "y"]
        gen_statem.stop(pid)

    run(body)


def test_statem_04_repeating_the_state_enters_it_and_retries_nothing(run: Runner) -> None:
    """repeat_state counts for state_enter but not for postponed retry."""

    def body() -> None:
        pid = begin(run, enters=True)
        assert heard() == (Enter("a"), "a", "a")
        process.send(pid, "postponed")
        at_once(pid, does(RepeatStateAndData()), does(RepeatState(self_pid())), "x")
        assert [heard() for _ in range(2)] == [(Enter("a"), "a", "a")] * 2
        assert contents(1) == ["x"]
        at_once(pid, goes("b"))
        assert contents(2) == ["a", "postponed"]
        gen_statem.stop(pid)

    run(body)


def test_statem_05_events_of_every_type_can_be_inserted(run: Runner) -> None:
    """every event type may be injected via next_event (call, cast, info, timeout, internal)."""

    def body() -> None:
        pid = begin(run)
        types: list[EventType] = [
            Cast(),
            Info(),
            Internal(),
            StateTimeout(),
            EventTimeout(),
            NamedTimeout("x"),
        ]
        gen_statem.cast(pid, keeps(*(NextEvent(type_, 1) for type_ in types)))
        assert [heard()[0] for _ in types] == types

        def pass_on(event_type: EventType, _: Any, __: Any) -> Any:
            return KeepStateAndData(NextEvent(event_type, "where"))

        assert gen_statem.call(pid, pass_on, 5) == ("a", self_pid())
        gen_statem.stop(pid)

    run(body)


def test_statem_06_every_event_says_of_which_type_it_is(run: Runner) -> None:
    """event arguments: cast, {call,From}, info, timeout, {timeout,Name}, state_timeout, internal,
    enter."""

    def body() -> None:
        pid = begin(run, SetTimeout("n", 0, "named"), SetStateTimeout(0, "state"), enters=True)
        assert heard() == (Enter("a"), "a", "a")
        assert heard() == (NamedTimeout("n"), "named", "a")
        assert heard() == (StateTimeout(), "state", "a")
        gen_statem.cast(pid, "cast")
        assert heard() == (Cast(), "cast", "a")
        process.send(pid, "info")
        assert heard() == (Info(), "info", "a")
        gen_statem.cast(pid, keeps(SetEventTimeout(0, "event")))
        assert heard() == (EventTimeout(), "event", "a")
        gen_statem.cast(pid, keeps(NextEvent(Internal(), "internal")))
        assert heard() == (Internal(), "internal", "a")
        me = self_pid()
        process.spawn(lambda: gen_statem.call(pid, "called", 5), green=run.green)
        event_type, content, _ = heard()
        assert isinstance(event_type, Call)
        assert event_type.from_.pid != me
        assert content == "called"
        gen_statem.reply(event_type.from_, "done")
        gen_statem.stop(pid)

    run(body)


def test_statem_07_a_state_time_out_ends_with_its_state(run: Runner) -> None:
    """state_timeout cancelled on state change, kept on same-state transition."""

    def body() -> None:
        pid = begin(run, SetStateTimeout(SHORT, "kept"))
        at_once(pid, goes("a"), "x")
        assert contents(2) == ["x", "kept"]
        at_once(pid, keeps(SetStateTimeout(SHORT, "lost")), goes("b", SetTimeout("n", 3 * SHORT)))
        assert heard() == (NamedTimeout("n"), None, "b")
        gen_statem.stop(pid)

    run(body)


def test_statem_08_any_event_cancels_an_event_time_out(run: Runner) -> None:
    """event timeout cancelled by any event."""

    def body() -> None:
        pid = begin(run)
        wait: list[Action] = [SetEventTimeout(SHORT, "lost"), SetTimeout("n", 3 * SHORT, "end")]
        at_once(pid, keeps(*wait), "x")
        assert contents(2) == ["x", "end"]
        gen_statem.cast(pid, keeps(SetEventTimeout(SHORT, "comes")))
        assert heard() == (EventTimeout(), "comes", "a")
        gen_statem.stop(pid)

    run(body)


def test_statem_09_a_named_time_out_survives_states_and_a_new_one_replaces_it(run: Runner) -> None:
    """generic timeouts survive state changes; same name overwrites."""

    def body() -> None:
        pid = begin(run)
        first: list[Action] = [SetTimeout("n", SHORT, "old"), SetTimeout("m", SHORT, "m")]
        at_once(pid, keeps(*first), keeps(SetTimeout("n", 2 * SHORT, "new")), goes("b"))
        assert [heard(), heard()] == [
            (NamedTimeout("m"), "m", "b"),
            (NamedTimeout("n"), "new", "b"),
        ]
        gen_statem.stop(pid)

    run(body)


def test_statem_10_time_outs_of_zero_come_before_the_mailbox_in_order(run: Runner) -> None:
    """timeout 0: inserted before already queued mailbox messages, after next_events; order of
    start."""

    def body() -> None:
        pid = begin(run)
        actions: list[Action] = [
            SetTimeout("n", 0, "t1"),
            NextEvent(Internal(), "i"),
            SetStateTimeout(0, "t2"),
            SetTimeout("m", 0, "t3"),
        ]
        at_once(pid, keeps(*actions), "mailbox")
        assert contents(5) == ["i", "t1", "t2", "t3", "mailbox"]
        gen_statem.stop(pid)

    run(body)


def test_statem_11_an_event_time_out_of_zero_comes_only_if_nothing_else_does(run: Runner) -> None:
    """event timeout 0 is cancelled if another event (next_event / zero timeout) is pending;
    otherwise delivered before mailbox."""

    def body() -> None:
        pid = begin(run)
        at_once(pid, keeps(SetEventTimeout(0, "e"), NextEvent(Internal(), "i")), "mailbox")
        assert contents(2) == ["i", "mailbox"]
        at_once(pid, keeps(SetStateTimeout(0, "s"), SetEventTimeout(0, "e")), "mailbox")
        assert contents(2) == ["s", "mailbox"]
        at_once(pid, keeps(SetEventTimeout(0, "e")), "mailbox")
        assert contents(2) == ["e", "mailbox"]
        gen_statem.stop(pid)

    run(body)


CANCELS: dict[str, Action] = {
    "state": CancelStateTimeout(),
    "event": CancelEventTimeout(),
    "named": CancelTimeout("x"),
}
UPDATES: dict[str, Action] = {
    "state": UpdateStateTimeout("new"),
    "event": UpdateEventTimeout("new"),
    "named": UpdateTimeout("x", "new"),
}


@pytest.mark.parametrize("which", ["state", "event", "named"])
def test_statem_12_time_outs_are_cancelled_and_updated(run: Runner, which: str) -> None:
    """{T, cancel}, {T, update, Msg}, infinity cancel/modify."""
    made, update = TIMEOUTS[which], UPDATES[which]

    def body() -> None:
        for cancel in (CANCELS[which], made(None, "never"), made(float("inf"), "never")):
            end = SetTimeout("end", 3 * SHORT, "end")
            pid = begin(run, made(SHORT, "lost"), cancel, end)
            assert contents(1) == ["end"]
            gen_statem.cast(pid, keeps(made(SHORT, "lost"), end))
            gen_statem.cast(pid, keeps(cancel))
            assert contents(1) == ["end"]
            gen_statem.cast(pid, keeps(update))  # of one that does not run: at once
            assert contents(1) == ["new"]
            gen_statem.stop(pid)
            assert heard()[0] == "terminate"
        if which != "event":  # the event that updates cancels it
            pid = begin(run, made(SHORT, "old"))
            gen_statem.cast(pid, keeps(update))
            assert contents(1) == ["new"]
            gen_statem.stop(pid)

    run(body)


@pytest.mark.parametrize("which", ["state", "event", "named"])
def test_statem_13_setting_a_time_out_again_starts_it_anew(run: Runner, which: str) -> None:
    """setting the same timeout again restarts it."""
    made = TIMEOUTS[which]

    def body() -> None:
        pid = begin(run, made(SHORT, "first"))
        gen_statem.cast(pid, keeps(made(LATE, "second"), SetTimeout("end", 3 * SHORT, "end")))
        assert contents(1) == ["end"]
        gen_statem.cast(pid, keeps(made(SHORT, "third")))
        assert contents(1) == ["third"]
        gen_statem.stop(pid)

    run(body)


def test_statem_15_the_status_lists_the_time_outs(run: Runner) -> None:
    """status lists active timeouts."""

    def body() -> None:
        pid = begin(run, SetTimeout("n", LATE, 1), SetStateTimeout(LATE, 2))
        both = sorted(sys.get_status(pid)["timeouts"], key=repr)  # in any order, as OTP's
        assert both == [(NamedTimeout("n"), 1), (StateTimeout(), 2)]
        gen_statem.cast(pid, keeps(CancelTimeout("n"), UpdateStateTimeout(3)))
        assert sys.get_status(pid)["timeouts"] == [(StateTimeout(), 3)]
        gen_statem.stop(pid)

    run(body)


def test_statem_16_a_state_is_entered_at_the_start_on_a_change_and_when_repeated(
    run: Runner,
) -> None:
    """enter call on start with OldState = State, on each real state change, on repeat_state."""

    def body() -> None:
        pid = begin(run, enters=True)
        assert heard() == (Enter("a"), "a", "a")
        at_once(pid, goes("b"), goes("b"), keeps(), does(RepeatStateAndData()), "x")
        assert heard() == (Enter("a"), "a", "b")
        assert heard() == (Enter("b"), "b", "b")
        assert heard() == (Cast(), "x", "b")
        gen_statem.stop(pid)

    run(body)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (NextState("c"), "bad_state_enter_return_from_state_function"),
        (KeepStateAndData(Postpone()), "bad_state_enter_action_from_state_function"),
        (
            KeepStateAndData(NextEvent(Internal())),
            "bad_state_enter_action_from_state_function",
        ),
    ],
)
def test_statem_17_entering_may_neither_go_on_nor_postpone(
    run: Runner, result: Any, reason: str
) -> None:
    """enter callback may not change state or postpone -> crash."""

    def body() -> None:
        class Wrong(entering(run)):  # type: ignore[misc]  # of the kind under test
            def handle_event(
                self, event_type: EventType, content: Any, state: Any, data: Any
            ) -> Any:
                return NextState("b") if isinstance(event_type, Cast) else self.enter(state)

            def enter(self, state: Any) -> Any:
                return result if state == "b" else KeepStateAndData()

        pid, _ = gen_statem.start_monitor(Wrong, lambda: Ok("a", None))
        gen_statem.cast(pid, "go")
        down = process.receive(Down, timeout=5)
        bad = result.actions if isinstance(result, KeepStateAndData) else result
        assert down.reason == (reason, bad)

    run(body)


def test_statem_18_entering_may_set_time_outs_and_reply(run: Runner) -> None:
    """enter timeouts/replies allowed."""

    def body() -> None:
        class Asks(entering(run)):  # type: ignore[misc]  # of the kind under test
            def handle_event(
                self, event_type: EventType, content: Any, state: Any, data: Any
            ) -> Any:
                match event_type:
                    case Call(from_):
                        return NextState("b", from_)
                    case Enter("a") if state == "b":
                        return KeepStateAndData([Reply(data, "in b"), SetStateTimeout(0)])
                    case StateTimeout():
                        return NextState("c")
                    case _:
                        return KeepStateAndData()

        pid = gen_statem.start(Asks, lambda: Ok("a", None))
        assert gen_statem.call(pid, "x", 5) == "in b"
        assert sys.get_state(pid)[0] == "c"
        gen_statem.stop(pid)

    run(body)


def test_statem_13_a_time_out_of_zero_can_be_set_to_later(run: Runner) -> None:
    """setting the same timeout again restarts it, also one whose turn had come."""

    def body() -> None:
        pid = begin(run)
        again = keeps(SetStateTimeout(SHORT, "later"))
        gen_statem.cast(pid, keeps(SetStateTimeout(0, "lost"), NextEvent(Cast(), again)))
        assert heard() == (StateTimeout(), "later", "a")
        gen_statem.stop(pid)

    run(body)


def test_statem_07_a_time_out_that_came_has_its_turn_in_the_mailbox(run: Runner) -> None:
    """A time-out's message stands in the mailbox behind what came before it."""

    def body() -> None:
        pid = begin(run, SetStateTimeout(SHORT, "late"))
        sys.suspend(pid)
        gen_statem.cast(pid, "before")
        process.sleep(3 * SHORT)
        gen_statem.cast(pid, "after")
        sys.resume(pid)
        assert contents(3) == ["before", "late", "after"]
        assert where(pid)[0] == "a"
        gen_statem.stop(pid)

    run(body)
