"""Making an exception come up in a process's own code, from another thread.

``PyThreadState_SetAsyncExc`` alone is not the means: it comes up wherever the thread
next looks, also between taking a lock and the ``try`` that gives it back, also in
otpy's own code if the process has just let go. Both ways below raise only in a frame
of the user's own code (``stacks.py``), only while the dispatch goes on that was to be
ended, and only where a loop goes round or a function begins. Nothing of the standard
library or of otpy is interrupted, so no lock of theirs is left behind; and as no
call is interrupted either, none that the user's code takes just before a ``try``.

- Python 3.12 and later: ``sys.monitoring`` watches the user's functions that are on
  the stack, and the exception is raised by the thread itself, when one of them goes
  round a loop or begins.
- Python 3.11: ``PyThreadState_SetAsyncExc``, if the thread waits for the GIL in just
  such a place; from there on an interpreter of this version raises it at once. Looking
  and setting are one C call, so that the thread cannot move in between. A loop that is
  asleep or waits for a lock or a socket whenever one looks is not ended this way.
  Orphans (``orphans.py``) are interrupted like this on every version: no tool of
  ``sys.monitoring`` is taken for them, of which there are few.
"""

import ctypes
import gc
import opcode
import sys
import threading
from collections.abc import Iterable, Iterator
from itertools import repeat, starmap, tee
from operator import attrgetter, itemgetter, mul
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol

from otpy.runtime.stacks import current_frames, frames_of, is_own, may_end, outwards
from otpy.terms.errors import ProcessExit

if TYPE_CHECKING:
    from otpy.runtime.scheduler import Scheduler

# Nothing begins to fail in these: they give back what was taken, or lose the exception.
SPARED = frozenset(("__exit__", "__aexit__", "__del__"))
STRIKE = 0.002  # seconds between attempts to end a process


class Target(Protocol):
    """A thread, and what changes with whatever it is at: a scheduler, or a thread process."""

    @property
    def thread(self) -> threading.Thread | None: ...
    @property
    def turn(self) -> int: ...


class Interrupter(Protocol):
    """Raises in one thread."""

    def strike(self, turn: int, package: str, reason: Any) -> bool:
        """Have ``ProcessExit(reason)`` come up in the process that runs in ``turn``.

        Asked again and again; whether it has come up. ``package`` is the process's own.
        """
        ...

    def rest(self) -> None:
        """Stop trying."""
        ...


class Unending:
    """Where no way is known: nobody is interrupted."""

    def __init__(self, sched: "Scheduler") -> None:
        self.sched = sched

    def strike(self, turn: int, package: str, reason: Any) -> bool:
        """Nothing happens."""
        return False

    def rest(self) -> None:
        """Nothing to stop."""


def exit_class(reason: Any) -> type[ProcessExit]:
    """A ``ProcessExit`` that is made without arguments."""

    def init(self: ProcessExit) -> None:
        ProcessExit.__init__(self, reason)

    members = {"__init__": init, "__module__": ProcessExit.__module__}
    return type(ProcessExit.__name__, (ProcessExit,), members)


