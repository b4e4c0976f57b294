"""Locks of a simulation: who must wait is parked, and the others run.

Each has a real lock inside. So one that is made in a simulation and outlives it, such as that of
a module which was first imported there, is as good as any on real threads.
"""

import threading
from collections.abc import Callable
from typing import Any

from otpy.runtime._current import current_or_none
from otpy.runtime.fence import Fence, here, refuse
from otpy.runtime.outside import start_outside
from otpy.runtime.record import REPLY, Process
from otpy.runtime.scheduler import GreenProcess

_allocate = threading.Lock
FOREVER = float("inf")
Wake = Callable[[Callable[[], None]], None]


def waiting_process(what: str) -> Process:
    """The process that is to wait; a coroutine, or no process at all, is refused."""
    me = current_or_none()
    if not isinstance(me, GreenProcess):
        refuse(f"{what}, which would have to wait where nothing can,")
    return me


class _Lock:
    """What is the same for both: a block that holds it."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class SimulatedLock(_Lock):
    """``threading.Lock()``, made in a simulation."""

    def __init__(self) -> None:
        self._lock = _allocate()
        self._waiting: dict[int, Wake] = {}
        self._number = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As that of a real lock; ``timeout`` in virtual seconds."""
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != -1:
            raise ValueError("timeout value must be a non-negative number")
        if self._lock.acquire(False):
            return True
        if not blocking:
            return False
        fence = here()
        if fence is None:
            return self._lock.acquire(True, timeout)
        until = FOREVER if timeout == -1 else fence.now() + timeout
        me = waiting_process("a lock that is taken")
        while not self._lock.acquire(False):
            if fence.now() >= until:
                return False
            self._wait(me, fence, until)
        return True

    def _wait(self, me: Process, fence: Fence, until: float) -> None:
        self._number += 1
        number = self._number

        def begin(done: Wake) -> None:
            self._waiting[number] = done

        start_outside(me, begin)
        try:
            while me.reply is None and fence.now() < until:
                me.park(REPLY, None if until == FOREVER else until)
        finally:
            me.call_tag = 0
            me.reply = None
            self._waiting.pop(number, None)

    def release(self) -> None:
        """Let somebody else have it. Raises ``RuntimeError`` if nobody has it."""
        self._lock.release()
        # Everybody who waits looks again: whoever is ended meanwhile takes nobody's turn away.
        for wake in list(self._waiting.values()):
            wake(lambda: None)

    def locked(self) -> bool:
        """Whether somebody has it."""
        return self._lock.locked()

    def _at_fork_reinit(self) -> None:
        """In a forked child: nobody has it. Modules that are imported hand it to ``os``."""
        self._lock = _allocate()
        self._waiting.clear()


class SimulatedRLock(_Lock):
    """``threading.RLock()``, made in a simulation: it belongs to a process, else to a thread."""

    def __init__(self) -> None:
        self._block = SimulatedLock()
        self._owner: Any = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As that of a real one; ``timeout`` in virtual seconds."""
        if self._is_owned():
            self._count += 1
            return True
        if not self._block.acquire(blocking, timeout):
            return False
        self._owner, self._count = _me(), 1
        return True

    def release(self) -> None:
        """Undo one ``acquire``. Raises ``RuntimeError`` if it is somebody else's."""
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    # What ``threading.Condition`` asks of a lock.

    def _is_owned(self) -> bool:
        return self._owner is not None and self._owner == _me()

    def _release_save(self) -> tuple[int, Any]:
        saved = (self._count, self._owner)
        self._count, self._owner = 0, None
        self._block.release()
        return saved

    def _acquire_restore(self, saved: tuple[int, Any]) -> None:
        self._block.acquire()
        self._count, self._owner = saved

    def _at_fork_reinit(self) -> None:
        """In a forked child: nobody has it. ``logging`` asks this of a handler's lock."""
        self._block = SimulatedLock()
        self._owner, self._count = None, 0


def _me() -> Any:
    me = current_or_none() if here() is not None else None
    return me.pid if me is not None else threading.get_ident()
