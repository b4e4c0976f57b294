"""GenServer (GS-40 to 46): time-outs and continue."""

from typing import Any

import pytest

from otpy import (
    Down,
    NoReply,
    Ok,
    ReceiveTimeout,
    Reply,
    Stop,
    Timeout,
    gen_server,
    process,
    self_pid,
)
from tests.conformance.conftest import Runner
from tests.conformance.servers import kind


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
            second = lambda s: NoReply([*s, "second"])  # noqa: E731 - a value to hand over
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
