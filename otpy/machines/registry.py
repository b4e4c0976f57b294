"""The tables of a registry: which process has which keys, with which values.

Two rules. Whoever changes a table holds its lock; reading needs none: what is read
is one operation on a dict, or a copy made by one. Removing what a process has costs
as much as it has, however much there is of others.

A table may hold entries of processes that have just died; ``alive`` tells them apart,
and a key whose holder is dead is free.
"""

from collections.abc import Container, Iterator, Sequence
from itertools import count, islice
from typing import Any, Protocol

from otpy.machines.patterns import PLAIN, exact, given
from otpy.terms.pid import Pid

Entry = tuple[Pid, Any]
Row = tuple[Any, Pid, Any]


def share(pid: Pid, partitions: int) -> int:
    """Which of so many partitions keeps what a process registers.

    Numbers of processes have gaps of one size where every start takes as many: what is left
    of a division by the number of partitions would leave some of them empty.
    """
    return ((pid.number * 0x9E3779B1 & 0xFFFFFFFF) >> 8) % partitions


class Entries(Protocol):
    """What one partition of a registry holds."""

    def holder(self, key: Any, alive: Container[Pid]) -> Pid | None: ...
    def add(self, key: Any, pid: Pid, value: Any, alive: Container[Pid]) -> Pid | None: ...
    def drop(self, key: Any, pid: Pid, numbers: Sequence[int] | None = None) -> bool: ...
    def forget(self, pid: Pid, limit: int) -> bool: ...
    def has(self, pid: Pid) -> bool: ...
    def lookup(self, key: Any, alive: Container[Pid]) -> list[Entry]: ...
    def keys_of(self, pid: Pid) -> list[Any]: ...
    def held(self, key: Any, pid: Pid) -> list[tuple[int, Any]]: ...
    def rows(self, alive: Container[Pid]) -> Iterator[Row]: ...
    def size(self) -> int: ...


class UniqueEntries:
    """Keys with one holder. The partitions of a registry share ``table``, and its lock."""

    __slots__ = ("owned", "table")

    def __init__(self, table: dict[Any, Entry]) -> None:
        self.table = table
        self.owned: dict[Pid, dict[Any, None]] = {}

    def holder(self, key: Any, alive: Container[Pid]) -> Pid | None:
        """The live process that has the key."""
        entry = self.table.get(key if type(key) in PLAIN else exact(key))
        return entry[0] if entry is not None and entry[0] in alive else None

    def add(self, key: Any, pid: Pid, value: Any, alive: Container[Pid]) -> Pid | None:
        """Give the key to ``pid`` if it is free; else who has it."""
        kept = key if type(key) in PLAIN else exact(key)
        entry = self.table.get(kept)
        if entry is not None and entry[0] in alive:
            return entry[0]
        # One that stands here for a dead process goes now: the order is that of registration.
        if entry is not None:
            del self.table[kept]
        self.table[kept] = (pid, value)
        owned = self.owned.get(pid)
        if owned is None:
            self.owned[pid] = {kept: None}
        else:
            owned[kept] = None
        return None

    def replace(self, key: Any, pid: Pid, value: Any) -> None:
        """Set the value of a key that ``pid`` has."""
        kept = exact(key)
        entry = self.table.get(kept)
        if entry is not None and entry[0] == pid:
            self.table[kept] = (pid, value)

    def drop(self, key: Any, pid: Pid, numbers: Sequence[int] | None = None) -> bool:
        """Take the key from ``pid``; whether it was taken. ``numbers`` as ``held`` gave them."""
        kept = key if type(key) in PLAIN else exact(key)
        entry = self.table.get(kept)
        if entry is None or entry[0] != pid or (numbers is not None and not numbers):
            return False
        del self.table[kept]
        owned = self.owned[pid]
        del owned[kept]
        if not owned:
            del self.owned[pid]
        return True

    def forget(self, pid: Pid, limit: int) -> bool:
        """Remove at most ``limit`` keys of a dead process; whether it has more."""
        owned = self.owned.get(pid)
        if owned is None:
            return False
        table = self.table
        for kept in list(islice(owned, limit)):
            del owned[kept]
            entry = table.get(kept)
            if entry is not None and entry[0] == pid:
                del table[kept]
        if owned:
            return True
        del self.owned[pid]
        return False

    def has(self, pid: Pid) -> bool:
        """Whether ``pid`` has a key here."""
        return pid in self.owned

    def lookup(self, key: Any, alive: Container[Pid]) -> list[Entry]:
        """The live holder and its value."""
        entry = self.table.get(key if type(key) in PLAIN else exact(key))
        return [entry] if entry is not None and entry[0] in alive else []

    def keys_of(self, pid: Pid) -> list[Any]:
        """The keys of a process, in the order of registration."""
        return [given(kept) for kept in list(self.owned.get(pid, ()))]

    def held(self, key: Any, pid: Pid) -> list[tuple[int, Any]]:
        """The value that a process has under the key, with a number to ``drop`` it by."""
        entry = self.table.get(exact(key))
        return [(0, entry[1])] if entry is not None and entry[0] == pid else []

    def rows(self, alive: Container[Pid]) -> Iterator[Row]:
        """Key, pid and value of every live holder."""
        for kept, entry in self.table.copy().items():
            if entry[0] in alive:
                yield given(kept), entry[0], entry[1]

    def size(self) -> int:
        """How many entries there are."""
        return len(self.table)


