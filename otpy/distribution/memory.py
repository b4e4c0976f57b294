"""The in-memory transport: nodes of one interpreter, joined by a network that can be cut.

It has the promises of ``zeromq.py`` and no sockets: frames of one connection arrive in
order or not at all, a connection that breaks stays broken, a stopped node breaks those
that led to it, behind its goodbye. ``Network()`` runs on a thread of its own; in a simulation
the scheduler drives it, and each frame takes a delay drawn from the seed.

A fault holds up what it concerns and drops nothing by itself: a frame on a way that is cut
silently waits for the cut's end, as one that TCP sends again does, and what a paused node is
to hear or to do waits for that node. Both come in the order that they would have had.
"""

import heapq
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from otpy.distribution.outbox import Outbox
from otpy.distribution.transport import Handler, Transport
from otpy.machines.discovery import Entry
from otpy.runtime.ports import Clock, SystemClock
from otpy.terms.errors import AddressInUse, NodeNameTaken
from otpy.terms.pid import Creation

Job = Callable[[], None]
TICK = 0.25  # seconds between looks at the directory
PATIENCE = 2.0  # seconds that a stop waits for the network's thread, as over ZeroMQ
Way = tuple[str, str]  # from one node to another


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Ways that are cut until ``Network.mend``; a silent one breaks no connection."""

    ways: dict[Way, None]
    silent: bool


class Network:
    """What lies between nodes, and their directory."""

    def __init__(
        self, clock: Clock | None = None, delay: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.simulated = clock is not None
        self.clock: Clock = clock or SystemClock()
        self.delay = delay
        self.heap: list[tuple[float, int, Job, Way | None, MemoryTransport | None]] = []
        self.held: list[tuple[float, int, Job, Way | None, MemoryTransport | None]] = []
        self.sequence = 0
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.listening: dict[str, MemoryTransport] = {}
        self.entries: dict[str, Entry] = {}
        self.cuts: dict[Cut, None] = {}
        self.links: dict[MemoryLink, None] = {}
        self.rates: dict[str, float] = {}  # of clocks that do not run as the network's does
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

    def partition(self, left: Iterable[str], right: Iterable[str]) -> Cut:
        """Cut every connection between two sides, given by node names, until mended."""
        others = list(right)
        cut = Cut({}, silent=False)
        for one in left:
            for other in others:
                cut.ways[one, other] = cut.ways[other, one] = None
        self.cuts[cut] = None
        for link in list(self.links):
            if (link.transport.name, link.far_name) in cut.ways:
                self.at(0.0, link.broken, owner=link.transport)
        return cut

    def cut_one_way(self, source: str, target: str) -> Cut:
        """Let nothing through from ``source`` to ``target``, without a word to either.

        No new connection comes about between them, whoever opens it: it needs both ways.
        """
        cut = Cut({(source, target): None}, silent=True)
        self.cuts[cut] = None
        return cut

    def mend(self, cut: Cut) -> None:
        """Undo one cut; twice is once. What it held up arrives now."""
        self.cuts.pop(cut, None)
        self._let_go()

    def heal(self) -> None:
        """Undo every cut."""
        self.cuts.clear()
        self._let_go()

    def break_connection(self, source: str, target: str) -> None:
        """Break the connection that ``source`` opened to ``target``: what it carried is lost."""
        for link in list(self.links):
            if (link.transport.name, link.far_name) == (source, target):
                self.at(0.0, link.broken, owner=link.transport)

    def pause(self, name: str) -> None:
        """Let a node neither hear nor do anything on the network, until ``resume``."""
        self._set_paused(name, True)

    def resume(self, name: str) -> None:
        """Undo ``pause``: what the node missed comes now."""
        self._set_paused(name, False)
        self._let_go()

    def _set_paused(self, name: str, paused: bool) -> None:
        for transport in self.listening.values():
            if transport.name == name:
                transport.paused = paused

    def severed(self, one: str, other: str) -> Cut | None:
        """The first cut that keeps two nodes from connecting."""
        ways = ((one, other), (other, one))
        return next((cut for cut in self.cuts if any(way in cut.ways for way in ways)), None)

    def _let_go(self) -> None:
        with self.changed:
            for entry in self.held:
                heapq.heappush(self.heap, entry)
            self.held.clear()
            self.changed.notify()

    def _waits(self, way: Way | None, owner: "MemoryTransport | None") -> bool:
        if owner is not None and owner.paused:
            return True
        return way is not None and any(cut.silent and way in cut.ways for cut in self.cuts)

    # Events.

    def at(
        self,
        seconds: float,
        job: Job,
        way: Way | None = None,
        owner: "MemoryTransport | None" = None,
    ) -> float:
        """Run a job in a while; when that is. ``way``: the one it takes; ``owner``: who does it."""
        with self.lock:
            self.sequence += 1
            when = self.clock.now() + seconds
            heapq.heappush(self.heap, (when, self.sequence, job, way, owner))
            if self.heap[0][2] is job and not self.simulated:
                self.changed.notify()
        return when

    def fire(self, now: float) -> None:
        """Run what is due."""
        while True:
            with self.lock:
                if not self.heap or self.heap[0][0] > now:
                    return
                entry = heapq.heappop(self.heap)
                if self._waits(entry[3], entry[4]):
                    self.held.append(entry)
                    continue
            entry[2]()

    def begin(self) -> None:
        """Start the thread; in a simulation there is none."""
        with self.changed:
            if self._thread is None and not self.simulated:
                self._thread = threading.Thread(target=self._main, name="otpy-net", daemon=True)
                self._thread.start()

    def is_here(self) -> bool:
        """Whether what is to be done on the network's thread can be done at once."""
        thread = self._thread
        return self.simulated or thread is None or thread is threading.current_thread()

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
            way = (self.transport.name, self.far_name)
            self.last = self._after(self.last, lambda: far.arrived(self, data), way, far)

    def back(self, data: bytes) -> None:
        """An answer of the other side."""
        way = (self.far_name, self.transport.name)
        self.last_back = self._after(
            self.last_back, lambda: self._came_back(data), way, self.transport
        )

    def _came_back(self, data: bytes) -> None:
        if self.open:
            self.transport.handler.came_back(self, data)

    def _after(self, last: float, job: Job, way: Way, owner: "MemoryTransport") -> float:
        """Deliver after a delay, and after all that was sent before."""
        now = self.network.clock.now()
        return self.network.at(max(self.network.delay(), last - now), job, way, owner)

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

    def far_closed(self) -> None:
        """The other side has closed: it breaks here behind what that one has said yet."""
        way = (self.far_name, self.transport.name)
        self.last_back = self._after(self.last_back, self.broken, way, self.transport)

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
        self.paused = False
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

    def stop(self, last: Job | None = None) -> None:
        """Do ``last`` on the network's thread, and close everything: what leads here breaks."""
        if self.network.is_here():
            self._end(last)
            return
        ended = threading.Event()

        def end() -> None:
            try:
                self._end(last)
            finally:
                ended.set()

        self.network.at(0.0, end)
        ended.wait(PATIENCE)

    def _end(self, last: Job | None) -> None:
        if not self.open:
            return
        if last is not None:
            last()
        self.open = False
        self.network.listening.pop(self.address, None)
        for link in list(self.network.links):
            if link.transport is self:
                link.close()
            elif link.far is self:
                link.far_closed()

    def soon(self, job: Job) -> None:
        """Run a job on the network's thread."""
        self.later(0.0, job)

    def later(self, seconds: float, job: Job) -> None:
        """Run a job in a while."""
        network = self.network
        if network.rates:
            seconds /= network.rates.get(self.name, 1.0)
        network.at(seconds, lambda: job() if self.open else None, owner=self)

    def connect(self, address: str, lock: threading.Lock) -> MemoryLink:
        """Open a connection."""
        network = self.network
        network.sequence += 1
        link = MemoryLink(self, address, b"%d" % network.sequence, lock)
        network.links[link] = None
        far = link.far
        cut = network.severed(self.name, far.name) if far is not None else None
        if far is None or cut is not None:
            link.far = None
            if cut is None or not cut.silent:  # else nobody says that it cannot be reached
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
