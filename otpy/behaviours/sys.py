"""Looking into a running behaviour: OTP's ``sys``.

Every function may raise ``CallExit``, and raises ``WouldBlockLoop`` in a coroutine.
"""

from collections.abc import Callable
from typing import Any

from otpy.behaviours.gen_server import stop, system
from otpy.runtime._current import waiter
from otpy.runtime.process import Dest


def get_state(server: Dest, timeout: float | None = 5.0) -> Any:
    """The state, also of a suspended process."""
    return system(server, "get_state", None, timeout)


def replace_state(server: Dest, change: Callable[[Any], Any], timeout: float | None = 5.0) -> Any:
    """Put ``change(state)`` in the state's place; the new state.

    When ``change`` raises, the state stays and ``CallExit(("callback_failed", why))`` is raised.
    """
    return system(server, "replace_state", change, timeout)


def suspend(server: Dest, timeout: float | None = 5.0) -> None:
    """Handle only system messages until ``resume``; others wait in order."""
    system(server, "suspend", None, timeout)


def resume(server: Dest, timeout: float | None = 5.0) -> None:
    """Go on."""
    system(server, "resume", None, timeout)


def get_status(server: Dest, timeout: float | None = 5.0) -> dict[str, Any]:
    """pid, module, status ("running" or "suspended"), parent, dictionary, state, log.

    State and log are as the class's ``format_status`` shows them.
    """
    status: dict[str, Any] = system(server, "get_status", None, timeout)
    return status


def statistics(server: Dest, flag: bool | str, timeout: float | None = 5.0) -> Any:
    """True and False switch counting; "get" gives the counts, or "no_statistics".

    The counts are messages_in and messages_out (replies), without system messages.
    """
    return system(server, "statistics", flag, timeout)


def log(server: Dest, keep: int | bool | str, timeout: float | None = 5.0) -> Any:
    """Keep the last ``keep`` events (True: 10); 0 or False stops that.

    "get" gives them in order, "print" prints them: ``("in", message)``, where a call is
    ``("$gen_call", pid, request)`` and a cast ``("$gen_cast", request)``, and
    ``("out", reply, pid)``.
    """
    return system(server, "log", keep, timeout)


def terminate(server: Dest, reason: Any, timeout: float | None = None) -> None:
    """Stop it with ``reason``."""
    waiter("sys.terminate")
    stop(server, reason, timeout)


__all__ = [
    "get_state",
    "get_status",
    "log",
    "replace_state",
    "resume",
    "statistics",
    "suspend",
    "terminate",
]
