"""The rate limiter, in simulated time."""

from collections.abc import Callable

from examples.rate_limiter.rate_limiter import Limit, RateLimiter, allow
from otpy import process, supervisor, sys
from otpy.testing import Simulation


def limited(body: Callable[[], None]) -> None:
    """Run ``body`` beside a limiter of two requests in ten seconds."""

    def beside_it() -> None:
        boss = supervisor.start_link([(RateLimiter, Limit("api", 2, 10))], strategy="one_for_one")
        body()
        supervisor.stop(boss)

    Simulation(seed=1).run(beside_it)


def test_no_more_than_the_limit_in_a_window() -> None:
    def body() -> None:
        assert [allow("api", "ada") for _ in range(3)] == [True, True, False]

    limited(body)


def test_each_key_has_places_of_its_own() -> None:
    def body() -> None:
        assert [allow("api", key) for key in ("ada", "ada", "bob", "ada")] == [True] * 3 + [False]

    limited(body)


def test_the_window_slides_over_each_request() -> None:
    def body() -> None:
        assert allow("api", "ada")
        process.sleep(6)
        assert allow("api", "ada")
        process.sleep(5)  # the first is 11 s old, the second 5 s
        assert [allow("api", "ada") for _ in range(2)] == [True, False]

    limited(body)


def test_a_key_nobody_uses_takes_no_memory() -> None:
    def body() -> None:
        allow("api", "ada")
        allow("api", "ada")
        process.sleep(11)
        assert sys.get_state("api").places == {}

    limited(body)
