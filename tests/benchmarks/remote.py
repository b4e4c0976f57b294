"""Rows between two OS processes on the loopback interface."""

from contextlib import ExitStack

from tests.benchmarks import pairs
from tests.benchmarks.plan import Plan
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Worker, worker

ENDS = ("remote_ends:OtpyServer", "remote_ends:OtpyCaller")
PLAIN = {
    "asyncio streams": ("EchoServer", "EchoClient"),
    "bare ZeroMQ, CURVE": ("ZeroMQServer", "ZeroMQClient"),
}


def _plain(stack: ExitStack) -> dict[str, Worker]:
    """The same without otpy."""
    made: dict[str, Worker] = {}
    for name, (server, client) in PLAIN.items():
        serving = stack.enter_context(worker(f"remote_ends:{server}"))
        made[name] = stack.enter_context(worker(f"remote_ends:{client}", serving.do("port")))
    return made


def remote_call(plan: Plan) -> list[Figure]:
    reach = Reach("<= 2 x BEAM", 2.0, "BEAM")
    return pairs.measured("remote_call", plan, 5_000, ENDS, reach, others=_plain)


def remote_cast(plan: Plan) -> list[Figure]:
    reach = Reach(">= 2 x BEAM's rate", 0.5, "BEAM")
    return pairs.measured("remote_cast", plan, 100_000, ENDS, reach, others=_plain)


def remote_beside(plan: Plan) -> list[Figure]:
    """The longest that a small call takes while 100 MB of bytes of another process travel."""
    with ExitStack() as stack:
        otpy = pairs.otpy_pair(stack, *ENDS)
        rounds: list[float] = [
            otpy.do("beside", plan.count(100_000_000)) for _ in range(plan.rounds)
        ]
    made = figures("remote_beside", "s", {"otpy, the worst": rounds})
    judge(made, "otpy, the worst", Reach("<= 20 ms", 0.020))
    return made
