"""Agent: a process that keeps a state, and runs the functions it is given on it.

The names and guarantees are Elixir's ``Agent``. Where Elixir takes a function or module,
function and arguments, here it is ``fn, *args``: what is called is ``fn(state, *args)``, at the
start ``fn(*args)``. It runs in the agent's process, one function after the other: what it
raises ends the agent, and the caller gets ``CallExit``. What waits raises ``WouldBlockLoop``
in a coroutine: there it is ``await aio.agent.get(...)``.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from otpy.behaviours import gen_server
from otpy.behaviours._module import FunctionClass
from otpy.behaviours.child_spec import ChildSpec, of_class
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok, Reply, Stop
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_flag, check_function
from otpy.runtime.process import Dest
from otpy.runtime.reports import function_name
from otpy.terms.errors import BadArgument
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL
from otpy.terms.values import is_tuple

T = TypeVar("T")
Name = str | type | Global | Via | None


class Agent(FunctionClass):
    """``use Agent``: a module whose ``start_link(arg)`` starts an agent, as a child.

    Class options as for GenServer: ``restart`` ("permanent" unless given), ``shutdown``, ``id``,
    ``green``. ``first(arg)`` makes the first state, in the agent. ``(Agent, fn)`` is a child
    whose first state is ``fn()``.
    """

    @classmethod
    def first(cls, arg: Any, /) -> Any:
        """The first state; it is ``arg`` unless overridden."""
        return arg

    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        """Start it without a name; override to give one."""
        if cls is Agent:
            return start_link(arg)
        return start_link(cls.first, arg, green=cls.green)

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        """The child specification for a supervisor."""
        if cls is Agent:
            check_function("Agent.child_spec", arg)
        return of_class(cls, arg)


class AgentServer(GenServer[Any]):
    """The process behind an agent."""

    began: str | None = None

    def initial_call(self) -> str:
        return self.began or super().initial_call()

    def callback_class(self) -> type:
        return Agent

    def init(self, arg: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
        fn, args = arg
        self.began = function_name(fn)
        return Ok(fn(*args))

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        match request:
            case ("get", fn, args):
                return Reply(fn(state, *args))
            case ("update", fn, args):
                return Reply(None, fn(state, *args))
            case ("get_and_update", fn, args):
                result = fn(state, *args)
                if is_tuple(result) and len(result) == 2:
                    return Reply(*result)
                return Stop(("bad_return_value", result))
            case _:
                return super().handle_call(request, from_, state)

    def handle_cast(self, request: Any, state: Any) -> Any:
        match request:
            case ("cast", fn, args):
                return NoReply(fn(state, *args))
            case _:
                return super().handle_cast(request, state)


class GreenAgentServer(AgentServer, green=True):
    """The same on the user scheduler."""


def request(what: str, fn: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What an agent is asked. Raises ``BadArgument`` unless it can call ``fn``."""
    check_function(f"agent.{what}", fn)
    if inspect.iscoroutinefunction(fn):
        raise BadArgument(
            f"agent.{what}({fn!r}): an agent calls its functions and awaits none; expected a plain "
            "function (an async one can run in an async GenServer)"
        )
    return (what, fn, args)


def plan(
    how: str, fn: Callable[..., Any], args: tuple[Any, ...], green: bool
) -> tuple[type[GenServer[Any]], Any]:
    """The server behind an agent, and what it is started with."""
    request(how, fn, args)
    check_flag("green", green)
    return GreenAgentServer if green else AgentServer, (fn, args)


def start_link(
    fn: Callable[..., Any],
    *args: Any,
    name: Name = None,
    timeout: float | None = None,
    green: bool = False,
) -> Pid:
    """Start an agent whose first state is ``fn(*args)``, linked to the caller.

    With ``green=True`` it runs on the user scheduler, else on a thread of its own. ``name``
    and ``timeout`` (seconds) as in ``gen_server.start_link``. Raises ``AlreadyStarted``, or
    ``StartError`` with what ``fn`` raised. ``Agent.start_link``.
    """
    waiter("agent.start_link")
    module, arg = plan("start_link", fn, args, green)
    return gen_server.start_link(module, arg, name=name, timeout=timeout)


def start(
    fn: Callable[..., Any],
    *args: Any,
    name: Name = None,
    timeout: float | None = None,
    green: bool = False,
) -> Pid:
    """As ``start_link``, without a link. ``Agent.start``."""
    waiter("agent.start")
    module, arg = plan("start", fn, args, green)
    return gen_server.start(module, arg, name=name, timeout=timeout)


def get(agent: Dest, fn: Callable[..., T], *args: Any, timeout: float | None = 5.0) -> T:
    """``fn(state, *args)``.

    ``timeout`` is in seconds, None for ever. Raises ``CallTimeout`` (the agent goes on),
    or ``CallExit`` with "noproc" or what the agent ended with: what ``fn`` raised.
    ``Agent.get``.
    """
    waiter("agent.get")
    result: T = gen_server.call(agent, request("get", fn, args), timeout)
    return result


def update(agent: Dest, fn: Callable[..., Any], *args: Any, timeout: float | None = 5.0) -> None:
    """Put ``fn(state, *args)`` in the state's place. Raises as ``get``. ``Agent.update``."""
    waiter("agent.update")
    gen_server.call(agent, request("update", fn, args), timeout)


def get_and_update(
    agent: Dest, fn: Callable[..., tuple[T, Any]], *args: Any, timeout: float | None = 5.0
) -> T:
    """``fn(state, *args)`` is ``(result, new state)``; the result.

    Raises as ``get``; another value ends the agent with ("bad_return_value", value).
    ``Agent.get_and_update``.
    """
    waiter("agent.get_and_update")
    result: T = gen_server.call(agent, request("get_and_update", fn, args), timeout)
    return result


def cast(agent: Dest, fn: Callable[..., Any], *args: Any) -> None:
    """As ``update``, without waiting; a missing agent is not an error. ``Agent.cast``."""
    gen_server.cast(agent, request("cast", fn, args))


def stop(agent: Dest, reason: Any = NORMAL, timeout: float | None = None) -> None:
    """End it; returns when it is gone. Raises as ``gen_server.stop``. ``Agent.stop``."""
    waiter("agent.stop")
    gen_server.stop(agent, reason, timeout)


def child_spec(arg: Callable[[], Any]) -> ChildSpec:
    """The child specification that ``(Agent, fn)`` stands for. ``Agent.child_spec``."""
    return Agent.child_spec(arg)


__all__ = [
    "Agent",
    "cast",
    "child_spec",
    "get",
    "get_and_update",
    "start",
    "start_link",
    "stop",
    "update",
]
