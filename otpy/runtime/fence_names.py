"""The names that a simulation replaces: clocks, dice, identifiers, locks, threads.

Each replacement asks who calls it, and is the real thing on any other thread.
"""

import _thread
import datetime
import os
import queue
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from otpy.runtime.fence import Fence, here, refuse
from otpy.runtime.fence_locks import SimulatedLock, SimulatedRLock, waiting_process
from otpy.runtime.fence_threads import is_own, threads
from otpy.runtime.times import sleep_until

Replacement = tuple[Any, str, Any]  # whose, name, what
CLOCKS = ("monotonic", "perf_counter", "process_time", "thread_time", "time")


def _instead(real: Any, simulated: Callable[..., Any]) -> Callable[..., Any]:
    """``simulated(fence, ...)`` in a simulation, else ``real(...)``."""

    def either(*args: Any, **options: Any) -> Any:
        fence = here()
        return real(*args, **options) if fence is None else simulated(fence, *args, **options)

    either.__name__ = getattr(real, "__name__", "either")
    either.__doc__ = getattr(real, "__doc__", None)
    return either


def _seconds(fence: Fence) -> float:
    return fence.now()


def _nanoseconds(fence: Fence) -> int:
    return int(fence.now() * 1e9)


def _sleep(fence: Fence, seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    until = fence.now() + seconds
    me = waiting_process("time.sleep")
    sleep_until(me, fence.now, until)


def _clocks() -> Iterator[Replacement]:
    for name in CLOCKS:
        yield time, name, _instead(getattr(time, name), _seconds)
        yield time, f"{name}_ns", _instead(getattr(time, f"{name}_ns"), _nanoseconds)
    for name, tell in (("clock_gettime", _seconds), ("clock_gettime_ns", _nanoseconds)):
        if hasattr(time, name):
            yield time, name, _instead(getattr(time, name), _of_any_clock(tell))
    yield time, "sleep", _instead(time.sleep, _sleep)
    # Those below tell the time of now if they are given none.
    for name in ("ctime", "gmtime", "localtime"):
        yield time, name, _now_as_default(getattr(time, name))
    strftime, localtime = time.strftime, time.localtime

    def formatted(fence: Fence, form: str, t: Any = None) -> str:
        return strftime(form, localtime(_seconds(fence)) if t is None else t)

    yield time, "strftime", _instead(strftime, formatted)
    # Where the standard library has taken the clock out of its module.
    monotonic = _instead(time.monotonic, _seconds)
    yield threading, "_time", monotonic
    yield queue, "time", monotonic


def _of_any_clock(tell: Callable[[Fence], Any]) -> Callable[..., Any]:
    def now(fence: Fence, which: int) -> Any:
        return tell(fence)

    return now


def _now_as_default(real: Any) -> Callable[..., Any]:
    def now(fence: Fence, seconds: float | None = None) -> Any:
        return real(_seconds(fence) if seconds is None else seconds)

    return _instead(real, now)


def _dice() -> Iterator[Replacement]:
    inst = vars(random)["_inst"]
    for name, value in list(vars(random).items()):
        if getattr(value, "__self__", None) is inst:
            yield random, name, _instead(value, _method(name))
    seed = random.Random.seed

    def seeded(self: random.Random, a: Any = None, version: int = 2) -> None:
        fence = here()
        if a is None and fence is not None:
            a = fence.random.getrandbits(64)
        seed(self, a, version)

    yield random.Random, "seed", seeded
    urandom = _instead(os.urandom, _random_bytes)
    yield os, "urandom", urandom
    yield random, "_urandom", urandom
    if hasattr(os, "getrandom"):
        yield os, "getrandom", _instead(os.getrandom, _random_bytes)
    for name in ("uuid1", "uuid6", "uuid7"):  # the others ask os.urandom
        real = getattr(uuid, name, None)
        if real is not None:
            yield uuid, name, _instead(real, _identifier(int(name[-1])))


def _random_bytes(fence: Fence, size: int, flags: int = 0) -> bytes:
    return fence.random.randbytes(size)


def _method(name: str) -> Callable[..., Any]:
    def method(fence: Fence, *args: Any, **options: Any) -> Any:
        return getattr(fence.random, name)(*args, **options)

    return method


def _identifier(version: int) -> Callable[..., uuid.UUID]:
    def made(fence: Fence, *_: Any, **__: Any) -> uuid.UUID:
        bits = fence.random.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62)
        return uuid.UUID(int=bits | (version << 76) | (0x2 << 62))

    return made


