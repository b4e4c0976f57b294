"""What belongs to a process and ends with it: sockets first of all, as Erlang's ports do.

A process that is ended cannot close what it holds, least of all while its thread blocks in
``accept``. What it *owns* is closed for it, whatever it ended with. Three rules. Sockets are shut
down as part of the death, before anybody hears of it. Nothing is closed under a body, or under work
done outside for it, that may be in the midst of using it. The lock here may be taken under a
record's, and nothing is taken under it.
"""

import inspect
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from otpy.runtime import closing
from otpy.runtime._current import HERE, current, current_or_none
from otpy.runtime.arguments import check_function, checked_pid
from otpy.runtime.closing import Owned
from otpy.runtime.scheduler import GreenProcess
from otpy.runtime.tasks import TaskProcess
from otpy.terms.errors import BadArgument, NoProcess
from otpy.terms.pid import Pid

if TYPE_CHECKING:
    from otpy.runtime.node import Node
    from otpy.runtime.record import Process

T = TypeVar("T")
LOG = logging.getLogger("otpy.node")
FEW = 16  # things that are held without a look for closed sockets among them


class _Held(dict[int, Owned]):
    """What one process owns, in the order in which it came; by identity."""

    look_at = FEW


def _raise(error: BaseException) -> NoReturn:
    raise error


