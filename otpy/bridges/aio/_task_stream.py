"""``async_stream`` for coroutines: ``async for``."""

from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from otpy.behaviours._task_stream import CLOSE, Options, Taking
from otpy.behaviours.gen_server import cast
from otpy.behaviours.results import Done, Exited
from otpy.bridges.aio import _servers, _task
from otpy.bridges.aio._processes import receive
from otpy.runtime import process
from otpy.runtime.node import Node
from otpy.terms.errors import CallExit
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid

A = TypeVar("A")


class AsyncStream(Taking[A, Any]):
    """The asynchronous iterator that ``aio.task.async_stream`` returns."""

    def __init__(self, enumerable: Iterable[A], options: Options, node: Node | None) -> None:
        super().__init__(enumerable, options)
        self._node = node

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Done[Any] | Exited:
        """The next result."""
        if self._monitor is None and self._source is None:
            raise StopAsyncIteration
        me = _task.lasting(self._node)
        if self._monitor is None:
            module, arg = self._plan(me)
            self._monitor = await _servers.start_link(module, arg)
        self._check(me)
        try:
            return await self._next(self._monitor)
        except BaseException:
            await self.aclose()
            raise

    async def _next(self, monitor: Pid) -> Done[Any] | Exited:
        window = self._window
        while True:
            inputs = self._take_inputs()
            if window.has_result:
                if inputs:
                    cast(monitor, inputs)
                result: Done[Any] | Exited = window.give()
                return result
            if window.over:
                raise StopAsyncIteration
            try:
                results = await _servers.call(monitor, inputs, None)
            except CallExit as ended:
                self._monitor = None
                await _fate(monitor)
                raise CallExit(ended.reason, self._options.request) from None
            self._took(results)

    async def aclose(self) -> None:
        """Stop early: returns when the tasks that still ran have been killed."""
        if self._consumer is None or _task.mine() is not self._consumer:
            self._abandon()
            return
        monitor = self._part()
        if monitor is not None:
            process.unlink(monitor)
            with suppress(CallExit):  # it has ended: so have the tasks
                await _servers.call(monitor, CLOSE, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


async def _fate(monitor: Pid) -> None:
    """A consumer that does not trap exits ends here for the reason the monitor ended for."""
    me = _task.mine()
    if me is None:
        return
    with me.owned:
        linked = me.links is not None and monitor in me.links
    if linked:
        await receive(Exit, where=lambda exit_: exit_.pid == monitor)
