"""``gen_statem`` (STATEM): requests that do not wait, and ``enter_loop``."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    BadArgument,
    Down,
    GenServer,
    GenStatem,
    Global,
    Pid,
    gen_statem,
    process,
    self_pid,
    sys,
)
from otpy.behaviours.gen_statem import (
    Action,
    Call,
    Cast,
    Enter,
    EventType,
    Info,
    Internal,
    KeepState,
    KeepStateAndData,
    NextEvent,
    Postpone,
    Reply,
    SetStateTimeout,
    StateTimeout,
    Stop,
)
from otpy.terms.messages import Response
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.machines import (
    Machine,
    does,
    entering,
    goes,
    heard,
    kind,
    where,
)
from tests.conformance.waiting import gone, nothing_more


def keep(event_type: EventType, _: Any, __: Any) -> Any:
    """Keep who asked in the data, and answer later."""
    assert isinstance(event_type, Call)
    return KeepState(event_type.from_)


def answer(_: EventType, __: Any, data: Any) -> Any:
    """Answer who was kept."""
    return KeepStateAndData(Reply(data, "late"))


def in_b(event_type: EventType, state: Any, _: Any) -> Any:
    """Answered in state b only."""
    assert isinstance(event_type, Call)
    return KeepStateAndData(Reply(event_type.from_, "in b") if state == "b" else Postpone())


def test_statem_31_a_request_is_answered_now_later_or_after_it_was_postponed(run: Runner) -> None:
    """send_request family as GenServer: the answer is a reply whenever it is given."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        request = gen_statem.send_request(pid, "where")
        assert gen_statem.receive_response(request, 5) == ("reply", ("a", 0))
        request = gen_statem.send_request(pid, in_b)
        assert gen_statem.wait_response(request, 0.001) == "timeout"
        gen_statem.cast(pid, goes("b"))
        assert gen_statem.wait_response(request, 5) == ("reply", "in b")
        request = gen_statem.send_request(pid, keep)
        gen_statem.cast(pid, answer)
        message = process.receive(Response, timeout=5)
        assert gen_statem.check_response("hello", request) == "no_reply"
        assert gen_statem.check_response(message, request) == ("reply", "late")
        nothing_more()
        gen_statem.stop(pid)

    run(body)


