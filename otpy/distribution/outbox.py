"""What waits to go out on one link, in order: signals, and runs of messages to one process.

A run is many messages, or many casts, of one process to another: who they are from and
for is written once, so that a stream costs little more than its payloads.
"""

import threading
from collections import deque

from otpy.distribution.codec import encode_run, frame
from otpy.distribution.transport import BATCH, BATCH_BYTES
from otpy.terms.names import At
from otpy.terms.pid import Pid

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


def closed_run() -> Run:
    """One that nothing is appended to."""
    nobody = Pid(0, "", 0, 0)
    run = Run(nobody, nobody, False, b"")
    run.open = False
    return run


class Outbox:
    """The queue of one link. ``lock`` is the mesh's: whoever touches the queue holds it."""

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock
        self.queue: deque[bytes | Run] = deque()
        self.run: Run | None = None  # the last one in the queue, while it is open

    def add(self, data: bytes) -> None:
        """Queue one encoded signal. The lock is held."""
        self.shut()
        self.queue.append(data)

    def begin(self, sender: Pid, dest: Pid | At, cast: bool, data: bytes) -> Run:
        """Queue one encoded message or cast, as the first of a run. The lock is held."""
        self.shut()
        self.run = run = Run(sender, dest, cast, data)
        self.queue.append(run)
        return run

    def shut(self) -> None:
        """What comes next begins another run, or does not go here. The lock is held."""
        if self.run is not None:
            self.run.open = False
            self.run = None

    def put_first(self, parts: list[bytes]) -> None:
        """Queue signals before all others. The lock is held."""
        self.queue.extendleft(reversed(parts))

    def frame(self) -> bytes | None:
        """Take out as much as goes into one frame, from any thread; None if nothing waits."""
        queue = self.queue
        taken: list[bytes | Run] = []
        size = 0
        with self.lock:
            while queue and len(taken) < BATCH:
                item = queue[0]
                size += BATCH_BYTES - item.room if isinstance(item, Run) else len(item)
                if taken and size > BATCH_BYTES:
                    break
                queue.popleft()
                taken.append(item)
                if item is self.run:
                    self.shut()
        if not taken:
            return None
        return frame([_encoded(item) for item in taken])


def _encoded(item: bytes | Run) -> bytes:
    if isinstance(item, bytes):
        return item
    return encode_run(item.sender, item.dest, item.cast, item.parts)
