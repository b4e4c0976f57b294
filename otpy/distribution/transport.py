"""The port between the mesh and its sockets: what ``zeromq.py`` and ``memory.py`` both are.

Everything but ``soon``, ``push`` and ``send`` is called on the transport's own thread, or is
the driver's only thread in a simulation; so are the calls of its ``Handler``.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from otpy.distribution.outbox import Outbox

BATCH, BATCH_BYTES = 512, 64 * 1024  # messages and bytes that go out as one frame
FRAGMENT = 64 * 1024  # bytes: a longer message goes out in pieces
MAX_FRAME = 256 * 1024  # bytes: what comes in as one frame and is longer is no node's
MAX_MESSAGE = 1 << 30
BUSY_LIMIT = 1 << 20  # bytes that may wait for one peer before processes that send must wait


class Link(Protocol):
    """One outgoing connection: it never reconnects, and it is closed once."""

    @property
    def rid(self) -> bytes:
        """The id under which the other side knows it; drawn anew for each connection."""
        ...

    def control(self, data: bytes) -> None:
        """Send one control frame, before what is queued."""

    @property
    def outbox(self) -> "Outbox":
        """What is to go out once the session is up; ``Transport.push`` follows."""
        ...

    def release(self) -> None:
        """The session is up: what is in the outbox may go."""

    def close(self) -> None:
        """Close it, without a word."""


class Handler(Protocol):
    """Who is told: the mesh."""

    def came_in(self, rid: bytes, data: bytes) -> None:
        """A frame on a connection that another node opened."""

    def came_back(self, link: Link, data: bytes) -> None:
        """An answer on a connection of ours."""

    def closed(self, link: Link, refused: bool) -> None:
        """A connection of ours is gone, after all that came in before."""


class Transport(Protocol):
    """The connections of one node."""

    def bind(self, host: str, port: int) -> int:
        """Listen; the port, a free one for 0. Raises ``AddressInUse``."""
        ...

    def start(self, name: str) -> None:
        """Begin to work."""

    def stop(self, last: Callable[[], None] | None = None) -> None:
        """Do ``last`` on the transport's thread, so its frames go out; then close everything."""

    def soon(self, job: Callable[[], None]) -> None:
        """Run a job on the transport's thread."""

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        """Run a job in a while."""

    def connect(self, address: str, lock: threading.Lock) -> Link:
        """Open a connection to ``tcp://host:port``; ``lock`` is its outbox's."""
        ...

    def push(self, link: Link) -> None:
        """Let what is queued go out soon, from any thread."""

    def send(self, link: Link) -> None:
        """Send what is queued now, on the calling thread if that can be."""

    def answer(self, rid: bytes, data: bytes) -> None:
        """Send a control frame back to who connected."""
