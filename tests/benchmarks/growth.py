"""Rows that show what more processes cost: nothing, per operation; and a pause for garbage."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import worker

# What is done, and how often in one round.
WORK = {
    "lookup": 20_000,
    "register": 20_000,
    "via": 10_000,
    "dynamic": 2_000,
    "task": 5_000,
    "monitors": 1,  # as many as there are processes
}
FACTOR = 1.5


def growth(plan: Plan) -> list[Figure]:
    """One operation beside 1,000, 10,000 and 100,000 processes."""
    sizes = (plan.crowd // 100, plan.crowd // 10, plan.crowd)
    found: list[Figure] = []
    with ExitStack() as stack:
        nodes = {
            f"otpy green, {size:,}": stack.enter_context(worker("growth_ends:Grown", size))
            for size in sizes
        }
        few, *_, many = nodes
        for what, count in WORK.items():
            candidates: dict[str, Callable[[], float]] = {
                name: partial(node.do, "measure", what, plan.count(count))
                for name, node in nodes.items()
            }
            for measure in candidates.values():
                measure()  # the first time is another matter
            made = figures(f"growth, {what}", "op", alternate(candidates, plan.rounds))
            judge(made, many, Reach(f"<= {FACTOR:g} x {sizes[0]:,}", FACTOR, few))
            found += made
    return found


def gc_pause(plan: Plan) -> list[Figure]:
    """The worst pause for a garbage collection, without and with ``garbage.freeze``."""
    with worker("growth_ends:Grown", plan.crowd) as node:
        candidates: dict[str, Callable[[], float]] = {
            "otpy": partial(node.do, "pause", False),
            "otpy, frozen": partial(node.do, "pause", True),
        }
        made = figures(f"gc_pause, {plan.crowd:,}", "s", alternate(candidates, plan.rounds))
    judge(made, "otpy, frozen", Reach("<= 0.2 x not frozen", 0.2, "otpy"))
    return made