class Pending:
    """By an exception set from outside, where it must come up at once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        # A prototype of its own: ctypes.pythonapi's attributes are everybody's.
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
        self._set = prototype(("PyThreadState_SetAsyncExc", ctypes.pythonapi))

    def strike(self, turn: int, package: str, reason: Any) -> bool:
        """See ``Interrupter``."""
        frames = frames_of(self.target.thread)
        if not frames or not _stands_safe(frames):
            return False
        if not is_own(frames[0], package) or not may_end(frames):
            return False
        return self._set_if_still(turn, frames[0], exit_class(reason))

    def _set_if_still(self, turn: int, frame: FrameType, error: type[ProcessExit]) -> bool:
        """Set ``error`` if the thread still stands there; all of it within one call of C code.

        No bytecode runs within ``next``, so the GIL stays here and the thread there.
        """
        ident = self.target.thread.ident  # type: ignore[union-attr]  # it has frames
        wanted = {(turn, frame, frame.f_lasti): (ident, id(error))}
        # The young garbage goes first (`() * n` is `()`): a finalizer later on could let go
        # of the GIL.
        collected = map(mul, repeat(()), map(gc.collect, repeat(0)))
        tops: Iterator[Any] = map(itemgetter(ident), starmap(current_frames, collected))
        top, again = tee(tops)
        turns = map(attrgetter("turn"), repeat(self.target))
        found = zip(turns, top, map(attrgetter("f_lasti"), again), strict=False)
        chosen = map(wanted.get, found, repeat((0, None)))  # 0 is nobody's thread
        try:
            return bool(next(starmap(self._set, chosen)))
        except KeyError:  # the thread has ended
            return False

    def rest(self) -> None:
        """An exception that was set has come up: there is nothing to take back."""


_JUMPS = frozenset(
    number
    for name, number in opcode.opmap.items()
    if "JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name
)
_RESUME = opcode.opmap.get("RESUME", -1)


def _stands_safe(frames: list[FrameType]) -> bool:
    """Whether a thread seen so waits for the GIL and then looks for exceptions, in this frame.

    A backward jump and a function's beginning call nothing that could let go of the GIL,
    except for that very look.
    """
    code, at = frames[0].f_code, frames[0].f_lasti
    if at < 0:
        return False
    bytecode = code.co_code
    if bytecode[at] == _RESUME:
        return bytecode[at + 1] == 0 and not _spared(frames)
    return bytecode[at] in _JUMPS


def _spared(frames: Iterable[FrameType]) -> bool:
    """Whether a function that begins there does so within one of ``SPARED``."""
    return any(outer.f_code.co_name in SPARED for outer in frames)


if sys.version_info >= (3, 12):
    MONITORING = sys.monitoring
    TOOLS = (4, 3)  # ids that no kind of tool has been given

    class Monitored:
        """Python 3.12 and later: by the thread itself, when it gets to a good place."""

        def __init__(self, sched: "Scheduler") -> None:
            self.sched = sched
            self._tool: int | None = None
            self._codes: list[CodeType] = []
            self._target: tuple[int, str, Any] | None = None
            self._raised = False

        def strike(self, turn: int, package: str, reason: Any) -> bool:
            """See ``Interrupter``."""
            if self._target is None and not self._arm(turn, package, reason):
                return False
            if not self._raised:
                self._watch(package)
            return self._raised

        def _arm(self, turn: int, package: str, reason: Any) -> bool:
            for tool in TOOLS:
                try:
                    MONITORING.use_tool_id(tool, "otpy watchdog")
                except ValueError:
                    continue  # somebody has it
                self._tool, self._target, self._raised = tool, (turn, package, reason), False
                events = MONITORING.events
                MONITORING.register_callback(tool, events.JUMP, self._jumped)
                MONITORING.register_callback(tool, events.PY_START, self._begun)
                return True
            return False  # all taken: the next look tries again

        def _watch(self, package: str) -> None:
            """Watch the user's functions that are on the stack now."""
            assert self._tool is not None
            events = MONITORING.events
            for frame in frames_of(self.sched.thread):
                code = frame.f_code
                if code not in self._codes and is_own(frame, package):
                    self._codes.append(code)
                    MONITORING.set_local_events(self._tool, code, events.JUMP | events.PY_START)

        def _jumped(self, code: CodeType, at: int, to: int) -> None:
            if to <= at:
                self._raise(sys._getframe(1))

        def _begun(self, code: CodeType, at: int) -> None:
            frame = sys._getframe(1)
            if not _spared(outwards(frame)):
                self._raise(frame)

        def _raise(self, frame: FrameType) -> None:
            """On whichever thread runs the function: raise if it is the one that is meant."""
            thread, target = self.sched.thread, self._target
            if target is None or self._raised or thread is None:
                return
            if threading.get_ident() != thread.ident or self.sched.turn != target[0]:
                return
            if may_end(outwards(frame)):
                self._raised = True
                raise ProcessExit(target[2])

        def rest(self) -> None:
            """Watch nothing any more."""
            tool, self._tool, self._target = self._tool, None, None
            codes, self._codes = self._codes, []
            if tool is None:
                return
            for code in codes:
                MONITORING.set_local_events(tool, code, 0)
            MONITORING.register_callback(tool, MONITORING.events.JUMP, None)
            MONITORING.register_callback(tool, MONITORING.events.PY_START, None)
            MONITORING.free_tool_id(tool)


def interrupter(sched: "Scheduler") -> Interrupter:
    """The way this interpreter offers."""
    if sys.implementation.name != "cpython":
        return Unending(sched)
    if sys.version_info >= (3, 12):
        return Monitored(sched)
    return Pending(sched)
