"""Messages that otpy itself puts into mailboxes: frozen dataclasses, to ``match`` on."""

from dataclasses import dataclass
from typing import Any, Literal

from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref


@dataclass(frozen=True, slots=True)
class Down:
    """A monitored process ended: OTP's ``{'DOWN', Ref, process, Pid, Reason}``.

    ``pid`` is ``At(name, node)`` when the monitor was set by name. ``tag``
    holds what ``process.monitor(..., tag=...)`` was given.
    """

    ref: Ref
    pid: Pid | At
    reason: Any
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Exit:
    """A linked process ended and this one traps exits: ``{'EXIT', Pid, Reason}``."""

    pid: Pid
    reason: Any


@dataclass(frozen=True, slots=True)
class Timeout:
    """Nothing arrived within the ``timeout=`` of a callback's result."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """What ``process.start_timer`` delivers: OTP's ``{timeout, Ref, Message}``."""

    ref: Ref
    message: Any


@dataclass(frozen=True, slots=True)
class TimerCancelled:
    """The answer to an asynchronous cancel: ``{cancel_timer, Ref, Result}``.

    ``remaining`` is in seconds, ``None`` when the timer was no longer active.
    """

    ref: Ref
    remaining: float | None


@dataclass(frozen=True, slots=True)
class TimerRead:
    """The answer to an asynchronous read: ``{read_timer, Ref, Result}``."""

    ref: Ref
    remaining: float | None


@dataclass(frozen=True, slots=True)
class SpawnReply:
    """The answer to ``process.spawn_request``: ``{spawn_reply, Ref, ok | error, What}``."""

    ref: Ref
    ok: bool
    what: Any
    tag: Any = "spawn_reply"


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to ``gen_server.send_request``, for ``check_response``: the reply if ``ok``,
    else why there is none."""

    ref: Ref
    ok: bool
    value: Any


@dataclass(frozen=True, slots=True)
class NodeUp:
    """A node came up (``process`` must have called ``node.monitor_nodes``)."""

    node: str
    node_type: Literal["visible", "hidden"] = "visible"


@dataclass(frozen=True, slots=True)
class NodeDown:
    """A node went down; ``reason`` says how it was noticed."""

    node: str
    reason: Any = None
    node_type: Literal["visible", "hidden"] = "visible"


@dataclass(frozen=True, slots=True)
class NameFree:
    """What ``monitor_name`` delivers: ``name`` has no holder any more, ``reason`` says why."""

    ref: Ref
    name: Any
    reason: Any


@dataclass(frozen=True, slots=True)
class GroupJoin:
    """Processes joined a group of ``pg`` that is monitored: ``{Ref, join, Group, Pids}``.

    A process stands in ``pids`` as often as it joined.
    """

    ref: Ref
    group: Any
    pids: tuple[Pid, ...]


@dataclass(frozen=True, slots=True)
class GroupLeave:
    """Processes left a group of ``pg`` that is monitored, or ended: ``{Ref, leave, Group, Pids}``.

    ``pids`` are those that ``pg.leave`` was given, also one that was no member, as in OTP.
    """

    ref: Ref
    group: Any
    pids: tuple[Pid, ...]
