"""The order in which what waits for one peer goes out, where some of it is large.

Small items go in the order in which they came. A large one goes in pieces, between the small
ones, and takes turns with other large ones; so nobody waits for a stranger's gigabyte. But what
one process sends to another arrives in the order sent: whatever might have to come after a large
item waits behind it, in its *lane*. Items whose sender is not known (an answer, the news of an
end) wait behind every lane that leads to their destination.
"""

from bisect import insort
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Entry(Generic[T]):
    """One item and what its order depends on; ``pid`` tells that ``dest`` is the process itself."""

    item: T
    sender: Hashable | None
    dest: Hashable
    pid: bool
    large: bool
    place: int = 0  # among all that were added


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """A large item on its way, and what must wait for its end."""

    item: T
    after: int  # it begins when so many small items have gone out
    behind: list[Entry[T]] = field(default_factory=list[Entry[T]])  # by place
    senders: set[Hashable] = field(default_factory=set[Hashable])
    dests: set[Hashable] = field(default_factory=set[Hashable])  # of all
    nameless: set[Hashable] = field(default_factory=set[Hashable])  # of those without a sender
    vague: bool = False  # some destination is a name: it may be any process
    vague_nameless: bool = False

    def put(self, entry: Entry[T]) -> None:
        """Let ``entry`` wait: it may have waited behind another lane before."""
        insort(self.behind, entry, key=_place)
        self.note(entry)

    def note(self, entry: Entry[T]) -> None:
        """Let what is related to ``entry`` wait from now on."""
        self.dests.add(entry.dest)
        self.vague = self.vague or not entry.pid
        if entry.sender is None:
            self.nameless.add(entry.dest)
            self.vague_nameless = self.vague_nameless or not entry.pid
        else:
            self.senders.add(entry.sender)

    def holds_back(self, entry: Entry[T]) -> bool:
        """Whether ``entry`` must not go out before the lane's end."""
        if entry.sender is None:
            return self.vague or not entry.pid or entry.dest in self.dests
        return (
            entry.sender in self.senders
            or self.vague_nameless
            or (not entry.pid and bool(self.nameless))
            or entry.dest in self.nameless
        )


def _place(entry: Entry[T]) -> int:
    return entry.place


class Lanes(Generic[T]):
    """What waits for one peer. Without ``lanes``, small items may go to ``queue`` at once."""

    def __init__(self) -> None:
        self.queue: deque[T] = deque()
        self.lanes: list[Lane[T]] = []  # the oldest first
        self.popped = 0
        self._added = 0
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self.queue or self.lanes)

    def add(self, entry: Entry[T]) -> bool:
        """Take an item; whether it went into ``queue``, where more may be added to it."""
        self._added += 1
        entry.place = self._added
        return self._add(entry)

    def _add(self, entry: Entry[T]) -> bool:
        # The oldest lane: whatever is related to an item that waits there finds it, too.
        for lane in self.lanes:
            if lane.holds_back(entry):
                lane.put(entry)
                return False
        if not entry.large:
            self.queue.append(entry.item)
            return True
        lane = Lane(entry.item, self.popped + len(self.queue))
        lane.note(entry)
        self.lanes.append(lane)
        return False

    def pop(self) -> T:
        """Take out the next small item."""
        self.popped += 1
        return self.queue.popleft()

    def turn(self) -> Lane[T] | None:
        """The lane that may send a piece now, if one may; the next call gives another."""
        for _ in range(len(self.lanes)):
            self._turn = (self._turn + 1) % len(self.lanes)
            lane = self.lanes[self._turn]
            if lane.after <= self.popped:
                return lane
        return None

    def done(self, lane: Lane[T]) -> None:
        """The large item has gone out: what waited behind it goes its way, in its order."""
        self.lanes.remove(lane)
        for entry in lane.behind:
            self._add(entry)
