"""The ZeroMQ wire: one thread that owns every socket. The only file that imports zmq.

That thread is a scheduler's, which waits here while nothing is ready: the cluster's own servers
run on it, so what they are sent reaches them, and what they send goes out, without a change of
threads.

A ROUTER is bound for what comes in; each connection attempt is a DEALER of its
own, with a fresh routing id, that never reconnects by itself (a reconnecting one
loses messages from the middle of a stream without a word). What queued while the
thread was busy goes out as one frame. Never monitor the ROUTER: a monitor that
nobody drains stops every socket of its context.

One exception to the one thread: a process that waits for an answer or gives one, or
that has filled a frame, sends what its link has queued itself, which saves a hop
between threads. So a DEALER is used under its link's lock, by whoever holds it, and
the I/O thread waits for its file descriptor, not for the socket.
"""

import heapq
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from otpy.distribution.outbox import Outbox
from otpy.distribution.transport import MAX_FRAME, Handler
from otpy.machines.discovery import tcp
from otpy.runtime.ports import Clock
from otpy.runtime.scheduler import Bell, Scheduler
from otpy.terms.errors import AddressInUse, NodeError

LOG = logging.getLogger("otpy.mesh")
RETRY = 0.01  # seconds until a full connection is tried again, should its signal be missed
FRAMES = 4  # sent on one link before others have their turn
PIPE = 4  # frames that libzmq holds on a link: what it holds, nothing can overtake
SOCKET_BUFFER = 256 * 1024  # bytes: what the kernel holds cannot be overtaken either
LAST = 0.1  # seconds for what a peer has sent before its end, while others send without a pause
TURN = 0.005  # seconds for what one socket brings in before the others are looked at
EVENTS, POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)  # pyzmq's own enums are slow to compute with
ZAP = "inproc://zeromq.zap.01"
WATCHED = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
)


def _brings(socket: Any) -> bool:
    """Whether a socket has something to read: asking is cheaper than its exception if not."""
    return bool(socket.getsockopt(EVENTS) & POLLIN)


class ZeroLink:
    """One outgoing connection."""

    def __init__(self, wire: "Wire", address: str, rid: bytes, lock: threading.Lock) -> None:
        self.wire = wire
        self.address = address
        self.rid = rid
        self.outbox = Outbox(lock)
        self.stuck: bytes | None = None
        self.ready = self.retrying = False
        self.open = True
        self.lock = threading.Lock()  # whoever uses the socket holds it
        self.socket: Any = wire.dealer(rid)
        self.socket.ipv6 = "[" in address
        self.fd: int = self.socket.getsockopt(zmq.FD)
        self.monitor: zmq.Socket[bytes] = self.socket.get_monitor_socket(WATCHED)
        try:
            self.socket.connect(address)
        except zmq.ZMQError:  # not an address: it came from a peer, or from the user
            wire.later(0.0, lambda: wire.handler.closed(self, False))

    def control(self, data: bytes) -> None:
        """Send one control frame now."""
        try:
            with self.lock:
                self.socket.send(data, zmq.NOBLOCK)
                self._look()
        except zmq.Again:
            self.wire.later(0.005, lambda: self.control(data) if self.open else None)

    def release(self) -> None:
        """The session is up: what is in the outbox may go."""
        self.ready = True
        self.wire.dirty[self] = None

    def push(self) -> None:
        """Send what is queued, on the calling thread."""
        while (self.outbox or self.stuck) and self.ready:
            if not self.lock.acquire(blocking=False):
                self.wire.push(self)  # another thread is at it, and may be through already
                return
            try:
                if not self.open:
                    return
                left = self._flush()
                self._look()
            finally:
                self.lock.release()
            if left == "more":
                self.wire.push(self)
                return
            if left == "full":
                self.wire.soon(self._slow)
                return

    def _slow(self) -> None:
        """The peer does not take more just now."""
        if not self.retrying:
            self.retrying = True
            self.wire.later(RETRY, self._again)

    def _again(self) -> None:
        self.retrying = False
        self.push()

    def _flush(self) -> Literal["none", "more", "full"]:
        """Send some frames; what is left, or that the peer takes no more. The lock is held."""
        for _ in range(FRAMES):
            if self.stuck is None:
                self.stuck = self.outbox.frame()
                if self.stuck is None:
                    return "none"
            try:
                self.socket.send(self.stuck, zmq.NOBLOCK)
            except zmq.Again:
                return "full"
            self.stuck = None
        return "more"

    def _look(self) -> None:
        """A send may have swallowed the signal that something came in. The lock is held."""
        if _brings(self.socket):
            self.wire.soon(lambda: self.wire.read_link(self))

    def receive(self) -> bytes | None:
        """One frame that came back, if there is one."""
        with self.lock:
            if not _brings(self.socket):
                return None
            data: bytes = self.socket.recv(zmq.NOBLOCK)
        return data

    def close(self) -> None:
        """Close it, without a word."""
        with self.lock:
            was_open, self.open = self.open, False
            if was_open:
                self.wire.drop(self)


