"""What happened in a simulated cluster, in order, and whom each node took for the leader."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otpy.cluster.global_ import GlobalNames
from otpy.runtime.node import Node
from otpy.runtime.simulated import VirtualClock


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, at ``instant`` seconds of the virtual clock.

    | ``kind``       | ``node``      | ``what``                        | ``detail``           |
    |----------------|---------------|---------------------------------|----------------------|
    | "up", "down"   | which         |                                 |                      |
    | "session"      | who sees      | the other node                  |                      |
    | "session_end"  | who sees      | the other node                  | why                  |
    | "holder"       | who sees      | the global name                 | the pid, or None     |
    | "fault"        |               | the fault                       | how many seconds     |
    | "note"         |               | the text                        |                      |

    What is done by hand, by the function of that name:

    | ``kind``                              | ``node`` | ``what``      | ``detail``      |
    |---------------------------------------|----------|---------------|-----------------|
    | "partition"                           |          | the one side  | the other       |
    | "heal"                                |          |               |                 |
    | "pause", "resume", "kill", "restart"  | which    |               |                 |
    | "skew"                                | which    | the rate      |                 |
    """

    instant: float
    kind: str
    node: str
    what: Any = None
    detail: Any = None

    def __str__(self) -> str:
        said = " ".join(str(part) for part in (self.node, self.what, self.detail) if part)
        return f"{self.instant:.9f} {self.kind} {said}".rstrip()


class History:
    """The events of one run."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._holders: dict[tuple[str, Any], Any] = {}
        self.events: list[Event] = []

    def add(self, kind: str, node: str, what: Any = None, detail: Any = None) -> None:
        """Note an event that happens now."""
        self.events.append(Event(self._clock.time, kind, node, what, detail))

    def watch(self, node: Node) -> None:
        """A node starts: note that, and its sessions from now on."""
        name = node.name
        self.add("up", name)
        node.events.attach(
            "history", "node_up", lambda _, data: self.add("session", name, data["node"])
        )
        node.events.attach(
            "history",
            "node_down",
            lambda _, data: self.add("session_end", name, data["node"], data["reason"]),
        )

    def look(self, nodes: Mapping[str, Node]) -> None:
        """Note whose view of a global name has changed since the last look."""
        seen: dict[tuple[str, Any], Any] = {}
        for name, node in nodes.items():
            service = node.name_services.get("global")
            if not isinstance(service, GlobalNames):
                continue
            for key in {**service.names.table, **service.leases.holders.table}:
                seen[name, key] = service.whereis_name(key)
        for view in {**self._holders, **seen}:
            if self._holders.get(view) != seen.get(view):
                self.add("holder", *view, seen.get(view))
        self._holders = seen

    def lines(self) -> list[str]:
        """The events as text."""
        return [str(event) for event in self.events]
