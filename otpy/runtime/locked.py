"""Processes whose body has a thread or a task of its own: their record is behind a lock.

Two locks. ``lock`` guards the record and is a leaf: nothing else is taken under
it. ``gate`` is held by the process while it sends, and by its killer: when a
death is announced, no send of the dead process is still under way, so nothing
arrives after its down message.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from otpy.runtime.record import Internal, Process

if TYPE_CHECKING:
    from otpy.runtime.node import Node


class LockedProcess(Process):
    """A process whose state may be touched by any thread that holds its lock."""

    __slots__ = ("gate", "lock")
    direct = True  # an answer may go past ``submit``

    def __init__(self, node: "Node", pid: Any, fn: Callable[..., Any] | None, args: Any) -> None:
        super().__init__(node, pid, fn, args)
        self.lock = threading.Lock()
        self.gate = threading.RLock()

    @property  # a fixed field elsewhere
    def owned(self) -> AbstractContextManager[Any]:  # type: ignore[override]
        """Held while the record is touched."""
        return self.lock

    def abandon(self) -> None:
        if self.waiting:
            self.wake()

    def submit(self, signal: Internal) -> None:
        with self.lock:
            was_alive = self.alive
            effects = self.take(signal)
            died = was_alive and not self.alive
        if died:
            self.node.emit_when_quiet(self, effects)
        else:
            self.node.emit(effects)

    def close_gate(self) -> None:
        """Wait until no send of this process is under way."""
        with self.gate:
            pass

    def put(self, item: Any) -> None:
        with self.lock:
            if self.alive:
                self.append(item)

    def put_many(self, items: list[Any]) -> None:
        with self.lock:
            self.extend(items)

    def end(self, reason: Any) -> None:
        """The body is over."""
        with self.lock:
            effects = self.die(reason)
        self.node.emit(effects)


def put_from(me: LockedProcess, target: LockedProcess, item: Any) -> bool:
    """Put an item of the current process into a mailbox; False if the target is dead.

    The short way for two processes of one node with threads or tasks of their own.
    """
    with me.gate:
        if not me.alive:
            me.raise_dead()
        with target.lock:
            alive = target.alive
            if alive:
                target.append(item)
    return alive


def reply_from(me: LockedProcess, caller: LockedProcess, tag: int, ok: bool, value: Any) -> None:
    """Bring an answer of the current process to its caller, as ``put_from`` brings a request."""
    with me.gate:
        if not me.alive:
            me.raise_dead()
        with caller.lock:
            caller.take_reply(tag, ok, value)