class _Kind(type):
    """A class that stands for another one: whatever is one of that is one of it.

    A class that a simulation derives from it is a class like any other, also afterwards.
    """

    real: type

    def __instancecheck__(cls, value: Any) -> bool:
        real = vars(cls).get("real")
        return super().__instancecheck__(value) if real is None else isinstance(value, real)

    def __subclasscheck__(cls, kind: type) -> bool:
        real = vars(cls).get("real")
        return super().__subclasscheck__(kind) if real is None else issubclass(kind, real)


def _dates() -> Iterator[Replacement]:
    real, real_date = datetime.datetime, datetime.date

    class Datetime(real, metaclass=_Kind):  # type: ignore[valid-type,misc]  # a variable
        """``datetime.datetime`` that asks the simulation for the time."""

        def __new__(cls, *args: Any, **options: Any) -> Any:
            return real.__new__(real if cls is Datetime else cls, *args, **options)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            kind: Any = super() if cls is not Datetime else real
            fence = here()
            return kind.now(tz) if fence is None else kind.fromtimestamp(fence.now(), tz)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    class Date(real_date, metaclass=_Kind):  # type: ignore[valid-type,misc]  # a variable
        """``datetime.date`` that asks the simulation for the day."""

        def __new__(cls, *args: Any, **options: Any) -> Any:
            return real_date.__new__(real_date if cls is Date else cls, *args, **options)

        @classmethod
        def today(cls) -> Any:
            day = Datetime.now()
            return cls(day.year, day.month, day.day)

    Datetime.real, Date.real = real, real_date
    yield datetime, "datetime", Datetime
    yield datetime, "date", Date


def _locks() -> Iterator[Replacement]:
    lock, rlock = threading.Lock, threading.RLock

    def made(real: Callable[[], Any], simulated: Callable[[], Any]) -> Callable[[], Any]:
        def make() -> Any:
            # otpy's own locks are never held by a process that waits.
            caller = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
            return real() if is_own(caller) or here() is None else simulated()

        return make

    yield threading, "Lock", made(lock, SimulatedLock)
    yield threading, "_allocate_lock", made(lock, SimulatedLock)
    yield threading, "RLock", made(rlock, SimulatedRLock)
    yield queue, "SimpleQueue", _simple_queue()


def _simple_queue() -> Callable[[], Any]:
    def simulated(_: Fence) -> Any:
        return vars(queue)["_PySimpleQueue"]()

    real: Any = queue.SimpleQueue
    return _instead(real, simulated)


def _no_thread(_: Fence, *__: Any, **___: Any) -> None:
    refuse("an OS thread")


def _threads() -> Iterator[Replacement]:
    """Before Python 3.12 the start of a thread has no audit event."""
    owners: tuple[Any, ...] = (threading, _thread)
    for owner in owners:
        for name in ("start_new_thread", "_start_new_thread", "_start_joinable_thread"):
            real: Any = getattr(owner, name, None)
            if real is not None:
                yield owner, name, _instead(real, _no_thread)


REPLACED: list[Replacement] = [
    *_clocks(),
    *_dice(),
    *_dates(),
    *_locks(),
    *_threads(),
    *threads(),
]
_BEFORE: list[Replacement] = []


def replace() -> None:
    """Put the replacements in place, and remember what was there."""
    for owner, name, value in REPLACED:
        _BEFORE.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)


def restore() -> None:
    """Undo ``replace``."""
    while _BEFORE:
        owner, name, value = _BEFORE.pop()
        setattr(owner, name, value)
