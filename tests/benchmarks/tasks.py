"""Rows of tasks and agents: start and await, streams, updates; beside the BEAM."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from time import perf_counter

from otpy import Done, agent, process, task
from tests.benchmarks import beam
from tests.benchmarks.peers import on_node
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Talker

BEAM_COUNT = 50_000


def same(n: int) -> int:
    return n


async def same_later(n: int) -> int:
    return n


def _awaits(count: int, green: bool, fn: Callable[[int], object] = same) -> float:
    began = perf_counter()
    for n in range(count):
        task.await_(task.async_(fn, n, green=green))
    return (perf_counter() - began) / count


def _stream(count: int, at_once: int, green: bool, fn: Callable[[int], object] = same) -> float:
    began = perf_counter()
    for n, result in enumerate(
        task.async_stream(range(count), fn, max_concurrency=at_once, green=green)
    ):
        assert result == Done(n)
    return (perf_counter() - began) / count


def _updates(count: int, green: bool) -> float:
    pid = agent.start_link(int, green=green)
    began = perf_counter()
    for _ in range(count):
        agent.update(pid, _plus_one)
    taken = (perf_counter() - began) / count
    assert agent.get(pid, same) == count
    process.unlink(pid)
    agent.stop(pid)
    return taken


def _plus_one(n: int) -> int:
    return n + 1


Work = Callable[[int], float]  # operations -> seconds for one


def _rows(work: Callable[..., float], *args: int) -> dict[str, tuple[Work, int]]:
    def green(count: int) -> float:
        return on_node(lambda: work(count, *args, True), green=True)

    def thread(count: int) -> float:
        return on_node(lambda: work(count, *args, False), green=False)

    return {"otpy green": (green, 10_000), "otpy thread": (thread, 1_000)}


def _with_async(
    rows: dict[str, tuple[Work, int]], work: Callable[..., float], *args: int
) -> dict[str, tuple[Work, int]]:
    def later(count: int) -> float:
        return on_node(lambda: work(count, *args, False, same_later), green=False)

    return {**rows, "otpy async": (later, 2_000)}


ROWS = {
    "async_await": _with_async(_rows(_awaits), _awaits),
    "stream_2": _with_async(_rows(_stream, 2), _stream, 2),
    "stream_100": _with_async(_rows(_stream, 100), _stream, 100),
    "agent_update": _rows(_updates),
}
REACHES = {
    "async_await": Reach("<= 15 x BEAM", 15.0, "BEAM"),
    "stream_2": Reach("<= 12 x BEAM", 12.0, "BEAM"),
    "stream_100": Reach("<= 10 x BEAM", 10.0, "BEAM"),
    "agent_update": Reach("<= 4 x BEAM", 4.0, "BEAM"),
}


def _on_beam(node: Talker, row: str, count: int) -> float:
    seconds: float = node.ask(f"{row} {count} 0")
    return seconds


def measured(row: str, plan: Plan) -> list[Figure]:
    """One row."""
    candidates: dict[str, Callable[[], float]] = {
        name: partial(work, plan.count(count)) for name, (work, count) in ROWS[row].items()
    }
    absent = beam.absent(plan)
    with ExitStack() as stack:
        if not absent:
            node = stack.enter_context(beam.alone())
            node.ask("ready")
            candidates["BEAM"] = partial(_on_beam, node, row, plan.count(BEAM_COUNT))
        made = figures(row, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(row, "BEAM", "op", skipped=absent))
    judge(made, "otpy green", REACHES[row])
    return made


def tasks(plan: Plan) -> list[Figure]:
    """All rows."""
    return [figure for row in ROWS for figure in measured(row, plan)]
