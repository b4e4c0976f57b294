"""What coroutine processes of a simulation did, as lines: ``python -m ... SEED``.

Run in an OS process of its own, with another PYTHONHASHSEED, it prints the same.
"""

import asyncio
import sys
from typing import Any

from otpy import GenServer, Ok, Reply, aio, process, self_pid
from otpy.testing.simulation import ClusterSimulation

NAMES = ("a@sim", "b@sim")
LOG: list[str] = []


def note(*what: object) -> None:
    """One line: who did what, and when."""
    LOG.append(f"{process.monotonic_time():.9f} {self_pid()!r} {' '.join(map(str, what))}")


class Slow(GenServer[int]):
    """Answers after a while; its callbacks are coroutines."""

    async def init(self, arg: int) -> Any:
        await asyncio.sleep(0.01)
        return Ok(arg)

    async def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        await asyncio.sleep(0.001 * state)
        note("handles", request)
        return Reply((request, state), state + 1)


async def part(number: int) -> None:
    """A child task that is cancelled with its siblings."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        note("cancelled", number, asyncio.current_task())
        raise


async def group() -> None:
    """Many tasks end at once: asyncio keeps them in sets."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(part(number))
            await asyncio.sleep(0.001)
            raise ValueError("enough")
    except* ValueError:
        note("grouped")
    done, _ = await asyncio.wait([asyncio.create_task(asyncio.sleep(0, n)) for n in range(8)])
    note("waited", [task.result() for task in done])


async def client(server: Any, number: int) -> None:
    """Calls the server, and shares a queue with a task of its own."""
    queue: asyncio.Queue[Any] = asyncio.Queue(1)

    async def feed() -> None:
        for n in range(3):
            await queue.put(n)

    feeding = asyncio.create_task(feed())
    for _ in range(3):
        note("got", number, await queue.get(), await aio.call(server, number, None))
    await feeding
    await group()


async def main() -> None:
    """Five clients here and a function there."""
    server = await aio.start_link(Slow, 1)
    refs = [process.spawn_monitor(client, server, number)[1] for number in range(5)]
    note("there", await aio.erpc.call(NAMES[1], asks, server))
    for _ in refs:
        note("ended", (await aio.receive()).reason)


async def asks(server: Any) -> Any:
    """Calls the server from another node."""
    return await aio.call(server, "there", None)


def play(seed: int) -> list[str]:
    """The log of one seed."""
    LOG.clear()
    sim = ClusterSimulation(seed, NAMES)
    sim.wait(lambda: all(mesh.nodes() for mesh in sim.meshes.values()))
    sim.run(main)
    return list(LOG)


if __name__ == "__main__":
    sys.stdout.write("\n".join(play(int(sys.argv[1]))) + "\n")
