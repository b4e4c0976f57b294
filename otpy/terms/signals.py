"""Signals: all that one process can do to another, as data of a closed type.

Within a node they are function calls on the process record; between nodes these
are what travels, each as an array that begins with its tag.
"""

from typing import Any

import msgspec

from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref


class Message(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=0):
    """A message for a process, a local name on a node, or an alias."""

    sender: Pid
    dest: Pid | At | Ref
    body: Any


class LinkSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """``sender`` links itself to ``dest``; answered with an exit "noproc" if dest is not alive."""

    sender: Pid
    dest: Pid


class UnlinkSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """``sender`` takes its link to ``dest`` away; ``id`` comes back in the acknowledgement."""

    sender: Pid
    dest: Pid
    id: int


class UnlinkAckSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=13):
    """``sender`` has seen the unlink ``id`` of ``dest``: what it sends from now on is newer."""

    sender: Pid
    dest: Pid
    id: int


class ExitSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """An exit signal. ``link`` tells a broken link from ``process.exit(pid, reason)``."""

    sender: Pid
    dest: Pid
    reason: Any
    link: bool


class MonitorSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    """``sender`` monitors ``dest``; answered at once with a down "noproc" if dest is not alive."""

    sender: Pid
    dest: Pid | At
    ref: Ref


class DemonitorSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    """``sender`` takes the monitor ``ref`` away."""

    sender: Pid
    dest: Pid | At
    ref: Ref


class DownSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """The process behind the monitor ``ref`` ended. ``dest`` is who monitors.

    ``dead`` is that process, if there was one and its end is known.
    """

    dest: Pid
    ref: Ref
    reason: Any
    dead: Pid | None = None


class CallSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    """A behaviour's call: a request and a monitor in one.

    ``ref`` is the alias that takes one answer: a ``ReplySignal``.
    """

    sender: Pid
    dest: Pid | At
    ref: Ref
    kind: str
    request: Any


class ReplySignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=8):
    """The answer to a call: ``ok`` with the reply, or not with the exit reason.

    ``dead`` is the process whose end is the reason.
    """

    dest: Pid
    ref: Ref
    ok: bool
    value: Any
    dead: Pid | None = None


class CancelCallSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=9):
    """The caller no longer waits for ``ref``: the server forgets its monitor."""

    sender: Pid
    dest: Pid | At
    ref: Ref


class CastSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=10):
    """A behaviour's cast."""

    sender: Pid
    dest: Pid | At
    request: Any


class SpawnSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=11):
    """Start ``function(*arguments)`` on the node ``dest.node``: ``args`` is both, in a tuple.

    ``dest.name`` says nothing. Answered with a ``SpawnedSignal``; ``link`` and ``monitor``
    are in force from the start.
    """

    sender: Pid
    dest: At
    ref: Ref
    args: Any
    link: bool
    monitor: bool
    kind: str


class SpawnedSignal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=12):
    """The answer to a spawn: the pid, or why not."""

    dest: Pid
    ref: Ref
    pid: Pid | None
    reason: Any


Signal = (
    Message
    | LinkSignal
    | UnlinkSignal
    | UnlinkAckSignal
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


def dead_in(signal: Signal) -> Pid | None:
    """The process of whose end the signal tells, if it does."""
    if isinstance(signal, (ReplySignal, DownSignal)):
        return signal.dead
    return signal.sender if isinstance(signal, ExitSignal) and signal.link else None
