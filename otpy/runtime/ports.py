"""What a node asks of others: clock, entropy, a router to other nodes, name services."""

import random
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref
from otpy.terms.signals import Signal


class Clock(Protocol):
    """Time in seconds. ``now`` and ``boottime`` never go back; ``wall`` is since the epoch.

    ``boottime`` goes on while the machine is suspended, ``now`` need not.
    """

    def now(self) -> float: ...
    def wall(self) -> float: ...
    def boottime(self) -> float: ...


_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def _boottime() -> float:
    # Without CLOCK_BOOTTIME that of macOS and the BSDs goes on in a suspend, and so does Windows'.
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    boottime = staticmethod(_boottime)


class Entropy(Protocol):
    """Chance. ``random.SystemRandom`` and ``random.Random(seed)`` have this shape."""

    def random(self) -> float: ...
    def getrandbits(self, k: int, /) -> int: ...


def system_entropy() -> Entropy:
    """The machine's own randomness."""
    return random.SystemRandom()


NodeType = Literal["visible", "hidden", "all"]  # how nodes are connected: OTP's ``node_type``
Held = str | tuple[str, Pid]  # a busy peer, or a process whose large message is on its way to it


class Router(Protocol):
    """The way to other nodes, installed by the mesh. Called from any thread."""

    def route(self, node: str, signal: Signal) -> None: ...
    def stream(self, sender: Pid, dest: Pid | At, cast: bool, body: Any) -> None: ...
    def nodes(self, which: NodeType = "visible") -> list[str]: ...
    def views(self, name: str, seconds: float, done: Callable[[dict[str, Any]], None]) -> None: ...
    def reach(self, node: str, done: Callable[[bool], None], asked: bool = False) -> None: ...
    def leave(self, node: str, done: Callable[[bool], None]) -> None: ...
    def when_free(self, who: Held, tell: Callable[[], None]) -> None: ...
    def drain(self) -> None: ...
    def stop(self) -> None: ...


class NameService(Protocol):
    """OTP's four via callbacks and ``monitor_name``, for one kind of name.

    ``register_or_monitor(name, pid, ref)`` is ``register_name``, and if that is False
    ``monitor_name``, so that no holder's end falls between the two.

    ``leased(quorum)`` is the service for names with a quorum.

    ``whereis_name`` gives no process of whose end this node has been told: ``Node.masks`` is
    where a service asks to be told first.
    """

    scope: Literal["node", "cluster"]

    def register_name(self, name: Any, pid: Pid) -> bool: ...
    def register_or_monitor(self, name: Any, pid: Pid, ref: Ref) -> bool: ...
    def unregister_name(self, name: Any) -> None: ...
    def whereis_name(self, name: Any) -> Pid | None: ...
    def send(self, name: Any, message: Any) -> Pid: ...
    def monitor_name(self, name: Any, pid: Pid, ref: Ref) -> None: ...
    def leased(self, quorum: tuple[str, ...] | int) -> "NameService": ...
