"""What answers a signal that finds nobody, or that tells of an end."""

from typing import Any

import msgspec

from otpy.runtime.mail import From
from otpy.terms.names import At
from otpy.terms.pid import Pid
from otpy.terms.reasons import NOCONNECTION, NOPROC, is_word
from otpy.terms.signals import (
    CallSignal,
    DownSignal,
    ExitSignal,
    LinkSignal,
    MonitorSignal,
    ReplySignal,
    Signal,
    SpawnedSignal,
    SpawnSignal,
    UnlinkAckSignal,
    UnlinkSignal,
)


def failed_call(from_: From, reason: Any, dead: Pid) -> ReplySignal:
    """The answer that makes a waiting caller raise ``CallExit(reason)``: ``dead`` has ended."""
    return ReplySignal(from_.pid, from_.ref, False, reason, dead)


def absent(signal: Any, reason: Any) -> list[Signal] | None:
    """What follows when a signal finds nobody: ``reason`` is "noproc" or "noconnection"."""
    match signal:
        case LinkSignal(sender, dest):
            return [ExitSignal(dest, sender, reason, True)]
        case UnlinkSignal(sender, dest, number):
            return [UnlinkAckSignal(dest, sender, number)]
        case MonitorSignal(sender, dest, ref):
            return [DownSignal(sender, ref, reason, _ended(dest, reason))]
        case CallSignal(sender, dest, ref):
            why = ("nodedown", dest.node) if is_word(reason, NOCONNECTION) else reason
            return [ReplySignal(sender, ref, False, why, _ended(dest, reason))]
        case SpawnSignal(sender, _, ref):
            return [SpawnedSignal(sender, ref, None, reason)]
        case SpawnedSignal(sender, _, pid) if pid is not None:
            return [ExitSignal(sender, pid, NOPROC, True)]  # for its link, if it has one
        case _:
            return None


def with_reason(signal: Signal, reason: Any) -> Signal | None:
    """What tells of a process's end, with another reason; None for any other signal."""
    match signal:
        case DownSignal() | ExitSignal(link=True):
            return msgspec.structs.replace(signal, reason=reason)
        case ReplySignal(ok=False):
            return msgspec.structs.replace(signal, value=reason)
        case _:
            return None


def _ended(dest: Pid | At, reason: Any) -> Pid | None:
    return dest if type(dest) is Pid and is_word(reason, NOPROC) else None
