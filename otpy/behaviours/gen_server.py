"""GenServer: a process that answers calls and casts one after the other.

The names, argument orders and guarantees are Elixir's ``GenServer``; a call that
gets no reply raises ``CallExit`` where Elixir exits.
"""

import logging
from collections.abc import Awaitable, Iterable
from typing import Any, Generic, TypeVar, overload

from otpy.behaviours._code_change import CodeChangeRefused, successor
from otpy.behaviours._enter import enter_loop
from otpy.behaviours._loop import Loop, answer
from otpy.behaviours._module import CallbackModule
from otpy.behaviours._reqids import (
    Request,
    RequestId,
    RequestIds,
    Untyped,
    reqids_add,
    reqids_new,
    reqids_size,
    reqids_to_list,
)
from otpy.behaviours._requests import (
    check_response,
    receive_response,
    send_request,
    wait_response,
)
from otpy.behaviours._start import TIMED_OUT, await_reply, start_and_wait
from otpy.behaviours.results import CallResult, InitResult, Next, Ok, Stop
from otpy.runtime._current import HERE, current, waiter
from otpy.runtime.arguments import check_timeout, listed
from otpy.runtime.locked import LockedProcess, put_from
from otpy.runtime.mail import Call, Cast, From
from otpy.runtime.names import where
from otpy.runtime.process import Dest
from otpy.runtime.record import ANY, NO_REPLY, REPLY, RUNNING, Process
from otpy.terms.errors import (
    BadArgument,
    CallExit,
    CallTimeout,
    NotRegistered,
)
from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOPROC, NORMAL, is_word, same_reason
from otpy.terms.signals import CallSignal, CancelCallSignal, CastSignal

S = TypeVar("S")
R = TypeVar("R")
LOG = logging.getLogger("otpy.gen_server")
CALLBACKS = ("init", "handle_call", "handle_cast", "handle_info", "handle_continue")


class GenServer(CallbackModule, Generic[S]):
    """Subclass it, with the state's type: ``class Counter(GenServer[int], green=True)``.

    Class options: ``restart``, ``shutdown`` and ``id`` for its child spec; ``green``
    to run on the node's user scheduler instead of on a thread of its own; ``interrupt="never"``
    for a thread that must not be interrupted, not even when it computes on after the process's
    end. A class with any ``async def`` callback runs as a task on the node's event loop.
    """

    @classmethod
    def callbacks(cls) -> Iterable[str]:
        return CALLBACKS

    def init(self, arg: Any, /) -> InitResult[S] | Awaitable[InitResult[S]]:
        """Make the first state: ``Ok(state)``, ``IGNORE`` or ``Stop(reason)``."""
        raise NotImplementedError(f"{type(self).__name__} has no init")

    def handle_call(
        self, request: Any, from_: From, state: S, /
    ) -> CallResult[S] | Awaitable[CallResult[S]]:
        """Answer a call: ``Reply``, ``NoReply`` (and ``reply`` later) or ``Stop``."""
        raise RuntimeError(
            f"attempted to call GenServer {_me()} but no handle_call clause was provided"
        )

    def handle_cast(self, request: Any, state: S, /) -> Next[S] | Awaitable[Next[S]]:
        """Handle a cast: ``NoReply``, ``Stop``, or None for unchanged."""
        raise RuntimeError(
            f"attempted to cast GenServer {_me()} but no handle_cast clause was provided"
        )

    def handle_info(self, message: Any, state: S, /) -> Next[S] | Awaitable[Next[S]]:
        """Handle any other message: ``NoReply``, ``Stop``, or None for unchanged."""
        name = type(self).__qualname__
        LOG.error("%s %s received unexpected message in handle_info: %r", name, _me(), message)
        return None

    def handle_continue(self, arg: Any, state: S, /) -> Next[S] | Awaitable[Next[S]]:
        """Do what ``continue_=arg`` of a result asked for, before any other message."""
        raise RuntimeError(f"GenServer {_me()} was told to continue but has no handle_continue")

    def terminate(self, reason: Any, state: S, /) -> None:
        """Clean up. Runs on ``Stop``, on an exception, and on exit signals if it traps exits."""

    def code_change(self, old_vsn: Any, state: S, extra: Any, /) -> Any:
        """The state as this class keeps it, of one that another class left: ``Ok(state)``.

        ``sys.change_code`` asks for it. Anything else, and an exception, refuses the change.
        """
        return Ok(state)

    def format_status(self, why: str, status: dict[str, Any], /) -> dict[str, Any]:
        """Change what ``sys.get_status`` ("normal") and crash reports ("terminate") show.

        ``status``: state, log; of a crash also message, reason. What is left out stays.
        """
        return status

    def succeeded_by(self, module: type[Any]) -> "GenServer[Any]":
        """The object of the class that takes over. Raises ``CodeChangeRefused``."""
        new: GenServer[Any] = successor(self, module, GenServer)
        return new

    def changed_to(
        self, module: type[Any], old_vsn: Any, state: S, extra: Any
    ) -> "tuple[GenServer[Any], Any]":
        """What ``sys.change_code`` makes of it; for behaviours whose class is not the user's."""
        new = self.succeeded_by(module)
        result: Any = new.code_change(old_vsn, state, extra)
        accepted: Any = result
        if isinstance(result, Ok):
            return new, accepted.state
        if isinstance(result, Stop):
            raise CodeChangeRefused(result.reason)
        raise CodeChangeRefused(("bad_return_value", result))

    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        """Start it without a name; override to give one."""
        return start_link(cls, arg)


