"""What the rows between two OS processes share: one asks, the other serves."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.benchmarks import beam
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Worker, worker

Others = Callable[[ExitStack], dict[str, Worker]]


def nobody(_stack: ExitStack) -> dict[str, Worker]:
    """No other candidates."""
    return {}


def otpy_pair(stack: ExitStack, there: str, here: str) -> Worker:
    """Who asks, of the classes of who serves and who asks, connected."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otpy-bench-"))
    serving = stack.enter_context(worker(there, folder))
    asking = stack.enter_context(worker(here, folder))
    serving.do("ready")
    asking.do("connect")
    return asking


def measured(
    row: str,
    plan: Plan,
    count: int,
    ends: tuple[str, str],
    *reaches: Reach,
    others: Others = nobody,
) -> list[Figure]:
    """One row; ``ends`` are the classes of who serves and who asks, on otpy.

    Who asks has a method of the row's name, without what stands before its first ``_``; the BEAM
    knows the row by its whole name.
    """
    what, count = row.partition("_")[2], plan.count(count)
    absent = beam.absent(plan)
    with ExitStack() as stack:
        otpy = otpy_pair(stack, *ends)
        candidates: dict[str, Callable[[], float]] = {
            "otpy green": partial(otpy.do, what, True, count),
            "otpy thread": partial(otpy.do, what, False, count),
        }
        for name, other in others(stack).items():
            candidates[name] = partial(other.do, what, count)
        if not absent:
            node, there = stack.enter_context(beam.pair())
            candidates["BEAM"] = partial(node.ask, f"{row} {count} {there}")
        made = figures(row, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(row, "BEAM", "op", skipped=absent))
    judge(made, "otpy green", *reaches)
    return made
