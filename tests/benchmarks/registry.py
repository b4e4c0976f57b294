"""Rows of ``registry``: looking up, registering, calling through a name, dispatching; beside
more and more entries."""

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from otpy import Down, Pid, Via, gen_server, process, registry, self_pid
from tests.benchmarks import beam
from tests.benchmarks.peers import Green, on_node, timed
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge

NAME = "Bench"
SUBSCRIBERS = 1_000
SIZES = (1_000, 10_000, 100_000)
BEAM_COUNT = 100_000

# What is timed; each runs as a process of a fresh node with a registry.


def _lookups(count: int) -> float:
    registry.register(NAME, "key", 1)

    def work() -> None:
        for _ in range(count):
            registry.lookup(NAME, "key")

    return timed(count, work)


def _registers(count: int) -> float:
    """One register and unregister, by a process that has another key."""
    registry.register(NAME, "other", 1)

    def work() -> None:
        for number in range(count):
            registry.register(NAME, number, 1)
            registry.unregister(NAME, number)

    return timed(count, work)


def _via_calls(count: int) -> float:
    via = Via(registry, (NAME, "server"))
    gen_server.start(Green, 0, name=via)

    def work() -> None:
        for _ in range(count):
            gen_server.call(via, "get")

    return timed(count, work)


def _pid_calls(count: int) -> float:
    pid = gen_server.start(Green, 0)

    def work() -> None:
        for _ in range(count):
            gen_server.call(pid, "get")

    return timed(count, work)


def _subscriber(boss: Pid) -> None:
    registry.register(NAME, "topic", None)
    process.send(boss, "ready")
    while process.receive() != "last":
        pass
    process.send(boss, "done")


def _dispatches(count: int) -> float:
    """One message to one subscriber, received and looked at."""
    me = self_pid()
    for _ in range(SUBSCRIBERS):
        process.spawn(_subscriber, me, green=True)
    for _ in range(SUBSCRIBERS):
        process.receive(str)

    def all_get(message: str) -> None:
        registry.dispatch(
            NAME, "topic", lambda entries: [process.send(pid, message) for pid, _ in entries]
        )

    def work() -> None:
        for _ in range(count - 1):
            all_get("message")
        all_get("last")
        for _ in range(SUBSCRIBERS):
            process.receive(str)

    return timed(count * SUBSCRIBERS, work)


def _fill(count: int) -> float:
    def work() -> None:
        for number in range(count):
            registry.register(NAME, number, 1)

    return timed(count, work)


def _clean_up(count: int) -> float:
    """The entries of a process that has died."""
    me = self_pid()

    def body() -> None:
        _fill(count)
        process.send(me, "filled")
        process.receive()

    _, ref = process.spawn_monitor(body, green=True)
    process.receive(str)
    pid = registry.lookup(NAME, 0)[0][0]
    began = time.perf_counter()
    process.exit(pid, "kill")
    process.receive(Down, where=lambda down: down.ref == ref)
    while registry.count(NAME):
        process.sleep(0.00005)
    return (time.perf_counter() - began) / count


def _measure(work: Callable[[int], float], keys: Any, green: bool, count: int) -> float:
    def body() -> float:
        registry.start_link(keys=keys, name=NAME)
        gc.collect()
        return work(count)

    return on_node(body, green, watchdog=False)  # it holds its scheduler, and knows


# The rows.


def _row(
    title: str,
    work: Callable[[int], float],
    plan: Plan,
    count: int,
    keys: str = "unique",
    **others: Callable[[], float],
) -> list[Figure]:
    candidates: dict[str, Callable[[], float]] = {
        **{name.replace("_", " "): measure for name, measure in others.items()},
        "otpy green": partial(_measure, work, keys, True, plan.count(count)),
        "otpy thread": partial(_measure, work, keys, False, plan.count(count // 10)),
    }
    absent = beam.absent(plan)
    with ExitStack() as stack:
        if not absent:
            node = stack.enter_context(beam.alone())
            line = f"{title} {plan.count(BEAM_COUNT)} 0"
            candidates["BEAM"] = partial(node.ask, line)
        made = figures(title, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(title, "BEAM", "op", skipped=absent))
    return made


def lookup(plan: Plan) -> list[Figure]:
    made = _row("registry_lookup", _lookups, plan, 100_000)
    judge(made, "otpy green", Reach("<= 2 µs", 2e-6))
    return made


def register(plan: Plan) -> list[Figure]:
    made = _row("registry_register", _registers, plan, 50_000)
    judge(made, "otpy green", Reach("<= 10 µs", 1e-5))
    return made


def via(plan: Plan) -> list[Figure]:
    count = 20_000
    by_pid = partial(_measure, _pid_calls, "unique", True, plan.count(count))
    made = _row("registry_via", _via_calls, plan, count, green_by_pid=by_pid)
    beside_pid = Reach("<= 1.75 x by pid", 1.75, "green by pid")
    judge(made, "otpy green", beside_pid, Reach("<= 2.5 x BEAM", 2.5, "BEAM"))
    return made


def dispatch(plan: Plan) -> list[Figure]:
    """To 1,000 subscribers, for each message and subscriber."""
    return _row("registry_dispatch", _dispatches, plan, 100, "duplicate")


def entries(plan: Plan) -> list[Figure]:
    """Registering, and what a death costs, beside more and more entries: for each entry."""
    found: list[Figure] = []
    sizes = [plan.count(size) for size in SIZES]
    absent = beam.absent(plan)
    for row, work in (("registry_fill", _fill), ("registry_clean_up", _clean_up)):
        candidates: dict[str, Callable[[], float]] = {
            f"otpy green, {size:,}": partial(_measure, work, "unique", True, size) for size in sizes
        }
        with ExitStack() as stack:
            if not absent:
                node = stack.enter_context(beam.alone())
                for size in sizes:
                    candidates[f"BEAM, {size:,}"] = partial(node.ask, f"{row} {size} 0")
            made = figures(row, "op", alternate(candidates, plan.rounds))
        if absent:
            made.append(Figure(row, "BEAM", "op", skipped=absent))
        few, many = f"otpy green, {sizes[0]:,}", f"otpy green, {sizes[-1]:,}"
        judge(made, many, Reach(f"<= 2 x {sizes[0]:,}", 2.0, few))
        found += made
    return found
