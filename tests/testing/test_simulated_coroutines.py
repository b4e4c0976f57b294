"""Coroutines in a simulation: asyncio at virtual time, in an order that the seed gives."""

import asyncio
import gc
import math
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from otpy import (
    CallExit,
    Down,
    GenServer,
    Global,
    InitResult,
    Node,
    NodeError,
    NotSimulated,
    Ok,
    Pid,
    Reply,
    WouldBlockLoop,
    aio,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.runtime.simulated import Simulation
from otpy.testing.plugin import Reports
from otpy.testing.simulation import ClusterSimulation
from tests.testing import coroutines_program as program

Outcome = Callable[..., Any]


@pytest.fixture(params=["node", "simulation"])
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """``outcome(fn)``: what ``fn()`` gives as a process of a real node, and in a simulation."""
    if request.param == "simulation":
        return Simulation(1).run
    node: Node = request.getfixturevalue("node")

    def on_node(fn: Callable[[], Any]) -> Any:
        return node.run(process.await_coroutine, fn())

    return on_node


async def passed(coroutine: Any) -> tuple[Any, float]:
    """The value of a coroutine, and the virtual seconds that it took."""
    began = process.monotonic_time()
    value = await coroutine
    return value, round(process.monotonic_time() - began, 6)


def test_what_asyncio_waits_for_takes_virtual_time() -> None:
    async def too_late() -> str:
        try:
            await asyncio.wait_for(asyncio.sleep(7200), 60)
        except TimeoutError:
            return "too late"
        return "in time"

    async def handed_over() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def feed() -> None:
            for n in range(3):
                await asyncio.sleep(10)
                await queue.put(n)

        feeding = asyncio.create_task(feed())
        got = [await queue.get() for _ in range(3)]
        await feeding
        return got

    async def locked() -> list[int]:
        lock = asyncio.Lock()
        order: list[int] = []

        async def hold(n: int) -> None:
            async with lock:
                await asyncio.sleep(5)
                order.append(n)

        await asyncio.gather(*(hold(n) for n in range(3)))
        return order

    async def told() -> bool:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(30, event.set)
        async with asyncio.timeout(31):
            return await event.wait()

    async def main() -> None:
        assert await passed(asyncio.sleep(3600.5, "slept")) == ("slept", 3600.5)
        assert await passed(too_late()) == ("too late", 60)
        assert await passed(handed_over()) == ([0, 1, 2], 30)
        assert await passed(locked()) == ([0, 1, 2], 15)
        assert await passed(told()) == (True, 30)
        pairs = asyncio.gather(asyncio.sleep(2, "a"), asyncio.sleep(3, "b"))
        assert await passed(pairs) == (["a", "b"], 3)
        assert asyncio.get_running_loop().time() == process.monotonic_time()

    Simulation(1).run(main, limit=8000)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_gives_the_same_log_whatever_the_hash_seed_is(seed: int) -> None:
    def log(hash_seed: str) -> str:
        command = [sys.executable, "-m", program.__name__, str(seed)]
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    first = log("1")
    assert first.count("\n") > 80
    assert first == log("2")
    assert first == "\n".join(program.play(seed)) + "\n"


@pytest.mark.parametrize("told", [False, True])
def test_seeds_differ_in_which_process_comes_next(told: bool) -> None:
    async def says(parent: Pid, n: int) -> None:
        if told:
            await aio.receive()
        process.send(parent, n)

    async def main() -> tuple[int, ...]:
        pids = [process.spawn(says, self_pid(), n) for n in range(4)]
        await asyncio.sleep(1)
        for pid in pids:
            process.send(pid, "go")
        return tuple([await aio.receive() for _ in range(4)])

    orders = {Simulation(seed).run(main) for seed in range(20)}
    assert len(orders) > 5
    assert {tuple(sorted(order)) for order in orders} == {(0, 1, 2, 3)}


@pytest.mark.parametrize("seed", range(5))
def test_what_one_process_scheduled_runs_in_that_order(seed: int) -> None:
    async def main() -> list[int]:
        loop, order = asyncio.get_running_loop(), list[int]()
        process.spawn(asyncio.sleep, 0)
        for n in range(5):
            loop.call_soon(order.append, n)
            loop.call_later(1, order.append, 10 + n)
            loop.call_soon_threadsafe(order.append, 5 + n)
        await asyncio.sleep(2)
        return order

    assert Simulation(seed).run(main) == [0, 5, 1, 6, 2, 7, 3, 8, 4, 9, *range(10, 15)]


def test_what_a_simulation_left_is_collected_within_another_one_unnoticed(
    capture_reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """Its coroutines are closed by the garbage collector, in the context of whoever runs."""

    async def for_ever() -> None:
        await asyncio.sleep(math.inf)

    def begin() -> None:
        process.spawn(for_ever)
        process.sleep(1)

    for seed in range(2):  # the last one is kept until the next one runs
        Simulation(seed).run(begin)

    async def main() -> None:
        me = self_pid()
        gc.collect()
        assert self_pid() == me

    Simulation(2).run(main)
    assert capture_reports.texts == []
    assert "destroyed" not in caplog.text


def test_a_coroutine_knows_its_process_after_every_wait() -> None:
    async def keeps(parent: Pid) -> None:
        me = self_pid()
        seen: list[bool] = []
        for wait in (asyncio.sleep(0), aio.sleep(1), aio.blocking(int), asyncio.to_thread(int)):
            await wait
            seen.append(self_pid() == me)
        seen.append(await asyncio.create_task(same(me)))
        process.send(parent, seen)

    async def same(me: Pid) -> bool:
        return self_pid() == me

    async def main() -> list[Any]:
        for _ in range(5):
            process.spawn(keeps, self_pid())
        return [await aio.receive(list) for _ in range(5)]

    assert Simulation(3).run(main) == [[True] * 5] * 5


def test_a_task_ends_with_its_process_whatever_it_awaits(outcome: Outcome) -> None:
    async def main() -> None:
        parent = self_pid()

        async def waits() -> None:
            try:
                process.send(parent, "waits")
                await asyncio.get_running_loop().create_future()
            finally:
                told.set()

        told = asyncio.Event()
        async with aio.attached():
            parent = self_pid()
            pid, ref = process.spawn_monitor(waits)
            await aio.receive(str, timeout=5)
            process.exit(pid, "kill")
            down = await aio.receive(Down, timeout=5)
            assert (down.ref, down.reason) == (ref, "killed")
            await asyncio.wait_for(told.wait(), 5)

    outcome(main)


def test_a_task_that_was_given_up_a_wait_ends_with_its_process(outcome: Outcome) -> None:
    async def main() -> None:
        async def waits(parent: Pid) -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            try:
                await aio.receive()
            except asyncio.CancelledError:
                process.send(parent, "waits")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told.set()

        told = asyncio.Event()
        async with aio.attached():
            pid = process.spawn(waits, self_pid())
            assert await aio.receive(timeout=5) == "waits"
            process.exit(pid, "kill")
            await asyncio.wait_for(told.wait(), 5)

    outcome(main)


class Echo(GenServer[int]):
    """Replies with the request."""

    async def init(self, arg: int) -> InitResult[int]:
        return Ok(arg)

    async def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        return Reply(request)


def test_a_wait_that_blocks_is_refused_as_on_a_real_loop(outcome: Outcome) -> None:
    async def main() -> None:
        with pytest.raises(WouldBlockLoop, match=r"await aio\.sleep"):
            process.sleep(1)

    outcome(main)


@pytest.mark.parametrize("kind", ["node", "simulation"])
def test_a_coroutine_that_is_no_process_is_of_the_node_of_its_loop(kind: str) -> None:
    """A process awaits it and is another one."""

    async def asks(me: Pid) -> bool:
        with pytest.raises(CallExit, match="noproc"):
            await aio.call("nobody", "x")
        assert await aio.call(process.whereis("somebody") or me, "x") == "x"
        return self_pid().node == me.node and self_pid() != me

    def main() -> bool:
        pid = gen_server.start(Echo, 1, name="somebody")
        told = process.await_coroutine(asks(self_pid()))
        gen_server.stop(pid)
        return told

    if kind == "simulation":
        assert Simulation(1).run(main)
    else:
        with Node("other@127.0.0.1") as other:  # not the default node
            assert other.run(main)


def test_processes_of_other_kinds_await_coroutines_and_pool_jobs() -> None:
    def main() -> None:
        assert process.await_coroutine(asyncio.sleep(5, "slept")) == "slept"
        with pytest.raises(ZeroDivisionError):
            process.blocking(lambda: 1 / 0)
        # A job may wait: it is a process.
        assert process.blocking(process.sleep, 5) is None

    sim = Simulation(1)
    began = sim.sched.clock.time
    sim.run(main)
    assert sim.sched.clock.time - began == pytest.approx(10, abs=0.001)


def test_the_loop_can_be_told_to_complete_a_coroutine() -> None:
    sim = Simulation(1)
    loop = sim.loops["a@sim"]
    assert loop.run_until_complete(asyncio.sleep(5, "outside")) == "outside"
    assert sim.run(lambda: loop.run_until_complete(asyncio.sleep(5, "inside"))) == "inside"
    with pytest.raises(NodeError, match="waits for ever"):
        loop.run_until_complete(loop.create_future())

    async def main() -> None:
        assert loop.is_running()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_until_complete(loop.create_future())

    sim.run(main)
    assert not loop.is_running()


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("create_connection", lambda: asyncio.open_connection("127.0.0.1", 1)),
        ("create_server", lambda: asyncio.start_server(print, "127.0.0.1", 0)),
        ("subprocess_exec", lambda: asyncio.create_subprocess_exec("true")),
        ("getaddrinfo", lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1)),
        ("add_signal_handler", lambda: asyncio.get_running_loop().add_signal_handler(2, print)),
        ("add_reader", lambda: asyncio.get_running_loop().add_reader(0, print)),
        ("run_forever", lambda: asyncio.get_running_loop().run_forever()),
        (
            "run_in_executor",
            lambda: asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), print),
        ),
    ],
)
def test_the_world_outside_is_refused_by_name(name: str, ask: Callable[[], Any]) -> None:
    async def main() -> None:
        with pytest.raises(NotSimulated) as refused:
            await ask()
        assert f"loop.{name}" in str(refused.value)
        assert repr(self_pid()) in str(refused.value)

    Simulation(1).run(main)


