"""``otpy.sys`` for coroutines. Every function may raise ``CallExit``."""

from collections.abc import Callable
from typing import Any, Literal

from otpy.behaviours import sys as plain
from otpy.bridges.aio import _servers
from otpy.runtime.arguments import check_function
from otpy.runtime.process import Dest


async def _ask(server: Dest, what: str, timeout: float | None) -> Any:
    told = plain.called(what, server, timeout)
    return await _servers.ask(what, server, None, timeout, None, told)


async def _tell(server: Dest, what: str, request: Any, given: Any, timeout: float | None) -> Any:
    told = plain.called(what, server, given, timeout)
    return await _servers.ask(what, server, request, timeout, None, told)


async def get_state(server: Dest, timeout: float | None = 5.0) -> Any:
    """The state, also of a suspended process."""
    return await _ask(server, "get_state", timeout)


async def replace_state(
    server: Dest, change: Callable[[Any], Any], timeout: float | None = 5.0
) -> Any:
    """Put ``change(state)`` in the state's place; the new state."""
    check_function("aio.sys.replace_state", change)
    return await _tell(server, "replace_state", change, change, timeout)


async def suspend(server: Dest, timeout: float | None = 5.0) -> None:
    """Handle only system messages until ``resume``; others wait in order."""
    await _ask(server, "suspend", timeout)


async def resume(server: Dest, timeout: float | None = 5.0) -> None:
    """Go on."""
    await _ask(server, "resume", timeout)


async def get_status(server: Dest, timeout: float | None = 5.0) -> dict[str, Any]:
    """pid, module, status ("running" or "suspended"), parent, dictionary, state, log."""
    status: dict[str, Any] = await _ask(server, "get_status", timeout)
    return status


async def statistics(server: Dest, flag: bool | Literal["get"], timeout: float | None = 5.0) -> Any:
    """True and False switch counting; "get" gives the counts, or "no_statistics"."""
    return await _tell(server, "statistics", plain.check_statistics(flag), flag, timeout)


async def log(
    server: Dest, keep: int | bool | Literal["get", "print"], timeout: float | None = 5.0
) -> Any:
    """Keep the last ``keep`` events (True: 10), 0 or False none; "get" and "print" show them."""
    return await _tell(server, "log", plain.check_log(keep), keep, timeout)


async def trace(server: Dest, flag: bool, timeout: float | None = 5.0) -> None:
    """Print every event on the server's node; or no more."""
    await _tell(server, "trace", plain.check_flag("trace", flag), flag, timeout)


async def log_to_file(
    server: Dest, path: str | Literal[False], timeout: float | None = 5.0
) -> None:
    """Write every event to a file of the server's node, which begins empty; False ends that."""
    await _tell(server, "log_to_file", plain.check_path(path), path, timeout)


async def install(server: Dest, function: Any, timeout: float | None = 5.0) -> None:
    """Call a function with every event: ``(fn, state)`` or ``(id, fn, state)``."""
    await _tell(server, "install", plain.check_debug(function), function, timeout)


async def remove(server: Dest, function: Any, timeout: float | None = 5.0) -> None:
    """Take a debug function away, by its id or by itself."""
    await _tell(server, "remove", function, function, timeout)


async def no_debug(server: Dest, timeout: float | None = 5.0) -> None:
    """End trace, log, log file, statistics and debug functions."""
    await _ask(server, "no_debug", timeout)


async def change_code(
    server: Dest, module: type[Any], old_vsn: Any, extra: Any, timeout: float | None = 5.0
) -> None:
    """Let a class take over the state of a suspended server, through its ``code_change``."""
    request = (plain.check_class(module), old_vsn, extra)
    told = plain.called("change_code", server, *request, timeout)
    await _servers.ask("change_code", server, request, timeout, None, told)


async def terminate(server: Dest, reason: Any, timeout: float | None = None) -> None:
    """Stop it with ``reason``."""
    told = plain.called("terminate", server, reason, timeout)
    await _servers.end(server, reason, timeout, None, told)


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
