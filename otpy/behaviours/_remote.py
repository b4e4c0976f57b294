"""Running a function in a process of another node, and what comes back: under ``erpc``.

The process ends with the outcome as its exit reason, so the asker's monitor brings it: in
order, once, and never after the monitor is taken away. ``token`` tells an outcome from a reason
that somebody else made up.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from otpy.behaviours._reqids import Asked, RequestId, RequestIds
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_function, checked_node, listed
from otpy.runtime.awaiting import Within, await_answer, deadline_of
from otpy.runtime.body import reason_of
from otpy.runtime.process import demonitor
from otpy.runtime.record import Process, SpawnRequest
from otpy.runtime.spawning import spawn_request
from otpy.terms.errors import (
    CallExit,
    ProcessExit,
    RemoteError,
    RemoteTimeout,
)
from otpy.terms.messages import Down, SpawnReply
from otpy.terms.pid import Ref
from otpy.terms.reasons import NOCONNECTION, Crash, is_word
from otpy.terms.values import is_tuple

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


def body_of(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Which of the two runs a function."""
    return run_later if inspect.iscoroutinefunction(fn) else run


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
    check_function("ask", fn)
    checked_node(node)
    token = me.node.new_ref()
    ref = spawn_request(
        body_of(fn), token, fn, args, node=node, monitor=True, green=green, reply="error_only"
    )
    return RequestId(ref, node, token)


def outcome(request: RequestId[Any], message: Down | SpawnReply) -> Outcome:
    """What the message that ended a request says."""
    reason = message.what if isinstance(message, SpawnReply) else message.reason
    if is_tuple(reason) and len(reason) == 3 and reason[0] == request.token:
        return reason[1], reason[2]
    if is_word(reason, NOCONNECTION):
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
        asked = me.monitors is not None and type(me.monitors.get(ref)) is SpawnRequest
        if asked and me.monitors is not None:
            del me.monitors[ref]
    if not asked:
        demonitor(ref)


class Call:
    """One ``call``: what it waits for, and its value."""

    def __init__(
        self, me: Process, node: str, fn: Callable[..., Any], args: tuple[Any, ...], green: bool
    ) -> None:
        self.me = me
        seen = len(me.mailbox)  # the answer can only come behind what is there
        self.asked = Asked("call", ask(me, node, fn, args, green), KINDS, delete=True)
        self.asked.seen = seen

    def outcome(self, message: Any) -> Outcome:
        """What ``message`` says; None: nothing came in time, and nothing will come later."""
        if message is None:
            message = self.asked.give_up(self.me, forget)
        if message is None:
            return "error", TIMEOUT
        return outcome(self.asked.of(message)[0], message)


def wait_call(
    what: str, node: str, fn: Callable[..., Any], args: Any, timeout: Within, green: bool
) -> Outcome:
    """A ``call`` that is over, made by ``what``; in a coroutine it raises ``WouldBlockLoop``."""
    me = waiter(what)
    deadline = deadline_of(me, timeout)
    made = Call(me, node, fn, args, green)
    return made.outcome(await_answer(me, made.asked.find, deadline))


class MultiCall:
    """A ``call`` on each of some nodes, at once. Raises as ``ask`` for any: then none is made."""

    def __init__(
        self, me: Process, nodes: list[str], fn: Callable[..., Any], args: Any, green: bool
    ) -> None:
        self.me = me
        self.nodes = listed("multicall", nodes)
        self.requests: list[RequestId[Any]] = []
        self.outcomes: dict[Ref, Outcome] = {}
        pending = RequestIds()
        seen = len(me.mailbox)
        for name in self.nodes:
            checked_node(name)
        try:
            for name in self.nodes:
                request = ask(me, name, fn, args, green)
                self.requests.append(request)
                pending.add(request, None)
        except BaseException:
            Asked("multicall", pending, KINDS, delete=True).give_up(me, forget)
            raise
        self.asked = Asked("multicall", pending, KINDS, delete=True)
        self.asked.seen = seen

    @property
    def waits(self) -> bool:
        """Whether an outcome is missing."""
        return not self.asked.empty

    def take(self, message: Any) -> None:
        """One answer has come; None: nothing more comes in time."""
        if message is not None:
            request, _ = self.asked.of(message)
            self.outcomes[request.ref] = outcome(request, message)
            return
        self.asked.give_up(self.me, forget)
        self.asked.entries.clear()

    def result(self) -> list[Outcome]:
        """The outcomes in the nodes' order."""
        return [self.outcomes.get(request.ref, ("error", TIMEOUT)) for request in self.requests]


def shown(asked: Asked, message: Any) -> Any:
    """The value that a message brings, with label and collection if there is one; it raises."""
    request, label = asked.of(message)
    value = value_of(outcome(request, message), label)
    return value if asked.reqids is None else (value, label, asked.reqids)


def wait_multicall(
    what: str, nodes: list[str], fn: Callable[..., Any], args: Any, timeout: Within, green: bool
) -> MultiCall:
    """A ``multicall`` that is over, likewise."""
    me = waiter(what)
    deadline = deadline_of(me, timeout)
    made = MultiCall(me, nodes, fn, args, green)
    while made.waits:
        made.take(await_answer(me, made.asked.find, deadline))
    return made


# As rpc shows it.


@dataclass(frozen=True, slots=True)
class BadRpc:
    """What ``rpc`` gives in place of a value: OTP's ``{badrpc, Reason}``.

    ``reason``: "timeout", "nodedown", or ("EXIT", what the function ended with).
    """

    reason: Any


def as_rpc(result: Outcome) -> Any:
    """The value, or a ``BadRpc``."""
    match result:
        case ("ok", value):
            return value
        case (_, ("erpc", "timeout")):
            return BadRpc("timeout")
        case (_, ("erpc", _)):
            return BadRpc("nodedown")
        case ("exit", (_, reason)):
            return BadRpc(("EXIT", reason))
        case (_, reason):
            return BadRpc(("EXIT", reason))


def in_turn(result: Any) -> Any:
    """The value, or a ``BadRpc``, of what went through the node's process."""
    how, value = result
    return as_rpc(value if how == "ok" else result)


def sorted_out(made: MultiCall) -> tuple[list[Any], list[str]]:
    """What ``multicall`` gives."""
    shown = [(node, as_rpc(result)) for node, result in zip(made.nodes, made.result(), strict=True)]
    lost = (BadRpc("timeout"), BadRpc("nodedown"))
    good = [value for _, value in shown if not _is_one(value, lost)]
    return good, [node for node, value in shown if _is_one(value, lost)]


def _is_one(value: Any, of: tuple[BadRpc, ...]) -> bool:
    return isinstance(value, BadRpc) and value in of
