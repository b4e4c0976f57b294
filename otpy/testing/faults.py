"""What can happen to a simulated cluster, as data: a schedule is a list of (instant, fault).

Each fault ends by itself after its ``seconds``. So any of them can be left out of a schedule,
and what is left still is one: that is how ``simulate`` makes it smaller.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from otpy.machines.lease_granter import EPSILON
from otpy.terms.errors import BadArgument
from otpy.terms.values import INFINITE as INF
from otpy.terms.values import is_seconds

Nodes = tuple[str, ...]
SHORT, LONG = 0.01, 40.0  # seconds that a drawn fault takes: some nobody notices, some everybody


@dataclass(frozen=True, slots=True)
class Partition:
    """Connections between two sides break, and none come about."""

    left: Nodes
    right: Nodes
    seconds: float


@dataclass(frozen=True, slots=True)
class OneWay:
    """Nothing comes through from ``source`` to ``target``, without a word to either.

    What comes the other way does. What was on the way arrives late, as with TCP.
    """

    source: str
    target: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Break:
    """The connection that ``source`` opened to ``target`` breaks; what it carried is lost."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Pause:
    """A node runs nothing, as after SIGSTOP; its clock goes on and its connections stay."""

    node: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Crash:
    """A node ends at once, and starts again as a new one on the disk that the crash left."""

    node: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """The clock of a node gains ``rate`` seconds in each second; afterwards one, as the others do.

    What it has gained or lost by then stays, until the node starts again.
    """

    node: str
    rate: float
    seconds: float


Fault = Partition | OneWay | Break | Pause | Crash | ClockSkew
Schedule = Sequence[tuple[float, Fault]]
KINDS: tuple[type[Fault], ...] = (Partition, OneWay, Break, Pause, Crash, ClockSkew)
# Of a drawn rate, either way. All that leases allow: a promise by a clock that is so fast still
# outlasts the lease by one that is so slow.
SKEW = EPSILON


def draw_schedule(
    draw: Random,
    nodes: Nodes,
    count: int,
    window: tuple[float, float],
    kinds: Sequence[type[Fault]] = KINDS,
) -> list[tuple[float, Fault]]:
    """So many faults that begin within ``window`` (seconds from, to), by their instants."""
    if len(nodes) < 2:  # what concerns two nodes cannot happen to one
        kinds = [kind for kind in kinds if kind in (Pause, Crash, ClockSkew)]
    if not kinds:
        return []
    instants = sorted(round(draw.uniform(*window), 3) for _ in range(count))
    return [(instant, draw_fault(draw, nodes, draw.choice(kinds))) for instant in instants]


def draw_fault(draw: Random, nodes: Nodes, kind: type[Fault]) -> Fault:
    """One fault of a kind: whom it concerns, and how long."""
    # As many between 0.01 s and 0.1 s as between 1 s and 10 s.
    seconds = round(SHORT * (LONG / SHORT) ** draw.random(), 3)
    names = draw.sample(nodes, len(nodes))
    if kind is Partition:
        size = draw.randint(1, len(nodes) - 1)
        return Partition(tuple(sorted(names[:size])), tuple(sorted(names[size:])), seconds)
    if kind is OneWay:
        return OneWay(names[0], names[1], seconds)
    if kind is Break:
        return Break(names[0], names[1])
    if kind is ClockSkew:
        off = draw.choice((-SKEW, SKEW, draw.uniform(-SKEW, SKEW)))
        return ClockSkew(names[0], round(1 + off, 6), seconds)
    return Pause(names[0], seconds) if kind is Pause else Crash(names[0], seconds)


def check_fault(fault: Any, nodes: Nodes) -> None:
    """Raise ``BadArgument`` unless it is a fault that can happen to these nodes."""
    if not isinstance(fault, KINDS):
        raise BadArgument(f"{fault!r} is no fault; expected one of otpy.testing.faults")
    match fault:
        case Partition(left, right):
            concerned = (*checked_side(left), *checked_side(right))
        case OneWay(source, target) | Break(source, target):
            concerned = (source, target)
        case Pause(node) | Crash(node) | ClockSkew(node):
            concerned = (node,)
    check_nodes(repr(fault), concerned, nodes)
    if not isinstance(fault, Break) and not (is_seconds(fault.seconds) and fault.seconds != INF):
        raise BadArgument(f"{fault!r}: expected a number of seconds that is not negative")
    if isinstance(fault, ClockSkew) and not (is_seconds(fault.rate) and 0 < fault.rate < INF):
        raise BadArgument(f"{fault!r}: expected a rate above 0")


def checked_side(side: Any) -> tuple[str, ...]:
    """The nodes of one side of a partition; raises ``BadArgument``."""
    if isinstance(side, str) or not isinstance(side, Iterable):
        raise BadArgument(f"{side!r}: expected a side, such as ('a@sim',)")
    found = tuple(cast("Iterable[str]", side))
    if not found:
        raise BadArgument("a side without a node: expected one or more on each")
    return found


def check_nodes(what: str, concerned: tuple[str, ...], nodes: Nodes) -> None:
    """Raise ``BadArgument`` unless they are different nodes of the simulation."""
    for name in concerned:
        if name not in nodes:
            raise BadArgument(f"{what}: there is no node {name!r}; expected of {', '.join(nodes)}")
    if len(set(concerned)) < len(concerned):
        raise BadArgument(f"{what}: a node stands there twice")


def lasts(fault: Fault) -> float:
    """The seconds until a fault is over."""
    return 0.0 if isinstance(fault, Break) else fault.seconds


__all__ = [
    "KINDS",
    "SKEW",
    "Break",
    "ClockSkew",
    "Crash",
    "Fault",
    "OneWay",
    "Partition",
    "Pause",
    "Schedule",
    "draw_fault",
    "draw_schedule",
    "lasts",
]
