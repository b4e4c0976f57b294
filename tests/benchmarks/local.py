"""Rows within one OS process: calls, casts, starts; the same beside hogs."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.benchmarks import beam, peers
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Talker

Measure = Callable[[int], float]  # operations -> seconds for one

CALLS: dict[str, tuple[Measure, int]] = {
    "otpy green": (peers.green_call, 20_000),
    "otpy thread": (peers.thread_call, 2_000),
    "otpy async": (peers.async_call, 5_000),
    "Pykka": (peers.pykka_call, 2_000),
    "asyncio actor": (peers.asyncio_call, 5_000),
}
CASTS: dict[str, tuple[Measure, int]] = {
    "otpy green": (peers.green_cast, 50_000),
    "otpy thread": (peers.thread_cast, 20_000),
    "otpy async": (peers.async_cast, 20_000),
    "Pykka": (peers.pykka_cast, 10_000),
    "asyncio actor": (peers.asyncio_cast, 50_000),
}
STARTS: dict[str, tuple[Measure, int]] = {
    "otpy green": (peers.green_start_stop, 5_000),
    "otpy thread": (peers.thread_start_stop, 500),
    "otpy async": (peers.async_start_stop, 1_000),
    "Pykka": (peers.pykka_start_stop, 500),
    "asyncio actor": (peers.asyncio_start_stop, 5_000),
}
REACHES: dict[str, dict[str, tuple[Reach, ...]]] = {
    "call": {
        "otpy green": (
            Reach("<= 2.5 x BEAM", 2.5, "BEAM"),
            Reach("<= Pykka / 15", 1 / 15, "Pykka"),
        ),
        "otpy thread": (Reach("<= 1.1 x Pykka", 1.1, "Pykka"),),
    },
    "cast": {
        "otpy green": (Reach(">= 1 M/s", 1e-6), Reach("<= Pykka / 4", 1 / 4, "Pykka")),
    },
    "start_stop": {"otpy green": (Reach(">= 40,000/s", 1 / 40_000),)},
}
ROWS = {"call": CALLS, "cast": CASTS, "start_stop": STARTS}
BEAM_COUNT = 100_000
ONE_THREAD = ("otpy green", "asyncio actor")
SLOWER = 20  # beside hogs; a hop between threads waits for as many switch intervals as hogs


def hog(stop: threading.Event) -> None:
    """Pure Python that never waits."""
    while not stop.is_set():
        sum(range(1000))


@contextmanager
def hogs(count: int) -> Generator[None, None, None]:
    """Run with so many hog threads."""
    stop = threading.Event()
    threads = [threading.Thread(target=hog, args=(stop,), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _among_hogs(work: Measure, count: int, busy: int) -> float:
    with hogs(busy):
        return work(count)


def _count(plan: Plan, name: str, full: int, busy: int) -> int:
    """Fewer operations beside hogs, if they hop between threads."""
    return plan.count(full // SLOWER if busy and name not in ONE_THREAD else full)


def _on_beam(node: Talker, row: str, count: int, busy: int) -> float:
    seconds: float = node.ask(f"{row} {count} {busy}")
    return seconds


def measured(row: str, plan: Plan, busy: int) -> list[Figure]:
    """One row, with so many hogs beside it."""
    title = row if not busy else f"{row}, {busy} hog{'s' if busy > 1 else ''}"
    candidates: dict[str, Callable[[], float]] = {
        name: partial(_among_hogs, work, _count(plan, name, count, busy), busy)
        for name, (work, count) in ROWS[row].items()
    }
    absent = beam.absent(plan)
    with ExitStack() as stack:
        if not absent:
            node = stack.enter_context(beam.alone())
            node.ask("ready")
            count = _count(plan, "BEAM", BEAM_COUNT, busy)
            candidates["BEAM"] = partial(_on_beam, node, row, count, busy)
        made = figures(title, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(title, "BEAM", "op", skipped=absent))
    if not busy:
        for candidate, reaches in REACHES[row].items():
            judge(made, candidate, *reaches)
    return made


def call(plan: Plan) -> list[Figure]:
    return measured("call", plan, 0)


def cast(plan: Plan) -> list[Figure]:
    return measured("cast", plan, 0)


def start_stop(plan: Plan) -> list[Figure]:
    return measured("start_stop", plan, 0)


def beside_hogs(plan: Plan) -> list[Figure]:
    """Calls and casts while other threads of the OS process compute."""
    return [
        figure
        for row in ("call", "cast")
        for busy in plan.hogs
        for figure in measured(row, plan, busy)
    ]
