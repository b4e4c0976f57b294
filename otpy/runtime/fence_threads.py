"""Threads of a simulation: who stands for one has an identity and locals of its own.

A thread process does, and a job of ``blocking``. Those that share a thread elsewhere share one
here, too: the green processes of a node, and its coroutines. Otpy itself asks for real threads.
"""

import _threading_local
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from otpy.runtime._current import HERE, current_or_none, running_loop
from otpy.runtime.fence import Fence, here, refuse
from otpy.runtime.scheduler import GreenProcess, ThreadStandIn

FEW = 64  # threads that may have ended before the first look
Ask = Callable[[], Any]
_current_thread = threading.current_thread
_get_ident = threading.get_ident


class SimulatedThread(threading.Thread):
    """What ``threading.current_thread()`` is to a process of a simulation."""

    def __init__(self, number: int, name: str, lives: Callable[[], bool]) -> None:
        super().__init__(name=name, daemon=True)
        self._number = number
        self._lives = lives

    def __repr__(self) -> str:
        return f"<SimulatedThread({self.name}, {self._number})>"

    @property
    def ident(self) -> int:
        """Its number, from 1 on; no other thread of the simulation has it."""
        return self._number

    @property
    def native_id(self) -> int:
        """The same."""
        return self._number

    def is_alive(self) -> bool:
        """Whether its process is."""
        return self._lives()

    def start(self) -> None:
        """It has been started: raises ``RuntimeError``."""
        raise RuntimeError(f"{self!r} runs: it stands for a process")

    def join(self, timeout: float | None = None) -> None:
        """Raises ``RuntimeError``: who waits for a process monitors it."""
        raise RuntimeError(f"cannot join {self!r}: it stands for a process; monitor that")


def _stands_for() -> tuple[Any, str, Callable[[], bool]] | None:
    """The thread that what runs here has elsewhere: its key, its name and whether it lives."""
    me = current_or_none()
    if isinstance(me, ThreadStandIn):
        return me.pid, repr(me.pid), lambda: me.alive
    if isinstance(me, GreenProcess):
        node, shared = me.node, "green"
    elif HERE.node is not None and running_loop() is not None:
        node, shared = HERE.node, "loop"
    else:
        return None
    return (node, shared), f"otpy-{shared}-{node.name}", lambda: node.state == "running"


def _thread(fence: Fence) -> threading.Thread:
    stands = _stands_for()
    if stands is None:
        return _current_thread()
    key, name, lives = stands
    threads = fence.threads
    found: threading.Thread | None = threads.get(key)
    if found is None:
        if len(threads) >= fence.many_threads:
            for old in [old for old, thread in threads.items() if not thread.is_alive()]:
                del threads[old]
            fence.many_threads = max(FEW, 2 * len(threads))
        found = threads[key] = SimulatedThread(next(fence.thread_numbers), name, lives)
    return found


def _identity(fence: Fence) -> int:
    thread = _thread(fence)
    return thread.ident if isinstance(thread, SimulatedThread) else _get_ident()


def is_own(caller: FrameType) -> bool:
    """Whether otpy's own code calls."""
    return str(caller.f_globals.get("__name__")).startswith("otpy.")


def _asked(real: Ask, simulated: Callable[[Fence], Any], besides: str = "") -> Ask:
    """``simulated(fence)`` in a simulation, ``real()`` for otpy and for the module ``besides``."""

    def either() -> Any:
        fence = here()
        if fence is None:
            return real()
        caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        if is_own(caller) or caller.f_globals.get("__name__") == besides:
            return real()
        return simulated(fence)

    return either


class _Local:
    """``threading.local`` while a simulation runs, also as the base of a class.

    What a simulation gets keeps a dict for each ``current_thread()``, as real as that is.
    """

    def __init__(self, real: Any) -> None:
        self._real = real

    def _kind(self, caller: FrameType) -> Any:
        return self._real if here() is None or is_own(caller) else _threading_local.local

    def __call__(self, *args: Any, **options: Any) -> Any:
        kind = self._kind(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return kind(*args, **options)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._kind(sys._getframe(1)),)  # pyright: ignore[reportPrivateUsage]

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, (self._real, _threading_local.local))

    def __subclasscheck__(self, kind: type) -> bool:
        return issubclass(kind, (self._real, _threading_local.local))

    def __or__(self, other: Any) -> Any:
        return self._real | other

    def __ror__(self, other: Any) -> Any:
        return other | self._real


def _no_clock(_: int) -> NoReturn:
    refuse("time.pthread_getcpuclockid")


def threads() -> Iterator[tuple[Any, str, Any]]:
    """The names that are replaced: whose, name, what."""
    current = _asked(_current_thread, _thread)
    yield threading, "current_thread", current
    yield _threading_local, "current_thread", current
    # To ``threading`` itself an identity is the key of a real thread.
    yield threading, "get_ident", _asked(_get_ident, _identity, "threading")
    yield threading, "get_native_id", _asked(threading.get_native_id, _identity, "threading")
    yield threading, "local", _Local(threading.local)
    real: Any = getattr(time, "pthread_getcpuclockid", None)
    if real is not None:  # given a number that is no thread's it ends the program

        def clock(ident: int) -> int:
            found: int = real(ident) if here() is None else _no_clock(ident)
            return found

        yield time, "pthread_getcpuclockid", clock
