"""The row of a restart: a supervised child crashes, and its replacement has run ``init``."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from otpy import GenServer, Ok, Pid, Supervisor, gen_server, process, self_pid, supervisor
from tests.benchmarks import beam
from tests.benchmarks.peers import on_node, timed
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge

COUNT, BEAM_COUNT = 5_000, 20_000
ROW = "restart_latency"


class Phoenix(GenServer[None], green=True):
    """Says that it runs, and crashes when told to."""

    def init(self, arg: Pid) -> Any:
        process.send(arg, self_pid())
        return Ok(None)

    def handle_cast(self, request: Any, state: None) -> Any:
        raise RuntimeError(request)


class ThreadPhoenix(Phoenix, green=False):
    pass


class Boss(Supervisor):
    def init(self, arg: Any) -> Any:
        return supervisor.init([arg], strategy="one_for_one", max_restarts=10_000_000)


def _restarts(child: type[Phoenix], green_boss: bool, count: int) -> float:
    """Seconds from a crash to the next ``init``, one after the other."""

    def body() -> float:
        supervisor.start_link(Boss, (child, self_pid()), green=green_boss)
        running = [process.receive(Pid)]

        def work() -> None:
            for _ in range(count):
                gen_server.cast(running[0], "crash")
                running[0] = process.receive(Pid)

        return timed(count, work)

    before = logging.root.manager.disable
    logging.disable()  # a report of each crash would be the larger part; the BEAM's is off too
    try:
        return on_node(body, child.kind == "green")
    finally:
        logging.disable(before)


def restart_latency(plan: Plan) -> list[Figure]:
    """From the crash of a child to the ``init`` of the next."""
    candidates: dict[str, Callable[[], float]] = {
        "otpy green": partial(_restarts, Phoenix, True, plan.count(COUNT)),
        "otpy green, kernel boss": partial(_restarts, Phoenix, False, plan.count(COUNT)),
        "otpy thread": partial(_restarts, ThreadPhoenix, False, plan.count(COUNT // 10)),
    }
    absent = beam.absent(plan)
    with ExitStack() as stack:
        if not absent:
            node = stack.enter_context(beam.alone())
            candidates["BEAM"] = partial(node.ask, f"{ROW} {plan.count(BEAM_COUNT)} 0")
        made = figures(ROW, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(ROW, "BEAM", "op", skipped=absent))
    judge(made, "otpy green", Reach("<= 15 x BEAM", 15.0, "BEAM"))
    return made
