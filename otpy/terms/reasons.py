"""Exit reasons.

A reason is any value that can be sent. OTP's atoms are plain strings; a body
that raised exits with a ``Crash``.
"""

import traceback
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from otpy.terms.values import is_tuple

NORMAL: Final = "normal"
SHUTDOWN: Final = "shutdown"
KILL: Final = "kill"
KILLED: Final = "killed"
NOPROC: Final = "noproc"
NOCONNECTION: Final = "noconnection"
GREEN_LIMIT: Final = "green_limit"  # of a process that did not let go of its scheduler


@dataclass(frozen=True, slots=True)
class Crash:
    """The exit reason of a process whose code raised: OTP's ``{Error, Stacktrace}``.

    ``type`` is the exception class's qualified name (``ValueError``,
    ``shop.orders.OutOfStock``), ``message`` its text, ``traceback_text`` what
    Python would have printed. Two crashes are equal when type and message are.
    """

    type: str
    message: str
    traceback_text: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Crash):
            return NotImplemented
        return (self.type, self.message) == (other.type, other.message)

    def __hash__(self) -> int:
        return hash((self.type, self.message))

    def __str__(self) -> str:
        return f"({self.type}) {self.message}"

    @classmethod
    def of(cls, error: BaseException) -> "Crash":
        """The value that stands for an exception where the object cannot go."""
        kind = type(error)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        text = "".join(traceback.format_exception(error))
        return cls(f"{module}{kind.__qualname__}", str(error), text)


def is_word(reason: object, *words: str) -> bool:
    """Whether the reason is one of these atoms.

    Nothing is asked of a value that is no str: its own comparison may give anything, or raise, and
    this is looked at on threads that many processes share.
    """
    return issubclass(type(reason), str) and reason in words


def same_reason(one: object, other: object) -> bool:
    """Whether two reasons are equal; where they cannot be compared, whether they are one."""
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - the comparison is the user's own code
        return one is other


def is_shutdown(reason: object) -> bool:
    """Whether OTP counts the reason as an orderly end: normal, shutdown, ("shutdown", x)."""
    return is_word(reason, NORMAL, SHUTDOWN) or is_shutdown_tuple(reason)


def is_shutdown_tuple(reason: object) -> TypeGuard[tuple[str, Any]]:
    """Whether the reason is OTP's ``{shutdown, Term}``."""
    return is_tuple(reason) and len(reason) == 2 and is_word(reason[0], SHUTDOWN)
