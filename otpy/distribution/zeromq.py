"""The ZeroMQ wire: one thread that owns every socket. The only file that imports zmq.

A ROUTER is bound for what comes in; each connection attempt is a DEALER of its
own, with a fresh routing id, that never reconnects by itself (a reconnecting one
loses messages from the middle of a stream without a word). What queued while the
thread was busy goes out as one frame. Never monitor the ROUTER: a monitor that
nobody drains stops every socket of its context.
"""

import heapq
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from otpy.distribution.codec import frame
from otpy.distribution.transport import BATCH, BATCH_BYTES, MAX_MESSAGE, Handler
from otpy.runtime.ports import Clock
from otpy.terms.errors import AddressInUse

LOG = logging.getLogger("otpy.mesh")
READS = 256  # messages read from one socket before the others are looked at
ZAP = "inproc://zeromq.zap.01"
WATCHED = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
)


class ZeroLink:
    """One outgoing connection."""

    def __init__(self, wire: "Wire", address: str, rid: bytes) -> None:
        self.wire = wire
        self.address = address
        self.rid = rid
        self.queue: deque[bytes] = deque()
        self.stuck: bytes | None = None
        self.ready = False
        self.open = True
        self.socket: Any = wire.dealer(rid)
        self.monitor: zmq.Socket[bytes] = self.socket.get_monitor_socket(WATCHED)
        try:
            self.socket.connect(address)
        except zmq.ZMQError:  # not an address: it came from a peer, or from the user
            wire.later(0.0, lambda: wire.handler.closed(self, False))

    def control(self, data: bytes) -> None:
        """Send one control frame now."""
        try:
            self.socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            self.wire.later(0.005, lambda: self.control(data) if self.open else None)

    def release(self, first: list[bytes]) -> None:
        """The session is up: send ``first``, then what ``queue`` brings."""
        self.queue.extendleft(reversed(first))
        self.ready = True
        self.wire.dirty[self] = None

    def flush(self) -> None:
        """Send what is queued, many messages to a frame."""
        queue = self.queue
        while True:
            if self.stuck is None:
                if not queue:
                    return
                parts = [queue.popleft()]
                size = len(parts[0])
                while queue and len(parts) < BATCH and size + len(queue[0]) <= BATCH_BYTES:
                    part = queue.popleft()
                    size += len(part)
                    parts.append(part)
                self.stuck = b"D" + frame(parts)
            try:
                self.socket.send(self.stuck, zmq.NOBLOCK)
            except zmq.Again:
                return
            self.stuck = None

    def close(self) -> None:
        """Close it, without a word."""
        if self.open:
            self.open = False
            self.wire.drop(self)