class DuplicateEntries:
    """Keys with any number of entries, also of one process; all of a process stand together."""

    __slots__ = ("_next", "_size", "owned", "table")

    def __init__(self) -> None:
        self._next = count()
        self.table: dict[Any, dict[int, Entry]] = {}
        self.owned: dict[Pid, dict[Any, dict[int, None]]] = {}
        self._size = 0

    def holder(self, key: Any, alive: Container[Pid]) -> Pid | None:
        """Nobody keeps a key from others."""
        return None

    def add(self, key: Any, pid: Pid, value: Any, alive: Container[Pid]) -> Pid | None:
        """One more entry."""
        kept = key if type(key) in PLAIN else exact(key)
        number = next(self._next)
        self.owned.setdefault(pid, {}).setdefault(kept, {})[number] = None
        self.table.setdefault(kept, {})[number] = (pid, value)
        self._size += 1
        return None

    def drop(self, key: Any, pid: Pid, numbers: Sequence[int] | None = None) -> bool:
        """Remove entries of ``pid``, all or those of ``numbers``; whether none is left of the key.

        ``numbers`` as ``held`` gave them.
        """
        kept = key if type(key) in PLAIN else exact(key)
        owned = self.owned.get(pid)
        mine = owned.get(kept) if owned is not None else None
        if owned is None or mine is None:
            return False
        entries = self.table[kept]
        going = list(mine) if numbers is None else [number for number in numbers if number in mine]
        for number in going:
            del entries[number], mine[number]
        self._size -= len(going)
        if not entries:
            del self.table[kept]
        if mine:
            return False
        del owned[kept]
        if not owned:
            del self.owned[pid]
        return True

    def forget(self, pid: Pid, limit: int) -> bool:
        """Remove at most ``limit`` entries of a dead process; whether it has more."""
        owned = self.owned.get(pid)
        left = limit
        while owned and left > 0:
            kept, numbers = next(iter(owned.items()))
            entries = self.table[kept]
            going = list(islice(numbers, left))
            for number in going:
                del entries[number], numbers[number]
            left -= len(going)
            self._size -= len(going)
            if not entries:
                del self.table[kept]
            if not numbers:
                del owned[kept]
        if owned:
            return True
        self.owned.pop(pid, None)
        return False

    def has(self, pid: Pid) -> bool:
        """Whether ``pid`` has an entry here."""
        return pid in self.owned

    def lookup(self, key: Any, alive: Container[Pid]) -> list[Entry]:
        """The entries of live processes, in the order of registration."""
        entries = self.table.get(key if type(key) in PLAIN else exact(key))
        if entries is None:
            return []
        return [entry for entry in list(entries.values()) if entry[0] in alive]

    def keys_of(self, pid: Pid) -> list[Any]:
        """The keys of a process, each as often as it has entries."""
        owned = self.owned.get(pid)
        if owned is None:
            return []
        return [given(kept) for kept, held in owned.copy().items() for _ in range(len(held))]

    def held(self, key: Any, pid: Pid) -> list[tuple[int, Any]]:
        """The values that a process has under the key, each with a number to ``drop`` it by."""
        kept = exact(key)
        numbers = self.owned.get(pid, {}).get(kept)
        entries = self.table.get(kept)
        if numbers is None or entries is None:
            return []
        found = [(number, entries.get(number)) for number in list(numbers)]
        return [(number, entry[1]) for number, entry in found if entry is not None]

    def rows(self, alive: Container[Pid]) -> Iterator[Row]:
        """Key, pid and value of every entry of a live process."""
        for kept, entries in self.table.copy().items():
            key = given(kept)
            for pid, value in list(entries.values()):
                if pid in alive:
                    yield key, pid, value

    def size(self) -> int:
        """How many entries there are."""
        return self._size
