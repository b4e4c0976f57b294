"""What no callback may return: the server ends, its caller hears, the report tells what may be."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    Down,
    NoReply,
    Ok,
    Reply,
    StartError,
    gen_server,
    process,
    supervisor,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner
from tests.conformance.servers import kind

BAD_TIMES: list[Any] = ["x", -1, float("nan"), True]


@pytest.mark.parametrize("timeout", BAD_TIMES)
@pytest.mark.parametrize("result", [Reply, NoReply])
def test_gs_28_a_bad_timeout_of_a_result_is_a_bad_return(
    run: Runner, result: type, timeout: Any
) -> None:
    """``{reply, r, s, x}`` with x no time-out: the caller gets the exit, not the reply."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        answer = Reply(1, timeout=timeout) if result is Reply else NoReply(timeout=timeout)
        with pytest.raises(CallExit) as ended:
            gen_server.call(pid, lambda _from, _state: answer)
        assert ended.value.reason == ("bad_return_value", answer)

    run(body)


@pytest.mark.parametrize("timeout", BAD_TIMES)
def test_gs_28_a_bad_timeout_of_init_fails_the_start(run: Runner, timeout: Any) -> None:
    def body() -> None:
        with pytest.raises(StartError, match=r"expected Ok\(state\), IGNORE or Stop"):
            gen_server.start(kind(run), lambda: Ok(0, timeout=timeout))

    run(body)


@pytest.mark.parametrize(
    ("how", "callback", "results"),
    [
        ("call", "handle_call", "Reply, NoReply or Stop"),
        ("cast", "handle_cast", "NoReply, Stop without a reply, or None"),
        ("info", "handle_info", "NoReply, Stop without a reply, or None"),
        ("continue", "handle_continue", "NoReply, Stop without a reply, or None"),
    ],
)
@pytest.mark.parametrize("green", [False, True])
@pytest.mark.usefixtures("node")
def test_gs_28_the_report_of_a_bad_return_names_the_callback_and_what_it_may_return(
    how: str, callback: str, results: str, green: bool, capture_reports: Reports
) -> None:
    server = kind(Runner("green" if green else "thread", None))
    pid, ref = gen_server.start_monitor(server, 0)

    def oops(*_: Any) -> str:
        return "oops"

    match how:
        case "call":
            with pytest.raises(CallExit):
                gen_server.call(pid, oops)
        case "cast":
            gen_server.cast(pid, oops)
        case "info":
            process.send(pid, oops)
        case _:
            gen_server.cast(pid, lambda _: NoReply(continue_=oops))
    process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
    (text,) = capture_reports.texts
    assert "'oops'" in text
    assert f"{server.__qualname__}.{callback} may return {results}" in text


@pytest.mark.otpy_leaves_processes
@pytest.mark.parametrize("timeout", BAD_TIMES)
def test_gs_19_a_bad_timeout_of_a_call_is_named_and_nothing_is_sent(
    run: Runner, timeout: Any
) -> None:
    def body() -> None:
        seen: list[Any] = []
        pid = gen_server.start(kind(run), 0)
        with pytest.raises(BadArgument, match="expected seconds"):
            gen_server.call(pid, lambda *_: seen.append(1), timeout)
        with pytest.raises(BadArgument, match="expected seconds"):
            gen_server.stop(pid, "normal", timeout)
        with pytest.raises(BadArgument, match="expected seconds"):
            gen_server.start(kind(run), 0, timeout=timeout)
        assert gen_server.call(pid, "x") == ("x", 0)
        assert seen == []

    run(body)


@pytest.mark.usefixtures("node")
def test_sup_03_what_the_init_of_a_supervisor_may_return_is_told() -> None:
    class Bad(supervisor.Supervisor):
        def init(self, arg: Any) -> Any:
            return 7

    process.flag(trap_exit=True)
    with pytest.raises(StartError, match=r"Bad\.init returned 7; expected supervisor\.init"):
        supervisor.start_link(Bad)
