"""``otpy.rpc`` for coroutines. Each function raises what that of the same name raises."""

from collections.abc import Callable
from typing import Any, Literal

from otpy.behaviours import _remote, _rex
from otpy.behaviours._reqids import Asked, RequestId
from otpy.bridges.aio import _task, erpc
from otpy.runtime.awaiting import Within, await_answer_later, deadline_of
from otpy.runtime.node import Node


async def call(
    name: str,
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    green: bool = False,
    node: Node | None = None,
) -> Any:
    """``rpc.call``, on the node ``name``."""
    return _remote.as_rpc(await erpc.outcome(name, fn, args, timeout, green, node))


async def block_call(
    name: str,
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    node: Node | None = None,
) -> Any:
    """``rpc.block_call``, on the node ``name``."""
    result = await erpc.outcome(name, _rex.in_turn, (fn, args), timeout, True, node)
    return _remote.in_turn(result)


async def multicall(
    nodes: list[str],
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    green: bool = False,
    node: Node | None = None,
) -> tuple[list[Any], list[str]]:
    """``rpc.multicall``."""
    return _remote.sorted_out(await erpc.asked_all(nodes, fn, args, timeout, green, node))


async def yield_(key: RequestId[Any]) -> Any:
    """``rpc.yield_``, in the process that made the ``async_call``."""
    async with _task.process() as me:
        asked = Asked("yield_", key, _remote.KINDS, delete=True)
        message = await await_answer_later(me, asked.find, None)
        return _remote.as_rpc(_remote.outcome(key, message))


async def nb_yield(
    key: RequestId[Any], timeout: Within = 0.0
) -> tuple[Literal["value"], Any] | Literal["timeout"]:
    """``rpc.nb_yield``, in the process that made the ``async_call``."""
    async with _task.process() as me:
        asked = Asked("nb_yield", key, _remote.KINDS, delete=True)
        message = await await_answer_later(me, asked.find, deadline_of(me, timeout))
        if message is None:
            return "timeout"
        return "value", _remote.as_rpc(_remote.outcome(key, message))


__all__ = [
    "block_call",
    "call",
    "multicall",
    "nb_yield",
    "yield_",
]
