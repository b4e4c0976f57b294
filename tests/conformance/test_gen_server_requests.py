"""Calls that do not wait (GS-64 to GS-68), and ``enter_loop`` (GS-15)."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    Down,
    Global,
    NoReply,
    NotAName,
    Reply,
    Response,
    Stop,
    Timeout,
    Via,
    gen_server,
    process,
    self_pid,
    sys,
)
from otpy.runtime._current import current
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import Book, Server, async_server, cast, kind
from tests.conformance.waiting import gone, nothing_more

__all__ = ["cluster"]


def keep(from_: Any, _: Any) -> Any:
    """Keep who asked, and answer later."""
    return NoReply(from_)


def answer(value: Any) -> Any:
    """Answer who was kept."""

    def now(from_: Any) -> Any:
        gen_server.reply(from_, value)

    return now


def test_gs_64_a_wait_may_be_repeated_and_a_receive_gives_up(run: Runner) -> None:
    """wait_response timeout keeps the request usable; receive_response timeout abandons it."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        request = gen_server.send_request(pid, keep)
        for _ in range(2):
            assert gen_server.wait_response(request, 0.001) == "timeout"
        cast(pid, answer("late"))
        assert gen_server.wait_response(request, 5) == ("reply", "late")
        request = gen_server.send_request(pid, keep)
        assert gen_server.receive_response(request, 0.001) == "timeout"
        cast(pid, answer("too late"))
        sys.get_state(pid)
        nothing_more()
        assert process.info(self_pid(), "monitors") == {"monitors": []}
        given_up = gen_server.send_request(pid, keep)
        until(lambda: current().node.procs[pid].deferred)
        assert gen_server.receive_response(given_up, 0) == "timeout"
        until(lambda: not current().node.procs[pid].deferred)
        with pytest.raises(BadArgument, match="no answer can come"):
            gen_server.receive_response(request, 5)
        gen_server.stop(pid)

    run(body)