class Belongings:
    """Who owns what on one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self.table: dict[Pid, _Held] = {}
        self._owners: dict[int, Pid] = {}
        self._outside: dict[Pid, int] = {}  # pieces of work that are done outside for an owner
        self._ended: dict[Pid, Process] = {}  # those whose things wait for the end of that work
        self._closing: set[Any] = set()  # the pool's jobs
        self._tasks: set[Any] = set()

    # Who owns what.

    def add(self, proc: "Process", owned: Owned) -> bool:
        """``proc`` owns it from now on; False, and it does not, if that is dead.

        Raises ``BadArgument`` if somebody owns it.
        """
        with self._lock:
            owner = self._owners.get(id(owned.resource))
            if owner is not None:
                raise BadArgument(f"own({owned.resource!r}): it belongs to {owner!r} already")
            self._put(proc.pid, owned)
            # Only now: a death is seen here, or has come after this and finds the thing.
            if not proc.alive:
                self._remove(proc.pid, owned.resource)
            return proc.alive

    def _put(self, pid: Pid, owned: Owned) -> None:
        held = self.table.get(pid)
        if held is None:
            held = self.table[pid] = _Held()
        elif len(held) >= held.look_at:
            # A server that opens and closes sockets all its life must not keep them all.
            for one in [one for one in held.values() if one.over]:
                self._remove(pid, one.resource)
            self.table[pid] = held  # it may have been the last one that went
            held.look_at = max(FEW, 2 * len(held))
        held[id(owned.resource)] = owned
        self._owners[id(owned.resource)] = pid

    def _remove(self, pid: Pid, resource: object) -> Owned:
        held = self.table[pid]
        owned = held.pop(id(resource))
        if not held:
            del self.table[pid]
        del self._owners[id(resource)]
        return owned

    def _check(self, what: str, pid: Pid, resource: object) -> None:
        owner = self._owners.get(id(resource))
        if owner != pid:
            whose = "nobody" if owner is None else repr(owner)
            raise BadArgument(f"{what}({resource!r}): it belongs to {whose}, not to {pid!r}")

    def drop(self, pid: Pid, resource: object) -> None:
        """``pid`` does not own it any more. Raises ``BadArgument`` if it does not now."""
        with self._lock:
            self._check("disown", pid, resource)
            self._remove(pid, resource)

    def give(self, pid: Pid, resource: object, other: Pid) -> None:
        """Another process owns it from now on. Raises ``BadArgument`` and ``NoProcess``."""
        with self._lock:
            self._check("controlling_process", pid, resource)
            target = self._node.procs.get(other)
            if target is not None:
                _check_can(self.table[pid][id(resource)].close, target, "controlling_process")
                owned = self._remove(pid, resource)
                self._put(other, owned)
                if target.alive:
                    return
                self._put(pid, self._remove(other, resource))
            raise NoProcess(f"{other!r} is not alive: {resource!r} stays with {pid!r}")

    def _latest(self, pid: Pid, but_sockets: bool = False) -> Owned | None:
        """Take away what came last."""
        with self._lock:
            held = self.table.get(pid) or _Held()
            for owned in reversed(held.values()):
                if not (but_sockets and owned.plain):
                    return self._remove(pid, owned.resource)
        return None

    # Work outside, which may use what its process owns.

    def outside_begins(self, pid: Pid) -> bool:
        """Whether the end of the work has to be told."""
        with self._lock:
            if pid not in self.table:
                return False
            self._outside[pid] = self._outside.get(pid, 0) + 1
            return True

    def outside_over(self, pid: Pid) -> None:
        """One piece of work is over: if it was the last of a dead owner, its things go."""
        with self._lock:
            left = self._outside.pop(pid) - 1
            if left:
                self._outside[pid] = left
                return
            proc = self._ended.pop(pid, None)
        if proc is not None:
            self._body_is_over(proc)

    def _waits(self, proc: "Process") -> bool:
        with self._lock:
            waits = proc.pid in self._outside
            if waits:
                self._ended[proc.pid] = proc
            return waits

    # The end of an owner.

    def owner_died(self, proc: "Process") -> None:
        """A process has died. What waits in a socket is woken before anybody hears of it.

        The owner of the record calls this, with its lock if it has one. A body that is parked is
        in no system call, so its sockets go, too; the rest goes when the body is over.
        """
        with self._lock:
            held = list((self.table.get(proc.pid) or _Held()).values())
        for owned in reversed(held):
            owned.shut_down()
        if not held:
            return
        if self._has_crashed():
            self._close_parked(proc.pid, held[::-1])
            while self._latest(proc.pid) is not None:
                pass  # what is left is forgotten, as it would be with the OS process
            return
        if proc.kind == "async":
            return
        if proc.kind == "green":
            if not self._waits(proc):
                self._body_is_over(proc)
        elif proc.waiting and proc.pid not in self._outside:
            self._close_parked(proc.pid, held[::-1])

    def _has_crashed(self) -> bool:
        """Whether this is a simulated node stopped from outside: no code of users runs then."""
        node = self._node
        return node.simulated and (node.state == "stopped" or HERE.sched is not node.user)

    def _close_parked(self, pid: Pid, held: list[Owned]) -> None:
        """Close sockets, maybe under the record's lock: the thread is left to report a failure."""
        for owned in held:
            if not owned.quick:
                continue
            with self._lock:
                self._remove(pid, owned.resource)
            try:
                owned.close()
            except OSError as error:
                with self._lock:
                    self._put(pid, Owned(owned.resource, partial(_raise, error)))

    def _body_is_over(self, proc: "Process") -> None:
        """Close what a process owned that has no thread to do it: sockets here, the rest apart."""
        if isinstance(proc, TaskProcess) and proc.kind == "async":
            self.task_ended(proc)
            return
        rest: list[Owned] = []
        while (owned := self._latest(proc.pid)) is not None:
            if owned.quick:
                closing.close(proc, owned)
            else:
                rest.append(owned)
        if rest:
            self._close_apart(proc, rest)

    def _close_apart(self, proc: "Process", rest: list[Owned]) -> None:
        node = self._node
        if node.simulated:
            # A process at an instant that the seed draws; not of the pool, which refuses work when
            # the node stops.
            GreenProcess(node, node.new_pid(), self._close_all, (proc, rest), node.user).start()
            return

        def job() -> None:
            try:
                for owned in rest:
                    closing.close(proc, owned)
            finally:
                with self._idle:
                    self._closing.discard(job)
                    self._idle.notify_all()

        with self._lock:
            self._closing.add(job)
        try:
            node.pool.submit(job)
        except RuntimeError as error:  # no thread can be started; links and monitors must fire
            with self._lock:
                self._closing.discard(job)
            for owned in rest:
                closing.report(proc, owned, error)

    def _close_all(self, proc: "Process", rest: list[Owned]) -> None:
        for owned in rest:
            closing.called(proc, owned)

    def close_late(self, proc: "Process", owned: Owned) -> None:
        """Close what a dead body, which is running here, has opened: it is nobody's."""
        if isinstance(proc, TaskProcess) and proc.kind == "async":
            closing.later(proc, partial(closing.close_in_task, proc, owned), self._tasks)
        elif proc.kind == "thread" or owned.quick:
            closing.close(proc, owned)
        else:
            self._close_apart(proc, [owned])

    def wait(self, timeout: float) -> None:
        """Wait until all that is being closed on the pool is closed; log it if that is late."""
        with self._idle:
            if self._idle.wait_for(lambda: not self._closing, timeout):
                return
        name = self._node.name
        LOG.error("%s: what its processes own was not closed within %s s", name, timeout)

    def body_over(self, proc: "Process") -> None:
        """The body of a process with a thread is over, and this is the thread: close, latest first.

        Before its end is told, if it ends by itself; after that, for what is left.
        """
        apart = self._waits(proc)
        while (owned := self._latest(proc.pid, apart)) is not None:
            owned.shut_down()
            closing.close(proc, owned)

    async def task_over(self, proc: TaskProcess) -> None:
        """As ``body_over`` for a process that is a task, in it or in another of its loop."""
        while not self._waits(proc) and (owned := self._latest(proc.pid)) is not None:
            owned.shut_down()
            await closing.close_in_task(proc, owned)

    def task_ended(self, proc: TaskProcess) -> None:
        """Close what is left to a process that was a task, on its loop."""
        if proc.pid in self.table and not closing.later(
            proc, partial(self.task_over, proc), self._tasks
        ):
            self.body_over(proc)


