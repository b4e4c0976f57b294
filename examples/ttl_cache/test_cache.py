"""The cache, in simulated time: minutes pass at once."""

from collections.abc import Callable
from typing import Any

from examples.ttl_cache import cache
from examples.ttl_cache.cache import Cache
from otpy import Node, minutes, process, supervisor
from otpy.testing import Simulation, eventually


def in_time(body: Callable[[], Any]) -> None:
    def beside_a_cache() -> None:
        boss = supervisor.start_link([(Cache, "c")], strategy="one_for_one")
        body()
        supervisor.stop(boss)

    Simulation(seed=1).run(beside_a_cache)


def test_a_value_is_there_until_its_time_has_passed() -> None:
    def body() -> None:
        cache.put("c", "a", 1, ttl=minutes(2))
        process.sleep(minutes(1.9))
        assert cache.get("c", "a") == 1
        process.sleep(minutes(0.2))
        assert cache.get("c", "a", "gone") == "gone"

    in_time(body)


def test_a_new_value_lives_its_own_time() -> None:
    def body() -> None:
        cache.put("c", "a", 1, ttl=minutes(2))
        process.sleep(minutes(1))
        cache.put("c", "a", 2, ttl=minutes(2))
        process.sleep(minutes(1.5))
        assert cache.get("c", "a") == 2
        cache.delete("c", "a")
        assert cache.get("c", "a") is None

    in_time(body)


def test_a_missing_value_is_made_once_for_its_time() -> None:
    def body() -> None:
        made = iter(range(10))
        for _ in range(3):
            assert cache.fetch("c", "a", lambda: next(made)) == 0
        process.sleep(cache.TTL + 1)
        assert cache.fetch("c", "a", lambda: next(made)) == 1

    in_time(body)


def test_a_cache_that_crashes_begins_empty(
    node: Node, start_supervised: Callable[..., Any]
) -> None:
    start_supervised((Cache, "c"))
    cache.put("c", "a", 1)
    assert cache.get("c", "a") == 1
    old = process.whereis("c")
    assert old is not None
    process.exit(old, "kill")
    assert eventually(lambda: process.whereis("c") not in (None, old))
    assert cache.get("c", "a") is None
