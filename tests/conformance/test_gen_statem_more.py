"""``gen_statem`` (STATEM): ``sys``, callback modules, reports, state functions and coroutines."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    Down,
    GenStatem,
    Node,
    aio,
    gen_statem,
    process,
    self_pid,
    supervisor,
    sys,
)
from otpy.behaviours.gen_statem import (
    Call,
    Cast,
    ChangeCallbackModule,
    EventType,
    Hibernate,
    KeepStateAndData,
    NamedTimeout,
    NextEvent,
    NextState,
    Ok,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    Reply,
    SetStateTimeout,
    SetTimeout,
    StateTimeout,
    Stop,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.machines import (
    LATE,
    ByState,
    GreenByState,
    Machine,
    answers,
    at_once,
    begin,
    contents,
    does,
    goes,
    keeps,
    kind,
    where,
)
from tests.conformance.waiting import gone, nothing_more


def test_statem_27_sys_sees_and_changes_state_and_data(run: Runner) -> None:
    """sys get_state -> {State, Data}; replace_state may change state name."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        assert sys.get_state(pid) == ("a", 0)
        assert sys.replace_state(pid, lambda old: ("z", old[1] + 1)) == ("z", 1)
        assert where(pid) == ("z", 1)
        with pytest.raises(CallExit) as failed:
            sys.replace_state(pid, lambda _: "no pair")
        assert failed.value.reason[0] == "callback_failed"
        assert where(pid) == ("z", 1)
        assert sys.get_status(pid)["state"] == "z"
        gen_statem.stop(pid)

    run(body)


def test_statem_28_the_callback_module_is_changed_pushed_and_popped(run: Runner) -> None:
    """callback module push/pop/change; pop too many is bad action."""

    def body() -> None:
        base = GreenByState if run.green else ByState

        class Pushed(base):  # type: ignore[misc, valid-type]  # of the kind under test
            def a(self, event_type: EventType, content: Any, data: Any) -> Any:
                assert isinstance(event_type, Call)
                said = Reply(event_type.from_, ("pushed", content))
                return KeepStateAndData([said, PopCallbackModule()] if content == "pop" else said)

        pid, _ = gen_statem.start_monitor(kind(run), 0)
        assert where(pid) == ("a", 0)
        gen_statem.cast(pid, keeps(PushCallbackModule(Pushed)))
        assert gen_statem.call(pid, "x", 5) == ("pushed", "x")
        assert sys.get_status(pid)["module"] is Pushed
        assert gen_statem.call(pid, "pop", 5) == ("pushed", "pop")
        assert where(pid) == ("a", 0)
        gen_statem.cast(pid, keeps(ChangeCallbackModule(Pushed)))
        assert gen_statem.call(pid, "x", 5) == ("pushed", "x")
        # The reply is on its way before the action after it is found wrong.
        assert gen_statem.call(pid, "pop", 5) == ("pushed", "pop")
        reason = process.receive(Down, timeout=5).reason
        assert reason == ("bad_action_from_state_function", PopCallbackModule())

    run(body)


def test_statem_30_the_report_of_a_crash_tells_all(node: Node, capture_reports: Reports) -> None:
    """crash log: state, last event, queued, postponed, time-outs, log, client."""
    pid = gen_statem.start(Machine, 7, name="door")
    sys.log(pid, True)
    process.send(pid, "postponed")
    gen_statem.cast(pid, keeps(SetTimeout("n", LATE, "late"), NextEvent(Cast(), "i")))

    def breaks(event_type: EventType, state: Any, data: Any) -> Any:
        raise RuntimeError("oops")

    with pytest.raises(CallExit):
        gen_statem.call(pid, breaks, 5)
    report = capture_reports.reports[0]
    text = capture_reports.texts[0]
    assert text.startswith("State machine 'door' terminating\n** (RuntimeError) oops")
    assert f"Last message (from {self_pid()!r})" in text
    assert "State: 'a'\nData: 7" in text
    assert f"Client {self_pid()!r} is alive" in text
    assert report["label"] == "gen_statem_terminate"
    assert (report["state"], report["data"], report["client"]) == ("a", 7, self_pid())
    assert report["last_message"][1] is breaks
    assert report["postponed"][0][1] == "postponed"
    assert report["timeouts"] == [(NamedTimeout("n"), "late")]
    assert report["log"][0] == ("in", "postponed")
    assert report["queue"] == []


