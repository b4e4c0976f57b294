"""OTP's ``rpc``: as ``erpc``, but a failure is a value, ``BadRpc(reason)``.

``reason`` is "timeout", "nodedown", or ("EXIT", what the function ended with): a ``Crash`` if it
raised. New code is better off with ``erpc``, where a failure cannot be taken for a value.
"""

from collections.abc import Callable
from typing import Any, Literal

from otpy.behaviours import _rex
from otpy.behaviours._remote import (
    KINDS,
    BadRpc,
    as_rpc,
    ask,
    in_turn,
    outcome,
    sorted_out,
    wait_call,
    wait_multicall,
)
from otpy.behaviours._reqids import Asked, RequestId
from otpy.distribution import erpc
from otpy.runtime._current import current, waiter
from otpy.runtime.awaiting import Within, await_answer, deadline_of


def call(
    node: str, fn: Callable[..., Any], *args: Any, timeout: Within = None, green: bool = False
) -> Any:
    """The value of ``fn(*args)`` on a node, or a ``BadRpc``: ``rpc:call/4,5``.

    Raises ``BadArgument``, ``NotSendable``, and in a coroutine ``WouldBlockLoop``.
    """
    return as_rpc(wait_call("rpc.call", node, fn, args, timeout, green))


def block_call(node: str, fn: Callable[..., Any], *args: Any, timeout: Within = None) -> Any:
    """As ``call``, but a node runs what is asked for in this way one after the other:
    ``rpc:block_call/4,5``."""
    what = "rpc.block_call"
    return in_turn(wait_call(what, node, _rex.in_turn, (fn, args), timeout, green=True))


def cast(node: str, fn: Callable[..., Any], *args: Any, green: bool = False) -> Literal[True]:
    """Run ``fn(*args)`` on a node; whatever becomes of it is not told: ``rpc:cast/4``."""
    erpc.cast(node, fn, *args, green=green)
    return True


def eval_everywhere(
    nodes: list[str], fn: Callable[..., Any], *args: Any, green: bool = False
) -> None:
    """``cast`` to each node: ``rpc:eval_everywhere/4``."""
    erpc.multicast(nodes, fn, *args, green=green)


def multicall(
    nodes: list[str],
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    green: bool = False,
) -> tuple[list[Any], list[str]]:
    """``call`` on each node at once: ``(values, nodes without one)``: ``rpc:multicall/5``.

    Both in the nodes' order. A node that is out of reach or too late is among the latter; where
    the function failed the value is a ``BadRpc``.
    """
    made = wait_multicall("rpc.multicall", nodes, fn, args, timeout, green)
    return sorted_out(made)


def async_call(
    node: str, fn: Callable[..., Any], *args: Any, green: bool = False
) -> RequestId[Any]:
    """``call`` without waiting; the key for ``yield_`` and ``nb_yield``: ``rpc:async_call/4``."""
    return ask(current(), node, fn, args, green)


def yield_(key: RequestId[Any]) -> Any:
    """The value of an ``async_call``, or a ``BadRpc``, when it is there: ``rpc:yield/1``.

    Once, and in the process that made the call: otherwise ``BadArgument``.
    """
    me = waiter("rpc.yield_")
    asked = Asked("yield_", key, KINDS, delete=True)
    return as_rpc(outcome(key, await_answer(me, asked.find, None)))


def nb_yield(
    key: RequestId[Any], timeout: Within = 0.0
) -> tuple[Literal["value"], Any] | Literal["timeout"]:
    """``("value", what yield_ gives)``, or "timeout", and one may ask again:
    ``rpc:nb_yield/1,2``."""
    me = waiter("rpc.nb_yield")
    asked = Asked("nb_yield", key, KINDS, delete=True)
    message = await_answer(me, asked.find, deadline_of(me, timeout))
    return "timeout" if message is None else ("value", as_rpc(outcome(key, message)))


__all__ = [
    "BadRpc",
    "async_call",
    "block_call",
    "call",
    "cast",
    "eval_everywhere",
    "multicall",
    "nb_yield",
    "yield_",
]
