"""``otpy.agent`` for coroutines. Each function raises what that of the same name raises."""

from collections.abc import Callable
from typing import Any, TypeVar

from otpy.behaviours import agent as plain
from otpy.behaviours.agent import Name
from otpy.bridges.aio import _servers
from otpy.runtime.node import Node
from otpy.runtime.process import Dest
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL

T = TypeVar("T")
cast = plain.cast


async def start_link(
    fn: Callable[..., Any],
    *args: Any,
    name: Name = None,
    timeout: float | None = None,
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """Start an agent, linked to the task's process. A task that is none becomes one."""
    module, arg = plain.plan("start_link", fn, args, green)
    return await _servers.start_link(module, arg, name=name, timeout=timeout, node=node)


async def start(
    fn: Callable[..., Any],
    *args: Any,
    name: Name = None,
    timeout: float | None = None,
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """Start an agent without a link."""
    module, arg = plain.plan("start", fn, args, green)
    return await _servers.start(module, arg, name=name, timeout=timeout, node=node)


async def get(agent: Dest, fn: Callable[..., T], *args: Any, timeout: float | None = 5.0) -> T:
    """``fn(state, *args)``, called in the agent."""
    result: T = await _servers.call(agent, plain.request("get", fn, args), timeout)
    return result


async def update(
    agent: Dest, fn: Callable[..., Any], *args: Any, timeout: float | None = 5.0
) -> None:
    """Put ``fn(state, *args)`` in the state's place."""
    await _servers.call(agent, plain.request("update", fn, args), timeout)


async def get_and_update(
    agent: Dest, fn: Callable[..., tuple[T, Any]], *args: Any, timeout: float | None = 5.0
) -> T:
    """``fn(state, *args)`` is ``(result, new state)``; the result."""
    result: T = await _servers.call(agent, plain.request("get_and_update", fn, args), timeout)
    return result


async def stop(agent: Dest, reason: Any = NORMAL, timeout: float | None = None) -> None:
    """End it; returns when it is gone."""
    await _servers.stop(agent, reason, timeout)


__all__ = ["cast", "get", "get_and_update", "start", "start_link", "stop", "update"]