def test_statem_30_events_that_wait_stand_in_the_report(
    node: Node, capture_reports: Reports
) -> None:
    """crash log: queued."""
    pid = gen_statem.start(Machine, 7)
    gen_statem.cast(pid, keeps(NextEvent(Cast(), lambda *_: 1 / 0), NextEvent(Cast(), "waits")))
    gone(pid)
    assert capture_reports.reports[0]["queue"] == [(Cast(), "waits")]


def test_statem_30_format_status_hides_what_it_wants(node: Node, capture_reports: Reports) -> None:
    """error_format_status: format_status decides what reports and status show."""

    class Discreet(Machine):
        def format_status(self, why: str, status: dict[str, Any]) -> dict[str, Any]:
            return {"data": "hidden", "timeouts": []}

    class Broken(Machine):
        def format_status(self, why: str, status: dict[str, Any]) -> dict[str, Any]:
            raise RuntimeError("broken")

    pid = gen_statem.start(Discreet, "secret")
    gen_statem.cast(pid, keeps(SetStateTimeout(LATE, "secret")))
    assert "secret" not in repr(sys.get_status(pid))
    gen_statem.cast(pid, does(Stop("why")))
    gone(pid)
    assert "secret" not in capture_reports.texts[0]
    assert "secret" not in repr(capture_reports.reports[0])
    pid = gen_statem.start(Broken, "secret")
    status = sys.get_status(pid)
    assert "secret" not in repr(status)
    assert "Broken.format_status raised RuntimeError: broken" in status["data"]
    gen_statem.stop(pid)


def test_statem_27_suspended_events_and_time_outs_wait(run: Runner) -> None:
    """sys suspend: neither events nor time-outs are handled, and all come later."""

    def body() -> None:
        pid = begin(run, SetStateTimeout(0.02, "time"))
        sys.suspend(pid)
        gen_statem.cast(pid, "cast")
        process.sleep(0.06)
        nothing_more()
        assert sys.get_state(pid)[0] == "a"
        sys.resume(pid)
        assert contents(2) == ["cast", "time"]
        gen_statem.stop(pid)

    run(body)


def test_statem_06_states_can_be_methods(run: Runner) -> None:
    """state_functions: the state names the callback that gets the event's arguments."""

    def body() -> None:
        pid, _ = gen_statem.start_monitor(GreenByState if run.green else ByState, 0)
        assert [gen_statem.call(pid, "flip", 5) for _ in range(3)] == ["on", "off", "on"]
        assert sys.get_state(pid) == ("on", 3)
        gen_statem.call(pid, "flip", 5)
        for wrong in ("nowhere", "terminate", "_may"):
            assert gen_statem.call(pid, wrong, 5) == "gone"
            gen_statem.cast(pid, "x")
            crash = process.receive(Down, timeout=5).reason
            assert f"has no state function for {wrong!r}" in crash.message
            pid, _ = gen_statem.start_monitor(GreenByState if run.green else ByState, 0)
        gen_statem.stop(pid)

    run(body)