def test_gs_65_another_message_is_no_reply(run: Runner) -> None:
    """check_response(other msg) -> no_reply."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        request = gen_server.send_request(pid, "x")
        other = gen_server.send_request(pid, "y")
        message = process.receive(where=lambda m: m.ref == request.ref, timeout=5)
        assert gen_server.check_response("hello", request) == "no_reply"
        assert gen_server.check_response(message, other) == "no_reply"
        assert gen_server.check_response(message, request) == ("reply", ("x", 0))
        assert gen_server.receive_response(other, 5) == ("reply", ("y", 0))
        nothing_more()
        gen_server.stop(pid)

    run(body)


def test_gs_66_errors_are_answers(run: Runner) -> None:
    """errors surface as {error, {Reason, ServerRef}}, never raise (except bad via module)."""

    def body() -> None:
        def error(server: Any, request: Any = "x") -> Any:
            return gen_server.receive_response(gen_server.send_request(server, request), 5)

        pid = gen_server.start(kind(run), 0)
        assert error(pid, lambda _, s: Stop("weird", s)) == ("error", ("weird", pid))
        assert error(pid) == ("error", ("noproc", pid))
        far = At("any", "nowhere@nohost")
        for name in ("nobody", Via(Book(), "nobody")):
            assert error(name) == ("error", ("noproc", name))
        assert error(far) == ("error", (("nodedown", "nowhere@nohost"), far))
        pid = gen_server.start(kind(run), 0)
        waiting = gen_server.send_request(pid, keep)
        until(lambda: sys.get_state(pid) != 0)
        process.exit(pid, "kill")
        assert gen_server.receive_response(waiting, 5) == ("error", ("killed", pid))
        with pytest.raises(NotAName, match="expected a registry"):
            gen_server.send_request(Via(object(), "x"), "x")
        nothing_more()

    run(body)


def test_gs_66_a_node_that_is_lost_is_an_answer(cluster: Cluster) -> None:
    """errors surface as {error, {Reason, ServerRef}}: nodedown, for every request that is out."""
    cluster.start("ab")
    with cluster.nodes["b"].attached():
        pid = gen_server.start(Server, 0)
    with cluster.nodes["a"].attached():
        reqids = gen_server.reqids_new()
        for label in range(3):
            gen_server.send_request(pid, keep, label, reqids)
        assert gen_server.call(pid, "x")[0] == "x"
        cluster.partition("a", "b")
        for label in range(3):
            lost = ("error", (("nodedown", "b@127.0.0.1"), pid))
            assert gen_server.receive_response(reqids, 5) == (lost, label, reqids)
        nothing_more()


@pytest.mark.otpy_leaves_processes
def test_gs_67_a_collection_gives_answers_as_they_come(run: Runner) -> None:
    """request collections: add/size/to_list, responses in completion order with labels, no_request
    when empty, duplicate add badarg."""

    def body() -> None:
        reqids = gen_server.reqids_new()
        assert gen_server.receive_response(reqids, 5) == "no_request"
        assert gen_server.wait_response(reqids, 5) == "no_request"
        assert gen_server.check_response("hello", reqids) == "no_request"
        pids = [gen_server.start(kind(run), 0) for _ in range(3)]
        first = gen_server.send_request(pids[0], keep)
        assert gen_server.reqids_add(first, "first", reqids) is reqids
        with pytest.raises(BadArgument, match="already"):
            gen_server.reqids_add(first, "again", reqids)
        gen_server.send_request(pids[1], keep, "second", reqids)
        gen_server.send_request(pids[2], "x", ("third", 3), reqids)
        assert gen_server.reqids_size(reqids) == 3
        labels = [label for _, label in gen_server.reqids_to_list(reqids)]
        assert labels == ["first", "second", ("third", 3)]
        assert gen_server.reqids_to_list(reqids)[0][0] == first
        got = gen_server.receive_response(reqids, 5)
        assert got == (("reply", ("x", 0)), ("third", 3), reqids)
        assert gen_server.wait_response(reqids, 0.001) == "timeout"
        process.exit(pids[1], "kill")
        got = gen_server.receive_response(reqids, 5, delete=False)
        assert got == (("error", ("killed", pids[1])), "second", reqids)
        assert gen_server.reqids_size(reqids) == 2
        cast(pids[0], answer(1))
        message = process.receive(Response, timeout=5)
        assert gen_server.check_response("hello", reqids) == "no_reply"
        assert gen_server.check_response(message, reqids) == (("reply", 1), "first", reqids)
        assert gen_server.reqids_size(reqids) == 1
        with pytest.raises(BadArgument, match="no answer can come"):
            gen_server.receive_response(reqids, 5)
        nothing_more()

    run(body)


def test_gs_67_a_time_out_gives_up_the_whole_collection(run: Runner) -> None:
    """request collections: nothing late arrives of one that was given up."""

    def body() -> None:
        pids = [gen_server.start(kind(run), 0) for _ in range(3)]
        reqids = gen_server.reqids_new()
        for pid in pids:
            gen_server.send_request(pid, keep, pid, reqids)
        assert gen_server.receive_response(reqids, 0.001) == "timeout"
        for pid in pids:
            cast(pid, answer("late"))
            gen_server.stop(pid)
        nothing_more()

    run(body)


def test_gs_67_what_is_no_request_is_refused(run: Runner) -> None:
    """request collections: what is none, and what is no request, is a badarg."""

    def body() -> None:
        wrong: Any = "wrong"
        with pytest.raises(BadArgument, match="expected what send_request gave"):
            gen_server.receive_response(wrong)
        with pytest.raises(BadArgument, match="no collection"):
            gen_server.reqids_size(wrong)
        with pytest.raises(BadArgument, match="what send_request gave"):
            gen_server.reqids_add(wrong, 1, gen_server.reqids_new())
        with pytest.raises(BadArgument, match="a label and a collection"):
            gen_server.send_request("x", "y", "label")  # type: ignore[call-overload]  # wrong
        pid = gen_server.start(kind(run), 0)
        request = gen_server.send_request(pid, keep)

        def other() -> None:
            gen_server.receive_response(request, 5)

        taker, _ = process.spawn_monitor(other, green=run.green)
        reason = process.receive(Down, where=lambda down: down.pid == taker, timeout=5).reason
        assert "another process sent the request" in reason.message
        gen_server.stop(pid)

    run(body)


def test_gs_68_a_time_out_may_be_an_instant(run: Runner) -> None:
    """{abs, deadline} timeouts accepted."""

    def body() -> None:
        pid = gen_server.start(kind(run), 0)
        reqids = gen_server.send_request(pid, keep, "only", gen_server.reqids_new())
        soon = process.monotonic_time() + 0.01
        assert gen_server.wait_response(reqids, ("abs", soon)) == "timeout"
        assert process.monotonic_time() >= soon
        assert gen_server.wait_response(reqids, ("abs", 0)) == "timeout"
        cast(pid, answer(1))
        later = ("abs", process.monotonic_time() + 5)
        assert gen_server.receive_response(reqids, later) == (("reply", 1), "only", reqids)
        request = gen_server.send_request(pid, "x")
        wrongs: list[Any] = [("abs", "soon"), ("abs",), ("rel", 1), ("abs", True), -1]
        for wrong in wrongs:
            with pytest.raises(BadArgument):
                gen_server.receive_response(request, wrong)
        kept = gen_server.receive_response(request)
        assert (kept[0], kept[1][0]) == ("reply", "x")
        gen_server.stop(pid)

    run(body)


# enter_loop.


def test_gs_15_a_process_becomes_a_server(run: Runner) -> None:
    """enter_loop: a running process takes calls, casts, system messages and its parent's exit."""

    def body() -> None:
        me = self_pid()
        pid, ref = process.spawn_monitor(
            lambda: gen_server.enter_loop(kind(run), ("tell", me), timeout=0.001), green=run.green
        )
        assert process.receive(timeout=5) == ("info", Timeout())
        for number in range(300):
            gen_server.cast(pid, lambda s, number=number: NoReply((*s[:2], number)))
        assert gen_server.call(pid, "x") == ("x", ("tell", me, 299))
        assert sys.get_status(pid)["module"] is kind(run)
        assert sys.get_status(pid)["parent"] == me
        gen_server.stop(pid, "over")
        assert process.receive(timeout=5) == ("terminate", "over")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "over")

        def continued() -> None:
            gen_server.enter_loop(kind(run), 1, continue_=lambda s: NoReply(s + 1))

        pid = process.spawn(continued, green=run.green)
        assert sys.get_state(pid) == 2
        process.exit(pid, "kill")
        gone(pid)
        nothing_more()

    run(body)


