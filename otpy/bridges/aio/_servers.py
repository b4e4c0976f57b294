"""``gen_server`` for coroutines."""

from typing import Any, Literal, NoReturn, overload

from otpy.behaviours import gen_server
from otpy.behaviours._enter import entered_server
from otpy.behaviours._loop import BehaviourLoop, Loop
from otpy.behaviours._module import CallbackModule
from otpy.behaviours._reqids import Asked, RequestId, RequestIds, Untyped
from otpy.behaviours._requests import KINDS, Answer, Labelled, shown
from otpy.behaviours._start import TIMED_OUT, begin_start, start_failed
from otpy.behaviours.gen_server import GenServer, Request
from otpy.behaviours.results import UNSET
from otpy.bridges.aio import _task
from otpy.bridges.aio._processes import receive
from otpy.runtime.arguments import check_timeout
from otpy.runtime.awaiting import Within, await_answer_later, deadline_of
from otpy.runtime.node import Node
from otpy.runtime.process import Dest, unalias
from otpy.runtime.tasks import TaskProcess
from otpy.terms.errors import BadArgument, CallExit, CallTimeout
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOPROC, is_word, same_reason


@overload
async def call(
    server: Dest,
    request: Request[gen_server.R],
    timeout: float | None = 5.0,
    *,
    node: Node | None = None,
) -> gen_server.R: ...
@overload
async def call(
    server: Dest,
    request: Untyped,
    timeout: float | None = 5.0,
    *,
    node: Node | None = None,
) -> Any: ...
async def call(
    server: Dest, request: Any, timeout: float | None = 5.0, *, node: Node | None = None
) -> Any:
    """``gen_server.call``. Raises ``CallTimeout`` or ``CallExit``."""
    called = ("gen_server", "call", (server, request, timeout))
    return await ask("call", server, request, timeout, node, called)


async def stop(
    server: Dest, reason: Any = "normal", timeout: float | None = None, *, node: Node | None = None
) -> None:
    """``gen_server.stop``. Raises ``CallTimeout`` or ``CallExit``."""
    await end(server, reason, timeout, node, ("gen_server", "stop", (server, reason, timeout)))


async def end(
    server: Dest,
    reason: Any,
    timeout: float | None,
    node: Node | None,
    called: tuple[str, str, tuple[Any, ...]],
) -> None:
    """Stop a process of any behaviour; ``called`` is for errors."""
    try:
        await ask("terminate", server, reason, timeout, node, called)
    except CallTimeout:
        raise
    except CallExit as ended:
        if not same_reason(ended.reason, reason) or is_word(reason, NOPROC):
            raise


async def ask(
    kind: str,
    server: Dest,
    request: Any,
    timeout: float | None,
    node: Node | None,
    called: tuple[str, str, tuple[Any, ...]],
) -> Any:
    """A request of that kind, "call" or one of the ``sys`` protocol; ``called`` is for errors."""
    check_timeout(timeout)
    async with _task.process(node) as me:
        try:
            dest = gen_server.resolve(me, server, request, timeout)
        except CallExit as nobody:
            raise CallExit(nobody.reason, called) from None
        if dest == me.pid:
            raise CallExit("calling_self", called)
        tag = me.ask(dest, kind, request)
        ok, value = await _task.answer(me, timeout, (dest, tag))
        if ok:
            return value
        if value is TIMED_OUT:
            raise CallTimeout("timeout", called)
        raise CallExit(value, called)


async def start_link(
    module: type[GenServer[Any]],
    arg: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    node: Node | None = None,
) -> Pid:
    """``gen_server.start_link``. A task that is no process becomes one until it ends.

    Raises ``AlreadyStarted``, ``Ignored`` or ``StartError``.
    """
    return (await _start("start_link", module, arg, name, timeout, _task.lasting(node)))[0]


async def start(
    module: type[GenServer[Any]],
    arg: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    node: Node | None = None,
) -> Pid:
    """``gen_server.start``. Raises as ``start_link``."""
    async with _task.process(node) as me:
        return (await _start("start", module, arg, name, timeout, me))[0]


async def start_monitor(
    module: type[GenServer[Any]],
    arg: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    node: Node | None = None,
) -> tuple[Pid, Ref]:
    """``gen_server.start_monitor``. A task that is no process becomes one until it ends."""
    me = _task.lasting(node)
    pid, ref = await _start("start_monitor", module, arg, name, timeout, me)
    assert ref is not None
    return pid, ref