def test_a_timer_that_was_cancelled_takes_no_time() -> None:
    sim = Simulation(1)

    async def main() -> None:
        asyncio.get_running_loop().call_later(500, print).cancel()
        await asyncio.wait_for(asyncio.sleep(1), 1000)

    began = sim.sched.clock.time
    sim.run(main)
    sim.settle()
    assert sim.sched.clock.time - began < 2


def test_what_a_callback_raises_goes_to_the_handler_or_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        seen: list[Any] = []
        loop.call_soon(divmod, 1, 0)
        await asyncio.sleep(0)
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
        loop.call_soon(int, "x")
        await asyncio.sleep(0)
        return seen

    (error,) = Simulation(1).run(main)
    assert isinstance(error, ValueError)
    (logged,) = [record for record in caplog.records if record.name == "asyncio"]
    assert logged.exc_info is not None
    assert logged.exc_info[0] is ZeroDivisionError


def test_an_asynchronous_generator_that_is_dropped_is_finished() -> None:
    async def main() -> list[str]:
        told: list[str] = []

        async def numbers() -> AsyncGenerator[int, None]:
            try:
                yield 1
            finally:
                await asyncio.sleep(1)
                told.append("finished")

        async for _ in numbers():
            break
        await asyncio.sleep(2)
        return told

    assert Simulation(1).run(main) == ["finished"]