def _me() -> str:
    proc = current()
    return repr(proc.name or proc.pid)


# Starting.


def start_link(
    module: type[GenServer[Any]], arg: Any, *, name: Any = None, timeout: float | None = None
) -> Pid:
    """Start a server linked to the caller; returns its pid after ``init``.

    ``name``: None, a str or class (local), ``Global(name)`` or ``Via(module, key)``.
    Raises ``AlreadyStarted``, ``Ignored`` or ``StartError(reason)``; with a ``timeout`` in
    seconds that passes, ``StartError("timeout")`` and the process is killed. In a coroutine
    it raises ``WouldBlockLoop``.
    """
    return _start("start_link", module, arg, name, timeout)[0]


def start(
    module: type[GenServer[Any]], arg: Any, *, name: Any = None, timeout: float | None = None
) -> Pid:
    """As ``start_link``, without a link."""
    return _start("start", module, arg, name, timeout)[0]


def start_monitor(
    module: type[GenServer[Any]], arg: Any, *, name: Any = None, timeout: float | None = None
) -> tuple[Pid, Ref]:
    """As ``start``, with a monitor; the pid and the monitor's reference."""
    pid, ref = _start("start_monitor", module, arg, name, timeout)
    assert ref is not None
    return pid, ref


def _start(
    how: str, module: type[GenServer[Any]], arg: Any, name: Any, timeout: float | None
) -> tuple[Pid, Ref | None]:
    me = waiter(f"gen_server.{how}")
    check_module(module)
    check_timeout(timeout)
    return start_and_wait(me, how, Loop, module, arg, name, timeout)


def check_module(module: object) -> None:
    """Raise ``BadArgument`` unless it is a class of servers."""
    if not (isinstance(module, type) and issubclass(module, GenServer)):
        raise BadArgument(f"{module!r} is not a GenServer class")


# Calls.


@overload
def call(server: Dest, request: Request[R], timeout: float | None = 5.0) -> R: ...
@overload
def call(server: Dest, request: Untyped, timeout: float | None = 5.0) -> Any: ...
def call(server: Dest, request: Any, timeout: float | None = 5.0) -> Any:
    """Send a request and wait for the reply.

    ``timeout`` is in seconds, None for ever; any other raises ``BadArgument``. Raises
    ``CallTimeout``, or ``CallExit``
    with the reason: "noproc", "calling_self", ("nodedown", node), ("standby", holder), or
    what the server ended with. In a coroutine it raises ``WouldBlockLoop``.
    """
    me = HERE.proc
    if me is None or (sched := me.sched) is None:
        me = waiter("gen_server.call")
        sched = me.sched
    elif not me.alive:
        me.raise_dead()
    if timeout != 5.0:
        check_timeout(timeout)
    node = me.node
    pid = server if type(server) is Pid else resolve(me, server, request, timeout)
    target = node.procs.get(pid)  # type: ignore[arg-type]  # an At is simply not found
    if target is me:
        raise call_exit("calling_self", server, request, timeout)
    tag = next(node.numbers)
    me.reply = NO_REPLY
    me.call_tag = tag
    if sched is not None and target is not None and target.sched is sched:
        target.mailbox.append(Call(From(me.pid, tag, pid), request))  # type: ignore[arg-type]
        if target.waiting == ANY:
            target.waiting = RUNNING
            sched.ready.append(target)  # type: ignore[arg-type]  # it is green: it has a sched
    elif isinstance(target, LockedProcess) and isinstance(me, LockedProcess):
        if not put_from(me, target, Call(From(me.pid, tag, target.pid), request)):
            raise call_exit("noproc", server, request, timeout)
    else:
        me.call_to = (tag, pid)
        node.send_signal(me, CallSignal(me.pid, pid, me.pid.request(tag), "call", request))
    deadline = None if timeout is None else node.clock.now() + timeout
    while me.reply is None:
        me.park(REPLY, deadline)
        if me.reply is None and deadline is not None and node.clock.now() >= deadline:
            give_up(me, pid, tag)
            if me.reply is None:
                raise CallTimeout("timeout", ("gen_server", "call", (server, request, timeout)))
    ok, value = me.reply
    me.reply = None
    if ok:
        return value
    raise call_exit(value, server, request, timeout)


