"""Local names: one holder in the node, freed by its death."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otpy.terms.errors import NameTaken, NotRegistered
from otpy.terms.names import local_key
from otpy.terms.pid import Pid

if TYPE_CHECKING:
    from otpy.runtime.record import Process


class LocalNames:
    """The table of registered names."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table: dict[str, Pid] = {}

    def claim(self, name: object, pid: Pid) -> Pid | None:
        """Give the name to ``pid`` if it is free; else who has it."""
        key = local_key(name)
        with self.lock:
            return None if self.table.setdefault(key, pid) == pid else self.table[key]

    def register(self, name: object, pid: Pid) -> None:
        """As ``claim``; raises ``NameTaken``."""
        holder = self.claim(name, pid)
        if holder is not None:
            raise NameTaken(f"the name {name!r} belongs to {holder!r} already")

    def release(self, name: str, pid: Pid) -> None:
        """Free the name if ``pid`` has it."""
        with self.lock:
            if self.table.get(name) == pid:
                del self.table[name]

    def give(self, name: object, proc: "Process") -> str:
        """Register ``proc``, in one step with a look at its name. Raises ``NameTaken``."""
        key = local_key(name)
        with self.lock:
            if proc.name is not None:
                raise NameTaken(f"{proc.pid!r} is registered already, as {proc.name!r}")
            holder = self.table.setdefault(key, proc.pid)
            if holder != proc.pid:
                raise NameTaken(f"the name {name!r} belongs to {holder!r} already")
            proc.name = key
        return key

    def unregister(self, name: object, procs: "Mapping[Pid, Process]") -> None:
        """Free the name. Raises ``NotRegistered``."""
        with self.lock:
            pid = self.table.pop(local_key(name), None)
            if pid is None:
                raise NotRegistered(f"no process is registered as {name!r}")
            proc = procs.get(pid)
            if proc is not None:
                proc.name = None

    def whereis(self, name: object) -> Pid | None:
        """Who has the name."""
        return self.table.get(local_key(name))