def test_statem_31_an_answer_that_was_given_up_never_comes(run: Runner) -> None:
    """send_request family as GenServer: receive_response timeout abandons the request."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        request = gen_statem.send_request(pid, keep)
        until(lambda: sys.get_state(pid) != ("a", 0))
        assert gen_statem.receive_response(request, 0) == "timeout"
        gen_statem.cast(pid, answer)
        where(pid)
        nothing_more()
        with pytest.raises(BadArgument, match="no answer can come"):
            gen_statem.receive_response(request, 5)
        gen_statem.stop(pid)

    run(body)


def test_statem_31_errors_are_answers(run: Runner, capture_reports: Reports) -> None:
    """send_request family as GenServer: {error, {Reason, ServerRef}}, also of a request that is
    postponed."""

    def body() -> None:
        request = gen_statem.send_request("nobody", "x")
        assert gen_statem.receive_response(request, 5) == ("error", ("noproc", "nobody"))
        pid = gen_statem.start(kind(run), 0)
        waits = gen_statem.send_request(pid, in_b)
        ends = gen_statem.send_request(pid, does(Stop("why")))
        for request in (waits, ends):
            assert gen_statem.receive_response(request, 5) == ("error", ("why", pid))
        nothing_more()

    run(body)


def test_statem_31_a_collection_gives_answers_as_they_come(run: Runner) -> None:
    """send_request family as GenServer: collections."""

    def body() -> None:
        reqids = gen_statem.reqids_new()
        assert gen_statem.receive_response(reqids, 5) == "no_request"
        pid = gen_statem.start(kind(run), 0)
        gen_statem.send_request(pid, in_b, "postponed", reqids)
        gen_statem.reqids_add(gen_statem.send_request(pid, "where"), "now", reqids)
        assert gen_statem.reqids_size(reqids) == 2
        labels = [label for _, label in gen_statem.reqids_to_list(reqids)]
        assert labels == ["postponed", "now"]
        got = gen_statem.receive_response(reqids, 5)
        assert got == (("reply", ("a", 0)), "now", reqids)
        soon = process.monotonic_time() + 0.001
        assert gen_statem.wait_response(reqids, ("abs", soon)) == "timeout"
        gen_statem.cast(pid, goes("b"))
        got = gen_statem.wait_response(reqids, 5)
        assert got == (("reply", "in b"), "postponed", reqids)
        assert gen_statem.reqids_size(reqids) == 0
        gen_statem.stop(pid)

    run(body)


# enter_loop.


def enters(run: Runner, me: Pid, *actions: Action, module: Any = None, name: Any = None) -> Pid:
    """A process that becomes a machine in state a; ``me`` is its data and monitors it."""

    def body() -> None:
        process.send(self_pid(), "early")
        gen_statem.enter_loop(module or kind(run), "a", me, name=name, actions=actions)

    return process.spawn_monitor(body, green=run.green)[0]


def test_statem_24_a_process_becomes_a_machine(run: Runner) -> None:
    """start semantics as GenServer, enter_loop: with actions, a state that is entered, and what was
    in the mailbox."""

    def body() -> None:
        me = self_pid()
        actions: list[Action] = [
            SetStateTimeout(0, "time"),
            NextEvent(Internal(), "inserted"),
            Postpone(),  # of no event: without effect
        ]
        pid = enters(run, me, *actions, module=entering(run))
        assert heard() == (Enter("a"), "a", "a")
        assert heard() == (Internal(), "inserted", "a")
        assert heard() == (StateTimeout(), "time", "a")
        assert heard() == (Info(), "early", "a")
        gen_statem.cast(pid, goes("b"))
        assert heard() == (Enter("a"), "a", "b")
        for number in range(300):
            gen_statem.cast(pid, number)
        assert [heard() for _ in range(300)] == [(Cast(), n, "b") for n in range(300)]
        assert where(pid) == ("b", me)
        assert sys.get_status(pid)["parent"] == me
        assert sys.get_status(pid)["module"] is entering(run)
        gen_statem.stop(pid, "over")
        assert heard() == ("terminate", "over", "b")
        assert process.receive(Down, timeout=5).reason == "over"
        nothing_more()

    run(body)


def test_statem_24_a_machine_that_was_entered_ends_as_any_other(run: Runner) -> None:
    """start semantics as GenServer, enter_loop: bad actions and its parent's end."""

    def body() -> None:
        me = self_pid()
        wrong: Any = "wrong"
        enters(run, me, wrong)
        reason = ("bad_action_from_state_function", "wrong")
        assert heard() == ("terminate", reason, "a")
        assert process.receive(Down, timeout=5).reason == reason

        def parent() -> None:
            def child() -> None:
                process.flag(trap_exit=True)
                gen_statem.enter_loop(kind(run), "a", me)

            process.send(me, (process.spawn_link(child, green=run.green),))
            process.receive()

        boss = process.spawn(parent, green=run.green)
        pid = process.receive(tuple, timeout=5)[0]
        until(lambda: where(pid) == ("a", me))
        process.exit(boss, "gone")
        assert heard() == ("terminate", "gone", "a")
        gone(pid)

    run(body)


def test_statem_24_a_name_must_be_the_process_s_own(run: Runner) -> None:
    """start semantics as GenServer, enter_loop: process_not_registered / _globally."""

    def body() -> None:
        def reason(name: Any) -> Any:
            enters(run, self_pid(), name=name)
            return process.receive(Down, timeout=5).reason

        assert reason("nobody") == "process_not_registered"
        if run.node is not None:
            assert reason(Global("nobody")) == "process_not_registered_globally"

        def registers() -> None:
            process.register(self_pid(), "me")
            gen_statem.enter_loop(kind(run), "a", 0, name="me")

        process.spawn(registers, green=run.green)
        until(lambda: gen_statem.whereis("me"))
        assert sys.get_state("me") == ("a", 0)
        gen_statem.stop("me")

    run(body)


def test_statem_24_what_is_no_class_of_machines_is_not_entered(run: Runner) -> None:
    """start semantics as GenServer, enter_loop: a badarg in the process itself."""

    class Later(Machine):
        async def init(self, arg: Any) -> Any:
            raise NotImplementedError

    class NoMode(GenStatem[str, int]):
        pass

    def body() -> None:
        wrong: Any = GenServer
        with pytest.raises(BadArgument, match="is not a GenStatem class"):
            gen_statem.enter_loop(wrong, "a", 0)
        with pytest.raises(BadArgument, match="NoMode has no callback_mode"):
            gen_statem.enter_loop(NoMode, "a", 0)
        with pytest.raises(BadArgument, match=r"use await aio\.gen_statem\.enter_loop"):
            gen_statem.enter_loop(Later, "a", 0)

    run(body)
