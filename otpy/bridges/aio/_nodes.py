"""``node`` for coroutines: what waits for another node."""

from collections.abc import Callable
from typing import Any, Literal

from otpy.bridges.aio import _task
from otpy.bridges.aio._processes import receive
from otpy.runtime import nodes
from otpy.runtime.arguments import check_seconds
from otpy.runtime.node import Node
from otpy.runtime.outside import outside_later
from otpy.runtime.tasks import TaskProcess
from otpy.runtime.view import View, viewing
from otpy.terms.messages import SpawnReply
from otpy.terms.pid import Pid, Ref


async def ping(name: str, *, node: Node | None = None) -> Literal["pong", "pang"]:
    """``node.ping``."""
    async with _task.process(node) as me:
        if nodes.asks(me, name):
            nodes.begin_ping(me, name)
            me.reply = await _task.answer(me, None)
        return nodes.answered(me, name)


async def connect(name: str, *, node: Node | None = None) -> bool:
    """``node.connect``. Raises ``NotDistributed``."""
    async with _task.process(node) as me:
        return await outside_later(me, nodes.connecting(me.node, name))


async def disconnect(name: str, *, node: Node | None = None) -> bool:
    """``node.disconnect``. Raises ``NotDistributed``."""
    async with _task.process(node) as me:
        return await outside_later(me, nodes.disconnecting(me.node, name))


async def view(timeout: float = 5.0, *, node: Node | None = None) -> View:
    """``node.view``."""
    check_seconds("timeout", timeout)
    async with _task.process(node) as me:
        return await outside_later(me, viewing(me.node, timeout))


async def spawn(
    name: str,
    fn: Callable[..., Any],
    *args: Any,
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """``node.spawn``: on the node ``name``. (``process.spawn`` does not wait: call that.)"""
    async with _task.process(node) as me:
        return (await _spawn(me, "spawn", name, fn, args, green))[0]


async def spawn_link(
    name: str,
    fn: Callable[..., Any],
    *args: Any,
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """``node.spawn_link``. A task that is no process becomes one until it ends."""
    return (await _spawn(_task.lasting(node), "spawn_link", name, fn, args, green))[0]


async def spawn_monitor(
    name: str,
    fn: Callable[..., Any],
    *args: Any,
    green: bool = False,
    node: Node | None = None,
) -> tuple[Pid, Ref]:
    """``node.spawn_monitor``. A task that is no process becomes one until it ends."""
    me = _task.lasting(node)
    pid, ref = await _spawn(me, "spawn_monitor", name, fn, args, green)
    assert ref is not None
    return pid, ref


async def _spawn(
    me: TaskProcess,
    how: str,
    name: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    green: bool,
) -> tuple[Pid, Ref | None]:
    order = nodes.Order(how, name, fn, args, green)
    if order.node == me.node.name:
        return order.carry_out(me)
    ref = order.send()
    return order.settle(me, await receive(SpawnReply, where=lambda reply: reply.ref == ref))
