"""What a cluster under faults did, as lines: ``python -m tests.testing.cluster_program SEED``.

Run in an OS process of its own, with another PYTHONHASHSEED, it prints the same.
"""

import asyncio
import logging
import sys
from random import Random
from typing import Any

from otpy import GenServer, Global, NoReply, Ok, Reply, gen_server, process, self_pid, supervisor
from otpy.testing import disk
from otpy.testing.faults import draw_schedule
from otpy.testing.simulation import ClusterSimulation

NAMES = ("a@sim", "b@sim", "c@sim")


class Counter(GenServer[int]):
    """Counts on disk, on one node of the cluster."""

    @classmethod
    def start_link(cls, arg: str) -> Any:
        return gen_server.start_link(cls, arg, name=Global(arg))

    def init(self, arg: str) -> Ok[int]:
        disk().append("log", f"{arg} {self_pid()!r}\n".encode())
        process.send_after(self_pid(), "tick", 0.5)
        return Ok(0)

    def handle_call(self, request: Any, from_: Any, state: int) -> Reply[int]:
        return Reply(state, state)

    def handle_info(self, message: Any, state: int) -> Any:
        disk().append("log", b"%d\n" % state)
        if state % 5 == 0:
            disk().fsync("log")
        process.send_after(self_pid(), "tick", 0.5)
        return NoReply(state + 1)


async def looks() -> None:
    """A coroutine that runs beside it."""
    while True:
        await asyncio.sleep(7)
        disk().append("looks", b"x")


def start() -> None:
    """What each node runs."""
    children = [supervisor.child_spec((Counter, name), id=name) for name in ("x", "y")]
    supervisor.start_link(children, strategy="one_for_one")
    process.spawn(looks)


def play(seed: int) -> list[str]:
    """The log of one seed."""
    sim = ClusterSimulation(seed, NAMES, start=start, recording=True)
    sim.schedule(draw_schedule(Random(seed), NAMES, 6, (1.0, 30.0)))
    sim.let_faults_pass()
    sim.wait(sim.meshed)
    lines = [*sim.history.lines(), f"{sim.sched.clock.time} {sim.sched.turn}"]
    for name in NAMES:
        lines += [f"{name} {file} {sim.disk(name).read(file)!r}" for file in sim.disk(name).names()]
    sim.close()
    return lines


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    sys.stdout.write("\n".join(play(int(sys.argv[1]))) + "\n")