async def _start(
    how: str,
    module: type[GenServer[Any]],
    arg: Any,
    name: Any,
    timeout: float | None,
    me: TaskProcess,
) -> tuple[Pid, Ref | None]:
    gen_server.check_module(module)
    check_timeout(timeout)
    return await start_and_wait(me, how, Loop, module, arg, name, timeout)


async def start_and_wait(
    me: TaskProcess,
    how: str,
    loop: type[BehaviourLoop],
    module: type[CallbackModule],
    arg: Any,
    name: Any,
    timeout: float | None,
) -> tuple[Pid, Ref | None]:
    """Start a process of any behaviour and wait for its ``init``."""
    proc, ref = begin_start(me, how, loop, module, arg, name)
    ok, value = await _task.answer(me, timeout)
    if not ok:
        start_failed(how, proc.pid, ref, value, timeout)
    return proc.pid, ref


@overload
async def multi_call(
    name: str | type,
    request: Request[gen_server.R],
    nodes: list[str] | None = None,
    timeout: float | None = 5.0,
    *,
    node: Node | None = None,
) -> tuple[list[tuple[str, gen_server.R]], list[str]]: ...
@overload
async def multi_call(
    name: str | type,
    request: Untyped,
    nodes: list[str] | None = None,
    timeout: float | None = 5.0,
    *,
    node: Node | None = None,
) -> tuple[list[tuple[str, Any]], list[str]]: ...
async def multi_call(
    name: str | type,
    request: Any,
    nodes: list[str] | None = None,
    timeout: float | None = 5.0,
    *,
    node: Node | None = None,
) -> tuple[list[tuple[str, Any]], list[str]]:
    """``gen_server.multi_call``."""
    async with _task.process(node):
        asked = gen_server.MultiCall(name, request, nodes, timeout)
        try:
            while asked.waits:
                asked.take(await receive(tuple, where=asked.is_answer))
        finally:
            unalias(asked.box)
        return asked.result()


@overload
async def receive_response(
    source: RequestId[gen_server.R], timeout: Within = None
) -> Answer[gen_server.R] | Literal["timeout"]: ...
@overload
async def receive_response(
    source: RequestIds, timeout: Within = None, delete: bool = True
) -> Labelled | Literal["timeout", "no_request"]: ...
async def receive_response(source: Any, timeout: Within = None, delete: bool = True) -> Any:
    """``gen_server.receive_response``, in the process that sent the request."""
    return await _response("receive_response", source, timeout, delete)


@overload
async def wait_response(
    source: RequestId[gen_server.R], timeout: Within = None
) -> Answer[gen_server.R] | Literal["timeout"]: ...
@overload
async def wait_response(
    source: RequestIds, timeout: Within = None, delete: bool = True
) -> Labelled | Literal["timeout", "no_request"]: ...
async def wait_response(source: Any, timeout: Within = None, delete: bool = True) -> Any:
    """``gen_server.wait_response``, in the process that sent the request."""
    return await _response("wait_response", source, timeout, delete)


async def _response(what: str, source: Any, timeout: Within, delete: bool) -> Any:
    async with _task.process() as me:
        asked = Asked(what, source, KINDS, delete)
        if asked.empty:
            return "no_request"
        answer = await await_answer_later(me, asked.find, deadline_of(me, timeout))
        return shown(asked, answer, me if what == "receive_response" else None)


async def enter_loop(
    module: type[GenServer[Any]],
    state: Any,
    *,
    name: Any = None,
    timeout: float | None = None,
    continue_: Any = UNSET,
) -> NoReturn:
    """``gen_server.enter_loop``, for a process whose body is a coroutine."""
    me = enters()
    loop = entered_server(me, module, state, name, timeout)
    if continue_ is not UNSET:
        again = loop.go_on(continue_)
        if again is not None:
            await again
    await me.serve_later(loop)
    me.raise_dead()


def enters() -> TaskProcess:
    """The process that is to enter a loop. Raises ``BadArgument`` in a task that is none."""
    me = _task.mine()
    if me is None:
        raise BadArgument("enter_loop: this task is no process; start one with process.spawn")
    return me
