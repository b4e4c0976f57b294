"""Running functions on other nodes: OTP's ``erpc``.

A function runs on its node in a process of its own: on a thread, green (``green=True``), or as a
task if it is async. It must be a function of a module that is loaded there; arguments and value
travel as messages do. This node works as any other, and takes any function. A node that is not
connected yet is connected to. What the function raises comes back as a ``RemoteError``.

A time-out is seconds, None for ever, or ``("abs", instant)`` of ``process.monotonic_time``. When
it has passed nothing of the call comes any more, while the function goes on.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar, overload

from otpy.behaviours._remote import (
    KINDS,
    TIMEOUT,
    Outcome,
    ask,
    body_of,
    forget,
    shown,
    value_of,
    wait_call,
    wait_multicall,
)
from otpy.behaviours._reqids import (
    Asked,
    RequestId,
    RequestIds,
    reqids_add,
    reqids_new,
    reqids_size,
    reqids_to_list,
)
from otpy.runtime._current import current, waiter
from otpy.runtime.arguments import check_function, checked_node, listed
from otpy.runtime.awaiting import Within, await_answer, deadline_of
from otpy.runtime.spawning import spawn_request

T = TypeVar("T")
Async = Callable[..., Coroutine[Any, Any, T]]
Labelled = tuple[Any, Any, RequestIds]


@overload
def call(node: str, fn: Async[T], *args: Any, timeout: Within = None, green: bool = False) -> T: ...
@overload
def call(
    node: str, fn: Callable[..., T], *args: Any, timeout: Within = None, green: bool = False
) -> T: ...
def call(
    node: str, fn: Callable[..., Any], *args: Any, timeout: Within = None, green: bool = False
) -> Any:
    """The value of ``fn(*args)`` on a node: ``erpc:call/2-5``.

    Raises ``RemoteError``, ``RemoteTimeout``, ``BadArgument``, ``NotSendable``, and in a
    coroutine ``WouldBlockLoop``.
    """
    return value_of(wait_call("erpc.call", node, fn, args, timeout, green))


def cast(node: str, fn: Callable[..., Any], *args: Any, green: bool = False) -> None:
    """Run ``fn(*args)`` on a node; whatever becomes of it is not told: ``erpc:cast/2,4``.

    Raises ``BadArgument`` and ``NotSendable``.
    """
    check_function("cast", fn)
    token = current().node.new_ref()
    spawn_request(body_of(fn), token, fn, args, node=checked_node(node), green=green, reply="no")


def multicall(
    nodes: list[str],
    fn: Callable[..., Any],
    *args: Any,
    timeout: Within = None,
    green: bool = False,
) -> list[Outcome]:
    """``call`` on each node at once, within one time-out: ``erpc:multicall/2-5``.

    In the nodes' order ``("ok", value)``, or ``("error", reason)`` or ``("exit", reason)`` with
    the reason of a ``RemoteError``: "exit" for ``("exception", _)`` and ``("signal", _)``.
    Raises ``BadArgument`` and ``NotSendable``.
    """
    return wait_multicall("erpc.multicall", nodes, fn, args, timeout, green).result()


def multicast(nodes: list[str], fn: Callable[..., Any], *args: Any, green: bool = False) -> None:
    """``cast`` to each node: ``erpc:multicast/2,4``."""
    names = listed("multicast", nodes)
    for node in names:
        checked_node(node)
    for node in names:
        cast(node, fn, *args, green=green)


# Requests.


@overload
def send_request(node: str, fn: Async[T], *args: Any, green: bool = False) -> RequestId[T]: ...
@overload
def send_request(
    node: str, fn: Callable[..., T], *args: Any, green: bool = False
) -> RequestId[T]: ...
@overload
def send_request(
    node: str,
    fn: Callable[..., Any],
    *args: Any,
    label: Any,
    reqids: RequestIds,
    green: bool = False,
) -> RequestIds: ...
def send_request(
    node: str,
    fn: Callable[..., Any],
    *args: Any,
    label: Any = None,
    reqids: RequestIds | None = None,
    green: bool = False,
) -> Any:
    """``call`` without waiting: ``erpc:send_request/2,4,6``.

    Gives the request's id, or with a collection that, with the request added under ``label``.
    Raises ``BadArgument`` and ``NotSendable``.
    """
    request = ask(current(), node, fn, args, green)
    return request if reqids is None else reqids_add(request, label, reqids)


@overload
def receive_response(source: RequestId[T], timeout: Within = None) -> T: ...
@overload
def receive_response(
    source: RequestIds, timeout: Within = None, delete: bool = True
) -> Labelled | Literal["no_request"]: ...
def receive_response(source: Any, timeout: Within = None, delete: bool = True) -> Any:
    """Wait for the value of a request: ``erpc:receive_response/1,2,3``.

    Of a collection: ``(value, label, collection)`` of the one that ended first, which is taken
    out if ``delete``; "no_request" if it is empty. Raises ``RemoteError``, with the ``label``;
    ``RemoteTimeout``, and then the requests are given up; ``BadArgument`` if no value can come
    any more; in a coroutine ``WouldBlockLoop``.
    """
    me = waiter("erpc.receive_response")
    asked = Asked("receive_response", source, KINDS, delete)
    if asked.empty:
        return "no_request"
    message = await_answer(me, asked.find, deadline_of(me, timeout))
    if message is None:
        message = asked.give_up(me, forget)
    return value_of(("error", TIMEOUT)) if message is None else shown(asked, message)


@overload
def wait_response(
    source: RequestId[T], timeout: Within = 0.0
) -> tuple[Literal["response"], T] | Literal["no_response"]: ...
@overload
def wait_response(
    source: RequestIds, timeout: Within = 0.0, delete: bool = True
) -> tuple[Literal["response"], Labelled] | Literal["no_response", "no_request"]: ...
def wait_response(source: Any, timeout: Within = 0.0, delete: bool = True) -> Any:
    """``("response", what receive_response gives)``: ``erpc:wait_response/1,2,3``.

    "no_response" when the time-out has passed, and one can go on waiting. Raises as
    ``receive_response`` otherwise.
    """
    me = waiter("erpc.wait_response")
    asked = Asked("wait_response", source, KINDS, delete)
    if asked.empty:
        return "no_request"
    message = await_answer(me, asked.find, deadline_of(me, timeout))
    return "no_response" if message is None else ("response", shown(asked, message))


@overload
def check_response(
    message: Any, source: RequestId[T]
) -> tuple[Literal["response"], T] | Literal["no_response"]: ...
@overload
def check_response(
    message: Any, source: RequestIds, delete: bool = True
) -> tuple[Literal["response"], Labelled] | Literal["no_response", "no_request"]: ...
def check_response(message: Any, source: Any, delete: bool = True) -> Any:
    """What a message that was received says of a request: ``erpc:check_response/2,3``.

    As ``wait_response``; "no_response" if it belongs to none of the requests.
    """
    asked = Asked("check_response", source, KINDS, delete)
    if asked.empty:
        return "no_request"
    if not asked.is_answer(message):
        return "no_response"
    return "response", shown(asked, message)


__all__ = [
    "RequestId",
    "RequestIds",
    "call",
    "cast",
    "check_response",
    "multicall",
    "multicast",
    "receive_response",
    "reqids_add",
    "reqids_new",
    "reqids_size",
    "reqids_to_list",
    "send_request",
    "wait_response",
]
