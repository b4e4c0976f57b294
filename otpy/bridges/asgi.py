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
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from typing import Any, TypedDict, Unpack

from otpy.behaviours import supervisor as plain
from otpy.bridges.aio import _task, receive, supervisor
from otpy.machines.restart import AutoShutdown, Strategy
from otpy.runtime import process
from otpy.runtime._current import IN_TASK, acting
from otpy.runtime._default import check_node, default_or_none, set_default_node
from otpy.runtime.arguments import check_function, check_seconds
from otpy.runtime.node import Node
from otpy.runtime.reports import shown_reason
from otpy.terms.errors import BadArgument, CallTimeout, ProcessExit
from otpy.terms.messages import Exit
from otpy.terms.names import Global, Via
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


class Flags(TypedDict, total=False):
    """The flags of ``supervisor.start_link``."""

    name: str | type | Global | Via | None
    strategy: Strategy | None
    max_restarts: int
    max_seconds: float
    auto_shutdown: AutoShutdown
    green: bool


class Options(Flags, total=False):
    """The options of ``running``, by keyword."""

    node: Node | None
    shutdown: float
    on_end: Callable[[Any], None]


def running(
    children: Children,
    arg: Any = None,
    *,
    node: Node | None = None,
    shutdown: float = 10.0,
    on_end: Callable[[Any], None] = end_server,
    **flags: Unpack[Flags],
) -> AbstractAsyncContextManager[Node]:
    """Run a tree while the block runs; gives its node.

    ``children``, ``arg`` and ``flags`` are those of ``supervisor.start_link``. ``node`` is one
    of yours, which goes on afterwards (it may have a mesh); by default that of the process that
    the task is, or acts for, else a new one. The block is a process of it, and the task is what
    it was before when the block is over.
    ``shutdown``: the seconds that everything has to stop, the tree and the node, and before them
    an application that ``Lifespan`` wraps. A child that has not stopped by then is killed, and a
    body that runs on even so is logged and left alone.
    ``on_end(reason)`` is called when the tree ends by itself, as OTP ends the node of a permanent
    application. Raises ``BadArgument``; the block raises what ``supervisor.start_link`` raises.
    """
    tree = _Tree(children, arg, node=node, shutdown=shutdown, on_end=on_end, **flags)
    return tree.running(_Budget(shutdown))


class _Budget:
    """The seconds that everything together has to stop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: float | None = None

    def left(self) -> float:
        """The seconds that are left; they run from the first time that somebody asks."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self.seconds
        return max(0.0, self._until - now)


class _Tree:
    """A tree to be, its options checked."""

    def __init__(
        self,
        children: Children,
        arg: Any = None,
        *,
        node: Node | None = None,
        shutdown: float = 10.0,
        on_end: Callable[[Any], None] = end_server,
        **flags: Unpack[Flags],
    ) -> None:
        check_seconds("shutdown", shutdown)
        check_function("on_end", on_end)
        if node is not None:
            check_node("asgi", node)
        unknown = sorted(set(flags) - Flags.__annotations__.keys())
        if unknown:
            *most, last = Options.__annotations__
            raise BadArgument(
                f"asgi: the option {unknown[0]!r}; expected {', '.join(most)} or {last}"
            )
        self.node = node
        self.shutdown = shutdown
        self.on_end = on_end
        self._start: Callable[[Node], Awaitable[Pid]] = lambda home: supervisor.start_link(
            children, arg, node=home, **flags
        )

    @asynccontextmanager
    async def running(self, budget: _Budget) -> AsyncGenerator[Node, None]:
        """Run it while the block runs."""
        near = _node_here() if self.node is None else self.node
        home = Node() if near is None else near
        home.start()
        outer, default = home.outer_loop, default_or_none()
        home.outer_loop = outer or asyncio.get_running_loop()
        set_default_node(home)
        try:
            async with _process_of(home):
                begun: asyncio.Future[Pid] = asyncio.get_running_loop().create_future()
                begin = partial(self._start, home)
                keeper = asyncio.create_task(_keep(home, begin, begun, self.on_end))
                try:
                    boss = await begun
                    try:
                        yield home
                    finally:
                        keeper.cancel()
                        await _stop(home, boss, budget)
                finally:
                    keeper.cancel()
                    await asyncio.wait({keeper}, timeout=AT_LEAST)
        finally:
            _restore_default(home, default)
            if near is None:
                await _stop_node(home, max(AT_LEAST, budget.left()))
            else:
                home.outer_loop = outer  # the node may outlive this loop


async def _stop_node(home: Node, seconds: float) -> None:
    # On another thread: async processes end on this one.
    orphans = await asyncio.get_running_loop().run_in_executor(None, home.stop, seconds)
    if orphans:
        LOG.warning("bodies that run on after the node's end: %s", orphans)


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


