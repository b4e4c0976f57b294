"""A node that writes down what its mesh tells it."""

import random
import threading
from typing import Any

from otpy.runtime.node_monitors import NodeMonitors
from otpy.runtime.ports import SystemClock
from otpy.runtime.scheduler import Bell, Rest, Scheduler
from otpy.runtime.telemetry import Events
from otpy.terms.names import At
from otpy.terms.pid import Creation, Pid
from otpy.terms.signals import Message, Signal


class FakeScheduler(Scheduler):
    """One that ends when the mesh does: a fake node is not stopped."""

    def rest_in(self, rest: Rest) -> None:
        super().rest_in(rest)
        self.stopping = isinstance(rest, Bell)


class FakeNode:
    """The part of a node that a mesh sees; ``log`` holds its calls in order."""

    def __init__(self, name: str, bits: int = 0) -> None:
        self.name = name
        self.home = self.creation = Creation(1000, name, bits)
        self.clock = SystemClock()
        self.cluster = FakeScheduler(f"otpy-mesh-{name}", self.clock)
        self.user: Scheduler | None = None
        self.entropy = random.Random(1)
        self.router: Any = None
        self.busy: dict[Any, None] = {}
        self.events = Events()
        self.node_monitors = NodeMonitors()
        self.log: list[tuple[str, Any]] = []
        self.changed = threading.Event()

    def check(self) -> None:
        """It always runs."""

    def _note(self, kind: str, what: Any) -> None:
        self.log.append((kind, what))

    def inbound(self, signal: Signal) -> None:
        self._note("inbound", signal.body if isinstance(signal, Message) else signal)

    def inbound_items(self, dest: Pid | At, items: list[Any]) -> None:
        for item in items:
            self._note("inbound", item)

    def peer_up(self, creation: Creation, hidden: bool = False) -> None:
        self._note("up", creation.node)

    def peer_down(self, creation: Creation, reason: Any) -> None:
        self._note("down", creation.node)

    def unreachable(self, signal: Signal) -> None:
        self._note("unreachable", signal.body if isinstance(signal, Message) else signal)

    def pid(self, number: int = 1) -> Pid:
        made = self.creation
        return Pid(made.started, made.node, made.bits, number)

    def send(self, dest: Pid, body: Any) -> None:
        self.router.stream(self.pid(), dest, False, body)

    def got(self, kind: str = "inbound") -> list[Any]:
        return [what for name, what in list(self.log) if name == kind]