def give_up(me: Process, dest: Pid | At, tag: int) -> None:
    """Nobody waits for the answer any more; the server forgets who asked."""
    with me.owned:
        me.call_tag = 0
    me.node.send_signal(me, CancelCallSignal(me.pid, dest, me.pid.request(tag)))


def call_exit(reason: Any, server: Any, request: Any, timeout: float | None) -> CallExit:
    """What a call raises that ended with ``reason``."""
    return CallExit(reason, ("gen_server", "call", (server, request, timeout)))


def resolve(me: Process, server: Any, request: Any, timeout: float | None) -> Pid | At:
    """Whom a call goes to. Raises ``CallExit("noproc", ...)`` if nobody has the name."""
    if isinstance(server, At):
        if not me.node.is_here(server):
            return server
        found = me.node.names.whereis(server.name)
    else:
        found = where(me, server)
    if found is None:
        raise call_exit("noproc", server, request, timeout)
    return found


def system(
    server: Dest, kind: str, request: Any, timeout: float | None, called: tuple[str, str, Any]
) -> Any:
    """A request of the ``sys`` protocol; as ``call`` otherwise. ``called`` is for errors."""
    me = waiter(f"{called[0]}.{called[1]}")
    check_timeout(timeout)
    try:
        pid = resolve(me, server, request, timeout) if type(server) is not Pid else server
    except CallExit as nobody:
        raise CallExit(nobody.reason, called) from None
    if pid == me.pid:
        raise CallExit("calling_self", called)
    tag = me.ask(pid, kind, request)
    ok, value = await_reply(me, timeout, lambda: give_up(me, pid, tag))
    if ok:
        return value
    if value is TIMED_OUT:
        raise CallTimeout("timeout", called)
    raise CallExit(value, called)


def cast(server: Dest, request: Any) -> None:
    """Send a request without an answer; a missing server is not an error."""
    me = HERE.proc
    if me is None or me.sched is None:
        me = current()
    node = me.node
    if type(server) is Pid:
        target = node.procs.get(server)
        if target is not None:
            sched = me.sched
            if sched is not None and target.sched is sched:
                target.mailbox.append(Cast(request))
                if target.waiting == ANY:
                    target.waiting = RUNNING
                    sched.ready.append(target)  # type: ignore[arg-type]  # it is green
                return
            node.put(me, target, Cast(request))
        elif server.node != node.name and server.node != node.home.node:
            router = node.router
            if me.sched is not None and router is not None and not node.busy:
                router.stream(me.pid, server, True, request)
            else:
                node.stream(me, server, True, request)
        return
    if isinstance(server, At):
        if not node.is_here(server):
            node.stream(me, server, True, request)
        else:
            node.send_signal(me, CastSignal(me.pid, server, request))
        return
    try:
        pid = where(me, server)
    except NotRegistered:
        return
    if pid is not None:
        cast(pid, request)


def reply(from_: From, value: Any) -> None:
    """Answer a call whose ``handle_call`` returned ``NoReply``; any process may do it, once."""
    if not isinstance(from_, From):
        raise BadArgument(f"reply({from_!r}): expected the from_ of a handle_call")
    me = current()
    if me.pid == from_.server:
        answer(me, from_, True, value)  # first: who cannot be answered hears of our end
        if me.handling is not None and me.handling.tag == from_.tag:
            me.handling = None
        if me.deferred is not None:
            me.deferred.pop(from_.tag, None)
        return
    answer(me, from_, True, value)
    me.node.send_signal(me, CancelCallSignal(from_.pid, from_.server, from_.ref))


def stop(server: Dest, reason: Any = NORMAL, timeout: float | None = None) -> None:
    """End a server with ``reason``, through its ``terminate``; returns when it is gone.

    Raises ``CallExit``: "noproc", "calling_self", the real reason if it ended with
    another one, or ``CallTimeout``. In a coroutine it raises ``WouldBlockLoop``.
    """
    end(server, reason, timeout, ("gen_server", "stop", (server, reason, timeout)))


