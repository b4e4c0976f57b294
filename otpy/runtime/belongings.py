"""What belongs to a process and ends with it: sockets first of all, as Erlang's ports do.

A process that is ended cannot close what it holds, least of all while its thread blocks in
``accept``. What it *owns* is closed for it, whatever it ended with.
"""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from otpy.runtime._current import current
from otpy.runtime.arguments import check_function, checked_pid
from otpy.terms.errors import BadArgument, NoProcess
from otpy.terms.pid import Pid

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.record import Process

T = TypeVar("T")
LOG = logging.getLogger("otpy.process")


@dataclass(frozen=True, slots=True)
class Owned:
    """A thing and how it is closed."""

    resource: Any
    close: Callable[[], Any]

    def shut_down(self) -> None:
        """Wake whoever blocks in a socket, and free its port; nothing for other things."""
        if isinstance(self.resource, socket.socket):
            try:
                self.resource.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is not connected, or closed already


class Belongings:
    """Who owns what on one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._lock = threading.Lock()
        self.table: dict[Pid, list[Owned]] = {}
        self._owners: dict[int, Pid] = {}  # by the identity of the thing, which the table holds

    def add(self, pid: Pid, owned: Owned) -> None:
        """``pid`` owns it from now on. Raises ``BadArgument`` if somebody does."""
        with self._lock:
            owner = self._owners.get(id(owned.resource))
            if owner is not None:
                raise BadArgument(f"own({owned.resource!r}): it belongs to {owner!r} already")
            self._owners[id(owned.resource)] = pid
            self.table.setdefault(pid, []).append(owned)

    def take(self, what: str, pid: Pid, resource: object) -> Owned:
        """Take a thing away from its owner. Raises ``BadArgument`` if that is not ``pid``."""
        with self._lock:
            owner = self._owners.get(id(resource))
            if owner != pid:
                whose = "nobody" if owner is None else repr(owner)
                raise BadArgument(f"{what}({resource!r}): it belongs to {whose}, not to {pid!r}")
            return self._remove(pid, resource)

    def _remove(self, pid: Pid, resource: object) -> Owned:
        held = self.table[pid]
        owned = next(one for one in held if one.resource is resource)
        held.remove(owned)
        if not held:
            del self.table[pid]
        del self._owners[id(resource)]
        return owned

    def give(self, pid: Pid, resource: object, other: Pid) -> None:
        """Another process owns it from now on. Raises ``BadArgument`` and ``NoProcess``."""
        owned = self.take("controlling_process", pid, resource)
        self.add(other, owned)
        if other not in self._node.procs:
            # Its end came first, or will find the thing; in both cases it is not closed twice.
            try:
                self.take("controlling_process", other, resource)
            except BadArgument:
                pass
            else:
                self.add(pid, owned)
            raise NoProcess(f"{other!r} is not alive: {resource!r} stays with {pid!r}")

    def _all_of(self, pid: Pid) -> list[Owned]:
        """Take away what a process owns, the latest first."""
        with self._lock:
            held = self.table.pop(pid, [])
            for owned in held:
                del self._owners[id(owned.resource)]
        return held[::-1]

    def owner_died(self, proc: "Process", on_its_thread: bool) -> None:
        """A process has died. What waits in a socket is woken before anybody hears of it.

        The rest is closed by the thread of the process when its body ends, if it has one: nothing
        is taken away under a body that runs. Else a thread of the pool does it, since closing is
        code of users.
        """
        for owned in reversed(self.table.get(proc.pid, [])):
            owned.shut_down()
        if on_its_thread:
            return
        later: list[Owned] = []
        for owned in self._all_of(proc.pid):
            if isinstance(owned.resource, socket.socket):
                _close(proc.pid, owned)  # it has been shut down: this does not block
            else:
                later.append(owned)
        if later:
            self._node.pool.submit(partial(_close_all, proc.pid, later))

    def body_over(self, pid: Pid) -> None:
        """The body of a process is over; this is its thread."""
        held = self._all_of(pid)
        for owned in held:
            owned.shut_down()
        _close_all(pid, held)


def _close_all(pid: Pid, held: list[Owned]) -> None:
    for owned in held:
        _close(pid, owned)


def _close(pid: Pid, owned: Owned) -> None:
    try:
        owned.close()
    except Exception as error:  # code of a user: the other things must be closed all the same
        LOG.exception(
            "%r, which belonged to %r, could not be closed",
            owned.resource,
            pid,
            extra={"otpy_report": {"label": "close_failed", "pid": pid, "error": error}},
        )


def own(resource: T, close: Callable[[], Any] | None = None) -> T:
    """Let ``resource`` end with the current process; gives it back.

    Whatever the process ends with, also "kill", it is closed: by ``close()``, or its own method of
    that name; the latest that was owned first. A ``socket.socket`` is shut down before links and
    monitors fire, which wakes whoever blocks in it, and its port can be bound again (with
    ``SO_REUSEADDR``, as ``socket.create_server`` has it). Other things are closed by the thread of
    a thread process when its body is over, before anybody hears of that if it ends by itself; and
    soon after the end of any other process, by a thread of the pool.

    Raises ``BadArgument`` if it cannot be closed, or belongs to a process.
    """
    if close is None:
        close = getattr(resource, "close", None)
        if not callable(close):
            raise BadArgument(f"own({resource!r}): it has no method close, and none was given")
    else:
        check_function("own", close)
    me = current()
    belongings = me.node.belongings
    belongings.add(me.pid, Owned(resource, close))
    if not me.alive:  # it was ended in this instant
        belongings.owner_died(me, me.kind == "thread")
        me.raise_dead()
    return resource


def disown(resource: object) -> None:
    """Let ``resource`` outlive the current process. Raises ``BadArgument`` if it is not its own."""
    me = current()
    me.node.belongings.take("disown", me.pid, resource)


def controlling_process(resource: object, pid: Pid) -> None:
    """Give ``resource`` to another process of this node: ``gen_tcp:controlling_process/2``.

    Raises ``BadArgument`` if it does not belong to the caller, or ``pid`` is of another node, and
    ``NoProcess`` if that is not alive; then it stays with the caller.
    """
    me = current()
    if checked_pid(pid, "controlling_process").node != me.node.name:
        raise BadArgument(f"controlling_process(..., {pid!r}): it is a process of another node")
    me.node.belongings.give(me.pid, resource, pid)
