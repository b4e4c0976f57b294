"""Quotes that come, fail and are late."""

from collections.abc import Iterator
from threading import Event

import pytest

from examples.scatter_gather import quotes
from otpy import Crash, Node, supervisor, task_supervisor
from otpy.testing import eventually


@pytest.fixture(autouse=True)
def asking(node: Node) -> Iterator[None]:
    boss = quotes.start_link()
    yield
    supervisor.stop(boss)


def fair(item: str) -> float:
    return float(len(item))


def dear(item: str) -> float:
    return 10.0 * len(item)


def broken(item: str) -> float:
    raise ConnectionError(f"no route to the price of {item}")


def test_the_cheapest_supplier_is_found() -> None:
    found = quotes.gather("tea", {"fair": fair, "dear": dear})
    assert found.prices == {"fair": 3.0, "dear": 30.0}
    assert found.best == ("fair", 3.0)


def test_one_that_fails_and_one_that_is_late_cost_only_their_own_quotes() -> None:
    done = Event()

    def late(item: str) -> float:
        done.wait()
        return 0.0

    found = quotes.gather("tea", {"fair": fair, "broken": broken, "late": late}, timeout=0.2)
    done.set()
    assert found.best == ("fair", 3.0)
    assert found.failed == {"broken": Crash("ConnectionError", "no route to the price of tea")}
    assert found.late == ("late",)
    assert eventually(lambda: task_supervisor.children(quotes.ASKING) == [])


def test_nobody_answers() -> None:
    assert quotes.gather("tea", {}).best is None


def test_many_items_are_asked_a_few_at_a_time() -> None:
    running: list[int] = []
    most: list[int] = []

    def ask(item: str) -> float:
        running.append(1)
        most.append(len(running))
        running.pop()
        return fair(item) if item else broken(item)

    assert quotes.cheapest(["a", "", "ccc"], ask, at_once=2) == {"a": 1.0, "ccc": 3.0}
    assert max(most) <= 2
