"""Which nodes to dial: those that were found, against those that are connected.

Rules. The decision is made anew at every tick, from what is so then: no change of what was
found is waited for, and none is missed. What was found makes connections and never ends one.
A node that said goodbye because it drains is not dialed while it may be that same life of it:
until a new life says hello. A node that is found gets a rare look all the same, and a new life
answers that with its hello: without it, a node that finds nobody itself would be lost for good
when it is started again.

| in                        | a node that drained                          |
|---------------------------|----------------------------------------------|
| goodbye                   | is left alone for ``LOOK_AGAIN`` seconds     |
| found, after that         | is dialed once, and left alone as long again |
| hello of that life        | is left alone as before                      |
| hello of a new one        | is a node as any other                       |
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from otpy.terms.names import is_node_name
from otpy.terms.pid import Creation
from otpy.terms.values import is_whole

LOOK_AGAIN = 10.0  # seconds between looks at a node that drained and is found all the same
MOST = 1000  # nodes that are dialed because they were found: a liar may name any number
MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a node listens, and which OS process it is (0: not known).

    A ``hidden`` node is connected to when somebody asks for it, and never because it was found.
    """

    name: str
    host: str
    port: int
    pid: int = 0
    hidden: bool = False

    @property
    def address(self) -> str:
        """``tcp://host:port``."""
        return tcp(self.host, self.port)


def tcp(host: str, port: int) -> str:
    """The address of a host's port; an IPv6 host stands in brackets there."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def wrong(entry: object) -> str | None:
    """Why this cannot be where a node is; None if it can."""
    if not isinstance(entry, Entry):
        return f"{entry!r:.80} is no Entry"
    if not is_node_name(entry.name):
        return f"{entry.name!r:.80} is no node's name"
    if not (isinstance(entry.host, str) and entry.host):
        return f"{entry.host!r:.80} is no host"
    if not is_whole(entry.port, 1) or entry.port > MAX_PORT:
        return f"{entry.port!r:.80} is no port"
    return None


def merged(answers: Iterable[Sequence[Entry]]) -> list[Entry]:
    """Every node that any strategy found, as the first of them that found it says."""
    found: dict[str, Entry] = {}
    for answer in answers:
        for entry in answer:
            if len(found) < MOST:
                found.setdefault(entry.name, entry)
    return list(found.values())


@dataclass(slots=True)
class Left:
    """A life of a node that drained, and when it may be looked at again."""

    life: Creation
    again: float


@dataclass(slots=True)
class Dialing:
    """Whom a node dials; ``me`` is its name."""

    me: str
    draining: bool = False
    lives: dict[str, Creation] = field(default_factory=dict[str, Creation])
    left: dict[str, Left] = field(default_factory=dict[str, Left])

    def wanted(self, found: Iterable[Entry], connected: Container[str], now: float) -> list[Entry]:
        """Those of the found to dial at this tick."""
        wanted: list[Entry] = []
        for entry in found:
            if entry.hidden or entry.name == self.me or entry.name in connected:
                continue
            if self.may(entry.name, now):
                wanted.append(entry)
                if entry.name in self.left:
                    self.left[entry.name].again = now + LOOK_AGAIN
        return wanted

    def may(self, name: str, now: float) -> bool:
        """Whether a node may be dialed."""
        left = self.left.get(name)
        return not self.draining and (left is None or left.again <= now)

    def goodbye(self, life: Creation, now: float) -> None:
        """A node said that it drains; the late word of an earlier life says nothing of this one."""
        known = self.lives.get(life.node)
        if known is None or known.started <= life.started:
            self.left[life.node] = Left(life, now + LOOK_AGAIN)

    def heard(self, life: Creation) -> None:
        """A node said hello."""
        self.lives[life.node] = life
        left = self.left.get(life.node)
        if left is not None and left.life != life:
            del self.left[life.node]
