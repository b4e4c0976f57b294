"""What ``sys`` was asked to do with a process's messages."""

import logging
from collections import deque
from pathlib import Path
from typing import Any, Protocol

from otpy.runtime.mail import Call, Cast, From
from otpy.terms.values import is_tuple, is_whole

LOG = logging.getLogger("otpy.sys")
LOGGED = ("get", "print")  # what ``sys.log`` is asked for besides a number
DONE = "done"  # what a debug function gives that wants no more events, as in OTP


def is_statistics(flag: object) -> bool:
    """Whether it can be asked of ``sys.statistics``."""
    return isinstance(flag, bool) or (isinstance(flag, str) and flag == "get")


def is_log(keep: object) -> bool:
    """Whether it can be asked of ``sys.log``."""
    if isinstance(keep, str):
        return keep in LOGGED
    return isinstance(keep, bool) or is_whole(keep, 0)


def is_path(path: object) -> bool:
    """Whether it can be asked of ``sys.log_to_file``."""
    return path is False or (isinstance(path, str) and bool(path))


def is_debug_function(parts: object) -> bool:
    """Whether it is what ``sys.install`` sends: id, function and state."""
    return is_tuple(parts) and len(parts) == 3 and callable(parts[1])


class DebugFunction(Protocol):
    """``function(its state, event, who)``: its next state, or "done" to be removed."""

    def __call__(self, state: Any, event: tuple[Any, ...], who: Any, /) -> Any: ...


class Installed:
    """A debug function that was installed, under an id or under itself."""

    __slots__ = ("function", "id", "state")

    def __init__(self, key: Any, function: DebugFunction, state: Any) -> None:
        self.id = key
        self.function = function
        self.state = state


class Debug:
    """Counts, log, trace, file and functions of one process; ``who`` it is for readers."""

    __slots__ = ("counts", "file", "functions", "log", "trace", "who")

    def __init__(self, who: Any) -> None:
        self.who = who
        self.counts: dict[str, int] | None = None
        self.log: deque[tuple[Any, ...]] | None = None
        self.trace = False
        self.file: Path | None = None
        self.functions: list[Installed] = []

    @property
    def idle(self) -> bool:
        """Whether nothing is wanted any more."""
        quiet = self.counts is None and self.log is None and self.file is None
        return quiet and not self.trace and not self.functions

    def saw(self, item: Any) -> None:
        """One message came in."""
        if self.counts is not None:
            self.counts["messages_in"] += 1
        self._event(("in", _shape(item)))

    def answered(self, from_: From, reply: Any) -> None:
        """One reply went out."""
        if self.counts is not None:
            self.counts["messages_out"] += 1
        self._event(("out", reply, from_.pid))

    def _event(self, event: tuple[Any, ...]) -> None:
        if self.log is not None:
            self.log.append(event)
        if self.trace:
            self._print(event)
        if self.file is not None:
            self._write(self.file, event)
        for installed in list(self.functions):
            self._hand(installed, event)

    def line(self, event: tuple[Any, ...]) -> str:
        """How an event is printed."""
        return f"*DBG* {self.who} {event!r}"

    def _print(self, event: tuple[Any, ...]) -> None:
        try:
            print(self.line(event))
        except Exception:  # a closed output, or a repr of a user's own, must not end the process
            LOG.exception("%s is traced no more", self.who)
            self.trace = False

    def _write(self, path: Path, event: tuple[Any, ...]) -> None:
        # Opened for each event: so nothing is open when the process ends, however it does.
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(self.line(event) + "\n")
        except OSError as error:
            LOG.error("%s writes its events to no file any more: %s", self.who, error)
            self.file = None
        except Exception:  # a repr of a user's own, or a text that is not valid Unicode
            LOG.exception("%s writes its events to no file any more", self.who)
            self.file = None

    def _hand(self, installed: Installed, event: tuple[Any, ...]) -> None:
        try:
            state = installed.function(installed.state, event, self.who)
        except Exception:
            # As in OTP it is removed: a debug function must not end the process it watches.
            LOG.exception("the debug function %r of %s is removed", installed.id, self.who)
            state = DONE
        if isinstance(state, str) and state == DONE:
            self.remove(installed.id)
        else:
            installed.state = state

    def install(self, key: Any, function: DebugFunction, state: Any) -> None:
        """Call the function with every event, before those that are there, as OTP does.

        One that has the id already stays.
        """
        if not any(known.id == key for known in self.functions):
            self.functions.insert(0, Installed(key, function, state))

    def remove(self, key: Any) -> None:
        """Call the function with that id, or that function, no more."""
        self.functions = [
            known for known in self.functions if known.id != key and known.function != key
        ]

    def to_file(self, path: str | None) -> None:
        """Write events to a file, which begins empty; None ends that. Raises ``OSError``."""
        if path is not None:
            Path(path).write_text("", encoding="utf-8")
        self.file = None if path is None else Path(path).absolute()


def _shape(item: Any) -> Any:
    match item:
        case Call(from_, request):
            return ("$gen_call", from_.pid, request)
        case Cast(request):
            return ("$gen_cast", request)
        case _:
            return item