def test_a_coroutine_that_waits_for_ever_is_told_with_the_seed() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(NodeError, match=r"seed 7: .* waits for ever"):
        Simulation(7).run(main)


def test_the_tasks_of_a_node_that_crashes_end() -> None:
    ended: list[str] = []

    async def waits(name: str) -> None:
        try:
            await asyncio.sleep(10)
            ended.append(f"{name} slept")
        finally:
            ended.append(name)

    async def goes_on() -> None:
        while True:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue
            ended.append("went on")

    async def main() -> None:
        process.spawn(waits, "process")
        process.spawn(goes_on)
        task = asyncio.create_task(waits("task"))
        process.spawn(idle, task)
        await asyncio.sleep(1)

    async def idle(_: object) -> None:
        await aio.receive()

    sim = ClusterSimulation(1, ("a@sim", "b@sim"))
    sim.call("b@sim", main)
    sim.kill("b@sim")
    sim.run(process.sleep, 20)
    assert sorted(ended) == ["process", "task"]


class Leader(GenServer[int]):
    """One in the cluster; its callbacks are coroutines."""

    @classmethod
    def start_link(cls, arg: int) -> Pid:
        return gen_server.start_link(cls, arg, name=Global(cls))

    async def init(self, arg: int) -> InitResult[int]:
        await asyncio.sleep(0.1)
        return Ok(arg)

    async def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        await asyncio.sleep(0.1)
        return Reply((request, self_pid()), state)


def boss() -> None:
    """Supervises a leader."""
    supervisor.start_link([(Leader, 1)], strategy="one_for_one")
    process.sleep(float("inf"))


@pytest.mark.parametrize("seed", range(3))
def test_an_async_leader_is_taken_over_on_another_node(seed: int) -> None:
    async def ask() -> Pid:
        request, pid = await aio.call(Global(Leader), "who", 5)
        assert request == "who"
        leader: Pid = pid
        return leader

    sim = ClusterSimulation(seed, ("a@sim", "b@sim"))
    service = sim.nodes["a@sim"].name_services["global"]
    name = Global(Leader).name
    sim.wait(lambda: all(mesh.nodes() for mesh in sim.meshes.values()))
    for node in ("b@sim", "a@sim"):
        sim.call(node, process.spawn, boss)
        sim.wait(lambda: service.whereis_name(name) is not None)
    first: Pid = sim.call("a@sim", ask)
    assert first.node == "b@sim"
    sim.kill("b@sim")
    sim.wait(lambda: service.whereis_name(name) not in (None, first))
    assert sim.call("a@sim", ask).node == "a@sim"
