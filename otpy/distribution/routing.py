"""The way of signals to other nodes: what processes send, from any thread.

More than ``BUSY_LIMIT`` bytes that wait for a peer make it busy: ``Node.busy`` names it, and
whoever sends to it waits until half of that is gone, as at Erlang's busy port.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from otpy.distribution.codec import APART, SIMPLE, encode_apart, write
from otpy.distribution.frames import encode_run, encode_signal_apart
from otpy.distribution.outbox import EACH, Pressure, closed_run
from otpy.distribution.transport import FRAGMENT, MAX_MESSAGE, Link, Transport
from otpy.runtime._current import HERE
from otpy.runtime.node import Node
from otpy.runtime.ports import Held
from otpy.terms.errors import NotSendable
from otpy.terms.names import At
from otpy.terms.pid import Pid
from otpy.terms.signals import CallSignal, CastSignal, Message, ReplySignal, Signal

URGENT = frozenset((CallSignal, ReplySignal))  # somebody waits for them
Early = tuple[str, Signal, list[bytes]]  # a signal that found no session, and its bytes


class Routing:
    """The connected links of a node, and how signals get into their outboxes."""

    apart: int | None = None  # a start that no peer may have

    def __init__(
        self,
        node: Node,
        wire: Transport,
        later: Callable[[str, Signal, list[bytes]], None],
        overloaded: Callable[[str], None],
    ) -> None:
        self.node = node
        self.wire = wire
        self.later = later  # what to do with a signal without a session, on the I/O thread
        self.overloaded = overloaded  # a peer takes less than our own processes send
        self.up: dict[str, Link] = {}
        self.run = closed_run()  # the latest of any link
        self.early: deque[Early] = deque()
        self.waiters: dict[Held, list[Callable[[], None]]] = {}
        self.shut = False  # for good: nobody would take what is routed
        self.lock = threading.Lock()

    # From any thread.

    def encode(self, signal: Signal) -> list[bytes]:
        """The bytes of a signal. Raises ``NotSendable``."""
        return checked(encode_signal_apart(signal))

    def route(self, node: str, signal: Signal) -> None:
        """Send a signal to another node, connecting first if it is known."""
        buffers = self.encode(signal)
        # The lock makes "is it up" and "queue it" one step: else a signal that saw the
        # session down could be overtaken by a later one of the same process that saw it up.
        with self.lock:
            link = self.up.get(node)
            if link is not None:
                link.outbox.add(getattr(signal, "sender", None), signal.dest, buffers)
            elif not self.shut:
                self.early.append((node, signal, buffers))
        if self.shut:
            self.node.unreachable(signal)
        elif link is None:
            self.wire.soon(self._route_early)
        elif type(signal) in URGENT and ((sched := HERE.sched) is None or not sched.ready):
            self.wire.send(link)
        else:
            self._push(link)

    def _push(self, link: Link) -> None:
        """Let what a link has queued go out, by another thread if this one has more to do.

        Otpy's own servers send the first signal of a dispatch themselves, at once. All others go
        when the dispatch is over; from the kernel scheduler, on which a supervisor's ``init`` is a
        user's code, by the other thread.
        """
        sched, node = HERE.sched, self.node
        if sched is None or sched is node.user:
            self.wire.push(link)
        elif link not in sched.late:
            sched.late[link] = self.wire.send
            self.wire.send(link)
        elif sched is not node.cluster:
            self.wire.push(link)

    def stream(self, sender: Pid, dest: Pid | At, cast: bool, body: Any) -> None:
        """As ``route``, for a message or a cast to a process or a local name of another node."""
        data = None
        try:
            if type(body) in SIMPLE and not (type(body) is bytes and len(body) >= APART):
                data = write(body)
        except (OverflowError, UnicodeEncodeError):
            pass  # an int of more than 64 bits, or what cannot be sent
        if data is None or len(data) > FRAGMENT:
            buffers = encode_apart(body)
            data = buffers[0]
            if len(buffers) > 1 or len(data) > FRAGMENT:
                self._send_large(sender, dest, cast, body, buffers)
                return
        with self.lock:
            run = self.run
            if (
                run.dest is dest
                and run.sender is sender
                and run.cast is cast
                and run.open
                and run.room >= len(data)
            ):  # the common case of a stream, without a call
                run.parts.append(data)
                run.room -= len(data) + EACH
                return
            link, full = self.up.get(dest.node), False
            if link is not None:
                full = run.open and run is link.outbox.run
                self.run = link.outbox.begin(sender, dest, cast, data)
        if link is None:
            make = CastSignal if cast else Message
            self.route(dest.node, make(sender, dest, body))
        elif full:
            self.wire.send(link)  # on this thread: the I/O thread would fight for the GIL
        else:
            self._push(link)

    def _send_large(
        self, sender: Pid, dest: Pid | At, cast: bool, body: Any, buffers: list[bytes]
    ) -> None:
        checked(buffers)
        with self.lock:
            link = self.up.get(dest.node)
            if link is not None:
                data = encode_run(sender, dest, cast, buffers[:1])
                link.outbox.add(sender, dest, [data, *buffers[1:]])
        if link is None:
            make = CastSignal if cast else Message
            self.route(dest.node, make(sender, dest, body))
        else:
            self.wire.push(link)

    def when_free(self, who: Held, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, as soon as it is not busy."""
        with self.lock:
            if who in self.node.busy:
                self.waiters.setdefault(who, []).append(tell)
                return
        tell()

    # On the I/O thread, but for ``_pressed``.

    def _route_early(self) -> None:
        with self.lock:
            early, self.early = self.early, deque()
        for name, signal, buffers in early:
            self.later(name, signal, buffers)

    def queue(self, link: Link, signal: Signal, buffers: list[bytes]) -> None:
        """Queue one signal on a link that is up."""
        with self.lock:
            link.outbox.add(getattr(signal, "sender", None), signal.dest, buffers)
        self.wire.push(link)

    def began(self, name: str, link: Link, waiting: list[tuple[Signal, list[bytes]]]) -> None:
        """A session is up: what waited for it goes first, in its order."""
        with self.lock:
            waiting.extend((signal, data) for node, signal, data in self.early if node == name)
            self.early = deque(item for item in self.early if item[0] != name)
            link.outbox.pressed = partial(self._pressed, name)
            for signal, buffers in waiting:
                link.outbox.add(getattr(signal, "sender", None), signal.dest, buffers)
            link.release()
            self.up[name] = link
        if not link.outbox.full:
            self.free(name)

    def ended(self, name: str, link: Link | None) -> None:
        """The session is over, or there never was one."""
        with self.lock:
            self.up.pop(name, None)
            if link is not None:
                link.outbox.shut()
                link.outbox.pressed = lambda pressure, who: None
            held = [key for key in self.node.busy if key == name or key[0] == name]
        for key in held:
            self.free(key)

    def close(self) -> None:
        """The mesh has stopped while its node runs on: nothing goes out any more."""
        with self.lock:
            self.shut = True
            early, self.early = self.early, deque()
        for _, signal, _ in early:
            self.node.unreachable(signal)

    def busy(self, who: Held) -> None:
        """Too much waits for a session with this peer."""
        self.node.busy[who] = None

    def free(self, who: Held) -> None:
        """Nothing waits for it, or nothing will."""
        if who in self.node.busy:
            del self.node.busy[who]
            self._tell_free(who)

    def _pressed(self, name: str, pressure: Pressure, who: Pid | None) -> None:
        """The outbox of a link fills, or has emptied. The lock is held."""
        held: Held = name if who is None else (name, who)
        match pressure:
            case "busy":
                self.node.busy[held] = None
            case "free":
                self.node.busy.pop(held, None)
                self.wire.soon(lambda: self._tell_free(held))
            case "overloaded":
                self.wire.soon(lambda: self.overloaded(name))

    def _tell_free(self, who: Held) -> None:
        with self.lock:
            told = self.waiters.pop(who, [])
        for tell in told:
            tell()


def checked(buffers: list[bytes]) -> list[bytes]:
    """The bytes of a message that is not too long. Raises ``NotSendable``."""
    size = sum(map(len, buffers))
    if size > MAX_MESSAGE:
        raise NotSendable("message", f"{size} bytes; at most {MAX_MESSAGE} can be sent")
    return buffers
