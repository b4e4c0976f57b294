"""What waits to go out on one link: signals, runs of messages to one process, large messages.

A run is many messages, or many casts, of one process to another: who they are from and
for is written once, so that a stream costs little more than its payloads. A large message goes
out in pieces between the others (``machines/lanes.py`` keeps the order, ``fragments.py`` cuts).
"""

import itertools
import threading
from collections.abc import Callable
from typing import Literal

from otpy.distribution.fragments import count, pieces
from otpy.distribution.frames import encode_run, frame
from otpy.distribution.transport import BATCH, BATCH_BYTES, BUSY_LIMIT, FRAGMENT
from otpy.machines.lanes import Entry, Lane, Lanes
from otpy.terms.names import At
from otpy.terms.pid import Pid, Ref

OVERLOAD = 8 * BUSY_LIMIT
EACH = 24  # bytes of a run that a message counts for beside its own


class Run:
    """Messages or casts that follow each other without anything between them.

    While it is ``open``, the last one of its queue, more may be appended until ``room`` is
    used up.
    """

    __slots__ = ("cast", "dest", "open", "parts", "room", "sender")

    def __init__(self, sender: Pid, dest: Pid | At, cast: bool, data: bytes) -> None:
        self.sender = sender
        self.dest = dest
        self.cast = cast
        self.parts = [data]
        self.room = BATCH_BYTES - len(data) - EACH
        self.open = True

    @property
    def size(self) -> int:
        """Its bytes, about."""
        return BATCH_BYTES - self.room


class Large:
    """A message that goes out in pieces."""

    __slots__ = ("left", "pieces", "sender")

    def __init__(self, number: int, sender: Pid | None, buffers: list[bytes]) -> None:
        self.sender = sender
        self.left = count(buffers)
        self.pieces = pieces(number, buffers)


Item = bytes | Run | Large
Dest = Pid | At | Ref
Pressure = Literal["busy", "free", "overloaded"]


def closed_run() -> Run:
    """One that nothing is appended to."""
    nobody = Pid(0, "", 0, 0)
    run = Run(nobody, nobody, False, b"")
    run.open = False
    return run


def _size(item: bytes | Run) -> int:
    return len(item) if isinstance(item, bytes) else item.size


class Outbox:
    """The queue of one link. ``lock`` is the mesh's: whoever touches the queue holds it.

    ``pressed`` is told, under the lock, when more than ``BUSY_LIMIT`` bytes wait ("busy") and when
    less than half of that is left ("free"); large messages do not count. So that a process does not
    pile those up, it is told of their sender, too, until they are out. "overloaded" is told when
    ``OVERLOAD`` bytes wait.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock
        self.items: Lanes[Item] = Lanes()
        self.run: Run | None = None  # the last one in the queue, while it is open
        self.size = 0  # bytes that wait, without the open run's and those of large messages
        self.full = False
        self.pressed: Callable[[Pressure, Pid | None], None] = lambda pressure, who: None
        self._numbers = itertools.count()
        self._large_next = False

    def __bool__(self) -> bool:
        return bool(self.items)

    def add(self, sender: Pid | None, dest: Dest, buffers: list[bytes]) -> None:
        """Queue one encoded signal. The lock is held."""
        self.shut()
        data = buffers[0]
        if len(buffers) > 1 or len(data) > FRAGMENT:
            self._add(Large(next(self._numbers) & 0xFFFFFFFF, sender, buffers), sender, dest, True)
            if sender is not None:
                self.pressed("busy", sender)
            return
        self.size += len(data)
        if not self.items.lanes:
            self.items.queue.append(data)
        else:
            self._add(data, sender, dest, False)
        if self.size > BUSY_LIMIT:
            self._press()

    def _add(self, item: Item, sender: Pid | None, dest: Dest, large: bool) -> bool:
        return self.items.add(Entry(item, sender, dest, type(dest) is Pid, large))

    def begin(self, sender: Pid, dest: Pid | At, cast: bool, data: bytes) -> Run:
        """Queue one encoded message or cast, as the first of a run. The lock is held."""
        self.shut()
        run = Run(sender, dest, cast, data)
        if not self.items.lanes:
            self.items.queue.append(run)
            self.run = run
        elif self._add(run, sender, dest, False):
            self.run = run
        else:
            run.open = False
            self.size += run.size
        if self.size > BUSY_LIMIT:
            self._press()
        return run

    def shut(self) -> None:
        """What comes next begins another run, or does not go here. The lock is held."""
        if self.run is not None:
            self.run.open = False
            self.size += self.run.size
            self.run = None

    def _press(self) -> None:
        if not self.full:
            self.full = True
            self.pressed("busy", None)
        elif self.size > OVERLOAD:
            self.pressed("overloaded", None)

    def _sent(self, size: int) -> None:
        self.size -= size
        if self.full and self.size < BUSY_LIMIT // 2:
            self.full = False
            self.pressed("free", None)

    def frame(self) -> bytes | None:
        """Take out what goes as one frame, from any thread; None if nothing waits.

        Small messages and pieces of large ones take turns.
        """
        items, taken = self.items, list[bytes | Run]()
        piece: tuple[bytes, memoryview] | None = None
        with self.lock:
            self._large_next = not self._large_next
            lane = items.turn() if self._large_next or not items.queue else None
            if lane is not None:
                piece = self._piece(lane)
            else:
                self._take(taken)
        if piece is not None:
            return b"".join(piece)
        return b"D" + frame([_encoded(item) for item in taken]) if taken else None

    def _take(self, taken: list[bytes | Run]) -> None:
        items, size = self.items, 0
        while items.queue and len(taken) < BATCH:
            item = items.queue[0]
            assert not isinstance(item, Large)
            size += _size(item)
            if taken and size > BATCH_BYTES:
                break
            if item is self.run:
                self.shut()
            items.pop()
            taken.append(item)
            self._sent(_size(item))

    def _piece(self, lane: Lane[Item]) -> tuple[bytes, memoryview]:
        large = lane.item
        assert isinstance(large, Large)
        head, part = next(large.pieces)
        large.left -= 1
        if not large.left:
            self.items.done(lane)
            if large.sender is not None:
                self.pressed("free", large.sender)
        return head, part


def _encoded(item: bytes | Run) -> bytes:
    if isinstance(item, bytes):
        return item
    return encode_run(item.sender, item.dest, item.cast, item.parts)
