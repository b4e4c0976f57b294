"""What a strategy is; the two that know by heart: the local directory and a fixed list."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from otpy.distribution.directory import Directory
from otpy.distribution.transport import Transport
from otpy.machines.discovery import MAX_PORT, Entry, wrong
from otpy.runtime.ports import Clock
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Creation

STATIC_EXPECTED = (
    f"'name@host:port' with a port from 1 to {MAX_PORT}, (name, host, port), or an Entry"
)
Tell = Callable[[list[Entry]], None]


@dataclass(frozen=True, slots=True)
class Here:
    """The node that looks: where it listens, which life of it this is, its secret, its clock."""

    entry: Entry
    life: Creation
    cookie: str = field(repr=False)
    clock: Clock


class Strategy(Protocol):
    """A way to find nodes."""

    def found(self) -> list[Entry]:
        """The nodes that there are, as far as it knows; this node may be among them.

        Called on the node's discovery thread, every 0.25 s. It may wait, and may raise.
        """
        ...


class Opened(Strategy, Protocol):
    """A strategy at work for one node."""

    def leave(self) -> None:
        """The node drains: let it be found no more, if that can be said."""

    def close(self) -> None:
        """The node has stopped: give back what is held."""


@runtime_checkable
class Opens(Protocol):
    """A strategy that keeps something for each node that uses it."""

    def open(self, here: Here) -> Opened:
        """Begin to work for a node. What it raises comes up in ``start_mesh``."""
        ...


class Finding(Protocol):
    """What finds the other nodes for a mesh."""

    def open(self, here: Entry, life: Creation, wire: Transport, tell: Tell) -> None:
        """Begin; ``tell`` hears on the transport's thread, at each tick, who there is."""

    def get(self, name: str) -> Entry | None:
        """Where a node is, without waiting."""
        ...

    def first(self, seconds: float) -> list[Entry]:
        """Who there is, once every strategy was asked; waits at most so many seconds."""
        ...

    def leave(self) -> None:
        """The node drains: look no more, and be found no more."""

    def close(self) -> None:
        """The node has stopped."""


@dataclass(frozen=True)
class LocalDirectory:
    """The nodes of this machine and user, one file each: plays epmd's part.

    ``path`` is the directory, the user's own unless given. Two live nodes cannot have the same
    name in it: the second raises ``NodeNameTaken``.
    """

    path: str | Path | None = None

    def __post_init__(self) -> None:
        path: Any = self.path
        if path is not None and not isinstance(path, (str, Path)):
            raise BadArgument(f"LocalDirectory({path!r:.80}): expected a str, a Path or None")

    def open(self, here: Here) -> "OpenDirectory":
        """Enter a node."""
        return OpenDirectory(self.path, here.entry)


class OpenDirectory(Directory):
    """The directory, with one node's entry in it."""

    def __init__(self, path: str | Path | None, me: Entry) -> None:
        super().__init__(path)
        self.me = me
        self.add(me)

    def found(self) -> list[Entry]:
        """The live nodes."""
        return self.all()

    def leave(self) -> None:
        """The name stays taken while the node drains."""

    def close(self) -> None:
        """Take the node out."""
        self.remove(self.me)


class Static:
    """A fixed list: ``Static(["a@10.0.0.2:9100", ("b@db", "10.0.0.3", 9100)])``.

    A text gives the node's name with its port, and the host is the part after the ``@``; an IPv6
    host stands without brackets. Raises ``BadArgument``.
    """

    def __init__(self, nodes: Iterable[str | tuple[str, str, int] | Entry]) -> None:
        given: Any = nodes
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise BadArgument(f"Static({nodes!r:.80}): expected a list of {STATIC_EXPECTED}")
        self._nodes = [_entry(node) for node in nodes]

    def found(self) -> list[Entry]:
        """The nodes of the list."""
        return list(self._nodes)

    def __repr__(self) -> str:
        return f"Static({self._nodes!r})"


def _entry(node: Any) -> Entry:
    entry: Any = node
    if isinstance(node, str):
        name, _, port = node.rpartition(":")
        entry = Entry(name, name.partition("@")[2], int(port) if port.isdecimal() else 0)
    elif isinstance(node, tuple) and len(node) == 3:  # pyright: ignore[reportUnknownArgumentType]
        entry = Entry(*node)  # pyright: ignore[reportUnknownArgumentType]
    why = wrong(entry)
    if why is not None:
        raise BadArgument(f"Static([{node!r:.80}]): {why}; expected {STATIC_EXPECTED}")
    checked: Entry = entry
    return checked
