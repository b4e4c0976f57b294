"""Timers of processes (TIMERB)."""

from typing import Any

import pytest

from otpy import (
    BadArgument,
    Down,
    Pid,
    ReceiveTimeout,
    TimerCancelled,
    TimerFired,
    TimerRead,
    process,
    self_pid,
)
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


def test_timerb_05_the_answer_to_a_cancel_may_come_as_a_message(run: Runner) -> None:
    """cancel with async delivers {cancel_timer, ref, result}; info:false returns ok."""

    def body() -> None:
        ref = process.send_after(self_pid(), "x", 60.0)
        assert process.read_timer(ref, async_=True) is None
        read = process.receive(TimerRead, timeout=5)
        assert read.ref == ref
        assert 50 < read.remaining <= 60
        assert process.cancel_timer(ref, async_=True) is None
        cancelled = process.receive(TimerCancelled, timeout=5)
        assert cancelled.ref == ref
        assert 50 < cancelled.remaining <= 60
        process.cancel_timer(ref, async_=True)
        assert process.receive(timeout=5) == TimerCancelled(ref, None)
        for async_ in (False, True):
            ref = process.send_after(self_pid(), "x", 60.0)
            assert process.cancel_timer(ref, async_=async_, info=False) is None
            assert process.read_timer(ref) is None
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)


def test_timerb_06_timers_fire_in_the_order_of_their_times(run: Runner) -> None:
    """Distinct expiries fire in expiry order."""

    def body() -> None:
        begin = process.monotonic_time() + 0.1
        for number in (3, 1, 2, 5, 4):
            process.send_after(self_pid(), number, begin + number / 200, abs=True)
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


def test_timerb_10_a_time_may_be_an_instant(run: Runner) -> None:
    """abs:true interprets time as monotonic ms (here seconds)."""

    def body() -> None:
        soon = process.monotonic_time() + 0.01
        process.send_after(self_pid(), "x", soon, abs=True)
        ref = process.start_timer(self_pid(), "y", soon + 60, abs=True)
        left = process.read_timer(ref)
        assert left is not None
        assert 50 < left < 60.02
        assert process.receive(timeout=5) == "x"
        assert process.monotonic_time() >= soon
        process.cancel_timer(ref)
        ref = process.start_timer(self_pid(), "over", -1.0, abs=True)
        assert process.receive(timeout=5) == TimerFired(ref, "over")
        wrongs: list[Any] = ["1", None, float("nan"), True]
        for wrong in wrongs:
            with pytest.raises(BadArgument, match="instant"):
                process.send_after(self_pid(), "x", wrong, abs=True)

    run(body)


def test_timerb_11_a_timer_to_another_node_is_refused(run: Runner) -> None:
    """Timer targets on other nodes are rejected."""

    def body() -> None:
        with pytest.raises(BadArgument, match="another node"):
            process.send_after(Pid(1, "far@nohost", 2, 3), "x", 1.0)

    run(body)
