"""How async processes close what they own, and what a simulation makes of closing."""

import asyncio
import socket
import threading

import pytest

from otpy import BadArgument, Down, GenServer, Node, Ok, Pid, aio, process, self_pid
from otpy.testing import Reports, Simulation, eventually
from tests.runtime.things import Thing, killed, waiting

# Async processes.


def test_an_async_process_closes_on_its_loop_and_awaits_it(node: Node) -> None:
    told: list[str] = []

    async def goodbye() -> None:
        await asyncio.sleep(0)
        told.append(threading.current_thread().name)

    async def run() -> None:
        process.own(object(), goodbye)

    process.spawn_monitor(run)
    process.receive(Down, timeout=5)
    assert told == [f"otpy-loop-{node.name}"]  # before anybody heard


def test_an_async_process_killed_in_accept_closes_on_its_loop(
    node: Node, capture_reports: Reports
) -> None:
    closed_on: list[str] = []

    class Listening(socket.socket):
        def close(self) -> None:
            closed_on.append(threading.current_thread().name)
            super().close()

    listening = Listening()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    me = self_pid()

    async def run() -> None:
        process.own(listening)
        process.send(me, "owned")
        await asyncio.get_running_loop().sock_accept(listening)

    killed(run)
    eventually(lambda: closed_on)
    assert closed_on == [f"otpy-loop-{node.name}"]
    assert capture_reports.labelled("process_crash") == []


def test_a_killed_async_process_may_call_otpy_when_it_closes(node: Node) -> None:
    me = self_pid()

    async def goodbye() -> None:
        process.send(me, "goodbye")
        await aio.sleep(0)

    async def run() -> None:
        process.own(object(), goodbye)
        process.send(me, "owned")
        await asyncio.Event().wait()

    killed(run)
    assert process.receive(str, timeout=5) == "goodbye"


def test_a_task_that_is_a_process_for_a_block_closes_at_its_end(node: Node) -> None:
    log: list[str] = []

    async def goodbye() -> None:
        await asyncio.sleep(0)
        log.append("closed")

    async def main() -> list[str]:
        async with aio.attached(node):
            process.own(object(), goodbye)
        return list(log)

    assert asyncio.run_coroutine_threadsafe(main(), node.loop).result(5) == ["closed"]


@pytest.mark.otpy_leaves_processes
def test_a_task_that_became_a_process_until_it_ends_closes_then(node: Node) -> None:
    """As one does that starts a linked server."""
    log: list[str] = []
    done = threading.Event()

    async def goodbye() -> None:
        await asyncio.sleep(0)
        log.append("closed")
        done.set()

    async def main() -> None:
        await aio.start_link(Idle, None)
        process.own(object(), goodbye)

    asyncio.run_coroutine_threadsafe(main(), node.loop).result(5)
    assert done.wait(5)
    assert log == ["closed"]


class Idle(GenServer[None]):
    def init(self, arg: None) -> Ok[None]:
        return Ok(None)


def test_only_an_async_process_may_close_with_a_coroutine(
    node: Node, capture_reports: Reports
) -> None:
    async def goodbye() -> None: ...

    with pytest.raises(BadArgument, match="is a coroutine function; expected a function"):
        process.own(object(), goodbye)

    def run() -> None:
        process.own(object(), lambda: goodbye())

    process.spawn_monitor(run)
    process.receive(Down, timeout=5)
    (report,) = capture_reports.labelled("close_failed")
    assert "gave a coroutine; only an async process awaits it" in str(report["error"])


# In a simulation.


def test_in_a_simulation_a_close_is_a_process_and_its_instant_comes_from_the_seed() -> None:
    def closings(seed: int) -> list[str]:
        log: list[str] = []

        def close(name: str) -> None:
            process.sleep(3600)  # it may wait, and takes no time
            log.append(name)

        def owner(name: str) -> None:
            process.own(object(), lambda: close(name))

        async def async_owner() -> None:
            process.own(object(), lambda: log.append("async"))

        def main() -> None:
            for name in "abcd":
                process.spawn(owner, name)
            process.spawn(async_owner)
            process.sleep(7200)

        Simulation(seed=seed).run(main, limit=1e6)
        return log

    logs = [closings(seed) for seed in range(8)]
    assert {tuple(sorted(log)) for log in logs} == {("a", "async", "b", "c", "d")}
    assert logs == [closings(seed) for seed in range(8)]
    assert len({tuple(log) for log in logs}) > 1


def test_a_simulated_node_stopped_from_outside_has_crashed_and_closes_sockets_only() -> None:
    """As what ``before_stop`` was given is not called."""
    pairs = [socket.socketpair() for _ in range(2)]
    log: list[str] = []
    simulation = Simulation(seed=1)

    async def async_owner(told: Pid) -> None:
        process.own(pairs[1][0])
        process.own(Thing(lambda: log.append("async")))
        process.send(told, "owned")
        await asyncio.Event().wait()

    def main() -> None:
        process.spawn(waiting(pairs[0][0], Thing(lambda: log.append("green")), told=self_pid()))
        process.spawn(async_owner, self_pid())
        process.receive(str)
        process.receive(str)

    simulation.run(main)
    simulation.nodes["a@sim"].stop()
    simulation.settle()
    assert [ours.fileno() for ours, _ in pairs] == [-1, -1]
    assert log == []
    for _, theirs in pairs:
        theirs.close()


def test_a_simulated_node_that_stops_itself_closes_what_its_processes_own() -> None:
    log: list[str] = []
    simulation = Simulation(seed=1)
    node = simulation.nodes["a@sim"]

    def main() -> None:
        process.spawn(waiting(Thing(lambda: log.append("closed")), told=self_pid()))
        process.receive(str)
        node.stop()

    simulation.run(main)
    simulation.settle()
    assert log == ["closed"]
