"""On which node a tree of ``asgi`` is, and which process its block."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio

from otpy import Node, aio, asgi, gen_server, process, self_pid
from tests.bridges.asgi_parts import AsyncPart, Part, on_loop


def test_the_tree_of_a_process_is_on_its_node() -> None:
    stopped: list[Any] = []

    async def body() -> None:
        with Node() as mine:
            async with aio.attached(mine) as me:
                before = mine.outer_loop
                parts = [(Part, stopped.append), (AsyncPart, stopped.append)]
                async with asgi.running(parts[:1], strategy="one_for_one") as node:
                    assert (node, self_pid()) == (mine, me)
                    assert (await aio.call(Part, "hello"))[0] == "hello"
                    async with asgi.running(parts[1:], strategy="one_for_one") as inner:
                        assert inner is mine
                        assert (await aio.call(AsyncPart, "hello"))[0] == "hello"
                    assert stopped == ["shutdown"]
                    assert await aio.blocking(gen_server.call, Part, "here") is not None
                    assert await on_a_plain_thread(process.whereis, Part) is not None, (
                        "the default node is gone"
                    )
                assert stopped == ["shutdown", "shutdown"]
                assert (mine.state, mine.outer_loop, self_pid()) == ("running", before, me)

    on_loop(body)


async def on_a_plain_thread(fn: Callable[..., Any], *args: Any) -> Any:
    """The result of ``fn(*args)`` where it has the default node."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as threads:  # its thread is in no task's context
        return await loop.run_in_executor(threads, fn, *args)


def test_a_task_that_acts_for_a_process_has_its_tree_on_the_same_node() -> None:
    async def body() -> None:
        with Node() as mine:

            async def life(up: asyncio.Event, over: asyncio.Event) -> None:
                async with asgi.running([(Part, None)], strategy="one_for_one") as node:
                    assert node is mine
                    up.set()
                    await over.wait()

            async with aio.attached(mine):
                up, over = asyncio.Event(), asyncio.Event()
                task = asyncio.create_task(life(up, over))
                await asyncio.wait_for(up.wait(), 10)
                assert (await aio.call(Part, "hello"))[0] == "hello"
                over.set()
                await task

    on_loop(body)


def test_a_process_is_one_of_the_node_that_is_given_while_the_block_runs() -> None:
    stopped: list[Any] = []

    async def body() -> None:
        with Node() as mine, Node() as other:
            async with aio.attached(mine) as me:
                parts = [(Part, stopped.append)]
                async with asgi.running(parts, strategy="one_for_one", node=other):
                    assert self_pid() in other.procs
                    assert (await aio.call(Part, "hello"))[0] == "hello"
                assert stopped == ["shutdown"]
                assert self_pid() == me
                process.send(me, "now")
                assert await aio.receive(str, timeout=10) == "now"

    on_loop(body)


def test_an_implicit_process_does_not_choose_the_node() -> None:
    async def body() -> None:
        me = self_pid()
        async with asgi.running([(Part, None)], strategy="one_for_one") as node:
            assert self_pid() in node.procs
            assert (await aio.call(Part, "hello"))[0] == "hello"
        assert (node.state, self_pid()) == ("stopped", me)

    on_loop(body)


def test_a_tree_that_ends_first_leaves_the_default_node_to_the_other() -> None:
    async def body() -> None:
        first, second = (
            asgi.running([(Part, None)], strategy="one_for_one", node=node)
            for node in (Node(), Node())
        )
        nodes: list[Node] = []

        async def live(tree: Any, up: asyncio.Event, over: asyncio.Event) -> None:
            async with tree as node:
                nodes.append(node)
                up.set()
                await over.wait()

        events = [asyncio.Event() for _ in range(4)]
        one = asyncio.create_task(live(first, *events[:2]))
        await events[0].wait()
        two = asyncio.create_task(live(second, *events[2:]))
        await events[2].wait()
        events[1].set()
        await one
        assert await on_a_plain_thread(process.whereis, Part) is not None
        events[3].set()
        await two
        for node in nodes:
            node.stop()

    on_loop(body)


@pytest.fixture
def other() -> Iterator[Node]:
    with Node() as made:
        yield made


@pytest_asyncio.fixture
async def in_a_fixture(node: Node) -> AsyncGenerator[Node, None]:
    async with asgi.running([(Part, None)], strategy="one_for_one") as home:
        yield home


@pytest_asyncio.fixture
async def elsewhere(node: Node, other: Node) -> AsyncGenerator[list[Any], None]:
    stopped: list[Any] = []
    async with asgi.running([(Part, stopped.append)], strategy="one_for_one", node=other):
        yield stopped
    assert stopped == ["shutdown"]


@pytest.mark.asyncio
async def test_the_tree_of_a_test_is_on_the_tests_node(node: Node) -> None:
    async with asgi.running([(Part, None)], strategy="one_for_one") as home:
        assert home is node
        assert (await aio.call(Part, "hello"))[0] == "hello"
    assert await on_a_plain_thread(process.whereis, Part) is None
    assert (await on_a_plain_thread(self_pid)).node == node.name, "the default node is gone"


@pytest.mark.asyncio
async def test_the_tree_of_a_tests_fixture_is_on_the_tests_node(
    node: Node, in_a_fixture: Node
) -> None:
    assert in_a_fixture is node
    assert (await aio.call(Part, "hello"))[0] == "hello"


@pytest.mark.asyncio
async def test_a_fixtures_tree_on_a_node_of_its_own_stops_in_order(
    node: Node, other: Node, elsewhere: list[Any]
) -> None:
    assert process.whereis(Part) is None, "the test is not the block"
    async with aio.attached(other):
        assert self_pid() in node.procs, "a process stays the one that it is"
    assert elsewhere == []
