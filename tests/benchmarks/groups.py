"""Rows about process groups between two OS processes: ``otpy.pg`` beside Erlang's ``pg``."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.benchmarks import beam
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Talker, Worker, worker

COUNTS = {"join": 2_000, "members": 50_000, "many": 100_000}
REACHES = {"join": [Reach("<= 1 ms", 0.001)]}


def _otpy(stack: ExitStack) -> Worker:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otpy-bench-"))
    there = stack.enter_context(worker("groups_ends:GroupsThere", folder))
    here = stack.enter_context(worker("groups_ends:GroupsHere", folder))
    there.do("ready")
    here.do("connect")
    return here


def _beam(node: Talker, other: str, what: str, count: int) -> float:
    seconds: float = node.ask(f"pg_{what} {count} {other}")
    return seconds


def _measured(what: str, plan: Plan) -> list[Figure]:
    row, count = f"pg_{what}", plan.count(COUNTS[what])
    absent = beam.absent(plan)
    with ExitStack() as stack:
        otpy = _otpy(stack)
        candidates: dict[str, Callable[[], float]] = {
            "otpy green": partial(otpy.do, what, True, count),
            "otpy thread": partial(otpy.do, what, False, count),
        }
        if not absent:
            node, other = stack.enter_context(beam.pair())
            candidates["BEAM"] = partial(_beam, node, other, what, count)
        made = figures(row, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(row, "BEAM", "op", skipped=absent))
    judge(made, "otpy green", *REACHES.get(what, []))
    return made


def join(plan: Plan) -> list[Figure]:
    """From a join here to the word of a process there that has seen it, which is a message."""
    return _measured("join", plan)


def members(plan: Plan) -> list[Figure]:
    """A read of a group with ten members."""
    return _measured("members", plan)


def many(plan: Plan) -> list[Figure]:
    """Ten processes join one group after the other, until the last is seen there; one of them."""
    return _measured("many", plan)
