"""Which process runs here: of this thread, or of this coroutine."""

import asyncio
import os
import threading
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from otpy.terms.errors import NodeForked, WouldBlockLoop

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.record import Process
    from otpy.runtime.scheduler import Scheduler
    from otpy.runtime.tasks import TaskProcess

OWN_MODULES = (  # those with a module of their own in aio
    "agent",
    "dynamic_supervisor",
    "erpc",
    "gen_statem",
    "partition_supervisor",
    "registry",
    "rpc",
    "supervisor",
    "sys",
    "task",
    "task_supervisor",
)
running_loop = asyncio._get_running_loop


class _Here(threading.local):
    proc: "Process | None" = None
    sched: "Scheduler | None" = None
    draining: "deque[Any] | None" = None
    node: "Node | None" = None  # whose event loop runs on this thread
    left: "Process | None" = None  # of a forked child: who ran here in the parent


HERE = _Here()
IN_TASK: "ContextVar[TaskProcess | None]" = ContextVar("otpy_process", default=None)


def _forked() -> None:
    """In a forked child: what ran on this thread stays the parent's."""
    HERE.left = HERE.proc or IN_TASK.get()
    HERE.proc = HERE.sched = HERE.draining = HERE.node = None
    IN_TASK.set(None)


os.register_at_fork(after_in_child=_forked)


def forked_from(node: str) -> NodeForked:
    """What an otpy call of a forked child raises."""
    return NodeForked(f"{node} belongs to the parent process; start a Node in the child")


def running_task() -> "asyncio.Task[Any] | None":
    """The asyncio task that runs on this thread."""
    loop = running_loop()
    return None if loop is None else asyncio.current_task(loop)


def in_task() -> "TaskProcess | None":
    """The process that the running task is, or acts for because that process started it.

    An implicit one is of its own task only: a plain task's tasks are plain, too.
    """
    proc = IN_TASK.get()
    if proc is not None and proc.implicit and proc.task is not running_task():
        return None
    return proc


def current_or_none() -> "Process | None":
    """The current process, or None outside any."""
    proc = HERE.proc
    if proc is None or proc.sched is None:
        task = in_task()
        if task is not None and (proc is None or running_loop() is task.loop):
            return task
    return proc


def check_thread() -> None:
    """Raise ``ProcessExit`` if this thread's process has ended: its tasks are its code."""
    proc = HERE.proc
    if proc is not None and not proc.alive:
        proc.raise_dead()


def acting() -> "Process | None":
    """As ``current_or_none``; None also in a task that has no process yet.

    A loop may run on a thread that is a process itself: its tasks are not that one, unless
    the thread was made one, by ``Node.attached()``, while the loop ran.
    """
    check_thread()
    proc = current_or_none()
    if proc is None or proc.sched is not None or proc is not HERE.proc or proc is in_task():
        return proc
    if running_task() is None or getattr(proc, "on_loop", None) is running_loop():
        return proc
    return None


def current() -> "Process":
    """The current process; a plain thread or task gets an implicit one, which ends with it.

    On the node of its surroundings, else on the default one. Raises ``ProcessExit`` in a body
    whose process is dead, and ``NodeForked`` in a forked child.
    """
    proc = current_or_none()
    if proc is not None and proc.sched is None and running_loop() is not None:
        proc = acting()
    if proc is None:
        if HERE.left is not None:
            raise forked_from(HERE.left.node.name)
        from otpy.runtime._default import implicit_process

        return implicit_process()
    if not proc.alive:
        proc.raise_dead()
    return proc


def waiter(what: str) -> "Process":
    """As ``current``, for ``what``, a function that waits: ``"gen_server.call"``.

    Raises ``WouldBlockLoop`` where waiting would block an event loop, before a process is made.
    """
    me = HERE.proc
    if me is None or me.sched is None:
        check_may_wait(what)
        return current()
    if not me.alive:
        me.raise_dead()
    return me


def may_wait() -> bool:
    """Whether what runs here may block its thread, as far as event loops go."""
    me = HERE.proc
    if me is not None and me.sched is not None:
        return True
    return running_loop() is None and (me is not None or in_task() is None)


def check_may_wait(what: str) -> None:
    """Raise ``WouldBlockLoop``, naming the function of ``aio`` that does what ``what`` does."""
    if may_wait():
        return
    task = in_task()
    if running_loop() is None:
        raise WouldBlockLoop(
            f"{what}: this thread works for {task and task.pid!r}, which lives on an event loop "
            "and cannot wait here; start the work with await aio.blocking(fn, ...): then it is "
            "a process of its own"
        )
    raise WouldBlockLoop(
        f"{what} would block the event loop of this thread; use {_instead_of(what)}"
    )


def _instead_of(what: str) -> str:
    module, _, function = what.partition(".")
    if module == "global_":
        # A lock belongs to the process that took it, and ends with it.
        doing = "trans" if function in ("set_lock", "del_lock") else function
        return f"await aio.blocking(global_.{doing}, ...)"
    if module in ("application", "cluster_ready", "pg"):
        return f"await aio.blocking({what}, ...)"
    if module == "testing":
        return f"await otpy.testing.aio.{function}(...)"
    if what == "process.await_coroutine":
        return "await and the coroutine itself"
    if module in OWN_MODULES:
        return f"await aio.{what}(...)"
    return f"await aio.{function}(...)"
