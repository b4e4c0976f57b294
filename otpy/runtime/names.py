"""Local names: one holder in the node, freed by its death; and who has a name of any kind."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otpy.runtime._current import current
from otpy.runtime.arguments import checked_pid
from otpy.terms.errors import NameTaken, NoProcess, NotDistributed, NotRegistered
from otpy.terms.names import Global, Via, check_via, local_key
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


def where(me: "Process", dest: Any) -> Pid | None:
    """Who has the name: local, ``Global`` or ``Via``."""
    if isinstance(dest, Pid):
        return dest
    if isinstance(dest, Global):
        service = me.node.name_services.get("global")
        if service is None:
            raise NotDistributed(
                f"{dest!r} needs the cluster's names: start otpy.global_ on {me.node.name} first"
            )
        found: Pid | None = service.whereis_name(dest.name)
        return found
    if isinstance(dest, Via):
        try:
            located: Pid | None = dest.module.whereis_name(dest.key)
        except AttributeError:
            check_via(dest)
            raise
        return located
    return me.node.names.whereis(dest)


def register(pid: Pid, name: str | type) -> None:
    """Give a process of this node a local name.

    Raises ``NameTaken``, ``NotAName`` or ``NoProcess``.
    """
    node = current().node
    proc = node.procs.get(checked_pid(pid, "register"))
    if proc is None:
        raise NoProcess(f"cannot register {pid!r}: it is not a live process of {node.name}")
    key = node.names.give(name, proc)
    if not proc.alive:
        node.names.release(key, pid)


def unregister(name: str | type) -> None:
    """Take a local name away. Raises ``NotRegistered``."""
    node = current().node
    node.names.unregister(name, node.procs)


def whereis(name: str | type) -> Pid | None:
    """Who has a local name."""
    return current().node.names.whereis(name)


def registered() -> list[str]:
    """The local names in use."""
    return sorted(current().node.names.table)
