"""``sys`` (SYS) and ``format_status`` (GS-71, 72)."""

import pytest

from otpy import CallExit, CallTimeout, Down, NoReply, gen_server, process, self_pid, sys
from tests.conformance.conftest import Runner
from tests.conformance.servers import kind


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
