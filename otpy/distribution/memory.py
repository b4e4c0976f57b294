"""The in-memory transport: nodes of one interpreter, joined by a network that can be cut.

It has the promises of ``zeromq.py`` and no sockets: frames of one connection arrive in
order or not at all, a connection that breaks stays broken, a stopped node breaks those
that led to it. ``Network()`` runs on a thread of its own; in a simulation the scheduler
drives it, and each frame takes a delay drawn from the seed.
"""

import heapq
import threading
from collections.abc import Callable, Iterable
from typing import Any

from otpy.distribution.outbox import Outbox
from otpy.distribution.transport import Handler, Transport
from otpy.machines.discovery import Entry
from otpy.runtime.ports import Clock, SystemClock
from otpy.terms.errors import AddressInUse, NodeNameTaken
from otpy.terms.pid import Creation

Job = Callable[[], None]
TICK = 0.25  # seconds between looks at the directory


class Network:
    """What lies between nodes, and their directory."""

    def __init__(
        self, clock: Clock | None = None, delay: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.simulated = clock is not None
        self.clock: Clock = clock or SystemClock()
        self.delay = delay
        self.heap: list[tuple[float, int, Job]] = []
        self.sequence = 0
        self.changed = threading.Condition()
        self.listening: dict[str, MemoryTransport] = {}
        self.entries: dict[str, Entry] = {}
        self.cuts: dict[tuple[str, str], None] = {}
        self.links: dict[MemoryLink, None] = {}
        self._thread: threading.Thread | None = None

    def transport(self, handler: Handler) -> "MemoryTransport":
        """The connections of one node."""
        return MemoryTransport(self, handler)

    # The directory.

    def add(self, entry: Entry) -> None:
        """Enter a node. Raises ``NodeNameTaken``."""
        held = self.entries.setdefault(entry.name, entry)
        if held != entry:
            raise NodeNameTaken(f"{entry.name} runs already, on port {held.port}")

    def remove(self, entry: Entry) -> None:
        """Take a node out if the entry is still its own."""
        if self.entries.get(entry.name) == entry:
            del self.entries[entry.name]

    def get(self, name: str) -> Entry | None:
        """A node's entry."""
        return self.entries.get(name)

    def all(self) -> list[Entry]:
        """Every node, by name."""
        return [self.entries[name] for name in sorted(self.entries)]

    # Faults.

    def partition(self, left: Iterable[str], right: Iterable[str]) -> None:
        """Cut every connection between two sides, given by node names, until ``heal``."""
        others = list(right)
        for one in left:
            for other in others:
                self.cuts[one, other] = self.cuts[other, one] = None
        for link in list(self.links):
            if (link.transport.name, link.far_name) in self.cuts:
                self.at(0.0, link.broken)

    def heal(self) -> None:
        """Undo every ``partition``."""
        self.cuts.clear()

    # Events.

    def at(self, seconds: float, job: Job) -> float:
        """Run a job in a while; when that is."""
        with self.changed:
            self.sequence += 1
            when = self.clock.now() + seconds
            heapq.heappush(self.heap, (when, self.sequence, job))
            if self.heap[0][2] is job:
                self.changed.notify()
        return when

    def fire(self, now: float) -> None:
        """Run what is due."""
        while True:
            with self.changed:
                if not self.heap or self.heap[0][0] > now:
                    return
                job = heapq.heappop(self.heap)[2]
            job()

    def begin(self) -> None:
        """Start the thread; in a simulation there is none."""
        with self.changed:
            if self._thread is None and not self.simulated:
                self._thread = threading.Thread(target=self._main, name="otpy-net", daemon=True)
                self._thread.start()

    def _main(self) -> None:
        while True:
            self.fire(self.clock.now())
            with self.changed:
                if not self.listening and not self.heap:
                    self._thread = None
                    return
                due = self.heap[0][0] - self.clock.now() if self.heap else 1.0
                if due > 0:
                    self.changed.wait(min(due, 1.0))


class NetworkFinding:
    """What finds the nodes of a network for one of them: the network's directory."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.me: Entry | None = None
        self.looking = True

    def open(
        self, here: Entry, life: Creation, wire: Transport, tell: Callable[[list[Entry]], None]
    ) -> None:
        """Enter the node, and look at every tick. Raises ``NodeNameTaken``."""
        self.network.add(here)
        self.me = here

        def look() -> None:
            if self.looking:
                wire.later(TICK, look)
                tell(self.network.all())

        wire.soon(look)

    def get(self, name: str) -> Entry | None:
        """A node's entry."""
        return self.network.get(name)

    def first(self, seconds: float) -> list[Entry]:
        """Every node."""
        return self.network.all()

    def leave(self) -> None:
        """Look no more."""
        self.looking = False

    def close(self) -> None:
        """Take the node out."""
        if self.me is not None:
            self.network.remove(self.me)


class MemoryLink:
    """One outgoing connection."""

    def __init__(
        self, transport: "MemoryTransport", address: str, rid: bytes, lock: threading.Lock
    ) -> None:
        self.transport = transport
        self.network = transport.network
        self.rid = rid
        self.far = self.network.listening.get(address)
        self.far_name = self.far.name if self.far is not None else ""
        self.outbox = Outbox(lock)
        self.ready = self.flushing = False
        self.open = True
        self.last = self.last_back = 0.0  # when the latest frame of each direction arrives

    def control(self, data: bytes) -> None:
        """Send one control frame."""
        far = self.far
        if self.open and far is not None:
            self.last = self._after(self.last, lambda: far.arrived(self, data))

    def back(self, data: bytes) -> None:
        """An answer of the other side."""
        self.last_back = self._after(self.last_back, lambda: self._came_back(data))

    def _came_back(self, data: bytes) -> None:
        if self.open:
            self.transport.handler.came_back(self, data)

    def _after(self, last: float, job: Job) -> float:
        """Deliver after a delay, and after all that was sent before."""
        now = self.network.clock.now()
        return self.network.at(max(self.network.delay(), last - now), job)

    def release(self) -> None:
        """The session is up: what is in the outbox may go."""
        self.ready = True
        self.wanted()

    def wanted(self) -> None:
        """See that what is queued goes out."""
        if not self.flushing:
            self.flushing = True
            self.transport.soon(self._flush)

    def _flush(self) -> None:
        self.flushing = False
        while self.ready and self.open and (data := self.outbox.frame()) is not None:
            self.control(data)

    def broken(self) -> None:
        """The connection is gone."""
        if self.open:
            self.transport.handler.closed(self, False)

    def close(self) -> None:
        """Close it, without a word."""
        self.open = False
        self.network.links.pop(self, None)
        if self.far is not None:
            self.far.incoming.pop(self.rid, None)


class MemoryTransport:
    """The connections of one node."""

    def __init__(self, network: Network, handler: Handler) -> None:
        self.network = network
        self.handler = handler
        self.name = ""
        self.address = ""
        self.open = True
        self.incoming: dict[bytes, MemoryLink] = {}

    def bind(self, host: str, port: int) -> int:
        """Listen; the port, a free one for 0. Raises ``AddressInUse``."""
        if port == 0:
            port = 1
            while f"tcp://{host}:{port}" in self.network.listening:
                port += 1
        self.address = f"tcp://{host}:{port}"
        if self.network.listening.setdefault(self.address, self) is not self:
            raise AddressInUse(f"cannot listen on {host}:{port}: a node of this network does")
        return port

    def start(self, name: str) -> None:
        """Begin to work."""
        self.name = name
        self.network.begin()

    def stop(self) -> None:
        """Close everything: connections that lead here break."""
        self.open = False
        self.network.listening.pop(self.address, None)
        for link in list(self.network.links):
            if link.transport is self:
                link.close()
            elif link.far is self:
                self.network.at(self.network.delay(), link.broken)

    def soon(self, job: Job) -> None:
        """Run a job on the network's thread."""
        self.later(0.0, job)

    def later(self, seconds: float, job: Job) -> None:
        """Run a job in a while."""
        self.network.at(seconds, lambda: job() if self.open else None)

    def connect(self, address: str, lock: threading.Lock) -> MemoryLink:
        """Open a connection."""
        network = self.network
        network.sequence += 1
        link = MemoryLink(self, address, b"%d" % network.sequence, lock)
        network.links[link] = None
        far = link.far
        if far is None or (self.name, far.name) in network.cuts:
            link.far = None
            self.later(network.delay(), link.broken)
        else:
            far.incoming[link.rid] = link
        return link

    def push(self, link: Any) -> None:
        """Let what is queued go out, on the network's thread."""
        if link.ready:
            link.wanted()

    send = push

    def arrived(self, link: MemoryLink, data: bytes) -> None:
        """A frame from a node that connected here."""
        if self.open and link.open:
            self.handler.came_in(link.rid, data)

    def answer(self, rid: bytes, data: bytes) -> None:
        """Send a control frame back to who connected."""
        link = self.incoming.get(rid)
        if link is not None:
            link.back(data)
