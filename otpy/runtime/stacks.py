"""Reading the stack of a thread: whose code runs there, and may it be ended here.

A frame is the user's own if its code is neither otpy's nor the standard library's
nor that of an installed package (other than the one the process itself comes from:
applications get installed too). A process may be ended in it if each frame of otpy
on the stack is one that expects an exit of the process to come up: not a transition,
a report or a telemetry event that is half done.
"""

import gc
import os
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain, repeat, starmap
from operator import mul
from traceback import FrameSummary, StackSummary
from types import CodeType, FrameType
from typing import Any

from otpy.runtime.reports import function_name

INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
OTPY = os.path.dirname(os.path.dirname(__file__)) + os.sep
LIBRARY = (
    "<frozen ",
    os.path.dirname(os.__file__) + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")),
)
# The frames of otpy that call a process's code and expect an exit from it.
OPEN = {
    "otpy.runtime.scheduler": frozenset(("_loop", "dispatch", "_serve")),
    "otpy.runtime.process": frozenset(("receive", "scan", "_matches")),
    "otpy.runtime.threads": frozenset(("_actor_loop", "run", "serve")),
}
# Of those, the ones with which a process's own time on the thread begins.
BEGIN = frozenset((("otpy.runtime.scheduler", "dispatch"), ("otpy.runtime.threads", "run")))
OPEN_PACKAGE = "otpy.behaviours."

current_frames = sys._current_frames  # pyright: ignore[reportPrivateUsage]  # documented


def frames_of(thread: threading.Thread | None) -> list[FrameType]:
    """The Python frames of a thread, the innermost first, read in one go; none if it has ended.

    The objects of frames are made when they are asked for. On Python 3.11 a garbage collection at
    that instant may let the thread run on, which then returns from the very frame: the interpreter
    may crash. So the young garbage goes first (``() * n`` is ``()``), and until all is read no
    bytecode runs here that could let another thread go on.
    """
    if thread is None:
        return []
    (tops,) = starmap(current_frames, map(mul, repeat((), 1), map(gc.collect, repeat(0))))
    top = tops.get(thread.ident or 0)
    if top is None:
        return []
    found: list[Any] = []
    try:
        steps = accumulate(repeat("f_back"), getattr, initial=top)
        found.extend(chain(map(gc.collect, (0,)), steps))
    except AttributeError:
        pass  # of the None behind the outermost one
    return found[1:-1]


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame of this thread, or of a body that is suspended; its caller, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def shown_stack(frames: list[FrameType]) -> list[str]:
    """The stack as tracebacks show it, the innermost frame last."""
    rows = [
        FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
        for frame in reversed(frames)
    ]
    return StackSummary.from_list(rows).format()


def package_of(thing: Any) -> str:
    """The top-level package of a class or function."""
    return str(getattr(thing, "__module__", None) or "").partition(".")[0]


def is_own(frame: FrameType, package: str) -> bool:
    """Whether the frame runs the user's own code; ``package`` is where the process's is."""
    path = frame.f_code.co_filename
    if path.startswith("<") and not path.startswith("<frozen "):
        # Generated, as a dataclass's __init__: its module tells. A prompt's has no file.
        path = str(frame.f_globals.get("__file__") or "")
    if path.startswith(OTPY):
        return False
    if any(part in path for part in INSTALLED):
        return package != "" and _module(frame).partition(".")[0] == package
    return not path.startswith(LIBRARY)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "")


def may_end(frames: Iterable[FrameType]) -> bool:
    """Whether every frame of otpy among these, a whole stack, expects the process to exit."""
    dispatched = False
    for outer in frames:
        if not outer.f_code.co_filename.startswith(OTPY):
            continue
        module, name = _module(outer), outer.f_code.co_name
        if module.startswith(OPEN_PACKAGE):
            continue
        if name not in OPEN.get(module, ()):
            return False
        dispatched = dispatched or (module, name) in BEGIN
    return dispatched


def callback_of(frames: list[FrameType], cls: type | None, fn: Any) -> str | None:
    """What a process was told to do: the outermost method of its class, or its function."""
    if cls is None:
        return function_name(fn) if fn is not None else None
    for frame in reversed(frames):
        if _method(cls, frame.f_code):
            return frame.f_code.co_name
    return None


def _method(cls: type, code: CodeType) -> bool:
    # Not getattr: a metaclass or a descriptor of the user's would run on this thread.
    found = next((vars(c)[code.co_name] for c in cls.__mro__ if code.co_name in vars(c)), None)
    return getattr(found, "__code__", None) is code