def _restore_default(home: Node, before: Node | None) -> None:
    # Trees may end in another order than they began in: a later one's node stays the default.
    if default_or_none() is home:
        stopped = before is None or before.state != "running"
        set_default_node(None if stopped else before)


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


async def _stop(home: Node, boss: Pid, budget: _Budget) -> None:
    # What stopped before the tree may have taken all there was.
    seconds = max(min(AT_LEAST, budget.seconds), budget.left())
    # The two halves of an async fixture need not run as the same process.
    async with _process_of(home):
        if not process.alive(boss):
            return
        try:
            await supervisor.stop(boss, SHUTDOWN, seconds)
        except CallTimeout:
            told = "the supervision tree did not stop within %s s; what is left is killed"
            LOG.error(told, budget.seconds)
            process.exit(boss, "kill")


def lifespan(
    children: Children, arg: Any = None, **options: Unpack[Options]
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """The ``lifespan=`` of a Starlette or FastAPI application: ``running`` for its life.

    The options are those of ``running``. Request handlers find the node in
    ``request.state.otpy_node``. Raises ``BadArgument``.
    """
    tree = _Tree(children, arg, **options)

    @asynccontextmanager
    async def span(_app: Any) -> AsyncGenerator[dict[str, Any], None]:
        async with tree.running(_Budget(tree.shutdown)) as node:
            yield {"otpy_node": node}

    return span


class Lifespan:
    """An ASGI application around another one, with a tree for its life.

    The inner application's own lifespan is served too, inside that of the tree: it starts
    after the tree and stops before it, within the same ``shutdown`` seconds. One that does not,
    or that raises, is logged; the tree stops, and then the server is told of the failure.
    The options are those of ``running``. Raises ``BadArgument``.
    """

    def __init__(
        self, app: App, children: Children, arg: Any = None, **options: Unpack[Options]
    ) -> None:
        check_function("Lifespan", app)
        self._app = app
        self._tree = _Tree(children, arg, **options)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        phase = "startup"
        budget = _Budget(self._tree.shutdown)
        try:
            async with self._tree.running(budget) as node:
                if "state" in scope:
                    scope["state"]["otpy_node"] = node
                with closing(_Inner(self._app, scope)) as inner:
                    told = await inner.ask("lifespan.startup")
                    if told["type"] == "lifespan.startup.complete":
                        phase = "shutdown"
                        await send(told)
                        await receive()
                        told = await inner.ask("lifespan.shutdown", budget)
        except Exception as error:  # whatever it is, the server is told
            LOG.exception("the application failed in its %s", phase)
            told = {"type": f"lifespan.{phase}.failed", "message": str(error)}
        # Only now, as the tree has stopped: a server may end the program when it hears this.
        await send(told)


class _Inner:
    """The lifespan of the inner application, if it has one."""

    def __init__(self, app: App, scope: MutableMapping[str, Any]) -> None:
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = False
        self._task = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: App, scope: MutableMapping[str, Any]) -> BaseException | None:
        """Serve it; what it raised."""
        try:
            await app(scope, self._in.get, self._send)
        except (Exception, ProcessExit) as error:  # whatever it is, it is the application's end
            if self._answered:
                LOG.exception("the inner application failed in its lifespan")
                return error
            # The ASGI specification's "no lifespan here".
            LOG.debug("the inner application has no lifespan: %r", error)
        return None

    async def _send(self, message: Message) -> None:
        self._answered = True
        await self._out.put(message)

    async def ask(self, what: str, budget: _Budget | None = None) -> Message:
        """Tell it of startup or shutdown; its answer, or that it has none to give."""
        await self._in.put({"type": what})
        answer = asyncio.create_task(self._out.get())
        try:
            await asyncio.wait(
                {answer, self._task},
                timeout=None if budget is None else budget.left(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if answer.done():
                return answer.result()
        finally:
            answer.cancel()
        if self._task.done() and not self._task.cancelled():
            error = self._task.result()
            if error is None:
                # An application without a lifespan raises, or returns: that is its right.
                return {"type": f"{what}.complete"}
            return {"type": f"{what}.failed", "message": str(error) or repr(error)}
        told = "the inner application was cancelled"
        if budget is not None and not self._task.done():
            told = f"the inner application did not stop within {budget.seconds} s; it is cancelled"
        LOG.error(told)
        return {"type": f"{what}.failed", "message": told}

    def close(self) -> None:
        """It is not asked any more."""
        self._task.cancel()


__all__ = ["Lifespan", "end_server", "lifespan", "running"]
