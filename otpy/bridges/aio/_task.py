"""The process behind a coroutine, and how it waits."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from otpy.behaviours._start import TIMED_OUT
from otpy.behaviours.gen_server import give_up
from otpy.runtime._current import IN_TASK, acting, check_thread
from otpy.runtime._default import check_node, near_node
from otpy.runtime.node import Node
from otpy.runtime.record import REPLY
from otpy.runtime.tasks import TaskProcess, become_process, task_process
from otpy.terms.errors import BadArgument
from otpy.terms.names import At
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL


def mine() -> TaskProcess | None:
    """The process that the current task is. A task started by it is not that process."""
    check_thread()
    proc = IN_TASK.get()
    if proc is None or proc.task is not asyncio.current_task():
        return None
    if not proc.alive:
        proc.raise_dead()
    return proc


def _check(node: Node | None) -> None:
    if node is not None:
        check_node("aio", node)


@asynccontextmanager
async def process(node: Node | None = None) -> AsyncGenerator[TaskProcess, None]:
    """The current task's process; one for the block if it is none, or an implicit one elsewhere.

    Raises ``BadArgument``.
    """
    _check(node)
    proc = mine()
    if proc is not None and (node is None or node is proc.node or not proc.implicit):
        yield proc
        return
    proc = task_process(node or near_node())
    token = IN_TASK.set(proc)
    try:
        yield proc
    finally:
        if proc.node.belongings.table:
            await proc.node.belongings.task_over(proc)
        IN_TASK.reset(token)
        proc.end(NORMAL)


@asynccontextmanager
async def attached(node: Node | None = None) -> AsyncGenerator[Pid, None]:
    """Make the current task a process of ``node`` while the block runs; gives its pid.

    Of the default node if none is given. A task that is a process already stays that one.
    """
    async with process(node) as me:
        yield me.pid


def lasting(node: Node | None) -> TaskProcess:
    """The current task's process; if it is none it becomes one until it ends.

    For what the new process is linked to, or monitored by.
    """
    _check(node)
    return mine() or become_process(node or near_node())


def receiver() -> TaskProcess:
    """The current task's process, which is what ``self_pid()`` gives here, to receive as.

    Raises ``BadArgument`` in a task that is none: nothing could ever come.
    """
    proc = mine()
    if proc is not None:
        return proc
    other = acting()
    what = (
        "is no process yet, so nobody can have sent it anything"
        if other is None
        else f"acts for {other.pid!r}, whose own task or thread receives what is sent to it"
    )
    raise BadArgument(
        f"receive: this task {what}; make it a process of its own with "
        "async with aio.attached(), and let it send its self_pid()"
    )


async def answer(
    me: TaskProcess, timeout: float | None, asked: tuple[Pid | At, int] | None = None
) -> tuple[bool, Any]:
    """The answer to the request under way; ``(False, TIMED_OUT)`` if none comes in time.

    ``asked``: whom, and the call's tag, to take a call back that nobody waits for any more.
    """
    clock = me.node.clock
    deadline = None if timeout is None else clock.now() + timeout
    try:
        while me.reply is None and (deadline is None or clock.now() < deadline):
            await me.wait(REPLY, deadline)
    except asyncio.CancelledError:
        _take_back(me, asked)
        me.reply = None
        raise
    if me.reply is None:
        _take_back(me, asked)
    reply, me.reply = me.reply, None
    return (False, TIMED_OUT) if reply is None else reply


def _take_back(me: TaskProcess, asked: tuple[Pid | At, int] | None) -> None:
    if asked is not None and me.alive:
        give_up(me, *asked)
        return
    with me.owned:
        me.call_tag = 0
