"""The circuit breaker, in virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.state_machines.circuit_breaker import CircuitBreaker, Options, Refused, run
from otpy import Pid, gen_statem, process, self_pid, sys
from otpy.testing import Simulation


def fails() -> None:
    raise OSError("no answer")


def broken() -> Pid:
    """A breaker that has just opened, for 30 seconds."""
    breaker = gen_statem.start_link(CircuitBreaker, Options(max_failures=3))
    for _ in range(3):
        with pytest.raises(OSError, match="no answer"):
            run(breaker, fails)
    assert state(breaker) == "open"
    return breaker


def state(breaker: Pid) -> Any:
    return sys.get_state(breaker)[0]


def simulated(scenario: Callable[[], None]) -> None:
    for seed in range(5):
        Simulation(seed).run(scenario)


def test_a_success_between_failures_keeps_it_closed() -> None:
    def scenario() -> None:
        breaker = gen_statem.start_link(CircuitBreaker, Options(max_failures=2))
        for _ in range(3):
            with pytest.raises(OSError, match="no answer"):
                run(breaker, fails)
            assert run(breaker, lambda: 5) == 5
        assert state(breaker) == "closed"

    simulated(scenario)


def test_an_open_breaker_refuses_without_trying() -> None:
    def scenario() -> None:
        breaker = broken()
        with pytest.raises(Refused):
            run(breaker, lambda: pytest.fail("it was tried"))
        process.sleep(30.1)
        assert state(breaker) == "half_open"

    simulated(scenario)


def test_one_success_closes_a_half_open_breaker_and_lets_the_others_in() -> None:
    def scenario() -> None:
        breaker = broken()
        process.sleep(30.1)
        me = self_pid()

        def another() -> None:
            process.send(me, run(breaker, lambda: "another"))

        def first() -> str:
            process.spawn(another, green=True)
            process.sleep(1)  # the other waits all this time
            return "first"

        assert run(breaker, first) == "first"
        assert process.receive(timeout=5) == "another"
        assert state(breaker) == "closed"

    simulated(scenario)


def test_the_end_of_who_tries_opens_a_half_open_breaker_again() -> None:
    def scenario() -> None:
        breaker = broken()
        process.sleep(30.1)
        process.spawn(lambda: run(breaker, lambda: process.exit("gone")), green=True)
        process.sleep(1)
        with pytest.raises(Refused):
            run(breaker, lambda: pytest.fail("it was tried"))
        assert state(breaker) == "open"

    simulated(scenario)


def test_a_failure_opens_a_half_open_breaker_again_and_refuses_who_waits() -> None:
    def scenario() -> None:
        breaker = broken()
        process.sleep(30.1)
        me = self_pid()

        def another() -> None:
            with pytest.raises(Refused):
                run(breaker, lambda: pytest.fail("it was tried"))
            process.send(me, "refused")

        def first() -> None:
            process.spawn(another, green=True)
            process.sleep(1)
            fails()

        with pytest.raises(OSError, match="no answer"):
            run(breaker, first)
        assert process.receive(timeout=5) == "refused"
        process.sleep(30.1)
        assert run(breaker, lambda: "well") == "well"
        assert state(breaker) == "closed"

    simulated(scenario)
