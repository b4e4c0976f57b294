"""Whether two failures of a test are the same one: of one type, raised at the same place.

Their texts do not count: pids, tokens and instants in them change with the faults.
"""

import re
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import otpy

ADDRESS = re.compile(r"\b0x[0-9a-f]+")
OTPY = str(Path(otpy.__file__).parent)
# Whose functions raise for many callers, as ``assertEqual`` does.
LIBRARIES = tuple(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib"))


def place(error: BaseException) -> tuple[Any, ...]:
    """The type, and the lines of the test's own code that led there since otpy last called it.

    A line that raised and the lines that called for it: so a helper that two tests share is two
    places, and what ``sim.wait`` raises is told by the line that waits. Without any such line it
    is where the error was raised.
    """
    own: list[tuple[str, int | None]] = []
    called = True
    everything = traceback.StackSummary.extract(
        traceback.walk_tb(error.__traceback__), lookup_lines=False
    )
    for frame in everything:
        if _within(frame.filename, (OTPY,)):
            called = True
        elif not frame.filename.startswith("<frozen") and not _within(frame.filename, LIBRARIES):
            if called:
                own.clear()
                called = False
            own.append((frame.filename, frame.lineno))
    last = [(frame.filename, frame.lineno) for frame in everything[-1:]]
    return (type(error), *(own or last))


def text(error: BaseException) -> str:
    """What it says, without the addresses that pytest shows for objects of an assertion."""
    return ADDRESS.sub("0x", str(error))


def _within(file: str, directories: tuple[str, ...]) -> bool:
    return any(Path(file).is_relative_to(directory) for directory in directories)
