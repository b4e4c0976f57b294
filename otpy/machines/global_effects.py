"""What one node's part of the cluster's names wants done: the effects of ``global_.py``."""

from dataclasses import dataclass, field
from typing import Any

from otpy.machines.watching import Unwatch, Watch
from otpy.terms.pid import Pid, Ref

Pids = tuple[Pid, ...]
Watcher = tuple[Pid, Ref]


@dataclass(slots=True)
class Send:
    """A protocol message for the same machine on another node."""

    node: str
    message: tuple[Any, ...]


@dataclass(slots=True)
class Answer:
    """The end of a request made here; ``others`` are the claims that stood in its way."""

    request: Any
    value: bool
    others: Pids = ()
    name: Any = field(default=None, compare=False)


@dataclass(slots=True)
class Freed:
    """A name has no holder any more; the watchers to tell."""

    name: Any
    reason: Any
    watchers: list[Watcher]


@dataclass(slots=True)
class ExitPid:
    """End a process of our own that lost its name."""

    pid: Pid
    reason: Any


@dataclass(slots=True)
class Notify:
    """A message for a process of our own that lost its name and lives on."""

    pid: Pid
    message: tuple[Any, ...]


@dataclass(slots=True)
class Resolve:
    """Run a resolver function, ``module:qualname``, here and once; answer with ``resolved``."""

    name: Any
    first: Pid
    second: Pid
    resolver: str


Effect = Send | Answer | Watch | Unwatch | Freed | ExitPid | Notify | Resolve
Effects = list[Effect]
