"""A supervision tree that belongs to an ASGI application.

The tree starts before the first request and stops after the last one, the latest child
first, within a budget of seconds. Starlette and FastAPI take it as their lifespan::

    app = FastAPI(lifespan=asgi.lifespan([(Counter, 0)], strategy="one_for_one"))

    @app.get("/next")
    async def next_number() -> int:
        return await aio.call(Counter, "next")

Any other ASGI application is wrapped: ``app = asgi.Lifespan(app, [...])``. Servers end the
lifespan on SIGTERM and SIGINT. The node lives on the server's event loop: async processes
run there. It is the default node meanwhile, so handlers find its names. In a task that is a
process already, as in a test with the ``node`` fixture, it is that process's node.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from otpy.behaviours import supervisor as plain
from otpy.bridges.aio import _task, receive, supervisor
from otpy.runtime import _default, process
from otpy.runtime._current import IN_TASK, acting
from otpy.runtime.arguments import check_seconds
from otpy.runtime.node import Node
from otpy.runtime.reports import shown_reason
from otpy.terms.errors import CallTimeout
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid
from otpy.terms.reasons import SHUTDOWN

LOG = logging.getLogger("otpy.asgi")
AT_LEAST = 0.1  # seconds that killed bodies have to end when the tree took all there was
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Children = list[Any] | tuple[Any, ...] | type[plain.Supervisor]


def end_server(reason: Any) -> None:
    """What happens by default when the tree ends by itself: the server stops, as on SIGTERM."""
    LOG.critical("the supervision tree ended: %s; the server stops", shown_reason(reason))
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def running(
    children: Children,
    arg: Any = None,
    *,
    node: Node | None = None,
    shutdown: float = 10.0,
    on_end: Callable[[Any], None] = end_server,
    **flags: Any,
) -> AsyncGenerator[Node, None]:
    """Run a tree while the block runs; gives its node.

    ``children``, ``arg`` and ``flags`` are those of ``supervisor.start_link``. ``node`` is one
    of yours, which goes on afterwards (it may have a mesh); by default that of the process that
    the task is, or acts for, else a new one. The block is a process of it, and the task is what
    it was before when the block is over.
    ``shutdown``: the seconds that everything has to stop, the tree and the node. A child that has
    not stopped by then is killed, and a body that runs on even so is logged and left alone.
    ``on_end(reason)`` is called when the tree ends by itself, as OTP ends the node of a permanent
    application. Raises what ``supervisor.start_link`` raises.
    """
    check_seconds("shutdown", shutdown)
    until = float("inf")
    near = _node_here() if node is None else node
    home = Node() if near is None else near
    home.start()
    outer, default = home.outer_loop, _default_or_none()
    home.outer_loop = outer or asyncio.get_running_loop()
    _default.set_default_node(home)
    try:
        async with _process_of(home):
            begun: asyncio.Future[Pid] = asyncio.get_running_loop().create_future()

            def begin() -> Awaitable[Pid]:
                return supervisor.start_link(children, arg, node=home, **flags)

            keeper = asyncio.create_task(_keep(home, begin, begun, on_end))
            try:
                boss = await begun
                try:
                    yield home
                finally:
                    keeper.cancel()
                    until = time.monotonic() + shutdown
                    await _stop(home, boss, shutdown)
            finally:
                keeper.cancel()
                await asyncio.wait({keeper}, timeout=AT_LEAST)
    finally:
        _restore_default(home, default)
        if near is None:
            left = max(AT_LEAST, min(shutdown, until - time.monotonic()))
            # On another thread: async processes end on this one.
            orphans = await asyncio.get_running_loop().run_in_executor(None, home.stop, left)
            if orphans:
                LOG.warning("bodies that run on after the node's end: %s", orphans)
        else:
            home.outer_loop = outer  # the node may outlive this loop


def _node_here() -> Node | None:
    """The node of the process that runs here, if somebody made it one on purpose."""
    me = acting()
    return None if me is None or getattr(me, "implicit", False) else me.node


@asynccontextmanager
async def _process_of(node: Node) -> AsyncGenerator[None, None]:
    """The task is a process of ``node`` while the block runs, whatever it is elsewhere."""
    me = IN_TASK.get()
    if me is not None and me.node is node and me.alive:
        async with _task.process(node):
            yield
        return
    token = IN_TASK.set(None)
    try:
        async with _task.process(node):
            yield
    finally:
        IN_TASK.reset(token)


def _default_or_none() -> Node | None:
    # ``default_node()`` would start one.
    return _default._node  # pyright: ignore[reportPrivateUsage]


def _restore_default(home: Node, before: Node | None) -> None:
    # Trees may end in another order than they began in: a later one's node stays the default.
    if _default_or_none() is home:
        stopped = before is None or before.state != "running"
        _default.set_default_node(None if stopped else before)


async def _keep(
    node: Node,
    begin: Callable[[], Awaitable[Pid]],
    begun: asyncio.Future[Pid],
    on_end: Callable[[Any], None],
) -> None:
    """Start the tree, and tell why it ended if it does so by itself.

    A process of its own, linked with the tree from the start: no end of it can be missed, and
    none cuts the lifespan short.
    """
    async with _task.process(node):
        process.flag(trap_exit=True)
        try:
            boss = await begin()
        except BaseException as error:  # noqa: BLE001 - whatever it is, ``running`` raises it
            if not begun.done():
                begun.set_exception(error)
            return
        if begun.done():
            return  # nobody waits for the tree any more; it ends with this process
        begun.set_result(boss)
        try:
            end: Exit = await receive(Exit, where=lambda exit_: exit_.pid == boss)
        finally:
            process.unlink(boss)  # it is stopped in order, not by the end of this process
        on_end(end.reason)


async def _stop(home: Node, boss: Pid, seconds: float) -> None:
    # The two halves of an async fixture need not run as the same process.
    async with _process_of(home):
        if not process.alive(boss):
            return
        try:
            await supervisor.stop(boss, SHUTDOWN, seconds)
        except CallTimeout:
            LOG.error(
                "the supervision tree did not stop within %s s; what is left is killed", seconds
            )
            process.exit(boss, "kill")


def lifespan(
    children: Children, arg: Any = None, **options: Any
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """The ``lifespan=`` of a Starlette or FastAPI application: ``running`` for its life.

    The options are those of ``running``. Request handlers find the node in
    ``request.state.otpy_node``.
    """

    @asynccontextmanager
    async def span(_app: Any) -> AsyncGenerator[dict[str, Any], None]:
        async with running(children, arg, **options) as node:
            yield {"otpy_node": node}

    return span


class Lifespan:
    """An ASGI application around another one, with a tree for its life.

    The inner application's own lifespan is served too, inside that of the tree: it starts
    after the tree and stops before it.
    """

    def __init__(self, app: App, children: Children, arg: Any = None, **options: Any) -> None:
        self._app = app
        self._running: Callable[[], AbstractAsyncContextManager[Node]] = lambda: running(
            children, arg, **options
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        phase = "startup"
        try:
            async with self._running() as node:
                if "state" in scope:
                    scope["state"]["otpy_node"] = node
                inner = _Inner(self._app, scope)
                told = await inner.startup()
                if told["type"] == "lifespan.startup.complete":
                    phase = "shutdown"
                    await send(told)
                    await receive()
                    told = await inner.shutdown()
                else:
                    inner.end()
        except Exception as error:  # whatever it is, the server is told
            LOG.exception("the application failed in its %s", phase)
            told = {"type": f"lifespan.{phase}.failed", "message": str(error)}
        # Only now, as the tree has stopped: a server may end the program when it hears this.
        await send(told)


class _Inner:
    """The lifespan of the inner application, if it has one."""

    def __init__(self, app: App, scope: MutableMapping[str, Any]) -> None:
        self._app = app
        self._scope = scope
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def _ask(self, what: str) -> Message:
        """Tell it of startup or shutdown; its answer, or that it has none to give."""
        if self._task is None or self._task.done():
            return {"type": f"{what}.complete"}
        await self._in.put({"type": what})
        answer = asyncio.create_task(self._out.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        # An application without a lifespan raises, or returns: that is its right.
        return {"type": f"{what}.complete"}

    async def startup(self) -> Message:
        """Its answer to startup."""
        run = self._app(self._scope, self._in.get, self._out.put)
        self._task = asyncio.ensure_future(_quietly(run))
        return await self._ask("lifespan.startup")

    async def shutdown(self) -> Message:
        """Its answer to shutdown."""
        told = await self._ask("lifespan.shutdown")
        self.end()
        return told

    def end(self) -> None:
        """It is not asked any more."""
        if self._task is not None:
            self._task.cancel()


async def _quietly(run: Awaitable[None]) -> None:
    try:
        await run
    except Exception as error:  # noqa: BLE001 - the ASGI specification's "no lifespan here"
        LOG.debug("the inner application has no lifespan: %r", error)


__all__ = ["Lifespan", "end_server", "lifespan", "running"]
