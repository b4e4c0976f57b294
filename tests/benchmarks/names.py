"""Rows about clusters: registering cluster-wide names, and what many nodes cost."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks import beam
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, Unit, figures, judge
from tests.benchmarks.worker import Talker, Worker, at_once, worker

SIZES = (3, 5)
COUNT = 500  # names in one round
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def _otpy(count: int) -> Generator[list[Worker], None, None]:
    """So many programs that are about to be nodes of one cluster."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otpy-bench-"))
        names = [f"n{number}@127.0.0.1" for number in range(count)]
        yield [stack.enter_context(worker("names_ends:NamesNode", name, folder)) for name in names]


def _joined(programs: list[Worker]) -> float:
    """Start all nodes; seconds until each has met all others."""
    began = time.monotonic()
    met: list[float] = at_once(partial(one.do, "join", len(programs)) for one in programs)
    return max(met) - began


# Registering.


def _each(spans: list[list[float]], count: int) -> float:
    """Seconds for one registration, of so many in each span."""
    first, last = min(began for began, _ in spans), max(ended for _, ended in spans)
    return (last - first) / (count * len(spans))


def _registered(programs: list[Worker], green: bool, count: int) -> float:
    return _each(at_once(partial(one.do, "register", green, count) for one in programs), count)


def _on_beam(nodes: list[Talker], count: int) -> float:
    return _each(at_once(partial(one.ask, f"global_register {count}") for one in nodes), count)


def register(plan: Plan) -> list[Figure]:
    """One registration, from one node of three and of five."""
    return [figure for size in SIZES for figure in _register(plan, size)]


def _register(plan: Plan, size: int) -> list[Figure]:
    row, count, absent = f"global_register, {size}", plan.count(COUNT), beam.absent(plan)
    with ExitStack() as stack:
        programs = stack.enter_context(_otpy(size))
        _joined(programs)
        candidates: dict[str, Callable[[], float]] = {
            "otpy green": partial(_registered, programs[:1], True, count),
            "otpy thread": partial(_registered, programs[:1], False, count),
        }
        if not absent:
            nodes = stack.enter_context(beam.nodes(size))
            beam.meet(nodes)
            candidates["BEAM"] = partial(_on_beam, [*nodes.values()][:1], count)
        made = figures(row, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(row, "BEAM", "op", skipped=absent))
    judge(made, "otpy green", Reach("<= 2 x BEAM", 2.0, "BEAM"))
    return made


def _in_turn(each: Callable[[Any], float], nodes: list[Any]) -> float:
    """One node after the other: the mean, since the one that grants names has the shortest way."""
    return statistics.fmean(each([node]) for node in nodes)


def global_at_once(plan: Plan) -> list[Figure]:
    """Three nodes register, each its own names: for one registration, beside one node alone."""
    row, count, absent = "global_register, at once", plan.count(COUNT), beam.absent(plan)
    with ExitStack() as stack:
        programs = stack.enter_context(_otpy(3))
        _joined(programs)
        candidates: dict[str, Callable[[], float]] = {
            "otpy, one alone": lambda: _in_turn(lambda p: _registered(p, True, count), programs),
            "otpy, three at once": partial(_registered, programs, True, count),
        }
        if not absent:
            nodes = stack.enter_context(beam.nodes(3))
            beam.meet(nodes)
            talkers = [*nodes.values()]
            candidates["BEAM, one alone"] = lambda: _in_turn(lambda t: _on_beam(t, count), talkers)
            candidates["BEAM"] = partial(_on_beam, talkers, count)
        made = figures(row, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(row, "BEAM", "op", skipped=absent))
    judge(made, "otpy, three at once", Reach("<= one alone", 1.0, "otpy, one alone"))
    return made


# Many nodes.


def _processor(pids: list[int]) -> float:
    """Seconds of the processor that these programs have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(user) + int(system) for user, system in (f[11:13] for f in fields)) / TICKS


def _share(programs: Iterable[Talker], seconds: float) -> float:
    """How much of one core idle nodes use, all together."""
    pids = [program.child.pid for program in programs]
    before, began = _processor(pids), time.monotonic()
    time.sleep(seconds)
    return (_processor(pids) - before) / (time.monotonic() - began)


def mesh(plan: Plan) -> list[Figure]:
    """Many nodes start at once and become a full mesh; then they do nothing."""
    size, absent = plan.mesh, beam.absent(plan)
    rows: tuple[tuple[str, Unit], ...] = (
        (f"mesh of {size}", "s"),
        (f"mesh of {size}, idle", "core"),
    )
    taken: dict[str, list[tuple[float, float]]] = {"otpy": []}
    for _ in range(plan.few):
        with _otpy(size) as programs:
            for program in programs:
                program.do("ready")
            taken["otpy"].append((_joined(programs), _share(programs, plan.rest)))
        if not absent:
            with beam.nodes(size) as nodes:
                both = (beam.meet(nodes), _share(nodes.values(), plan.rest))
                taken.setdefault("BEAM", []).append(both)
    made: list[Figure] = []
    for number, (row, unit) in enumerate(rows):
        for candidate, rounds in taken.items():
            values = [pair[number] for pair in rounds]
            made.append(Figure(row, candidate, unit, statistics.median(values), values))
        if absent:
            made.append(Figure(row, "BEAM", unit, skipped=absent))
    judge(made[: len(made) // 2], "otpy", Reach("<= 10 s", 10.0))
    judge(made[len(made) // 2 :], "otpy", Reach("<= 0.2 of a core", 0.2))
    return made
