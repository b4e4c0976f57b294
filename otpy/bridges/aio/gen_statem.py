"""``otpy.gen_statem`` for coroutines."""

from typing import Any, NoReturn, TypeVar, overload

from otpy.behaviours import gen_statem
from otpy.behaviours._enter import entered
from otpy.behaviours._reqids import Untyped
from otpy.behaviours._statem_loop import StatemLoop
from otpy.behaviours.gen_server import Request
from otpy.behaviours.gen_statem import Actions, GenStatem, Ok, called, cast, reply
from otpy.bridges.aio import _servers, _task
from otpy.bridges.aio._servers import receive_response, wait_response
from otpy.runtime.node import Node
from otpy.runtime.process import Dest
from otpy.runtime.tasks import TaskProcess
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NORMAL

S = TypeVar("S")
D = TypeVar("D")


@overload
async def call(
    server: Dest,
    request: Request[gen_statem.R],
    timeout: float | None = None,
    *,
    node: Node | None = None,
) -> gen_statem.R: ...
@overload
async def call(
    server: Dest,
    request: Untyped,
    timeout: float | None = None,
    *,
    node: Node | None = None,
) -> Any: ...
async def call(
    server: Dest, request: Any, timeout: float | None = None, *, node: Node | None = None
) -> Any:
    """``gen_statem.call``. Raises ``CallTimeout`` or ``CallExit``."""
    what = called("call", server, request, timeout)
    return await _servers.ask("call", server, request, timeout, node, what)


async def stop(
    server: Dest, reason: Any = NORMAL, timeout: float | None = None, *, node: Node | None = None
) -> None:
    """``gen_statem.stop``. Raises ``CallTimeout`` or ``CallExit``."""
    what = called("stop", server, reason, timeout)
    await _servers.end(server, reason, timeout, node, what)


async def start_link(
    module: type[GenStatem[Any, Any]],
    arg: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    node: Node | None = None,
) -> Pid:
    """``gen_statem.start_link``. A task that is no process becomes one until it ends."""
    return (await _start("start_link", module, arg, name, timeout, _task.lasting(node)))[0]


async def start(
    module: type[GenStatem[Any, Any]],
    arg: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    node: Node | None = None,
) -> Pid:
    """``gen_statem.start``."""
    async with _task.process(node) as me:
        return (await _start("start", module, arg, name, timeout, me))[0]


async def start_monitor(
    module: type[GenStatem[Any, Any]],
    arg: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    node: Node | None = None,
) -> tuple[Pid, Ref]:
    """``gen_statem.start_monitor``. A task that is no process becomes one until it ends."""
    me = _task.lasting(node)
    pid, ref = await _start("start_monitor", module, arg, name, timeout, me)
    assert ref is not None
    return pid, ref


async def enter_loop(
    module: type[GenStatem[S, D]], state: S, data: D, *, name: Any = None, actions: Actions = ()
) -> NoReturn:
    """``gen_statem.enter_loop``, for a process whose body is a coroutine."""
    me = _servers.enters()
    gen_statem.check_module(module)
    loop = entered(me, StatemLoop, module, name)
    loop.is_async = True  # the class may hand over to one with coroutines
    again = loop.enter(Ok(state, data, actions))
    if again is not None:
        await again
    await me.serve_later(loop)
    me.raise_dead()


async def _start(
    how: str,
    module: type[GenStatem[Any, Any]],
    arg: Any,
    name: Any,
    timeout: float | None,
    me: TaskProcess,
) -> tuple[Pid, Ref | None]:
    gen_statem.check_module(module)
    return await _servers.start_and_wait(me, how, StatemLoop, module, arg, name, timeout)


__all__ = [
    "call",
    "cast",
    "enter_loop",
    "receive_response",
    "reply",
    "start",
    "start_link",
    "start_monitor",
    "stop",
    "wait_response",
]