def end(server: Dest, reason: Any, timeout: float | None, called: tuple[str, str, Any]) -> None:
    """Stop a process of any behaviour; ``called`` is for errors."""
    try:
        system(server, "terminate", reason, timeout, called)
    except CallTimeout:
        raise
    except CallExit as ended:
        if not same_reason(ended.reason, reason) or is_word(reason, NOPROC):
            raise


def whereis(server: Dest) -> Pid | At | None:
    """The pid behind a name, None if nobody has it; ``At`` of another node as it is."""
    me = current()
    if isinstance(server, At):
        return me.node.names.whereis(server.name) if me.node.is_here(server) else server
    return where(me, server)


def abcast(name: str | type, request: Any, nodes: list[str] | None = None) -> None:
    """Cast to the server registered as ``name`` on each node (by default all, with this one)."""
    for node in _all_nodes() if nodes is None else listed("abcast", nodes):
        cast(At(name, node), request)


def _all_nodes() -> list[str]:
    node = current().node
    return [node.name, *(node.router.nodes() if node.router is not None else ())]


@overload
def multi_call(
    name: str | type,
    request: Request[R],
    nodes: list[str] | None = None,
    timeout: float | None = 5.0,
) -> tuple[list[tuple[str, R]], list[str]]: ...
@overload
def multi_call(
    name: str | type, request: Untyped, nodes: list[str] | None = None, timeout: float | None = 5.0
) -> tuple[list[tuple[str, Any]], list[str]]: ...
def multi_call(
    name: str | type, request: Any, nodes: list[str] | None = None, timeout: float | None = 5.0
) -> tuple[list[tuple[str, Any]], list[str]]:
    """Call the server registered as ``name`` on each node, at once.

    Returns ``([(node, reply), ...], [node without a reply, ...])``, each in the nodes' order.
    Raises ``NotAName``, ``BadArgument`` for a bad ``timeout`` and ``NotSendable``.
    """
    from otpy.runtime import process

    waiter("gen_server.multi_call")
    asked = MultiCall(name, request, nodes, timeout)
    try:
        while asked.waits:
            asked.take(process.receive(tuple, where=asked.is_answer))
    finally:
        process.unalias(asked.box)
    return asked.result()


class MultiCall:
    """The calls of one ``multi_call``, each in a process of its own, and their answers."""

    def __init__(
        self, name: str | type, request: Any, nodes: list[str] | None, timeout: float | None
    ) -> None:
        from otpy.runtime import process

        check_timeout(timeout)
        self.nodes = _all_nodes() if nodes is None else listed("multi_call", nodes)
        self.answers: dict[str, tuple[bool, Any]] = {}
        servers = [At(name, node) for node in self.nodes]
        self.box = box = process.alias()

        def ask(server: At) -> None:
            try:
                outcome: tuple[bool | None, Any] = (True, call(server, request, timeout))
            except CallExit as error:
                outcome = (False, error.reason)
            except Exception as error:  # noqa: BLE001 - such as NotSendable: raised by ``take``
                outcome = (None, error)
            process.send(box, (box, server.node, outcome))

        for server in servers:
            process.spawn(ask, server, green=True)

    @property
    def waits(self) -> bool:
        """Whether an answer is missing."""
        return len(self.answers) < len(set(self.nodes))

    def is_answer(self, item: tuple[Any, ...]) -> bool:
        """Whether a message is one of the answers."""
        return len(item) == 3 and item[0] == self.box

    def take(self, answer: tuple[Any, ...]) -> None:
        """One answer has come; raises what kept the call from being sent."""
        good, value = answer[2]
        if good is None:
            raise value
        self.answers[answer[1]] = (good, value)

    def result(self) -> tuple[list[tuple[str, Any]], list[str]]:
        """What ``multi_call`` returns."""
        good = [(node, self.answers[node][1]) for node in self.nodes if self.answers[node][0]]
        return good, [node for node in self.nodes if not self.answers[node][0]]


__all__ = [
    "CallResult",
    "From",
    "GenServer",
    "InitResult",
    "Next",
    "Request",
    "RequestId",
    "RequestIds",
    "abcast",
    "call",
    "cast",
    "check_response",
    "enter_loop",
    "multi_call",
    "receive_response",
    "reply",
    "reqids_add",
    "reqids_new",
    "reqids_size",
    "reqids_to_list",
    "send_request",
    "start",
    "start_link",
    "start_monitor",
    "stop",
    "wait_response",
    "whereis",
]
