"""What the callbacks of a GenServer return.

| Elixir                          | here                               |
|---------------------------------|------------------------------------|
| ``{:ok, s}``                    | ``Ok(s)``                          |
| ``:ignore``                     | ``IGNORE``                         |
| ``{:reply, r, s}``              | ``Reply(r, s)``                    |
| ``{:noreply, s}``               | ``NoReply(s)``                     |
| ``{:stop, why, s}``             | ``Stop(why, s)``                   |
| ``{:stop, why, r, s}``          | ``Stop(why, s, reply=r)``          |

Leaving the state out means *unchanged*. ``timeout`` is in seconds.
"""

from typing import Any, Final, Generic, TypeVar

import msgspec

from otpy.terms.unset import UNSET as UNSET

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Ok(msgspec.Struct, Generic[S_co], gc=False):
    """``init`` succeeded; the process goes on with ``state``."""

    state: S_co
    timeout: float | None = None
    continue_: Any = UNSET
    hibernate: bool = False


class Reply(msgspec.Struct, Generic[S_co], gc=False):
    """Answer the call with ``reply``."""

    reply: Any
    state: S_co = UNSET
    timeout: float | None = None
    continue_: Any = UNSET
    hibernate: bool = False


class NoReply(msgspec.Struct, Generic[S_co], gc=False):
    """Go on without an answer; a call may be answered later with ``gen_server.reply``."""

    state: S_co = UNSET
    timeout: float | None = None
    continue_: Any = UNSET
    hibernate: bool = False


class Stop(msgspec.Struct, Generic[S_co], gc=False):
    """End with ``reason`` after ``terminate``; a ``reply`` is sent after it."""

    reason: Any
    state: S_co = UNSET
    reply: Any = UNSET


class Ignore:
    """``init`` wants no process."""

    def __repr__(self) -> str:
        return "IGNORE"


IGNORE: Final = Ignore()

InitResult = Ok[S] | Ignore | Stop[Any]
CallResult = Reply[S] | NoReply[S] | Stop[S]
Next = NoReply[S] | Stop[S] | None


class Done(msgspec.Struct, Generic[S], frozen=True, gc=False):
    """A task has its result: ``{:ok, value}`` of ``yield_``, ``shutdown``, ``async_stream``."""

    value: S


class Exited(msgspec.Struct, frozen=True, gc=False):
    """A task ended without a result: ``{:exit, reason}``."""

    reason: Any
