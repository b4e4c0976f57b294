"""Calls that do not wait: ``gen_server.send_request`` and what takes the answers."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeVar, cast, overload

from otpy.behaviours._reqids import Asked, Request, RequestId, RequestIds, Untyped, checked
from otpy.behaviours.results import UNSET
from otpy.runtime._current import current, waiter
from otpy.runtime.awaiting import Within, await_answer, deadline_of
from otpy.runtime.names import where
from otpy.runtime.process import Dest
from otpy.runtime.record import CallRequest, Process
from otpy.terms.errors import BadArgument
from otpy.terms.messages import Response
from otpy.terms.names import At, Global, Via, local_key
from otpy.terms.pid import Pid
from otpy.terms.signals import CallSignal, CancelCallSignal

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
Failed = tuple[Literal["error"], tuple[Any, Any]]
Answer = tuple[Literal["reply"], R] | Failed
Labelled = tuple[Answer[Any], Any, RequestIds]
KINDS = (Response,)


@overload
def send_request(server: Dest, request: Request[R]) -> RequestId[R]: ...
@overload
def send_request(server: Dest, request: Untyped) -> RequestId[Any]: ...
@overload
def send_request(
    server: Dest, request: Request[Any] | Untyped, label: Any, reqids: RequestIds
) -> RequestIds: ...
def send_request(server: Dest, request: Any, label: Any = UNSET, reqids: Any = UNSET) -> Any:
    """Call without waiting: ``gen_server:send_request/2,4``.

    Gives the request's id for ``receive_response``, ``wait_response`` or ``check_response``;
    with a ``label`` and a collection the collection, with the request added. That the server
    is missing or ends is an answer too, and raises nothing here.
    """
    me = current()
    node = me.node
    if (label is UNSET) is not (reqids is UNSET):
        raise BadArgument("send_request: expected a label and a collection, or neither")
    if reqids is not UNSET:
        checked(reqids)
    goal = _goal(me, server)
    ref = node.new_ref(me.pid.number)
    sent: RequestId[Any] = RequestId(ref, server)
    if goal is None:
        me.put(Response(ref, False, "noproc"))
    else:
        with me.owned:
            if me.monitors is None:
                me.monitors = {}
            me.monitors[ref] = CallRequest(goal, None)
        try:
            node.send_signal(me, CallSignal(me.pid, goal, ref, "call", request))
        except BaseException:
            with me.owned:
                (me.monitors or {}).pop(ref, None)
            raise
    if reqids is UNSET:
        return sent
    reqids.add(sent, label)
    return reqids


def _goal(me: Process, server: Any) -> Pid | At | None:
    if isinstance(server, (Pid, At)):
        return server
    if isinstance(server, (Global, Via)):
        return where(me, server)
    return At(local_key(server), me.node.name)


# The answer: a request gives Answer, a collection (answer, label, collection).


@overload
def receive_response(
    source: RequestId[R], timeout: Within = None
) -> Answer[R] | Literal["timeout"]: ...
@overload
def receive_response(
    source: RequestIds, timeout: Within = None, delete: bool = True
) -> Labelled | Literal["timeout", "no_request"]: ...
def receive_response(source: Any, timeout: Within = None, delete: bool = True) -> Any:
    """Wait for an answer: ``gen_server:receive_response/1,2,3``.

    ``("reply", value)``, or ``("error", (reason, server))`` for what a call would raise. Of a
    collection: ``(that, label, collection)`` of the request that was answered first, which is
    taken out if ``delete``; "no_request" if it is empty. When ``timeout`` passes (seconds, or
    ``("abs", instant)``): "timeout", and the requests are given up: no answer comes later.
    Raises ``BadArgument`` if none can come any more, and in a coroutine ``WouldBlockLoop``.
    """
    me = waiter("gen_server.receive_response")
    asked = Asked("receive_response", source, KINDS, delete)
    if asked.empty:
        return "no_request"
    return shown(asked, await_answer(me, asked.find, deadline_of(me, timeout)), me)


@overload
def wait_response(
    source: RequestId[R], timeout: Within = None
) -> Answer[R] | Literal["timeout"]: ...
@overload
def wait_response(
    source: RequestIds, timeout: Within = None, delete: bool = True
) -> Labelled | Literal["timeout", "no_request"]: ...
def wait_response(source: Any, timeout: Within = None, delete: bool = True) -> Any:
    """As ``receive_response``, but after "timeout" one can go on waiting for the answer:
    ``gen_server:wait_response/1,2,3``."""
    me = waiter("gen_server.wait_response")
    asked = Asked("wait_response", source, KINDS, delete)
    if asked.empty:
        return "no_request"
    return shown(asked, await_answer(me, asked.find, deadline_of(me, timeout)))


@overload
def check_response(message: Any, source: RequestId[R]) -> Answer[R] | Literal["no_reply"]: ...
@overload
def check_response(
    message: Any, source: RequestIds, delete: bool = True
) -> Labelled | Literal["no_reply", "no_request"]: ...
def check_response(message: Any, source: Any, delete: bool = True) -> Any:
    """What a message that was received answers: ``gen_server:check_response/2,3``.

    As ``receive_response``; "no_reply" if it is no answer to any of the requests.
    """
    asked = Asked("check_response", source, KINDS, delete)
    if asked.empty:
        return "no_request"
    return shown(asked, message) if asked.is_answer(message) else "no_reply"


def waits_as(module: str, function: F) -> F:
    """A function of these that waits as one of another module, which ``WouldBlockLoop`` names."""
    what = f"{module}.{function.__name__}"

    @wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        waiter(what)
        return function(*args, **kwargs)

    return cast("F", named)


def shown(asked: Asked, response: Response | None, giving_up: Process | None = None) -> Any:
    """What the functions above give for an answer, or without one in time.

    ``giving_up``: the process that wants none any more if there is none.
    """
    if response is None and giving_up is not None:
        response = asked.give_up(giving_up, forget)
    if response is None:
        return "timeout"
    request, label = asked.of(response)
    answer = ("reply", response.value) if response.ok else ("error", (response.value, request.to))
    return answer if asked.reqids is None else (answer, label, asked.reqids)


def forget(me: Process, request: RequestId[Any]) -> None:
    """Want no answer any more; the server forgets who asked."""
    with me.owned:
        held = me.monitors.pop(request.ref, None) if me.monitors else None
    if held is not None:
        me.node.send_signal(me, CancelCallSignal(me.pid, held.target, request.ref))
