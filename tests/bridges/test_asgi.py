"""A supervision tree for the life of an ASGI application, without a server around it."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, MutableMapping
from functools import partial
from typing import Any

import pytest

from otpy import (
    BadArgument,
    Down,
    StartError,
    aio,
    asgi,
    process,
    supervisor,
)
from otpy.testing import Reports, capture_log
from tests.bridges.asgi_parts import AsyncPart, Part, on_loop

Scope = MutableMapping[str, Any]


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


Inner = Callable[[asgi.Receive], Coroutine[Any, Any, None]]


def ends_by(end: Inner) -> asgi.App:
    """An application whose lifespan starts, and then goes on with ``end``."""

    async def inner(scope: Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if scope["type"] == "http":
            await send({"type": "answer"})
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await end(receive)

    return inner


async def raises_in_its_shutdown(receive: asgi.Receive) -> None:
    assert (await receive())["type"] == "lifespan.shutdown"
    raise RuntimeError("the pool is broken")


async def raises_before(_: asgi.Receive) -> None:
    raise RuntimeError("the pool is broken")


async def exits(_: asgi.Receive) -> None:
    process.exit("the pool is broken")


async def is_cancelled(_: asgi.Receive) -> None:
    raise asyncio.CancelledError("the pool is broken")


async def never_stops(receive: asgi.Receive) -> None:
    while True:
        await receive()


async def returns(_: asgi.Receive) -> None:
    """It needs no shutdown."""


@pytest.mark.parametrize(
    ("end", "logged"),
    [
        (raises_in_its_shutdown, "the inner application failed in its lifespan"),
        (raises_before, "the inner application failed in its lifespan"),
        (exits, "the inner application failed in its lifespan"),
        (never_stops, "the inner application did not stop within 0.2 s; it is cancelled"),
        (is_cancelled, "the inner application was cancelled"),
    ],
)
def test_an_inner_application_that_fails_to_stop_is_told_after_the_tree_has_stopped(
    end: Inner, logged: str
) -> None:
    events: list[Any] = []

    async def body() -> None:
        app = asgi.Lifespan(
            ends_by(end), [(Part, events.append)], strategy="one_for_one", shutdown=0.2
        )
        with capture_log(logging.ERROR, "otpy.asgi") as log:
            began = time.monotonic()
            events.extend(await serve(app))
            assert time.monotonic() - began < 5
        assert logged in log

    on_loop(body)
    assert events == ["shutdown", "lifespan.startup.complete", "answer", "lifespan.shutdown.failed"]


def test_an_inner_application_may_return_before_its_shutdown() -> None:
    async def body() -> None:
        app = asgi.Lifespan(ends_by(returns), [], strategy="one_for_one")
        assert (await serve(app))[-1] == "lifespan.shutdown.complete"

    on_loop(body)


def test_the_tree_has_what_the_inner_application_left_of_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[float | None] = []
    stop = aio.supervisor.stop

    async def told(boss: Any, reason: Any = "normal", timeout: float | None = None) -> None:
        given.append(timeout)
        await stop(boss, reason, timeout)

    async def body() -> None:
        for end in (returns, never_stops):
            app = asgi.Lifespan(ends_by(end), [], strategy="one_for_one", shutdown=0.3)
            with capture_log():
                await serve(app)

    monkeypatch.setattr(aio.supervisor, "stop", told)
    on_loop(body)
    all_, least = given
    assert all_ is not None
    assert asgi.AT_LEAST < all_ <= 0.3
    assert least == asgi.AT_LEAST


Make = Callable[..., object]
MAKERS: list[Make] = [asgi.running, asgi.lifespan, partial(asgi.Lifespan, plain)]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"on_end": 3}, r"on_end\(3\): expected a function"),
        ({"node": 3}, "node=3; expected a Node"),
        ({"shutdown": -1}, "shutdown=-1; expected seconds"),
        ({"shutdown": "soon"}, "shutdown='soon'; expected seconds"),
        ({"shutdwn": 1}, "the option 'shutdwn'; expected name, strategy, .* or on_end"),
    ],
)
def test_options_are_checked_where_they_are_given(
    make: Make, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadArgument, match=told):
        make([], strategy="one_for_one", **options)


def test_what_is_wrapped_is_checked_where_it_is_given() -> None:
    wrong: Any = 3
    with pytest.raises(BadArgument, match=r"Lifespan\(3\): expected a function"):
        asgi.Lifespan(wrong, [])
