"""Rows between two OS processes on the loopback interface."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.benchmarks import beam
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Talker, Worker, worker

COUNTS = {"call": 5_000, "cast": 100_000}
REACHES = {
    "call": Reach("<= 2 x BEAM", 2.0, "BEAM"),
    "cast": Reach(">= 2 x BEAM's rate", 0.5, "BEAM"),
}


def _otpy(stack: ExitStack) -> Worker:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="otpy-bench-"))
    server = stack.enter_context(worker("remote_ends:OtpyServer", folder))
    caller = stack.enter_context(worker("remote_ends:OtpyCaller", folder))
    server.do("ready")
    caller.do("connect")
    return caller


def _plain(stack: ExitStack, server: str, client: str) -> Worker:
    serving = stack.enter_context(worker(f"remote_ends:{server}"))
    return stack.enter_context(worker(f"remote_ends:{client}", serving.do("port")))


def _beam_pair(node: Talker, other: str, what: str, count: int) -> float:
    seconds: float = node.ask(f"remote_{what} {count} {other}")
    return seconds


def _measured(what: str, plan: Plan) -> list[Figure]:
    row, count = f"remote_{what}", plan.count(COUNTS[what])
    absent = beam.absent(plan)
    with ExitStack() as stack:
        otpy = _otpy(stack)
        streams = _plain(stack, "EchoServer", "EchoClient")
        bare = _plain(stack, "ZeroMQServer", "ZeroMQClient")
        candidates: dict[str, Callable[[], float]] = {
            "otpy green": partial(otpy.do, what, True, count),
            "otpy thread": partial(otpy.do, what, False, count),
            "asyncio streams": partial(streams.do, what, count),
            "bare ZeroMQ, CURVE": partial(bare.do, what, count),
        }
        if not absent:
            node, other = stack.enter_context(beam.pair())
            candidates["BEAM"] = partial(_beam_pair, node, other, what, count)
        made = figures(row, "op", alternate(candidates, plan.rounds))
    if absent:
        made.append(Figure(row, "BEAM", "op", skipped=absent))
    judge(made, "otpy green", REACHES[what])
    return made


def remote_call(plan: Plan) -> list[Figure]:
    return _measured("call", plan)


def remote_cast(plan: Plan) -> list[Figure]:
    return _measured("cast", plan)
