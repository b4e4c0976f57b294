"""Scatter and gather: ask every supplier at once, take what has come when time is up.

A supplier that fails or is late costs its own quote only, not the page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from otpy import Done, Exited, Pid, supervisor, task, task_supervisor
from otpy.behaviours.task_supervisor import TaskSupervisor

Supplier = Callable[[str], float]
ASKING = "quotes.asking"


@dataclass(frozen=True, slots=True)
class Quotes:
    """What the suppliers said of one item: prices, and who failed why or was late."""

    prices: dict[str, float] = field(default_factory=dict[str, float])
    failed: dict[str, object] = field(default_factory=dict[str, object])
    late: tuple[str, ...] = ()

    @property
    def best(self) -> tuple[str, float] | None:
        """The cheapest supplier and its price."""
        return min(self.prices.items(), key=lambda quote: quote[1], default=None)


def start_link() -> Pid:
    """Start the supervisor under which the suppliers are asked."""
    children = [(TaskSupervisor, {"name": ASKING, "max_children": 100})]
    return supervisor.start_link(children, strategy="one_for_one")


def gather(item: str, suppliers: Mapping[str, Supplier], timeout: float = 1.0) -> Quotes:
    """Ask all suppliers for ``item``; their answers after at most ``timeout`` seconds."""
    asked = {
        task_supervisor.async_nolink(ASKING, ask, item): name for name, ask in suppliers.items()
    }
    prices: dict[str, float] = {}
    failed: dict[str, object] = {}
    late: list[str] = []
    for t, result in task.yield_many(asked, timeout, on_timeout="kill_task"):
        match result:
            case Done(price):
                prices[asked[t]] = price
            case Exited(reason):
                failed[asked[t]] = reason
            case None:
                late.append(asked[t])
    return Quotes(prices, failed, tuple(late))


def cheapest(items: list[str], ask: Supplier, at_once: int = 4) -> dict[str, float]:
    """The price of each item from one supplier, so many requests at a time; failures left out."""
    quotes = task_supervisor.async_stream_nolink(
        ASKING, items, ask, max_concurrency=at_once, timeout=1.0, on_timeout="kill_task"
    )
    return {
        item: quote.value
        for item, quote in zip(items, quotes, strict=True)
        if isinstance(quote, Done)
    }
