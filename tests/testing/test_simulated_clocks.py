"""Clocks of simulated nodes that run too fast or too slow, and what follows them."""

import asyncio
import time
from typing import Any

import pytest

from otpy import GenServer, Ok, gen_server, process, self_pid
from otpy.runtime.simulated import NodeClock, VirtualClock
from otpy.terms.errors import BadArgument
from otpy.testing.faults import ClockSkew, Crash, Pause
from otpy.testing.simulation import ClusterSimulation
from tests.testing.bodies import ticks

A, B = NAMES = ("a@sim", "b@sim")


def cluster() -> ClusterSimulation:
    sim = ClusterSimulation(1, NAMES)
    sim.wait(sim.meshed)
    return sim


def shown(sim: ClusterSimulation, name: str) -> float:
    """How many seconds a node's clock has gained since the start."""
    return sim.nodes[name].clock.now() - sim.began


def test_a_skewed_clock_gains_and_keeps_what_it_has_gained() -> None:
    sim = cluster()
    began = sim.elapsed
    sim.inject(ClockSkew(A, 1.01, 100.0))
    sim.let_faults_pass()
    assert shown(sim, A) == pytest.approx(began + 101.0)
    assert shown(sim, B) == pytest.approx(began + 100.0)
    sim.let_pass(50.0)
    assert shown(sim, A) == pytest.approx(began + 151.0)


@pytest.mark.parametrize("rate", [0.5, 0.99, 1.01, 2.0])
def test_all_timers_of_a_node_follow_its_clock(rate: float) -> None:
    sim = cluster()
    sim.inject(ClockSkew(A, 1.5, 1.0))  # so it is ahead from the beginning
    sim.let_faults_pass()
    due: dict[str, float] = {}
    began = sim.elapsed

    def note(what: str) -> None:
        due[what] = sim.elapsed - began

    def timers() -> None:
        process.send_after(self_pid(), "timer", 10.0)
        process.receive()
        note("send_after")

    def sleeps() -> None:
        process.sleep(10.0)
        note("sleep")

    def sleeps_as_ever() -> None:
        clock = time.monotonic()
        time.sleep(10.0)
        assert time.monotonic() - clock == pytest.approx(10.0)
        note("time.sleep")

    async def awaits() -> None:
        await asyncio.sleep(10.0)
        note("asyncio.sleep")

    class Idle(GenServer[None], green=True):
        def init(self, arg: None) -> Ok[None]:
            return Ok(None, timeout=10.0)

        def handle_info(self, message: Any, state: None) -> None:
            note("timeout")

    def begin() -> None:
        gen_server.start(Idle, None)
        for fn in (timers, sleeps, sleeps_as_ever, awaits):
            process.spawn(fn)

    sim.call(A, begin)
    sim.let_pass(5.0)
    sim.inject(ClockSkew(A, rate, 100.0))
    sim.let_pass(20.0)
    wanted = 5.0 + 5.0 / rate  # the first half at the usual rate
    assert set(due) == {"send_after", "sleep", "time.sleep", "asyncio.sleep", "timeout"}
    assert all(instant == pytest.approx(wanted) for instant in due.values()), due


def test_a_skewed_clock_never_shows_less_than_who_it_wakes_has_waited_for() -> None:
    """Else he would wait again, at the same instant, for ever."""
    sim = cluster()
    sim.call(A, lambda: process.spawn(ticks([], sim)))
    for number in range(200):
        sim.inject(ClockSkew(A, 1.0 + number / 7919, 1.0))
        clock = sim.nodes[A].clock
        assert isinstance(clock, NodeClock)
        for seconds in (1e-6, 0.1, 1 / 3, 7.7, 1e5):
            wanted = clock.now() + seconds
            instant = clock.instant(wanted)
            assert instant == pytest.approx(sim.sched.clock.time + seconds / clock.rate)
            twin = VirtualClock(instant)
            clock._base, base = twin, clock._base  # pyright: ignore[reportPrivateUsage]
            assert clock.now() >= wanted
            clock._base = base  # pyright: ignore[reportPrivateUsage]
        sim.let_pass(0.9)


def test_a_clock_is_skewed_also_after_a_crash_and_true_again_when_the_skew_is_over() -> None:
    sim = cluster()
    sim.inject(ClockSkew(A, 1.5, 20.0))
    sim.let_pass(5.0)
    sim.inject(Crash(A, 5.0))
    sim.let_pass(10.0)
    assert shown(sim, A) == pytest.approx(sim.elapsed + 2.5, abs=0.01), "for five seconds"
    sim.let_faults_pass()
    ahead = shown(sim, A) - sim.elapsed
    sim.let_pass(30.0)
    assert shown(sim, A) - sim.elapsed == pytest.approx(ahead)
    assert ahead == pytest.approx(5.0, abs=0.01)


def test_timers_of_a_paused_node_whose_clock_is_skewed_fire_when_it_goes_on() -> None:
    sim, log = cluster(), list[float]()
    sim.call(A, lambda: process.spawn(ticks(log, sim)))

    def waits() -> None:
        process.send_after(self_pid(), "tick", 1.0)
        process.receive(where=lambda message: message == "never")

    pid = sim.call(A, lambda: process.spawn(waits))
    sim.let_pass(0.1)
    sim.inject(Pause(A, 5.4))
    sim.inject(ClockSkew(A, 2.0, 100.0))
    sim.let_pass(5.3)
    assert log == []
    assert list(sim.nodes[A].procs[pid].mailbox) == []
    sim.let_pass(1.0)
    assert len(log) == 2, "late, and half a second after that"


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_clock_that_stands_or_goes_back_is_refused(rate: float) -> None:
    with pytest.raises(BadArgument, match="a rate above 0"):
        cluster().inject(ClockSkew(A, rate, 1.0))
