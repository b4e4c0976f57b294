"""GenServer (GS-40 to 46): time-outs and continue."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from collections.abc import Callable
from typing import Any

from otpy import (
    Down,
    NoReply,
    Ok,
    Reply,
    Stop,
    Timeout,
    gen_server,
    process,
    self_pid,
    sys,
)
from otpy.runtime._current import current
from tests.conformance.conftest import Runner
from tests.conformance.servers import (
    Server,
    ask,
    cast,
    kind,
)


def test_gs_40_a_timeout_is_an_info(run: Runner) -> None:
    """{.., Timeout} delivers info timeout."""

    def body() -> None:
        me = self_pid()

        class Waiting(kind(run)):  # type: ignore[misc]  # chosen at run time
            def handle_info(self, message: Any, state: Any) -> Any:
                process.send(me, message)

        pid = gen_server.start(Waiting, lambda: Ok(0, timeout=0.01))
        assert process.receive(timeout=5) == Timeout()
        gen_server.stop(pid)

    run(body)


def told_infos(run: Runner) -> type[Server]:
    """Its infos go to whoever made it."""
    me = self_pid()

    class Waiting(kind(run)):  # type: ignore[misc]  # chosen at run time
        def handle_info(self, message: Any, state: Any) -> Any:
            process.send(me, message)

    return Waiting


def test_gs_41_any_message_cancels_the_pending_timeout(run: Runner) -> None:
    """any message cancels the pending timeout."""

    def body() -> None:
        cls = told_infos(run)
        pokes: list[Callable[[Any], Any]] = [
            lambda pid: process.send(pid, "poke"),
            lambda pid: cast(pid, lambda _: None),
            lambda pid: gen_server.call(pid, "x"),
        ]
        for poke in pokes:
            pid = gen_server.start(cls, lambda: Ok(0, timeout=0.05))
            poke(pid)
            process.send_after(pid, "later", 0.1)
            heard = process.receive(timeout=5)
            assert heard == "later" or (heard, process.receive(timeout=5)) == ("poke", "later")
            gen_server.stop(pid)

    run(body)


def test_gs_42_a_system_message_begins_the_timeout_anew(run: Runner) -> None:
    """a system message (sys:get_state) restarts the timeout in full rather than cancelling
    it."""

    def body() -> None:
        clock = current().node.clock
        pid = gen_server.start(told_infos(run), lambda: Ok(0, timeout=0.05))
        process.send_after(self_pid(), "midway", 0.03)
        assert process.receive(timeout=5) == "midway"
        asked = clock.now()
        assert sys.get_state(pid) == 0
        assert process.receive(timeout=5) == Timeout()
        assert clock.now() >= asked + 0.05
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
        reply = ask(pid, lambda _, __: Reply("r", continue_=lambda s: Stop("done", s)))
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
