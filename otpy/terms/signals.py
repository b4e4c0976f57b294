"""Signals: all that one process can do to another, as data of a closed type.

Within a node they are function calls on the process record; between nodes these
are what travels. ``From`` is the reply address of a call.
"""

from typing import Any

import msgspec

from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message for a process, a local name on a node, or an alias."""

    sender: Pid
    dest: Pid | At | Ref
    body: Any


class LinkSignal(msgspec.Struct, frozen=True, gc=False):
    """``sender`` links itself to ``dest``; answered with an exit "noproc" if dest is not alive."""

    sender: Pid
    dest: Pid


class UnlinkSignal(msgspec.Struct, frozen=True, gc=False):
    """``sender`` takes its link to ``dest`` away."""

    sender: Pid
    dest: Pid


class ExitSignal(msgspec.Struct, frozen=True, gc=False):
    """An exit signal. ``link`` tells a broken link from ``process.exit(pid, reason)``."""

    sender: Pid
    dest: Pid
    reason: Any
    link: bool


class MonitorSignal(msgspec.Struct, frozen=True, gc=False):
    """``sender`` monitors ``dest``; answered at once with a down "noproc" if dest is not alive."""

    sender: Pid
    dest: Pid | At
    ref: Ref


class DemonitorSignal(msgspec.Struct, frozen=True, gc=False):
    """``sender`` takes the monitor ``ref`` away."""

    sender: Pid
    dest: Pid | At
    ref: Ref


class DownSignal(msgspec.Struct, frozen=True, gc=False):
    """The process behind the monitor ``ref`` ended. ``dest`` is who monitors."""

    dest: Pid
    ref: Ref
    reason: Any


class CallSignal(msgspec.Struct, frozen=True, gc=False):
    """A behaviour's call: a request and a monitor in one.

    ``ref`` is the alias that takes one answer: a ``ReplySignal``.
    """

    sender: Pid
    dest: Pid | At
    ref: Ref
    kind: str
    request: Any


class ReplySignal(msgspec.Struct, frozen=True, gc=False):
    """The answer to a call: ``ok`` with the reply, or not with the exit reason."""

    dest: Pid
    ref: Ref
    ok: bool
    value: Any


class CancelCallSignal(msgspec.Struct, frozen=True, gc=False):
    """The caller no longer waits for ``ref``: the server forgets its monitor."""

    sender: Pid
    dest: Pid | At
    ref: Ref


class CastSignal(msgspec.Struct, frozen=True, gc=False):
    """A behaviour's cast."""

    sender: Pid
    dest: Pid | At
    request: Any


class SpawnSignal(msgspec.Struct, frozen=True, gc=False):
    """Start ``function(*args)`` (``module:qualname``) on the receiving node.

    ``options`` holds ``link``, ``monitor`` and ``green``. Answered with a ``SpawnedSignal``.
    """

    sender: Pid
    ref: Ref
    function: str
    args: tuple[Any, ...]
    options: dict[str, Any]


class SpawnedSignal(msgspec.Struct, frozen=True, gc=False):
    """The answer to a spawn: the pid, or why not."""

    dest: Pid
    ref: Ref
    pid: Pid | None
    reason: Any


Signal = (
    Message
    | LinkSignal
    | UnlinkSignal
    | ExitSignal
    | MonitorSignal
    | DemonitorSignal
    | DownSignal
    | CallSignal
    | ReplySignal
    | CancelCallSignal
    | CastSignal
    | SpawnSignal
    | SpawnedSignal
)
