"""Looking into a running behaviour: OTP's ``sys``.

Every function may raise ``CallExit``, and raises ``WouldBlockLoop`` in a coroutine; what it cannot
ask for raises ``BadArgument``. A process answers what it cannot do with ``CallExit``, and goes on:
("unknown_debug", ...), ("unknown_system_msg", ...), ("not_sendable", why).
"""

from collections.abc import Callable
from typing import Any, Literal

from otpy.behaviours._debug import is_debug_function, is_log, is_path, is_statistics
from otpy.behaviours.gen_server import end, system
from otpy.runtime.arguments import check_function
from otpy.runtime.process import Dest
from otpy.terms.errors import BadArgument
from otpy.terms.values import is_tuple


def called(what: str, server: Dest, *args: Any) -> tuple[str, str, Any]:
    """What errors say was called."""
    return "sys", what, (server, *args)


def _ask(server: Dest, what: str, timeout: float | None) -> Any:
    return system(server, what, None, timeout, called(what, server, timeout))


def _tell(server: Dest, what: str, request: Any, given: Any, timeout: float | None) -> Any:
    return system(server, what, request, timeout, called(what, server, given, timeout))


def get_state(server: Dest, timeout: float | None = 5.0) -> Any:
    """The state, also of a suspended process."""
    return _ask(server, "get_state", timeout)


def replace_state(server: Dest, change: Callable[[Any], Any], timeout: float | None = 5.0) -> Any:
    """Put ``change(state)`` in the state's place; the new state.

    When ``change`` raises, the state stays and ``CallExit(("callback_failed", why))`` is raised.
    """
    check_function("sys.replace_state", change)
    return _tell(server, "replace_state", change, change, timeout)


def suspend(server: Dest, timeout: float | None = 5.0) -> None:
    """Handle only system messages until ``resume``; others wait in order."""
    _ask(server, "suspend", timeout)


def resume(server: Dest, timeout: float | None = 5.0) -> None:
    """Go on."""
    _ask(server, "resume", timeout)


def get_status(server: Dest, timeout: float | None = 5.0) -> dict[str, Any]:
    """pid, module, status ("running" or "suspended"), parent, dictionary, state, log.

    State and log are as the class's ``format_status`` shows them.
    """
    status: dict[str, Any] = _ask(server, "get_status", timeout)
    return status


def statistics(server: Dest, flag: bool | Literal["get"], timeout: float | None = 5.0) -> Any:
    """True and False switch counting; "get" gives the counts, or "no_statistics".

    The counts are messages_in and messages_out (replies), without system messages.
    """
    return _tell(server, "statistics", check_statistics(flag), flag, timeout)


def log(
    server: Dest, keep: int | bool | Literal["get", "print"], timeout: float | None = 5.0
) -> Any:
    """Keep the last ``keep`` events (True: 10); 0 or False stops that.

    "get" gives them in order, "print" prints them: ``("in", message)``, where a call is
    ``("$gen_call", pid, request)`` and a cast ``("$gen_cast", request)``, and
    ``("out", reply, pid)``.
    """
    return _tell(server, "log", check_log(keep), keep, timeout)


def trace(server: Dest, flag: bool, timeout: float | None = 5.0) -> None:
    """Print every event on the server's node, as ``log(server, "print")`` does; or no more."""
    _tell(server, "trace", check_flag("trace", flag), flag, timeout)


def log_to_file(server: Dest, path: str | Literal[False], timeout: float | None = 5.0) -> None:
    """Write every event to a file of the server's node, which begins empty; False ends that.

    Raises ``CallExit(("open_file", why))`` if it cannot be written.
    """
    _tell(server, "log_to_file", check_path(path), path, timeout)


def install(server: Dest, function: Any, timeout: float | None = 5.0) -> None:
    """Call a function with every event: ``(fn, state)`` or ``(id, fn, state)``.

    ``fn(its state, event, server's name or pid)`` gives its next state, or "done" to be removed;
    it is removed, with a log, if it raises. It runs in the server. An id that is there already
    (without one, the function is it) stays as it is.
    """
    _tell(server, "install", check_debug(function), function, timeout)


def remove(server: Dest, function: Any, timeout: float | None = 5.0) -> None:
    """Take a debug function away, by its id or by itself; one that is not there is no error."""
    _tell(server, "remove", function, function, timeout)


def no_debug(server: Dest, timeout: float | None = 5.0) -> None:
    """End trace, log, log file, statistics and debug functions."""
    _ask(server, "no_debug", timeout)


def change_code(
    server: Dest, module: type[Any], old_vsn: Any, extra: Any, timeout: float | None = 5.0
) -> None:
    """Let a class take over the state of a suspended server, through its ``code_change``.

    A supervisor asks ``init`` of the new class: it takes over flags and specifications, keeps
    the children that are not among them, and starts and stops none. Raises ``CallExit`` with
    what ``code_change`` refused with, or ("EXIT", what it raised): everything stays then; with
    ("unknown_system_msg", ("change_code", ...)) if the server is not suspended.
    """
    request = (check_class(module), old_vsn, extra)
    told = called("change_code", server, *request, timeout)
    system(server, "change_code", request, timeout, told)


def terminate(server: Dest, reason: Any, timeout: float | None = None) -> None:
    """Stop it with ``reason``."""
    end(server, reason, timeout, called("terminate", server, reason, timeout))


# What is asked for, checked.


def check_flag(what: str, flag: object) -> bool:
    """``flag`` if it is a bool; raises ``BadArgument``."""
    if not isinstance(flag, bool):
        raise BadArgument(f"{what}: {flag!r}; expected True or False")
    return flag


def check_statistics(flag: object) -> object:
    """``flag`` if it can be asked of ``statistics``; raises ``BadArgument``."""
    if not is_statistics(flag):
        raise BadArgument(f"statistics: {flag!r}; expected True, False or 'get'")
    return flag


def check_log(keep: object) -> object:
    """``keep`` if it can be asked of ``log``; raises ``BadArgument``."""
    if not is_log(keep):
        raise BadArgument(
            f"log: {keep!r}; expected how many events to keep, True, False, 'get' or 'print'"
        )
    return keep


def check_path(path: object) -> Any:
    """``path`` if it can name a file; raises ``BadArgument``."""
    if not is_path(path):
        raise BadArgument(f"log_to_file: {path!r}; expected the name of a file, or False")
    return path


def check_class(module: object) -> type[Any]:
    """``module`` if it is a class; raises ``BadArgument``."""
    if not isinstance(module, type):
        raise BadArgument(f"change_code: {module!r}; expected the class that takes over")
    return module


def check_debug(function: object) -> tuple[Any, Any, Any]:
    """id, function and state of a debug function; raises ``BadArgument``."""
    parts: tuple[Any, ...] = function if is_tuple(function) else ()
    if len(parts) == 2:
        parts = (parts[0], *parts)
    if not is_debug_function(parts):
        raise BadArgument(f"install: {function!r}; expected (fn, state) or (id, fn, state)")
    return parts[0], parts[1], parts[2]


__all__ = [
    "change_code",
    "get_state",
    "get_status",
    "install",
    "log",
    "log_to_file",
    "no_debug",
    "remove",
    "replace_state",
    "resume",
    "statistics",
    "suspend",
    "terminate",
    "trace",
]
