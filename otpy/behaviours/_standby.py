"""Names of GenServers, and processes that wait for one (DESIGN: standby children).

A supervised child that finds its cluster-wide name taken does not fail: it has
a pid, is linked, has not run ``init``, and waits until the name is free.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from otpy.runtime.mail import Call
from otpy.runtime.outside import apart, outside_later
from otpy.runtime.record import Process
from otpy.runtime.tasks import TaskProcess
from otpy.terms.errors import NotAName, NotDistributed
from otpy.terms.messages import NameFree
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NORMAL

if TYPE_CHECKING:
    from otpy.behaviours._loop import Loop


class Standby:
    """A process that waits for its name."""

    __slots__ = ("held", "holder", "ref", "restart")

    def __init__(self, holder: Pid | None, restart: str) -> None:
        self.holder = holder
        self.restart = restart
        self.ref: Ref | None = None
        self.held: deque[Any] = deque()


def service_of(proc: Process, name: Any) -> tuple[Any, Any]:
    """The name service behind a name and the key there."""
    if isinstance(name, Global):
        service = proc.node.name_services.get("global")
        if service is None:
            raise NotDistributed(
                f"{name!r} needs the cluster's names: start otpy.global_ on {proc.node.name} first"
            )
        return service, name.name
    if isinstance(name, Via):
        return name.module, name.key
    raise NotAName(f"{name!r}; expected a str, a class, Global(...) or Via(module, key)")


def take_name(loop: "Loop") -> bool:
    """Register the name, or go into standby; False when ``init`` must wait."""
    service, key = service_of(loop.proc, loop.name)
    return _taken(loop, service, key, service.register_name(key, loop.proc.pid))


async def take_name_later(loop: "Loop") -> bool:
    """``take_name`` in a process that is a task: registering waits, which its loop must not."""
    service, key = service_of(loop.proc, loop.name)
    return _taken(loop, service, key, await _registered_later(loop, service, key))


async def _registered_later(loop: "Loop", service: Any, key: Any) -> bool:
    proc = loop.proc
    assert isinstance(proc, TaskProcess)
    registered: bool = await outside_later(
        proc, apart(proc.node, lambda: service.register_name(key, proc.pid))
    )
    return registered


def _taken(loop: "Loop", service: Any, key: Any, registered: bool) -> bool:
    if registered:
        return True
    proc = loop.proc
    holder = service.whereis_name(key)
    restart = proc.standby_allowed
    if not restart or restart == "temporary" or getattr(service, "scope", "node") != "cluster":
        loop.quit(NORMAL, ("already_started", holder))
    loop.standby = Standby(holder, restart)
    loop.mark()
    _watch(loop, service, key)
    loop.tell_starter(True, proc.pid)
    return False


def _watch(loop: "Loop", service: Any, key: Any) -> None:
    assert loop.standby is not None
    loop.standby.ref = ref = loop.proc.node.new_ref(loop.proc.pid.number)
    service.monitor_name(key, loop.proc.pid, ref)


def handle(loop: "Loop", item: Any) -> Any:
    """An item for a standby; never for its callbacks. The result is to be awaited, if it can be."""
    from otpy.behaviours._loop import answer

    standby = loop.standby
    assert standby is not None
    if isinstance(item, NameFree):
        if item.ref == standby.ref:
            return _try(loop, standby, item.reason)
    elif type(item) is Call:
        answer(loop.proc, item.from_, False, ("standby", standby.holder))
    else:
        standby.held.append(item)
    return None


def _try(loop: "Loop", standby: Standby, why: Any) -> Any:
    if standby.restart == "transient" and why == NORMAL:
        loop.stop(NORMAL, None)
    service, key = service_of(loop.proc, loop.name)
    if loop.proc.kind == "async":
        return _try_later(loop, standby, service, key)
    return _tried(loop, standby, service, key, service.register_name(key, loop.proc.pid))


async def _try_later(loop: "Loop", standby: Standby, service: Any, key: Any) -> None:
    registered = await _registered_later(loop, service, key)
    again = _tried(loop, standby, service, key, registered)
    if again is not None:
        await again


def _tried(loop: "Loop", standby: Standby, service: Any, key: Any, registered: bool) -> Any:
    if not registered:
        standby.holder = service.whereis_name(key)
        _watch(loop, service, key)
        return None
    loop.standby = None
    loop.mark()
    loop.proc.mailbox.extendleft(reversed(standby.held))
    return loop.run_init()