def test_statem_23_hibernation_is_a_good_action(run: Runner) -> None:
    """hibernate is an action."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        gen_statem.cast(pid, keeps(Hibernate()))
        assert gen_statem.call(pid, answers(lambda state, _: state), 5) == "a"
        gen_statem.stop(pid)

    run(body)


def test_statem_24_a_supervisor_restarts_a_machine(node: Node) -> None:
    """start semantics as GenServer, under a supervisor."""

    boss = supervisor.start_link([(Machine, 1)], strategy="one_for_one")
    first: Any = supervisor.which_children(boss)[0].pid
    gen_statem.cast(first, goes("b"))
    gen_statem.cast(first, does(Stop("why")))
    gone(first)
    until(lambda: supervisor.which_children(boss)[0].pid not in (first, None, "restarting"))
    second: Any = supervisor.which_children(boss)[0].pid
    assert where(second) == ("a", 1)
    supervisor.stop(boss)


def test_statem_24_coroutines_can_be_callbacks_and_callers(run: Runner) -> None:
    """start, stop and call as GenServer, in coroutines."""

    class Async(GenStatem[str, int], callback_mode="handle_event_function", state_enter=True):
        async def init(self, arg: int) -> Any:
            await aio.sleep(0)
            return Ok("a", arg)

        async def handle_event(
            self, event_type: EventType, content: Any, state: str, data: int
        ) -> Any:
            await aio.sleep(0)
            match event_type:
                case Call(from_) if content == "later":
                    return NextState("b", data, [Reply(from_, state), SetStateTimeout(0.01)])
                case Call() if state == "b":
                    return KeepStateAndData(Postpone())
                case Call(from_):
                    return KeepStateAndData(Reply(from_, (state, data)))
                case StateTimeout():
                    return NextState("c", data + 1)
                case Cast():
                    raise RuntimeError("oops")
                case _:
                    return KeepStateAndData()

    async def scenario() -> None:
        pid, ref = await aio.gen_statem.start_monitor(Async, 1)
        assert await aio.gen_statem.call(pid, "later") == "a"
        assert await aio.gen_statem.call(pid, "x") == ("c", 2)
        assert await aio.sys.get_state(pid) == ("c", 2)
        with pytest.raises(CallExit) as ended:
            await aio.gen_statem.call("nobody", "x")
        assert ended.value.request[0] == "gen_statem"
        aio.gen_statem.cast(pid, "break")
        down = await aio.receive(Down, timeout=5)
        assert (down.ref, down.reason.message) == (ref, "oops")
        for start in (aio.gen_statem.start, aio.gen_statem.start_link):
            pid = await start(Async, 1)
            await aio.gen_statem.stop(pid)

    run(lambda: process.await_coroutine(scenario()))


def test_statem_24_what_users_get_wrong_has_one_clear_error(node: Node) -> None:
    """start semantics as GenServer, for classes that cannot be machines."""

    with pytest.raises(BadArgument, match="expected 'handle_event_function' or 'state_functions'"):

        class Mode(GenStatem[str, int], callback_mode="state_function"):  # type: ignore[arg-type]  # pyright: ignore[reportUnusedClass]
            pass

    with pytest.raises(BadArgument, match="'gren'; expected callback_mode, state_enter, interr"):

        class Option(GenStatem[str, int], gren=True):  # type: ignore[call-arg]  # pyright: ignore[reportUnusedClass]
            pass

    class NoMode(GenStatem[str, int]):
        pass

    with pytest.raises(BadArgument, match="NoMode has no callback_mode; expected class NoMode"):
        gen_statem.start(NoMode, 0)
    with pytest.raises(BadArgument, match="5 is not a GenStatem class"):
        gen_statem.start(5, 0)  # type: ignore[arg-type]  # what is refused


def test_statem_28_a_thread_does_not_take_a_callback_module_of_coroutines(node: Node) -> None:
    """callback module push: one of coroutines in a thread is a bad action."""

    class Later(GenStatem[str, int], callback_mode="handle_event_function"):
        async def handle_event(
            self, event_type: EventType, content: Any, state: str, data: int
        ) -> Any:
            return KeepStateAndData()

    pid, _ = gen_statem.start_monitor(Machine, 0)
    at_once(pid, keeps(PushCallbackModule(Later)))
    reason = process.receive(Down, timeout=5).reason
    assert reason == ("bad_action_from_state_function", PushCallbackModule(Later))
