"""A node that got its name after its processes: what its pids are called on the wire.

Pids and references are values, so on their node they keep the name that it had at first
(``Node.home``), "nonode@nohost". Others must find the node by them, and sort them as it does. So
its mesh writes the present name into what goes out, and the first one into its own pids that
come back. All else about them is the same, their order among those of other nodes too: it is
by the start of the nodes, and by their names only where two began in the same millisecond. Such
a one is not let in, since here and elsewhere another of the two would be first.

Only such a node pays for that: each of its messages is looked through.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from otpy.distribution.codec import PID, REF, pack_apart
from otpy.distribution.frames import PAYLOAD, Stream, what_of, written
from otpy.distribution.routing import Routing, checked
from otpy.distribution.transport import Transport
from otpy.runtime.node import Node
from otpy.terms.names import At
from otpy.terms.pid import Creation, Pid, Ref
from otpy.terms.signals import CastSignal, Message, Signal

PLACE = 2  # of the node's name in a packed pid or reference, behind the tag and ``started``


class Renamer:
    """``home`` is the node's life under its first name, ``name`` the one that others know."""

    def __init__(self, home: Creation, name: str) -> None:
        self.home = home
        self.name = name

    # Out.

    def encode(self, signal: Signal) -> list[bytes]:
        """As ``encode_signal_apart``. Raises ``NotSendable``."""
        payload = PAYLOAD.get(type(signal))
        changed: dict[str, Any] = {}
        for field in signal.__struct_fields__:
            value = getattr(signal, field)
            if field != payload and isinstance(value, (Pid, Ref)):
                changed[field] = self.outward(value)
        signal = msgspec.structs.replace(signal, **changed)
        if payload is None:
            return [written(signal, "signal")]
        what = what_of(payload)
        packed, parts = pack_apart(getattr(signal, payload), what)
        told = msgspec.structs.replace(signal, **{payload: self._packed_outward(packed)})
        return [written(told, what), *parts]

    def outward(self, term: Any) -> Any:
        """What a pid or reference is called elsewhere; anything else is as it is."""
        if isinstance(term, (Pid, Ref)) and term.node == self.home.node:
            return msgspec.structs.replace(term, node=self.name)
        return term

    def _packed_outward(self, packed: Any) -> Any:
        if type(packed) is not list:
            return self.outward(packed)
        left: list[list[Any]] = [packed]
        while left:
            items = left.pop()
            for place, item in enumerate(items):
                if type(item) is list:
                    left.append(item)  # pyright: ignore[reportUnknownArgumentType]
                elif isinstance(item, (Pid, Ref)):
                    items[place] = self.outward(item)
        return packed  # pyright: ignore[reportUnknownVariableType]

    # In.

    def inward(self, held: Signal | Stream) -> None:
        """Give our own pids their name here, in what was just read and is still packed."""
        for field in held.__struct_fields__:
            value = getattr(held, field)
            if isinstance(value, (Pid, Ref)):
                if self._ours(value.node, value.started, value.bits):
                    told = msgspec.structs.replace(value, node=self.home.node)
                    msgspec.structs.force_setattr(held, field, told)
            elif type(value) is list:
                self._packed_inward(value)  # pyright: ignore[reportUnknownArgumentType]

    def _packed_inward(self, packed: list[Any]) -> None:
        left: list[list[Any]] = [packed]
        while left:
            items = left.pop()
            if len(items) > PLACE + 1 and (items[0] == PID or items[0] == REF):
                if self._ours(items[PLACE], items[PLACE - 1], items[PLACE + 1]):
                    items[PLACE] = self.home.node
            else:
                nested: list[Any] = [item for item in items if type(item) is list]
                left.extend(nested)

    def _ours(self, node: Any, started: Any, bits: Any) -> bool:
        home = self.home
        return bool(node == self.name and started == home.started and bits == home.bits)


class RenamedRouting(Routing):
    """The routing of such a node: every message goes the way of the signals."""

    renamer: Renamer

    def encode(self, signal: Signal) -> list[bytes]:
        """The bytes of a signal, as others are to read it."""
        return checked(self.renamer.encode(signal))

    def stream(self, sender: Pid, dest: Pid | At, cast: bool, body: Any) -> None:
        """As ``route``, for a message or a cast."""
        make = CastSignal if cast else Message
        self.route(dest.node, make(sender, dest, body))


def routing_of(
    node: Node,
    wire: Transport,
    later: Callable[[str, Signal, list[bytes]], None],
    overloaded: Callable[[str], None],
) -> tuple[Routing, Callable[[Signal | Stream], None] | None]:
    """The routing of a node, and what it must do with all that comes in, if anything."""
    if node.home == node.creation:
        return Routing(node, wire, later, overloaded), None
    routing = RenamedRouting(node, wire, later, overloaded)
    routing.renamer = Renamer(node.home, node.name)
    routing.apart = node.home.started
    return routing, routing.renamer.inward


def latest_life(node: Node) -> Creation:
    """The life of a node as those tell it who must know which of its starts is the latest.

    A node that stops its distribution and starts it anew is the same life, begun later.
    """
    made = node.creation
    return Creation(max(made.started, int(node.clock.wall() * 1000)), made.node, made.bits)
