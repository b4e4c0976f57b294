"""proc_lib (PLIB), as GenServers and bare processes show it: starting, reports, stopping."""

from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    Node,
    Ok,
    Pid,
    StartError,
    Stop,
    gen_server,
    process,
    self_pid,
    supervisor,
    sys,
    task,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner
from tests.conformance.servers import Server, cast, crashing, kind
from tests.conformance.waiting import gone, nothing_more, wait

STARTS = (gen_server.start, gen_server.start_link, gen_server.start_monitor)


def raising() -> Any:
    raise ValueError("no")


def endless() -> Any:
    process.receive(where=lambda _: False)


def test_plib_01_every_start_waits_for_init(run: Runner) -> None:
    """start/start_link block until init_ack."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.send(me, ("asks", self_pid()))
            assert process.receive(str, timeout=5) == "go"
            return Ok(0)

        def starter(start: Any) -> None:
            start(kind(run), init)
            process.send(me, ("started",))
            wait()

        for start in STARTS:
            boss = process.spawn(starter, start, green=run.green)
            asks, pid = process.receive(tuple, timeout=5)
            assert asks == "asks"
            nothing_more()
            process.send(pid, "go")
            assert process.receive(tuple, timeout=5) == ("started",)
            for one in (boss, pid):
                process.exit(one, "kill")

    run(body)


def test_plib_02_a_crash_before_the_end_of_init_is_all_the_starter_sees(run: Runner) -> None:
    """crash before init_ack -> {error, Reason}; the EXIT is consumed."""

    def body() -> None:
        process.flag(trap_exit=True)
        for start in STARTS:
            for init, reason in (
                (raising, Crash("ValueError", "no")),
                (lambda: process.exit("out"), "out"),
                (lambda: Stop("why"), "why"),
            ):
                with pytest.raises(StartError) as failed:
                    start(kind(run), init)
                assert failed.value.reason == reason
                nothing_more()

    run(body)


def test_plib_03_a_start_that_ends_normally_is_an_error(run: Runner) -> None:
    """returning without ack -> {error, normal}."""

    def body() -> None:
        with pytest.raises(StartError) as failed:
            gen_server.start_link(kind(run), process.exit)
        assert failed.value.reason == "normal"

    run(body)


def test_plib_04_a_start_that_takes_too_long_leaves_nothing(run: Runner) -> None:
    """timeout -> {error, timeout}, child killed, no stray messages."""

    def body() -> None:
        process.flag(trap_exit=True)
        me = self_pid()

        def init() -> Any:
            process.send(me, self_pid())
            endless()

        for start in (gen_server.start, gen_server.start_link):
            with pytest.raises(StartError) as failed:
                start(kind(run), init, timeout=0.02)
            assert failed.value.reason == "timeout"
            gone(process.receive(Pid, timeout=5))
            nothing_more()

    run(body)


def test_plib_05_a_monitor_of_a_failed_start_leaves_no_down(run: Runner) -> None:
    """start_monitor timeout kills the child; its DOWN is consumed (as in gen:start)."""

    def body() -> None:
        me = self_pid()

        def init() -> Any:
            process.send(me, self_pid())
            endless()

        with pytest.raises(StartError) as failed:
            gen_server.start_monitor(kind(run), init, timeout=0.02)
        assert failed.value.reason == "timeout"
        gone(process.receive(Pid, timeout=5))
        nothing_more()
        with pytest.raises(StartError):
            gen_server.start_monitor(kind(run), raising)
        nothing_more()
        info = process.info(me, "monitors")
        assert info == {"monitors": []}

    run(body)


@pytest.mark.parametrize(
    ("reason", "labels"),
    [
        ("normal", []),
        ("shutdown", []),
        (("shutdown", "x"), []),
        ("weird", ["gen_server_terminate"]),
    ],
)
def test_plib_07_only_abnormal_exits_are_reported(
    run: Runner, capture_reports: Reports, reason: Any, labels: list[str]
) -> None:
    """crash report for abnormal exits only (not normal/shutdown/{shutdown,_})."""

    def body() -> None:
        capture_reports.records.clear()
        pid, ref = gen_server.start_monitor(kind(run), 0)
        cast(pid, lambda s: Stop(reason, s))
        assert process.receive(Down, timeout=5) == Down(ref, pid, reason)
        assert [report["label"] for report in capture_reports.reports] == labels

    run(body)


def crash_with_everything(to: Pid) -> None:
    process.register(self_pid(), "crasher")
    process.put("key", "value")
    process.send(self_pid(), "unread")
    process.link(to)
    raise KeyError("oops")


def test_plib_08_a_crash_report_has_all_facts(run: Runner, capture_reports: Reports) -> None:
    """crash report has initial_call, pid, registered_name, error_info{class,reason,stack},
    ancestors, messages, links, dictionary, trap_exit, status, neighbours."""

    def body() -> None:
        capture_reports.records.clear()
        me = self_pid()
        process.flag(trap_exit=True)
        pid, ref = process.spawn_monitor(crash_with_everything, me, green=run.green)
        assert process.receive(Down, timeout=5).ref == ref
        (report,) = capture_reports.reports
        assert isinstance(report.pop("crash_reason").__traceback__.tb_lineno, int)
        assert "raise KeyError" in report["error"].traceback_text
        assert report == {
            "label": "process_crash",
            "pid": pid,
            "registered_name": "crasher",
            "initial_call": f"{__name__}.crash_with_everything",
            "error": Crash("KeyError", "'oops'"),
            "ancestors": (me, *report["ancestors"][1:]),
            "message_queue_len": 1,
            "messages": ["unread"],
            "links": [me],
            "dictionary": {"key": "value"},
            "trap_exit": False,
            "status": "running",
            "neighbours": [],
        }

    run(body)


def test_plib_08_a_servers_report_has_them_too(run: Runner, capture_reports: Reports) -> None:
    """The report of a gen_server has the same facts of its process."""

    def body() -> None:
        capture_reports.records.clear()
        pid, _ = gen_server.start_monitor(kind(run), 0, name="crasher")
        gen_server.cast(pid, crashing)
        process.receive(Down, timeout=5)
        (report,) = capture_reports.reports
        assert report["initial_call"].endswith(f".{kind(run).__qualname__}.init")
        assert (report["pid"], report["registered_name"]) == (pid, "crasher")
        assert report["ancestors"][0] == self_pid()
        assert [report[key] for key in ("messages", "links", "neighbours")] == [[], [], []]
        assert (report["dictionary"], report["trap_exit"]) == ({}, False)
        assert report["status"] == "running"

    run(body)


def test_plib_08_what_a_suspended_server_has_not_handled_is_counted(
    run: Runner, capture_reports: Reports
) -> None:
    """messages: in OTP a suspended server leaves them in its mailbox, so they are its messages."""

    def crash(server: Pid) -> None:
        process.link(server)
        raise KeyError("oops")

    def body() -> None:
        capture_reports.records.clear()
        server, ref = gen_server.start_monitor(kind(run), 0)
        sys.suspend(server)
        process.send(server, "unread")
        sys.get_state(server)  # it has that by now
        process.spawn(crash, server, green=run.green)
        assert process.receive(Down, timeout=5).ref == ref
        (report,) = [r for r in capture_reports.reports if r["label"] == "process_crash"]
        (neighbour,) = report["neighbours"]
        assert (neighbour["pid"], neighbour["message_queue_len"]) == (server, 1)

    run(body)


def erasing(_: Any) -> Any:
    process.put("a", 1)
    process.delete("a")
    raise RuntimeError("oops")


def test_plib_09_a_process_without_a_dictionary_is_reported_in_full(
    run: Runner, capture_reports: Reports
) -> None:
    """report still produced when the process dictionary was erased: nothing of it is kept
    there."""

    def body() -> None:
        capture_reports.records.clear()
        process.spawn_monitor(erasing, 0, green=run.green)
        process.receive(Down, timeout=5)
        (report,) = capture_reports.reports
        assert report["dictionary"] == {}
        assert report["initial_call"] == f"{__name__}.erasing"
        assert report["ancestors"][0] == self_pid()

    run(body)


def test_plib_10_neighbours_are_linked_and_do_not_trap(
    run: Runner, capture_reports: Reports
) -> None:
    """neighbours = linked processes that do not trap exits (and theirs)."""

    def body() -> None:
        capture_reports.records.clear()
        me = self_pid()

        def trapping() -> None:
            process.flag(trap_exit=True)
            process.send(me, "traps")
            wait()

        def near(far: Pid) -> None:
            process.link(far)
            process.send(me, "linked")
            wait()

        def crash(*others: Pid) -> None:
            for other in others:
                process.link(other)
            raise RuntimeError("oops")

        three = process.spawn(wait, green=run.green)
        two = process.spawn(near, three, green=run.green)
        one = process.spawn(trapping, green=run.green)
        assert {process.receive(str, timeout=5) for _ in range(2)} == {"traps", "linked"}
        _, ref = process.spawn_monitor(crash, one, two, green=run.green)
        process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
        (report,) = capture_reports.reports
        assert [row["pid"] for row in report["neighbours"]] == [two, three]
        assert report["neighbours"][0]["initial_call"].endswith(".near")
        assert report["neighbours"][0]["trap_exit"] is False
        process.exit(one, "kill")

    run(body)


def test_plib_11_the_initial_call_is_the_users(run: Runner) -> None:
    """initial_call resolves to the user function for gen_* and Task processes, the callback module
    for supervisors."""

    class Own(kind(run)):  # type: ignore[misc]  # chosen at run time
        """Has the ``init`` of its base."""

    class Boss(supervisor.Supervisor):
        def init(self, arg: Any) -> Any:
            return supervisor.init([], strategy="one_for_one")

    def call_of(pid: Pid) -> str:
        info = process.info(pid, "initial_call")
        assert info is not None
        return str(info["initial_call"])

    def body() -> None:
        pid = gen_server.start(Own, 0)
        assert call_of(pid) == f"{__name__}.{Own.__qualname__}.init"
        boss = supervisor.start_link(Boss)
        assert call_of(boss) == f"{__name__}.{Boss.__qualname__}.init"
        bare = process.spawn(wait, green=run.green)
        assert call_of(bare) == f"{wait.__module__}.wait"
        waiting = task.start(wait, green=run.green)
        assert call_of(waiting) == f"{wait.__module__}.wait"
        for one in (pid, bare, waiting):
            process.exit(one, "kill")
        supervisor.stop(boss)

    run(body)


def test_plib_12_stop_says_how_it_ended(run: Runner) -> None:
    """stop: noproc / reason mismatch exits with the real reason / timeout."""

    class Mind(kind(run)):  # type: ignore[misc]  # chosen at run time
        def terminate(self, reason: Any, state: Any) -> None:
            process.exit("own reason")

    class Slow(kind(run)):  # type: ignore[misc]  # chosen at run time
        def terminate(self, reason: Any, state: Any) -> None:
            endless()

    def body() -> None:
        with pytest.raises(CallExit) as ended:
            gen_server.stop("nobody")
        assert ended.value.reason == "noproc"
        with pytest.raises(CallExit) as ended:
            gen_server.stop(gen_server.start(Mind, 0))
        assert ended.value.reason == "own reason"
        pid = gen_server.start(Slow, 0)
        with pytest.raises(CallTimeout):
            gen_server.stop(pid, "normal", 0.02)
        process.exit(pid, "kill")

    run(body)


def test_plib_01_a_taken_name_ends_the_wait(node: Node) -> None:
    """start blocks until init_ack, or until it is clear that there will be none."""
    pid = gen_server.start(Server, 0, name="one")
    for start in STARTS:
        with pytest.raises(AlreadyStarted):
            start(Server, 0, name="one")
    gen_server.stop(pid)
