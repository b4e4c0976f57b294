"""Timers of processes (TIMERB)."""

from typing import Any

import pytest

from otpy import BadArgument, Down, Pid, ReceiveTimeout, TimerFired, process, self_pid
from tests.conformance.conftest import Runner


def test_timerb_01_send_after_sends_the_bare_message(run: Runner) -> None:
    """send_after delivers the message; start_timer {timeout, ref, msg}."""

    def body() -> None:
        process.send_after(self_pid(), "plain", 0.001)
        assert process.receive(timeout=5) == "plain"
        ref = process.start_timer(self_pid(), "wrapped", 0.001)
        assert process.receive(timeout=5) == TimerFired(ref, "wrapped")

    run(body)


def test_timerb_02_cancel_gives_the_seconds_left(run: Runner) -> None:
    """Cancel of an active timer returns what is left; of any other false."""

    def body() -> None:
        ref = process.send_after(self_pid(), "x", 60.0)
        left = process.cancel_timer(ref)
        assert left is not None
        assert 50 < left <= 60
        assert process.cancel_timer(ref) is None
        ref = process.send_after(self_pid(), "x", 0.0)
        assert process.receive(timeout=5) == "x"
        assert process.cancel_timer(ref) is None

    run(body)


def test_timerb_03_cancel_after_expiry_keeps_the_message(run: Runner) -> None:
    """Cancel after expiry does not remove the delivered message."""

    def body() -> None:
        ref = process.send_after(self_pid(), "late", 0.0)
        process.send_after(self_pid(), "later", 0.001)
        assert process.receive(where=lambda m: m == "later", timeout=5) == "later"
        assert process.cancel_timer(ref) is None
        assert process.receive(timeout=0) == "late"

    run(body)


def test_timerb_04_read_gives_the_seconds_left(run: Runner) -> None:
    """read_timer returns what is left or false."""

    def body() -> None:
        ref = process.send_after(self_pid(), "x", 60.0)
        left = process.read_timer(ref)
        assert left is not None
        assert 50 < left <= 60
        process.cancel_timer(ref)
        assert process.read_timer(ref) is None

    run(body)


def test_timerb_06_timers_fire_in_the_order_of_their_times(run: Runner) -> None:
    """Distinct expiries fire in expiry order."""

    def body() -> None:
        for number in (3, 1, 2, 5, 4):
            process.send_after(self_pid(), number, number / 20)  # arming takes time too
        assert [process.receive(timeout=5) for _ in range(5)] == [1, 2, 3, 4, 5]

    run(body)


def test_timerb_07_a_timer_to_a_pid_dies_with_it(run: Runner) -> None:
    """A timer to a pid is dropped when the pid dies."""

    def body() -> None:
        pid, _ = process.spawn_monitor(process.receive, green=run.green)
        ref = process.send_after(pid, "x", 60.0)
        process.exit(pid, "kill")
        process.receive(Down, timeout=5)
        assert process.read_timer(ref) is None

    run(body)


def test_timerb_08_a_timer_to_a_name_finds_it_when_it_fires(run: Runner) -> None:
    """The name is resolved at expiry."""

    def body() -> None:
        process.send_after("nobody_yet", "x", 0.01)
        process.register(self_pid(), "nobody_yet")
        assert process.receive(timeout=5) == "x"

    run(body)


@pytest.mark.parametrize("seconds", [-1, "1", None, float("nan"), True])
def test_timerb_09_bad_times_raise(run: Runner, seconds: Any) -> None:
    """Negative and other bad times raise."""

    def body() -> None:
        with pytest.raises(BadArgument, match="seconds"):
            process.send_after(self_pid(), "x", seconds)
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)


def test_timerb_11_a_timer_to_another_node_is_refused(run: Runner) -> None:
    """Timer targets on other nodes are rejected."""

    def body() -> None:
        with pytest.raises(BadArgument, match="another node"):
            process.send_after(Pid(1, "far@nohost", 2, 3), "x", 1.0)

    run(body)
