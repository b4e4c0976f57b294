"""Running a function in a process of another node, and what comes back: under ``erpc``.

The process ends with the outcome as its exit reason, so the asker's monitor brings it: in
order, once, and never after the monitor is taken away. ``token`` tells an outcome from a reason
that somebody else made up.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from otpy.behaviours._reqids import RequestId
from otpy.runtime.body import reason_of
from otpy.runtime.process import demonitor, scan
from otpy.runtime.record import Process
from otpy.runtime.spawning import check_function, spawn_request
from otpy.terms.errors import (
    CallExit,
    NoProcess,
    ProcessExit,
    RemoteError,
    RemoteTimeout,
)
from otpy.terms.messages import Down, SpawnReply
from otpy.terms.pid import Ref
from otpy.terms.reasons import NOCONNECTION, Crash, is_tuple

KINDS = (Down, SpawnReply)
TIMEOUT = ("erpc", "timeout")
LOST = ("erpc", NOCONNECTION)
Outcome = tuple[str, Any]  # "ok" and a value, or "exit" or "error" and a reason


# There.


def run(token: Ref, fn: Callable[..., Any], args: tuple[Any, ...]) -> NoReturn:
    """The body of the process that is asked for."""
    try:
        value: Any = fn(*args)
    except BaseException as error:  # noqa: BLE001 - whatever it is goes to the asker
        failed(token, error)
    raise ProcessExit((token, "ok", value))


async def run_later(token: Ref, fn: Callable[..., Any], args: tuple[Any, ...]) -> NoReturn:
    """``run`` for a function that is async."""
    try:
        value: Any = await fn(*args)
    except BaseException as error:  # noqa: BLE001 - whatever it is goes to the asker
        failed(token, error)
    raise ProcessExit((token, "ok", value))


def failed(token: Ref, error: BaseException) -> NoReturn:
    """End with what a function raised; its traceback begins with the function itself."""
    if isinstance(error, RemoteError):
        raise ProcessExit((token, "exit", ("exception", error.reason))) from None
    if isinstance(error, (ProcessExit, CallExit)):
        raise ProcessExit((token, "exit", ("exception", reason_of(error)))) from None
    trace = error.__traceback__
    error.__traceback__ = trace.tb_next if trace is not None else None
    raise ProcessExit((token, "error", Crash.of(error))) from None


# Here.


def ask(
    me: Process, node: str, fn: Callable[..., Any], args: tuple[Any, ...], green: bool
) -> RequestId[Any]:
    """Ask for the process. Raises ``BadArgument`` and ``NotSendable``, and nothing is left."""
    import inspect

    check_function("erpc", fn)
    token = me.node.new_ref()
    body: Callable[..., Any] = run_later if inspect.iscoroutinefunction(fn) else run
    ref = spawn_request(
        body, token, fn, args, node=node, monitor=True, green=green, reply="error_only"
    )
    return RequestId(ref, node, token)


def outcome(request: RequestId[Any], message: Down | SpawnReply) -> Outcome:
    """What the message that ended a request says."""
    reason = message.what if isinstance(message, SpawnReply) else message.reason
    if is_tuple(reason) and len(reason) == 3 and reason[0] == request.token:
        return reason[1], reason[2]
    if reason == NOCONNECTION:
        return "error", LOST
    if is_tuple(reason) and len(reason) == 2 and reason[0] in ("undef", "not_sendable"):
        return "error", reason
    return "exit", ("signal", reason)


def value_of(result: Outcome, label: Any = None) -> Any:
    """The value; raises ``RemoteError`` if there is none."""
    how, value = result
    if how == "ok":
        return value
    raise RemoteTimeout(value) if value == TIMEOUT else RemoteError(value, label)


def forget(me: Process, request: RequestId[Any]) -> None:
    """Want no outcome any more; the function goes on."""
    ref = request.ref
    with me.owned:
        waits = me.monitors.get(ref) if me.monitors else None
        if waits is not None and waits.target.node == request.to and not hasattr(waits, "told"):
            waits = None
        elif waits is not None and me.monitors is not None:
            del me.monitors[ref]
    if waits is None:
        demonitor(ref, flush=True)
    scan(me, 0, KINDS, lambda message: message.ref == ref)
