"""``otpy.erpc`` for coroutines. Each function raises what that of the same name raises."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from otpy.behaviours._remote import (
    KINDS,
    TIMEOUT,
    Call,
    MultiCall,
    Outcome,
    forget,
    shown,
    value_of,
)
from otpy.behaviours._reqids import Asked, RequestId, RequestIds
from otpy.bridges.aio import _task
from otpy.runtime.awaiting import Within, await_answer_later, deadline_of
from otpy.runtime.node import Node
from otpy.runtime.tasks import TaskProcess

T = TypeVar("T")
Labelled = tuple[Any, Any, RequestIds]


async def call(
    name: str,
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    green: bool = False,
    node: Node | None = None,
) -> Any:
    """``erpc.call``: the value of ``fn(*args)`` on the node ``name``."""
    return value_of(await outcome(name, fn, args, timeout, green, node))


async def outcome(
    name: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    timeout: Within,
    green: bool,
    node: Node | None,
) -> Outcome:
    """What became of a call."""
    async with _task.process(node) as me:
        deadline = deadline_of(me, timeout)
        made = Call(me, name, fn, args, green)
        return made.outcome(await _answer(me, made.asked, deadline))


async def _answer(me: TaskProcess, asked: Asked, deadline: float | None) -> Any:
    try:
        return await await_answer_later(me, asked.find, deadline)
    except asyncio.CancelledError:
        if me.alive:
            asked.give_up(me, forget)
        raise


async def multicall(
    nodes: list[str],
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    green: bool = False,
    node: Node | None = None,
) -> list[Outcome]:
    """``erpc.multicall``."""
    return (await asked_all(nodes, fn, args, timeout, green, node)).result()


async def asked_all(
    nodes: list[str],
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    timeout: Within,
    green: bool,
    node: Node | None,
) -> MultiCall:
    """A ``multicall`` that is over."""
    async with _task.process(node) as me:
        deadline = deadline_of(me, timeout)
        made = MultiCall(me, nodes, fn, args, green)
        while made.waits:
            made.take(await _answer(me, made.asked, deadline))
        return made


@overload
async def receive_response(source: RequestId[T], timeout: Within = None) -> T: ...
@overload
async def receive_response(
    source: RequestIds, timeout: Within = None, delete: bool = True
) -> Labelled | Literal["no_request"]: ...
async def receive_response(source: Any, timeout: Within = None, delete: bool = True) -> Any:
    """``erpc.receive_response``, in the process that sent the request."""
    async with _task.process() as me:
        asked = Asked("receive_response", source, KINDS, delete)
        if asked.empty:
            return "no_request"
        message = await await_answer_later(me, asked.find, deadline_of(me, timeout))
        if message is None:
            message = asked.give_up(me, forget)
        return value_of(("error", TIMEOUT)) if message is None else shown(asked, message)


@overload
async def wait_response(
    source: RequestId[T], timeout: Within = 0.0
) -> tuple[Literal["response"], T] | Literal["no_response"]: ...
@overload
async def wait_response(
    source: RequestIds, timeout: Within = 0.0, delete: bool = True
) -> tuple[Literal["response"], Labelled] | Literal["no_response", "no_request"]: ...
async def wait_response(source: Any, timeout: Within = 0.0, delete: bool = True) -> Any:
    """``erpc.wait_response``, in the process that sent the request."""
    async with _task.process() as me:
        asked = Asked("wait_response", source, KINDS, delete)
        if asked.empty:
            return "no_request"
        message = await await_answer_later(me, asked.find, deadline_of(me, timeout))
        return "no_response" if message is None else ("response", shown(asked, message))


__all__ = [
    "call",
    "multicall",
    "receive_response",
    "wait_response",
]
