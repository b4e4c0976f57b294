"""A supervision tree for the life of an ASGI application, without a server around it."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio

from otpy import (
    BadArgument,
    Down,
    GenServer,
    Node,
    Ok,
    Pid,
    Reply,
    StartError,
    aio,
    asgi,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.testing import Reports, capture_log

Scope = MutableMapping[str, Any]


class Part(GenServer[Any]):
    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        return gen_server.start_link(cls, arg, name=cls)

    def init(self, arg: Any, /) -> Ok[Any]:
        process.flag(trap_exit=True)
        if arg == "bad":
            raise RuntimeError("no")
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any, /) -> Any:
        return Reply((request, threading.get_ident()))

    def terminate(self, reason: Any, state: Any, /) -> None:
        if callable(state):
            state(reason)


class AsyncPart(Part):
    async def handle_call(self, request: Any, from_: Any, state: Any, /) -> Reply[Any]:
        return Reply((request, threading.get_ident()))


def on_loop(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(body())


def test_the_tree_runs_for_the_block_and_its_async_processes_on_the_loop() -> None:
    stopped: list[Any] = []

    async def body() -> None:
        parts = [(Part, stopped.append), (AsyncPart, None)]
        async with asgi.running(parts, strategy="one_for_one") as node:
            assert (await aio.call(Part, "hello"))[0] == "hello"
            assert await aio.call(AsyncPart, "here") == ("here", threading.get_ident())
            assert stopped == []
        assert stopped == ["shutdown"]
        assert node.state == "stopped"

    on_loop(body)


def test_a_tree_that_does_not_start_raises_and_leaves_nothing() -> None:
    async def body() -> None:
        with pytest.raises(StartError, match="failed_to_start_child"):
            async with asgi.running([(Part, "bad")], strategy="one_for_one"):
                raise AssertionError("it must not run")
        with pytest.raises(BadArgument, match="shutdown=-1"):
            async with asgi.running([], strategy="one_for_one", shutdown=-1):
                raise AssertionError("it must not run")

    on_loop(body)


def test_what_does_not_stop_within_the_budget_is_killed(capture_reports: Reports) -> None:
    gate = threading.Event()

    def wait(_: Any) -> None:
        gate.wait()

    async def body() -> None:
        child = supervisor.child_spec((Part, wait), shutdown=60.0)
        async with asgi.running([child], strategy="one_for_one", shutdown=0.05):
            began = time.monotonic()
        assert time.monotonic() - began < 2.5, "the node waited for the body, too"
        told = "the supervision tree did not stop within 0.05 s; what is left is killed"
        assert told in capture_reports.texts
        assert "bodies that run on after the node's end" in capture_reports.texts[-1]

    try:
        # The body of the child runs on in its thread until the gate is open.
        late = threading.Timer(20.0, gate.set)  # only if the tree waits for it
        late.start()
        on_loop(body)
        late.cancel()
    finally:
        gate.set()


def test_a_tree_that_ends_by_itself_is_told() -> None:
    ended: list[Any] = []

    async def body() -> None:
        options: dict[str, Any] = {"strategy": "one_for_one", "max_restarts": 0}
        over = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_end(reason: Any) -> None:
            ended.append(reason)
            loop.call_soon_threadsafe(over.set)

        async with asgi.running([(Part, None)], on_end=on_end, **options):
            with capture_log():
                await aio.stop(Part, "boom")
                await asyncio.wait_for(over.wait(), 10)

    on_loop(body)
    assert ended == ["shutdown"]


def test_a_tree_that_ends_before_the_loop_goes_on_tells_why() -> None:
    ended: list[Any] = []

    async def body() -> None:
        options: dict[str, Any] = {"strategy": "one_for_one", "max_restarts": 0}
        over, gone = asyncio.Event(), threading.Event()

        def on_end(reason: Any) -> None:
            ended.append(reason)
            over.set()

        async with asgi.running([(Part, None)], on_end=on_end, **options):
            part = process.whereis(Part)
            assert part is not None
            facts = process.info(part, "links")
            assert facts is not None
            (boss,) = facts["links"]

            def watch() -> None:
                process.monitor(boss)
                process.receive(Down)
                gone.set()

            with capture_log():
                process.spawn(watch)
                process.exit(part, "kill")
                assert gone.wait(10)  # on purpose: the loop has done nothing since the start
                await asyncio.wait_for(over.wait(), 10)

    on_loop(body)
    assert ended == ["shutdown"]


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


Told = list[str]


async def serve(app: asgi.Lifespan, state: dict[str, Any] | None = None) -> Told:
    """What an ASGI server does: one lifespan, with a request in its midst."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    told: Told = []
    complete = asyncio.Event()

    async def send(message: Any) -> None:
        told.append(message["type"])
        complete.set()

    scope: Scope = {"type": "lifespan", "state": {} if state is None else state}
    life = asyncio.create_task(app(scope, inbox.get, send))
    await inbox.put({"type": "lifespan.startup"})
    await complete.wait()
    if told == ["lifespan.startup.complete"]:
        await app({"type": "http"}, inbox.get, send)
        await inbox.put({"type": "lifespan.shutdown"})
    await asyncio.wait_for(life, 10)
    return told


async def plain(scope: Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError("only http here")
    await send({"type": (await aio.call(Part, "answer"))[0]})


def test_any_asgi_application_is_wrapped() -> None:
    async def body() -> None:
        state: dict[str, Any] = {}
        app = asgi.Lifespan(plain, [(Part, None)], strategy="one_for_one")
        assert await serve(app, state) == [
            "lifespan.startup.complete",
            "answer",
            "lifespan.shutdown.complete",
        ]
        assert state["otpy_node"].state == "stopped"

    on_loop(body)


def test_the_inner_lifespan_is_inside_the_trees() -> None:
    events: list[str] = []

    async def inner(scope: Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] == "http":
            await send({"type": "answer"})
            return
        while True:
            what = (await receive())["type"]
            found = process.whereis(Part) is not None
            events.append(f"{what} {found}")
            await send({"type": f"{what}.complete"})

    def ended(_: Any) -> None:
        events.append("tree")

    async def body() -> None:
        app = asgi.Lifespan(inner, [(Part, ended)], strategy="one_for_one")
        await serve(app)

    on_loop(body)
    assert events == ["lifespan.startup True", "lifespan.shutdown True", "tree"]


def test_a_tree_has_stopped_when_the_server_is_told_that_the_inner_application_failed() -> None:
    """A server that hears so ends the program."""
    events: list[str] = []

    async def inner(scope: Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        events.append(f"asked {(await receive())['type']}")

    async def send(message: Scope) -> None:
        events.append(message["type"])

    async def receive() -> Scope:
        return {"type": "lifespan.startup"}

    def ended(_: Any) -> None:
        events.append("tree")

    async def body() -> None:
        app = asgi.Lifespan(inner, [(Part, ended)], strategy="one_for_one")
        await app({"type": "lifespan"}, receive, send)

    on_loop(body)
    assert events == ["tree", "lifespan.startup.failed"]


def test_a_server_is_told_of_a_tree_that_does_not_start() -> None:
    async def body() -> None:
        app = asgi.Lifespan(plain, [(Part, "bad")], strategy="one_for_one")
        with capture_log() as log:
            assert await serve(app) == ["lifespan.startup.failed"]
        assert "the application failed in its startup" in log

    on_loop(body)
