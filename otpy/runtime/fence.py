"""The fence around a simulation: time and chance are its own, and the world outside is refused.

Rules. What has an audit event (sockets, OS processes and threads, files) is found by one hook,
whatever name it was called by. What has none (clocks, dice, locks) is replaced under its name in
its module while a simulation runs; a name that was taken out of the module before is not found.
Both look at who calls: another thread has the real world, also meanwhile. What a refusal is
about is remembered, for code that swallows it.
"""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from random import Random
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from otpy.runtime._current import HERE, current_or_none
from otpy.terms.errors import NotSimulated

if TYPE_CHECKING:
    from otpy.runtime.simulated import SimulatedScheduler

FILES = frozenset(
    f"os.{name}"
    for name in (
        *("chmod", "chown", "link", "listdir", "mkdir", "remove", "rename", "rmdir", "scandir"),
        *("symlink", "truncate", "utime"),
    )
) | {"open", "sqlite3.connect"}
REFUSED = FILES | {
    *("socket.__new__", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"),
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.kill"),
    *(
        "signal.pthread_kill",
        "subprocess.Popen",
        "_thread.start_new_thread",
        "_thread.start_joinable_thread",
    ),
}
# Whose files are no part of what is simulated: code that is loaded, its source, logs.
EXCUSED = frozenset(
    {
        *("_frozen_importlib", "_frozen_importlib_external", "importlib", "zipimport", "coverage"),
        *("encodings", "inspect", "linecache", "logging", "tokenize", "traceback", "zoneinfo"),
    }
)
# Of otpy: where specifications of applications are found, and what sys.log_to_file writes.
EXCUSED_MODULES = frozenset({"otpy.behaviours._app_find", "otpy.behaviours._debug"})
SHOWN = 8  # frames of a refusal's stack


class Fence:
    """What one simulation has instead of the world, and what was refused to it."""

    def __init__(self, sched: "SimulatedScheduler", seed: int) -> None:
        self.clock = sched.clock
        self.random = Random(f"fence {seed}")
        self.refused: list[NotSimulated] = []
        self.blocks = 0  # of ``up``, one in another
        self.threads: dict[Any, threading.Thread] = {}  # those that processes stand for
        self.thread_numbers = count(1)
        self.many_threads = 0  # so many may be there at the next look for those that have ended

    def now(self) -> float:
        """The clock of the node whose code runs, in seconds; else that of the simulation."""
        me = current_or_none()
        node = me.node if me is not None else HERE.node
        return self.clock.time if node is None else node.clock.now()

    @contextmanager
    def up(self) -> Generator[None, None, None]:
        """Replace the names while the block runs; blocks may be nested."""
        if not self.blocks:
            self._raise()
        self.blocks += 1
        try:
            yield
        finally:
            self.blocks -= 1
            if not self.blocks:
                self._lower()

    def _raise(self) -> None:
        from otpy.runtime import fence_names

        with _LOCK:
            _install()
            _UP.append(self)
            if len(_UP) == 1:
                fence_names.replace()

    def _lower(self) -> None:
        from otpy.runtime import fence_names

        with _LOCK:
            _UP.remove(self)
            if not _UP:
                fence_names.restore()


_LOCK = threading.Lock()
_UP: list[Fence] = []  # the names are one for all simulations of this interpreter, and so is this
_HOOKED: list[bool] = []  # an audit hook can be added, and never removed


def here() -> Fence | None:
    """The fence of the simulation that runs on this thread."""
    sched: Any = HERE.sched
    return getattr(sched, "fence", None)


def _install() -> None:
    if not _HOOKED:
        _HOOKED.append(True)
        sys.addaudithook(_hook)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event not in REFUSED or here() is None:
        return
    if event in FILES and _excused(sys._getframe(1)):  # pyright: ignore[reportPrivateUsage]
        return
    if event == "socket.__new__":
        what = "a socket"
    elif event.startswith("_thread."):
        what = "an OS thread"
    else:
        what = f"{event} of {args[0]!r}" if args else event
    refuse(what)


def _excused(frame: FrameType | None) -> bool:
    """Whether the interpreter itself, or its log, wants a file."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.partition(".")[0] in EXCUSED or name in EXCUSED_MODULES:
            return True
        if name == "otpy.runtime.scheduler":
            return False
        frame = frame.f_back
    return False


def refuse(what: str) -> NoReturn:
    """Raise ``NotSimulated``, naming what was asked for, by whom and where."""
    me = current_or_none()
    who = f", asked for by {me.pid!r}" if me is not None else ""
    error = NotSimulated(
        f"{what} needs the world outside{who}; a simulation has virtual time and its own "
        "network only: put it behind a process that the test replaces\n" + _stack()
    )
    fence = here()
    if fence is not None:
        fence.refused.append(error)
    raise error


def _stack() -> str:
    lines: list[str] = []
    frame: FrameType | None = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and len(lines) < SHOWN:
        code = frame.f_code
        if not str(frame.f_globals.get("__name__")).startswith("otpy.runtime."):
            lines.append(f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}')
        frame = frame.f_back
    return "\n".join(reversed(lines))