def _check_can(close: Callable[[], Any], proc: "Process", what: str) -> None:
    if proc.kind != "async" and inspect.iscoroutinefunction(close):
        raise BadArgument(f"{what}: {close!r} is a coroutine function; expected a function")


def own(resource: T, close: Callable[[], Any] | None = None) -> T:
    """Let ``resource`` end with the current process; gives it back.

    Whatever the process ends with, also "kill", it is closed: by ``close()``, or its own method of
    that name. A ``socket.socket`` is shut down before links and monitors fire, which wakes whoever
    blocks in it, and its port can be bound again (with ``SO_REUSEADDR``, as
    ``socket.create_server`` has it). A thread process and an async one close, the latest first,
    when the body is over, before anybody hears of that if it ends by itself: on their thread or
    their loop, where what ``close`` gives is awaited. Of a green process sockets are closed at
    once, and the rest soon after its end, by a thread of the pool.

    Raises ``BadArgument`` if it cannot be closed, or belongs to a process. In a process that is
    dead already it closes ``resource`` and raises ``ProcessExit``.
    """
    plain = close is None and type(resource) is socket.socket
    if close is None:
        close = getattr(resource, "close", None)
        if not callable(close):
            raise BadArgument(f"own({resource!r}): it has no method close, and none was given")
    else:
        check_function("own", close)
    me = current_or_none() or current()
    _check_can(close, me, f"own({resource!r})")
    owned = Owned(resource, close, plain)
    if not me.node.belongings.add(me, owned):
        me.node.belongings.close_late(me, owned)
        me.raise_dead()
    return resource


def disown(resource: object) -> None:
    """Let ``resource`` outlive the current process. Raises ``BadArgument`` if it is not its own."""
    me = current()
    me.node.belongings.drop(me.pid, resource)


def controlling_process(resource: object, pid: Pid) -> None:
    """Give ``resource`` to another process of this node: ``gen_tcp:controlling_process/2``.

    Raises ``BadArgument`` if it does not belong to the caller, or ``pid`` is of another node, and
    ``NoProcess`` if that is not alive; then it stays with the caller.
    """
    me = current()
    if not me.node.is_here(checked_pid(pid, "controlling_process")):
        raise BadArgument(f"controlling_process(..., {pid!r}): it is a process of another node")
    me.node.belongings.give(me.pid, resource, pid)
