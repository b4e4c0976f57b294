"""Agents, tasks and their supervisors in coroutines."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# The lambdas are work of any kind: their parameters have no type.

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    CallTimeout,
    ChildError,
    Done,
    Exited,
    Node,
    Pid,
    WouldBlockLoop,
    agent,
    aio,
    process,
    self_pid,
    task,
    task_supervisor,
)
from otpy.testing import eventually


async def doubled(n: int) -> int:
    await aio.sleep(0.0001)
    return 2 * n


async def stuck(*_: Any) -> None:
    await aio.receive(where=lambda _: False)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 20))


def left_of(pid: Pid) -> Any:
    return process.info(pid, "links", "messages", "monitors")


NOTHING: dict[str, Any] = {"links": [], "messages": [], "monitors": []}


def test_a_coroutine_awaits_tasks_of_every_kind(node: Node) -> None:
    async def main() -> None:
        held = aio.task.async_(stuck)  # asked while it surely lives: it runs on another thread
        assert held.pid is not None
        assert process.info(held.pid, "kind") == {"kind": "async"}
        assert await aio.task.shutdown(held) is None
        async_one = aio.task.async_(doubled, 2)
        assert await aio.task.await_(async_one) == 4
        for green in (False, True):
            t = aio.task.async_(lambda: self_pid(), green=green)
            assert await aio.task.await_(t) == t.pid
        both = [aio.task.async_(doubled, 1), aio.task.completed(5)]
        assert await aio.task.await_many(both) == [2, 5]
        while left_of(async_one.owner) != NOTHING:
            await asyncio.sleep(0.001)  # a link lasts until the task's process has ended

    run(main)


@pytest.mark.otpy_leaves_processes
def test_a_coroutine_yields_shuts_down_and_ignores(node: Node) -> None:
    async def main() -> None:
        t = aio.task.async_(stuck)
        assert await aio.task.yield_(t, 0.01) is None
        with pytest.raises(CallTimeout):
            await aio.task.await_(aio.task.async_(stuck), 0.01)
        assert await aio.task.shutdown(t) is None
        done, running = aio.task.async_(doubled, 1), aio.task.async_(stuck)
        rows = await aio.task.yield_many([done, running], 0.5, limit=1)
        assert [result for _, result in rows] == [Done(2), None]
        assert aio.task.ignore(running) is None

    run(main)


def test_another_coroutine_may_not_await_a_task(node: Node) -> None:
    async def main() -> None:
        t = aio.task.async_(doubled, 1)

        async def other() -> None:
            with pytest.raises(BadArgument, match="must be queried from the owner"):
                await aio.task.await_(t)

        await asyncio.create_task(other())
        assert await aio.task.await_(t) == 2

    run(main)


def test_a_stream_is_run_through_with_async_for(node: Node) -> None:
    async def main() -> None:
        for fn in (doubled, lambda n: 2 * n):
            stream = aio.task.async_stream(range(5), fn, max_concurrency=2)
            assert [r async for r in stream] == [Done(2 * n) for n in range(5)]
        late = aio.task.async_stream([1], stuck, timeout=0.02, on_timeout="kill_task")
        assert [r async for r in late] == [Exited("timeout")]
        with pytest.raises(CallTimeout):
            await anext(aio.task.async_stream([1], stuck, timeout=0.02))
        async with aio.attached() as me:
            assert left_of(me) == NOTHING

    run(main)


@pytest.mark.parametrize("how", ["break", "with"])
def test_a_stream_that_is_left_early_stops_its_tasks(node: Node, how: str) -> None:
    workers: list[Pid] = []

    async def work(n: int) -> int:
        if n:
            workers.append(self_pid())
            await stuck()
        return n

    async def main() -> None:
        async with aio.attached() as me:
            stream = aio.task.async_stream(range(9), work, max_concurrency=3, ordered=False)
            if how == "with":
                async with stream:
                    assert await anext(stream) == Done(0)
                assert not any(map(process.alive, workers))
                return
            async for result in stream:
                assert result == Done(0)
                break
            del stream
            while any(map(process.alive, workers)) or left_of(me) != NOTHING:
                await aio.sleep(0.001)

    run(main)


async def too_many(boss: Pid) -> None:
    for _ in range(4):
        await aio.task_supervisor.start_child(boss, stuck)


def test_a_coroutine_has_supervised_tasks(node: Node) -> None:
    async def main() -> None:
        boss = await aio.task_supervisor.start_link(max_children=3)
        assert await aio.task.await_(await aio.task_supervisor.async_(boss, doubled, 4)) == 8
        bad = await aio.task_supervisor.async_nolink(boss, process.exit, "bad")
        assert await aio.task.yield_(bad) == Exited("bad")
        stream = aio.task_supervisor.async_stream(boss, range(3), doubled, max_concurrency=2)
        assert [r async for r in stream] == [Done(0), Done(2), Done(4)]
        failing = aio.task_supervisor.async_stream_nolink(
            boss, range(1), process.exit, max_concurrency=2
        )
        assert [r async for r in failing] == [Exited(0)]
        pid = await aio.task_supervisor.start_child(boss, stuck)
        assert pid in await aio.task_supervisor.children(boss)
        await aio.task_supervisor.terminate_child(boss, pid)
        with pytest.raises(ChildError, match="reached the maximum number of tasks"):
            await too_many(boss)
        await aio.task_supervisor.stop(boss)

    run(main)


@pytest.mark.otpy_leaves_processes
def test_a_coroutine_uses_an_agent(node: Node) -> None:
    async def main() -> None:
        pid = await aio.agent.start(lambda a: a, 1, name="n")
        await aio.agent.update("n", lambda n, m: n + m, 2)
        aio.agent.cast(pid, lambda n: n + 1)
        assert await aio.agent.get_and_update(pid, lambda n: (n, 10)) == 4
        assert await aio.agent.get(pid, lambda n: n) == 10
        await aio.agent.stop(pid)
        with pytest.raises(CallExit) as nobody:
            await aio.agent.get(pid, lambda n: n)
        assert nobody.value.reason == "noproc"
        linked = await aio.agent.start_link(lambda: 1)
        assert await aio.agent.get(linked, lambda n: n) == 1

    run(main)
    assert eventually(lambda: process.whereis("n") is None)


CALLS: dict[str, Callable[[], Any]] = {
    "agent.start_link": lambda: agent.start_link(list),
    "agent.start": lambda: agent.start(list),
    "agent.get": lambda: agent.get("n", len),
    "agent.update": lambda: agent.update("n", len),
    "agent.get_and_update": lambda: agent.get_and_update("n", lambda n: (n, n)),
    "agent.stop": lambda: agent.stop("n"),
    "task.await_": lambda: task.await_(task.completed(1)),
    "task.await_many": lambda: task.await_many([]),
    "task.yield_": lambda: task.yield_(task.completed(1)),
    "task.yield_many": lambda: task.yield_many([]),
    "task.shutdown": lambda: task.shutdown(task.completed(1)),
    "task.async_stream": lambda: next(task.async_stream([1], doubled)),
    "task_supervisor.start_link": lambda: task_supervisor.start_link(),
    "task_supervisor.async_": lambda: task_supervisor.async_("s", doubled, 1),
    "task_supervisor.async_nolink": lambda: task_supervisor.async_nolink("s", doubled, 1),
    "task_supervisor.start_child": lambda: task_supervisor.start_child("s", doubled, 1),
    "task_supervisor.async_stream": lambda: next(task_supervisor.async_stream("s", [1], doubled)),
    "task_supervisor.async_stream_nolink": lambda: next(
        task_supervisor.async_stream_nolink("s", [1], doubled)
    ),
    "task_supervisor.children": lambda: task_supervisor.children("s"),
    "task_supervisor.terminate_child": lambda: task_supervisor.terminate_child("s", self_pid()),
    "task_supervisor.stop": lambda: task_supervisor.stop("s"),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_waits_names_the_function_of_aio_to_use(node: Node, what: str) -> None:
    async def main() -> None:
        with pytest.raises(WouldBlockLoop, match=rf"^{what} would block .* await aio\.{what}\("):
            CALLS[what]()

    run(main)
    module, function = what.split(".")
    assert callable(getattr(getattr(aio, module), function))