class Wire:
    """The sockets of one node."""

    def __init__(self, secret: bytes, clock: Clock, handler: Handler, tick: float) -> None:
        self.clock = clock
        self.handler = handler
        self.tick = tick
        self.context = zmq.Context()
        self.context.set(zmq.MAX_SOCKETS, 4096)
        self.secret = z85.encode(secret)
        self.public = zmq.curve_public(self.secret)
        self.poller = zmq.Poller()
        self.links: dict[Any, ZeroLink] = {}
        self.monitors: dict[Any, ZeroLink] = {}
        self.jobs: deque[Callable[[], None]] = deque()
        self.alarms: list[tuple[float, int, Callable[[], None]]] = []
        self.sequence = 0
        self.dirty: dict[ZeroLink, None] = {}
        self._sleeping = False
        self._stopping = False
        self._bell_in, self._bell_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.zap = self.context.socket(zmq.REP)
        self.zap.bind(ZAP)
        self.router = self._protected(self.context.socket(zmq.ROUTER))
        self.router.curve_server = True
        self.router.zap_domain = b"otpy"
        self.router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self.router.backlog = 1024
        self.thread: threading.Thread | None = None

    def _protected(self, socket: Any) -> Any:
        socket.curve_secretkey = self.secret
        socket.curve_publickey = self.public
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 4096
        socket.maxmsgsize = MAX_MESSAGE + 1024
        socket.handshake_ivl = 3000
        socket.heartbeat_ivl = int(self.tick * 250)
        socket.heartbeat_timeout = int(self.tick * 1000)
        return socket

    def dealer(self, rid: bytes) -> Any:
        """A socket for one connection attempt."""
        socket = self._protected(self.context.socket(zmq.DEALER))
        socket.curve_serverkey = self.public
        socket.routing_id = rid
        socket.reconnect_ivl = -1
        socket.immediate = 1
        return socket

    def bind(self, host: str, port: int) -> int:
        """Listen; the port. Raises ``AddressInUse``."""
        try:
            if port == 0:
                return int(self.router.bind_to_random_port(f"tcp://{host}"))
            self.router.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            self.close_all()
            raise AddressInUse(f"cannot listen on {host}:{port}: {error}") from None
        return port

    def start(self, name: str) -> None:
        """Begin the thread."""
        self.thread = threading.Thread(target=self._main, name=f"otpy-mesh-{name}", daemon=True)
        self.thread.start()

    # From any thread.

    def soon(self, job: Callable[[], None]) -> None:
        """Run a job on the I/O thread."""
        self.jobs.append(job)
        self.ring()

    def queue(self, link: Any, data: bytes) -> None:
        """Queue one encoded signal for a link."""
        link.queue.append(data)
        self.dirty[link] = None
        self.ring()

    def ring(self) -> None:
        """Wake the thread if it may be asleep."""
        if self._sleeping:
            self._sleeping = False  # one ring is enough, until it sleeps again
            try:
                os.write(self._bell_out, b"!")
            except (BlockingIOError, OSError):
                pass  # enough rings are waiting, or the wire is closed

    def stop(self, timeout: float = 2.0) -> None:
        """Close everything."""
        if self.thread is None:
            self.close_all()
            return
        self._stopping = True
        self.soon(lambda: None)
        if self.thread is not threading.current_thread():
            self.thread.join(timeout)

    # On the I/O thread.

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        """Run a job in a while."""
        self.sequence += 1
        heapq.heappush(self.alarms, (self.clock.now() + seconds, self.sequence, job))

    def connect(self, address: str) -> ZeroLink:
        """Open a connection."""
        link = ZeroLink(self, address, os.urandom(12))
        self.links[link.socket] = link
        self.monitors[link.monitor] = link
        self.poller.register(link.socket, zmq.POLLIN)
        self.poller.register(link.monitor, zmq.POLLIN)
        return link

    def drop(self, link: ZeroLink) -> None:
        """Forget a link and close its sockets."""
        self.poller.unregister(link.socket)
        self.poller.unregister(link.monitor)
        self.links.pop(link.socket, None)
        self.monitors.pop(link.monitor, None)
        self.dirty.pop(link, None)
        link.socket.disable_monitor()
        link.monitor.close(0)
        link.socket.close(0)

    def answer(self, rid: bytes, data: bytes) -> None:
        """Send a control frame back to who connected."""
        try:
            self.router.send_multipart([rid, data], zmq.NOBLOCK)
        except zmq.Again:
            pass  # it is a courtesy; the peer asks again

    def _main(self) -> None:
        poller = self.poller
        poller.register(self.router, zmq.POLLIN)
        poller.register(self.zap, zmq.POLLIN)
        poller.register(self._bell_in, zmq.POLLIN)
        while not self._stopping:
            self._work()
            self._sleeping = True
            # The flag is up before this look, so whoever queues after it rings.
            if self.jobs or any(link.ready for link in list(self.dirty)):
                self._sleeping = False
                events = poller.poll(0)
            else:
                events = poller.poll(self._wait())
                self._sleeping = False
            for socket, _ in events:
                self._serve(socket)
        while self.jobs:
            self.jobs.popleft()()
        self.close_all()

    def _wait(self) -> int:
        wait = 1000.0
        if self.alarms:
            wait = min(wait, (self.alarms[0][0] - self.clock.now()) * 1000)
        if any(link.stuck is not None for link in self.links.values()):
            wait = min(wait, 1.0)
        return max(0, int(wait + 0.999))

    def _work(self) -> None:
        now = self.clock.now()
        while self.alarms and self.alarms[0][0] <= now:
            heapq.heappop(self.alarms)[2]()
        while self.jobs:
            self.jobs.popleft()()
        for link in list(self.dirty):
            if link.ready and link.open:
                self.dirty.pop(link, None)
                link.flush()
                if link.stuck is not None or link.queue:
                    self.dirty[link] = None

    def _serve(self, socket: Any) -> None:
        if socket is self.router:
            self.read_router(READS)
        elif socket == self._bell_in:
            try:
                os.read(self._bell_in, 4096)
            except BlockingIOError:
                pass  # an earlier read took the ring
        elif socket is self.zap:
            self._authenticate()
        elif socket in self.links:
            self._read_link(self.links[socket])
        elif socket in self.monitors:
            self._read_monitor(self.monitors[socket])

    def read_router(self, most: int) -> None:
        """Hand in what has come in."""
        for _ in range(most):
            try:
                parts = self.router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(parts) == 2:
                self.handler.came_in(parts[0], parts[1])

    def _read_link(self, link: ZeroLink) -> None:
        while link.open:
            try:
                data = link.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.handler.came_back(link, data)

    def _read_monitor(self, link: ZeroLink) -> None:
        try:
            event: int = recv_monitor_message(link.monitor, zmq.NOBLOCK)["event"]
        except zmq.Again:
            return
        refused = event not in (
            zmq.EVENT_DISCONNECTED,
            zmq.EVENT_CLOSED,
            zmq.EVENT_CONNECT_RETRIED,
        )
        if link.open:
            # What has arrived from the peer is delivered before its end is told.
            self.read_router(1 << 20)
            if link.open:
                self.handler.closed(link, refused)

    def _authenticate(self) -> None:
        parts = self.zap.recv_multipart()
        key = parts[6] if len(parts) > 6 and parts[5] == b"CURVE" else b""
        good = key == z85.decode(self.public)
        code, text = (b"200", b"OK") if good else (b"400", b"wrong cookie")
        if not good:
            LOG.warning(
                "refused a connection from %s: wrong cookie", parts[3].decode("ascii", "replace")
            )
        self.zap.send_multipart([parts[0], parts[1], code, text, b"", b""])

    def close_all(self) -> None:
        """Close every socket."""
        for link in list(self.links.values()):
            link.close()
        self.router.close(0)
        self.zap.close(0)
        self.context.term()
        os.close(self._bell_in)
        bell, self._bell_out = self._bell_out, -1
        os.close(bell)
