"""Calls for coroutines: what ``gen_server`` and ``process`` have, to ``await``.

Works in async processes, and in any other coroutine: there each call gets a
process of its own on the default node (or on ``node=``) for as long as it takes.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from otpy.behaviours import gen_server
from otpy.runtime._current import IN_TASK
from otpy.runtime.node import Node
from otpy.runtime.process import Dest, check_seconds, scan
from otpy.runtime.record import ANY, NO_REPLY, REPLY
from otpy.runtime.tasks import TaskProcess
from otpy.terms.errors import CallExit, CallTimeout, ReceiveTimeout
from otpy.terms.pid import Ref
from otpy.terms.signals import CallSignal


@asynccontextmanager
async def _me(node: Node | None = None) -> AsyncGenerator[TaskProcess, None]:
    proc = IN_TASK.get()
    if isinstance(proc, TaskProcess) and proc.task is asyncio.current_task():
        if not proc.alive:
            proc.raise_dead()
        yield proc
        return
    if node is None:
        from otpy.runtime._default import default_node

        node = default_node()
    node.check()
    proc = TaskProcess(node, node.new_pid(), None, (), asyncio.get_running_loop())
    proc.task = asyncio.current_task()
    node.procs[proc.pid] = proc
    token = IN_TASK.set(proc)
    try:
        yield proc
    finally:
        IN_TASK.reset(token)
        proc.end("normal")


async def call(
    server: Dest, request: Any, timeout: float | None = 5.0, *, node: Node | None = None
) -> Any:
    """``gen_server.call``. Raises ``CallTimeout`` or ``CallExit``."""
    return await _ask("call", server, request, timeout, node)


async def stop(
    server: Dest, reason: Any = "normal", timeout: float | None = None, *, node: Node | None = None
) -> None:
    """``gen_server.stop``."""
    try:
        await _ask("terminate", server, reason, timeout, node)
    except CallTimeout:
        raise
    except CallExit as ended:
        if ended.reason != reason:
            raise


async def _ask(
    kind: str, server: Dest, request: Any, timeout: float | None, node: Node | None
) -> Any:
    async with _me(node) as me:
        pid = gen_server.resolve(me, server, request, timeout)
        if pid == me.pid:
            raise gen_server.call_exit("calling_self", server, request, timeout)
        made, home = me.pid, me.node
        tag = next(home.numbers)
        me.reply = NO_REPLY
        me.call_tag = tag
        me.call_to = pid
        ref = Ref(made.started, made.node, made.bits, tag, made.number)
        home.send_signal(me, CallSignal(made, pid, ref, kind, request))
        deadline = None if timeout is None else home.clock.now() + timeout
        while me.reply is None:
            await me.wait(REPLY, deadline)
            if me.reply is None and deadline is not None and home.clock.now() >= deadline:
                gen_server.cancel_call(me, pid, tag)
                if me.reply is None:
                    raise CallTimeout("timeout", ("gen_server", kind, (server, request, timeout)))
        ok, value = me.reply
        me.reply = None
        if ok:
            return value
        raise gen_server.call_exit(value, server, request, timeout)


async def receive(
    *types: type, where: Callable[[Any], bool] | None = None, timeout: float | None = None
) -> Any:
    """``process.receive`` in an async process. Raises ``ReceiveTimeout``."""
    if timeout is not None:
        check_seconds("timeout", timeout)
    async with _me() as me:
        now = me.node.clock.now
        deadline = None if timeout is None else now() + timeout
        seen = 0
        while True:
            found, item, seen = scan(me, seen, types, where)
            if found:
                return item
            if deadline is not None and now() >= deadline:
                raise ReceiveTimeout(f"no matching message within {timeout} seconds")
            await me.wait(ANY, deadline, seen)


async def sleep(seconds: float) -> None:
    """``process.sleep``; ends at once when the process is ended from outside."""
    check_seconds("seconds", seconds)
    async with _me() as me:
        now = me.node.clock.now
        deadline = now() + seconds
        while now() < deadline:
            await me.wait(REPLY, deadline)


cast = gen_server.cast
