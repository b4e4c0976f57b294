"""Rows about many processes, and about one that keeps the scheduler."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from tests.benchmarks import beam
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.scale_ends import STATM
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import worker

DEPTH = 60
START_STOPS, BEAM_START_STOPS = 5_000, 50_000
IDLES = {"idle": (0, False), f"idle, {DEPTH} deep": (DEPTH, False)}
IDLES[f"idle, waited {DEPTH} deep"] = (DEPTH, True)


# Memory.


def _idle_otpy(count: int, depth: int, wait: bool) -> float:
    with worker("scale_ends:Idle") as fresh:
        size: float = fresh.do("measure", count, depth, wait)
        return size


def _idle_beam(count: int, depth: int) -> float:
    with beam.alone() as fresh:
        fresh.ask("idle 10 1")
        size: float = fresh.ask(f"idle {count} {depth}")
        return size


def idle(plan: Plan) -> list[Figure]:
    """Bytes for one idle server, as the operating system counts them."""
    if not STATM.exists():
        return [Figure("idle", "otpy green", "B", skipped=f"there is no {STATM}")]
    absent = beam.absent(plan)
    found: list[Figure] = []
    for row, (depth, wait) in IDLES.items():
        candidates: dict[str, Callable[[], float]] = {
            "otpy green": partial(_idle_otpy, plan.idle, depth, wait)
        }
        if not absent and not wait:
            candidates["BEAM"] = partial(_idle_beam, plan.idle, depth)
        made = figures(row, "B", alternate(candidates, plan.few))
        if absent:
            made.append(Figure(row, "BEAM", "B", skipped=absent))
        judge(made, "otpy green", Reach("<= 3 KB", 3 * 1024))
        found += made
    return found


# Children.


def _children(count: int, green: bool) -> tuple[float, float]:
    with worker("scale_ends:Children") as fresh:
        up, down = fresh.do("measure", count, green)
        return up, down


def _beam_children(count: int) -> tuple[float, float]:
    with beam.alone() as fresh:
        up, down = fresh.ask(f"children {count}")
        return up, down


def _both_ways(
    plan: Plan, candidates: Mapping[str, Callable[[], tuple[float, float]]]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    ups: dict[str, list[float]] = {name: [] for name in candidates}
    downs: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(plan.few):
        for name, measure in candidates.items():
            up, down = measure()
            ups[name].append(up)
            downs[name].append(down)
    return ups, downs


def hundred_k(plan: Plan) -> list[Figure]:
    """All children of one supervisor start, and stop."""
    candidates = {
        "otpy supervisor": partial(_children, plan.crowd, False),
        "otpy green supervisor": partial(_children, plan.crowd, True),
    }
    absent = beam.absent(plan)
    if not absent:
        candidates["BEAM"] = partial(_beam_children, plan.crowd)
    ups, downs = _both_ways(plan, candidates)
    found: list[Figure] = []
    for what, taken, limit in (("start", ups, 10.0), ("stop", downs, 5.0)):
        row = f"{what} {plan.crowd:,} children"
        scaled = limit * plan.crowd / 100_000
        made = figures(row, "s", taken)
        if absent:
            made.append(Figure(row, "BEAM", "s", skipped=absent))
        # A supervisor of tens of thousands of green children is to be declared green too.
        judge(made, "otpy green supervisor", Reach(f"< {scaled:g} s", scaled))
        found += made
    return found


def _dynamic(count: int, green: bool) -> tuple[float, float]:
    with worker("scale_ends:Dynamic") as fresh:
        up, down = fresh.do("measure", count, green)
        return up, down


def _beam_dynamic(count: int) -> tuple[float, float]:
    with beam.alone() as fresh:
        up, down = fresh.ask(f"dynamic {count}")
        return up, down


def dynamic(plan: Plan) -> list[Figure]:
    """Children of a dynamic supervisor start one by one, and stop at once; at three sizes."""
    found: list[Figure] = []
    absent = beam.absent(plan)
    for count in (plan.crowd // 100, plan.crowd // 10, plan.crowd):
        candidates = {
            "otpy dynamic": partial(_dynamic, count, False),
            "otpy green dynamic": partial(_dynamic, count, True),
        }
        if not absent:
            candidates["BEAM"] = partial(_beam_dynamic, count)
        ups, downs = _both_ways(plan, candidates)
        for what, taken, limit in (("start", ups, 10.0), ("stop", downs, 5.0)):
            row = f"{what} {count:,} dynamic"
            made = figures(row, "s", taken)
            if absent:
                made.append(Figure(row, "BEAM", "s", skipped=absent))
            # In step with the children: else the limit of 100,000 would be none for fewer.
            scaled = limit * count / 100_000
            judge(made, "otpy green dynamic", Reach(f"< {scaled:g} s", scaled))
            found += made
    return found


def start_stop_among(plan: Plan) -> list[Figure]:
    """Start and stop beside a crowd, and on an idle node."""
    running, count = plan.crowd // 2, plan.count(START_STOPS)
    among = f"among {running:,}"
    absent = beam.absent(plan)
    with ExitStack() as stack:
        crowds = {
            "otpy green, idle node": stack.enter_context(worker("scale_ends:Crowd", 0)),
            f"otpy green, {among}": stack.enter_context(worker("scale_ends:Crowd", running)),
        }
        candidates: dict[str, Callable[[], float]] = {
            name: partial(node.do, "start_stop", count) for name, node in crowds.items()
        }
        if not absent:
            node = stack.enter_context(beam.alone())
            for name, others in (("BEAM, idle node", 0), (f"BEAM, {among}", running)):
                line = f"among {plan.count(BEAM_START_STOPS)} {others}"
                candidates[name] = partial(node.ask, line)
        for measure in candidates.values():
            measure()  # the first time is another matter
        made = figures("start_stop_among", "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure("start_stop_among", "BEAM", "op", skipped=absent))
    reach = Reach("<= 1.1 x idle node", 1.1, "otpy green, idle node")
    judge(made, f"otpy green, {among}", reach)
    return made


# A held scheduler.


def scheduler_held(plan: Plan) -> list[Figure]:
    """A user's green process keeps its scheduler, asleep or computing."""
    taken: dict[str, list[float]] = {}
    with worker("scale_ends:Held") as fresh:
        for _ in range(plan.rounds):
            for how, compute in (("asleep", False), ("computing", True)):
                restart, timers = fresh.do("measure", plan.hold, compute)
                taken.setdefault(f"otpy restart, {how}", []).append(restart)
                taken.setdefault(f"otpy timers, {how}", []).append(timers)
    made = figures("scheduler_held", "s", taken)
    for figure in made:
        judge(made, figure.candidate, Reach("<= 10 ms late", 0.010))
    return made