def test_gs_15_a_name_must_be_the_process_s_own(run: Runner) -> None:
    """enter_loop verifies registration: process_not_registered / _globally / {_via, Mod}."""

    def body() -> None:
        book = Book()

        def reason(name: Any) -> Any:
            def enter() -> None:
                gen_server.enter_loop(kind(run), 0, name=name)

            process.spawn_monitor(enter, green=run.green)
            return process.receive(Down, timeout=5).reason

        assert reason("nobody") == "process_not_registered"
        assert reason(Server) == "process_not_registered"
        assert reason(Via(book, "x")) == ("process_not_registered_via", book)
        if run.node is not None:
            assert reason(Global("nobody")) == "process_not_registered_globally"
        process.register(self_pid(), "somebody")
        assert reason("somebody") == "process_not_registered"

        def registers() -> None:
            process.register(self_pid(), "me")
            book.register_name("me", self_pid())
            gen_server.enter_loop(kind(run), 0, name="me")

        def by_book() -> None:
            book.register_name("other", self_pid())
            gen_server.enter_loop(kind(run), 1, name=Via(book, "other"))

        process.spawn(registers, green=run.green)
        process.spawn(by_book, green=run.green)
        until(lambda: gen_server.whereis("me") and gen_server.whereis(Via(book, "other")))
        assert gen_server.call("me", "x") == ("x", 0)
        assert gen_server.call(Via(book, "other"), "x") == ("x", 1)
        gen_server.stop("me")
        gen_server.stop(Via(book, "other"))
        process.unregister("somebody")

    run(body)


def test_gs_15_what_is_no_server_class_is_refused(run: Runner) -> None:
    """enter_loop: a badarg in the process itself."""

    def body() -> None:
        wrong: Any = int
        with pytest.raises(BadArgument, match="expected a GenServer class"):
            gen_server.enter_loop(wrong, 0)
        with pytest.raises(BadArgument, match=r"aio\.enter_loop"):
            gen_server.enter_loop(async_server(), 0)
        with pytest.raises(BadArgument, match="timeout"):
            gen_server.enter_loop(kind(run), 0, timeout=-1)
        pid = gen_server.start(kind(run), 0)
        assert gen_server.call(pid, lambda _, s: Reply(s)) == 0
        gen_server.stop(pid)

    run(body)