class Wire:
    """The sockets of one node."""

    def __init__(
        self, secret: bytes, sched: Scheduler, clock: Clock, handler: Handler, tick: float
    ) -> None:
        self.sched = sched
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
        self._begun = self._over = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.zap = self.context.socket(zmq.REP)
        self.zap.bind(ZAP)
        self.router = self._protected(self.context.socket(zmq.ROUTER))
        self.router.curve_server = True
        self.router.rcvhwm = PIPE
        self.router.zap_domain = b"otpy"
        self.router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self.router.backlog = 1024
        for socket in (self.router, self.zap, self._bell):
            self.poller.register(socket, zmq.POLLIN)

    def _protected(self, socket: Any) -> Any:
        socket.curve_secretkey = self.secret
        socket.curve_publickey = self.public
        socket.linger = 0
        socket.sndbuf = socket.rcvbuf = SOCKET_BUFFER
        socket.sndhwm = socket.rcvhwm = 4096
        socket.maxmsgsize = MAX_FRAME
        socket.handshake_ivl = 3000
        # No heartbeats of ZMTP: one that falls due after a connection has broken whose input was
        # held back aborts the program (libzmq 4.3.5, stream_engine_base.cpp, out_event). The ticks
        # of the mesh find a dead host; keepalive ends the connections that it had opened here.
        socket.tcp_keepalive = 1
        socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = max(1, int(self.tick))
        socket.tcp_keepalive_cnt = 4
        return socket

    def dealer(self, rid: bytes) -> Any:
        """A socket for one connection attempt."""
        socket = self._protected(self.context.socket(zmq.DEALER))
        socket.curve_serverkey = self.public
        socket.routing_id = rid
        socket.sndhwm = PIPE
        socket.reconnect_ivl = -1
        socket.immediate = 1
        return socket

    def bind(self, host: str, port: int) -> int:
        """Listen; the port. Raises ``AddressInUse``, or ``NodeError`` for a bad host."""
        self.router.ipv6 = ":" in host
        try:
            if port == 0:
                return int(self.router.bind_to_random_port(tcp(host, 0).removesuffix(":0")))
            self.router.bind(tcp(host, port))
        except zmq.ZMQError as error:
            self.close_all()
            kind = AddressInUse if error.errno == zmq.EADDRINUSE else NodeError
            raise kind(f"cannot listen on {host}:{port}: {error}") from None
        return port

    def start(self, name: str) -> None:
        """Begin to work, on the scheduler's thread."""
        self._begun = True
        self.sched.begin()
        self.sched.post(None, lambda: self.sched.rest_in(self))

    # From any thread.

    def soon(self, job: Callable[[], None]) -> None:
        """Run a job on the I/O thread."""
        self.jobs.append(job)
        self.sched.ring()

    def push(self, link: Any) -> None:
        """Let the I/O thread send what a link has queued."""
        self.dirty[link] = None
        self.sched.ring()

    def send(self, link: Any) -> None:
        """Send what a link has queued, on this thread."""
        link.push()

    def wake(self) -> None:
        """Wake the thread, which sleeps."""
        try:
            os.eventfd_write(self._bell, 1)
        except OSError:
            pass  # the wire is closed

    def stop(self, last: Callable[[], None] | None = None, timeout: float = 2.0) -> None:
        """Do ``last`` on the I/O thread, and close everything."""
        if not self._begun:
            self.close_all()
        elif not self._over:
            ended = threading.Event()
            if last is not None:
                self.soon(last)
            self.soon(lambda: self._end(ended))
            if self.sched.thread is not threading.current_thread():
                ended.wait(timeout)

    # On the I/O thread.

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        """Run a job in a while."""
        self.sequence += 1
        heapq.heappush(self.alarms, (self.clock.now() + seconds, self.sequence, job))

    def connect(self, address: str, lock: threading.Lock) -> ZeroLink:
        """Open a connection."""
        link = ZeroLink(self, address, os.urandom(12), lock)
        self.links[link.fd] = link
        self.monitors[link.monitor] = link
        self.poller.register(link.fd, zmq.POLLIN)
        self.poller.register(link.monitor, zmq.POLLIN)
        return link

    def drop(self, link: ZeroLink) -> None:
        """Forget a link and close its sockets; its lock is held."""
        self.poller.unregister(link.fd)
        self.poller.unregister(link.monitor)
        self.links.pop(link.fd, None)
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

    def wait(self, seconds: float) -> None:
        """Serve the sockets: what a scheduler does that has nothing else to do."""
        # Whoever queues after this look rings.
        if self.jobs or any(link.ready for link in list(self.dirty)):
            seconds = 0.0
        events = self.poller.poll(self._milliseconds(seconds))
        self.sched.awake()
        self._serve_all(events)

    def look(self) -> None:
        """Serve the sockets, and do not wait."""
        self._serve_all(self.poller.poll(0))

    def _serve_all(self, events: list[tuple[Any, int]]) -> None:
        for socket, _ in events:
            self._guarded(self._serve, socket)
        self._guarded(self._work)

    def _guarded(self, work: Callable[..., None], *args: Any) -> None:
        try:
            work(*args)
        except Exception:  # what one job or frame breaks must not cost the node its mesh
            LOG.exception("a job of the I/O thread failed")

    def _milliseconds(self, seconds: float) -> int:
        wait = 1.0 if seconds < 0.0 else min(seconds, 1.0)
        if self.alarms:
            wait = min(wait, self.alarms[0][0] - self.clock.now())
        return max(0, math.ceil(wait * 1000))

    def _work(self) -> None:
        now = self.clock.now()
        while self.alarms and self.alarms[0][0] <= now:
            heapq.heappop(self.alarms)[2]()
        while self.jobs:
            self.jobs.popleft()()
        for link in list(self.dirty):
            if link.ready or not link.open:
                self.dirty.pop(link, None)
                link.push()

    def _serve(self, socket: Any) -> None:
        if socket is self.router:
            self.read_router()
        elif socket == self._bell:
            try:
                os.eventfd_read(self._bell)
            except BlockingIOError:
                pass  # an earlier read took the ring
        elif socket is self.zap:
            self._authenticate()
        elif socket in self.links:
            self.read_link(self.links[socket])
        elif socket in self.monitors:
            self._read_monitor(self.monitors[socket])

    def read_router(self) -> bool:
        """Hand in what has come in, for ``TURN`` seconds; whether that was all."""
        router, came_in, now = self.router, self.handler.came_in, self.clock.now
        until = now() + TURN
        while _brings(router):
            if now() > until:
                return False
            parts = router.recv_multipart(zmq.NOBLOCK)
            if len(parts) == 2:
                came_in(parts[0], parts[1])
        return True

    def read_link(self, link: ZeroLink) -> None:
        """Hand in what came back on a link."""
        while link.open:
            data = link.receive()
            if data is None:
                break
            self.handler.came_back(link, data)
        if link.stuck is not None:
            link.push()  # the signal may have been that it takes more

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
        self._lost(link, refused, self.clock.now() + LAST)

    def _lost(self, link: ZeroLink, refused: bool, until: float) -> None:
        """What has arrived from the peer is delivered before its end is told.

        While others send without a pause that has no end; and ticks and links must have theirs.
        """
        if not link.open:
            return
        whole = self.read_router() or self.clock.now() > until
        if not link.open:
            return
        if whole:
            self.handler.closed(link, refused)
        else:
            self.later(0.0, lambda: self._lost(link, refused, until))

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

    def _end(self, ended: threading.Event) -> None:
        if not self._over:
            self._over = True
            while self.jobs:
                self._guarded(self.jobs.popleft())
            self.sched.rest_in(Bell())
            self.close_all()
        ended.set()

    def close_all(self) -> None:
        """Close every socket."""
        for link in list(self.links.values()):
            link.close()
        self.router.close(0)
        self.zap.close(0)
        self.context.term()
        bell, self._bell = self._bell, -1
        os.close(bell)
