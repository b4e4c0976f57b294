"""How a thing that a process owned is closed, and what is reported if that fails.

``close`` is code of users: it runs under no lock and on no scheduler; it is the process as long as
that lives and a process of its own afterwards, so that it may call otpy; and whatever it raises
keeps neither the other things open nor the process alive. Only a plain socket, which has been shut
down, is closed wherever its owner's end is dealt with.
"""

import asyncio
import inspect
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otpy.runtime._current import HERE, IN_TASK
from otpy.runtime.tasks import TaskProcess
from otpy.terms.errors import BadArgument

if TYPE_CHECKING:
    from otpy.runtime.record import Process

LOG = logging.getLogger("otpy.process")


@dataclass(frozen=True, slots=True, eq=False)
class Owned:
    """A thing and how it is closed; ``plain``: a socket that is closed by its own ``close``."""

    resource: Any
    close: Callable[[], Any]
    plain: bool = False

    @property
    def over(self) -> bool:
        """Whether it is a socket that has been closed, or detached, by its user."""
        if not isinstance(self.resource, socket.socket):
            return False
        return socket.socket.fileno(self.resource) == -1

    @property
    def quick(self) -> bool:
        """Whether closing it neither runs code of users nor blocks; after ``shut_down``."""
        return self.plain and not _lingers(self.resource)

    def shut_down(self) -> None:
        """Wake whoever blocks in a socket, and let its port go; nothing for other things."""
        if isinstance(self.resource, socket.socket):
            try:
                # Not a subclass's own: a death is dealt with where no code of users may run.
                socket.socket.shutdown(self.resource, socket.SHUT_RDWR)
            except OSError:
                pass  # it is not connected, or closed already


def _lingers(sock: socket.socket) -> bool:
    """Whether ``close`` waits until what was sent has arrived."""
    try:
        option = sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize("ii"))
    except OSError:
        return False  # it is closed, or of a family without it
    on, seconds = struct.unpack("ii", option)
    return bool(on and seconds)


def close(proc: "Process", owned: Owned) -> None:
    """Close one thing, on this thread."""
    if owned.plain:
        called(proc, owned)
        return
    before = HERE.proc
    stand_in = None if proc.alive else proc.node.implicit()
    HERE.proc = stand_in or proc
    try:
        called(proc, owned)
    finally:
        HERE.proc = before
        if stand_in is not None:
            stand_in.end("normal")


def called(proc: "Process", owned: Owned) -> None:
    """Close one thing as whoever runs here."""
    try:
        result = owned.close()
        if inspect.iscoroutine(result):
            result.close()
            raise BadArgument(f"{owned.close!r} gave a coroutine; only an async process awaits it")
    except BaseException as error:  # an exit, too, must not keep the rest open or the owner alive
        report(proc, owned, error)
        if isinstance(error, KeyboardInterrupt):
            raise  # it is for the program, not for what is being closed


async def close_in_task(proc: TaskProcess, owned: Owned) -> None:
    """Close one thing in a task of the owner's loop; what ``close`` gives is awaited."""
    stand_in = None
    if not proc.alive:
        node = proc.node
        stand_in = TaskProcess(node, node.new_pid(), None, (), proc.loop)
        node.procs[stand_in.pid] = stand_in
    token = IN_TASK.set(stand_in or proc)
    try:
        result = owned.close()
        if inspect.isawaitable(result):
            await result
    except BaseException as error:  # also what cancels the task: the rest must be closed
        report(proc, owned, error)
        if isinstance(error, KeyboardInterrupt):
            raise  # it is for the program, not for what is being closed
    finally:
        IN_TASK.reset(token)
        if stand_in is not None:
            stand_in.end("normal")


def report(proc: "Process", owned: Owned, error: BaseException) -> None:
    """Tell that a thing could not be closed."""
    LOG.error(
        "%r, which belonged to %r, could not be closed",
        owned.resource,
        proc.name or proc.pid,
        exc_info=(type(error), error, error.__traceback__),
        extra={
            "otpy_report": {
                "label": "close_failed",
                "pid": proc.pid,
                "registered_name": proc.name,
                "resource": owned.resource,
                "error": error,
            }
        },
    )


def later(proc: TaskProcess, work: Callable[[], Any], keep: set[Any]) -> bool:
    """Start the coroutine ``work()`` on the loop of ``proc``; False if that is closed."""

    def begin() -> None:
        task = proc.loop.create_task(work())
        keep.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(keep.discard)

    if asyncio._get_running_loop() is proc.loop:
        begin()
        return True
    try:
        proc.loop.call_soon_threadsafe(begin)
    except RuntimeError:
        return False  # it is closed: there is nobody left whom a thread could disturb
    return True
