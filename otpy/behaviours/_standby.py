"""Names of GenServers, and processes that wait for one: the standby children.

A supervised child that finds its cluster-wide name taken does not fail: it has
a pid, is linked, has not run ``init``, and waits until the name is free.
"""

import inspect
from collections import deque
from typing import TYPE_CHECKING, Any

from otpy.runtime.mail import Call
from otpy.runtime.outside import apart, outside_later
from otpy.runtime.record import Process
from otpy.runtime.tasks import TaskProcess
from otpy.terms.errors import NotAName, NotDistributed
from otpy.terms.messages import NameFree
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL, is_word

if TYPE_CHECKING:
    from otpy.behaviours._loop import BehaviourLoop

FIRST_PAUSE, LAST_PAUSE = 0.01, 1.0  # seconds between tries of which none lasts


class Standby:
    """A process that waits for its name, or does not yet know whether it must."""

    __slots__ = (
        "_last",
        "_not_before",
        "_pause",
        "held",
        "key",
        "pid",
        "ref",
        "restart",
        "service",
    )

    def __init__(self, proc: Process, service: Any, key: Any) -> None:
        self.service = service
        self.key = key
        self.pid = proc.pid
        self.restart = proc.standby_allowed
        self.ref = proc.node.new_ref(proc.pid.number)
        self.held: deque[Any] = deque()
        self._last: Pid | None = None
        self._pause = 0.0
        self._not_before = float("-inf")

    def due(self, now: float) -> float:
        """The instant of the next try, as the name is free: ``now``, or a later one.

        Where nodes do not all see each other the name is free here and taken elsewhere for as
        long as that lasts: without a pause each try would follow the refusal of the one before.
        """
        if now < self._not_before:
            return self._not_before
        again = now - self._not_before < LAST_PAUSE
        self._pause = min(max(FIRST_PAUSE, 2 * self._pause), LAST_PAUSE) if again else 0.0
        self._not_before = now + self._pause
        return now

    @property
    def allowed(self) -> bool:
        """Whether the process may wait."""
        scope = getattr(self.service, "scope", "node")
        return self.restart not in (None, "temporary") and scope == "cluster"

    @property
    def holder(self) -> Pid | None:
        """Who else has the name; while nobody has it, who had it last."""
        found = self.service.whereis_name(self.key)
        if found is not None and found != self.pid:
            self._last = found
        return self._last

    def register(self) -> bool:
        """Register the name; if that fails and it may wait, ``NameFree(self.ref)`` will come."""
        service, key, pid = self.service, self.key, self.pid
        if not self.allowed:
            return bool(service.register_name(key, pid))
        if hasattr(service, "register_or_monitor"):
            return bool(service.register_or_monitor(key, pid, self.ref))
        if service.register_name(key, pid):
            return True
        service.monitor_name(key, pid, self.ref)
        return False


def service_of(proc: Process, name: Any) -> tuple[Any, Any]:
    """The name service behind a name and the key there."""
    if isinstance(name, Global):
        service = proc.node.name_services.get("global")
        if service is None:
            raise NotDistributed(
                f"{name!r} needs the cluster's names: start otpy.global_ on {proc.node.name} first"
            )
        if name.quorum is None:
            return service, name.name
        return service.leased(name.quorum), name.name
    if isinstance(name, Via):
        return name.module, name.key
    raise NotAName(f"{name!r}; expected a str, a class, Global(...) or Via(module, key)")


def begin(loop: "BehaviourLoop") -> Any:
    """Register the name and run ``init``, or go into standby."""
    service, key = service_of(loop.proc, loop.name)
    standby = Standby(loop.proc, service, key)
    if isinstance(loop.proc, TaskProcess) and getattr(service, "waits", True):
        return _begin_later(loop, loop.proc, standby)
    return _begun(loop, standby, standby.register())


async def _begin_later(loop: "BehaviourLoop", proc: TaskProcess, standby: Standby) -> None:
    await _finished(_begun(loop, standby, await _register_later(proc, standby)))


def _begun(loop: "BehaviourLoop", standby: Standby, won: bool) -> Any:
    if won:
        return loop.run_init()
    holder = standby.holder
    if not standby.allowed:
        nobody = getattr(standby.service, "when_nobody", None) if holder is None else None
        loop.quit(NORMAL, nobody or ("already_started", holder))
    loop.standby = standby
    loop.mark()
    loop.tell_starter(True, loop.proc.pid)
    return None


async def _register_later(proc: TaskProcess, standby: Standby) -> bool:
    """A name service blocks, and a task may not: a process of its own asks."""
    return await outside_later(proc, apart(proc.node, standby.register))


async def _finished(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def handle(loop: "BehaviourLoop", item: Any) -> Any:
    """An item for a standby; never for its callbacks. The end of a promotion may be awaited."""
    from otpy.behaviours._loop import answer

    standby = loop.standby
    assert standby is not None
    if isinstance(item, NameFree):
        return _free(loop, standby, item) if item.ref == standby.ref else None
    if type(item) is Call:
        answer(loop.proc, item.from_, False, ("standby", standby.holder))
    else:
        standby.held.append(item)
    return None


def _free(loop: "BehaviourLoop", standby: Standby, free: NameFree) -> Any:
    node = loop.proc.node
    now = node.clock.now()
    due = standby.due(now)
    if due > now:
        node.timers.arm(due, node.new_ref(), loop.proc.pid, free)
        return None
    return _try(loop, standby, free.reason)


def _try(loop: "BehaviourLoop", standby: Standby, why: Any) -> Any:
    if standby.restart == "transient" and is_word(why, NORMAL):
        loop.stop(NORMAL, None)
    standby.ref = loop.proc.node.new_ref(loop.proc.pid.number)
    if isinstance(loop.proc, TaskProcess):
        return _try_later(loop, loop.proc, standby)
    return _tried(loop, standby, standby.register())


async def _try_later(loop: "BehaviourLoop", proc: TaskProcess, standby: Standby) -> None:
    await _finished(_tried(loop, standby, await _register_later(proc, standby)))


def _tried(loop: "BehaviourLoop", standby: Standby, won: bool) -> Any:
    if not won:
        return None
    loop.standby = None
    loop.mark()
    with loop.proc.owned:
        loop.proc.mailbox.extendleft(reversed(standby.held))
    return loop.run_init()
