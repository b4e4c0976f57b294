"""Names of GenServers, and processes that wait for one (DESIGN: standby children).

A supervised child that finds its cluster-wide name taken does not fail: it has
a pid, is linked, has not run ``init``, and waits until the name is free.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from otpy.runtime.mail import Call
from otpy.runtime.record import Process
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
    proc = loop.proc
    service, key = service_of(proc, loop.name)
    if service.register_name(key, proc.pid):
        return True
    holder = service.whereis_name(key)
    restart = proc.standby_allowed
    if not restart or restart == "temporary" or getattr(service, "scope", "node") != "cluster":
        loop.quit(NORMAL, ("already_started", holder))
    loop.standby = Standby(holder, restart)
    _watch(loop, service, key)
    loop.tell_starter(True, proc.pid)
    return False


def _watch(loop: "Loop", service: Any, key: Any) -> None:
    assert loop.standby is not None
    loop.standby.ref = ref = loop.proc.node.new_ref(loop.proc.pid.number)
    service.monitor_name(key, loop.proc.pid, ref)


def handle(loop: "Loop", item: Any) -> bool:
    """An item for a standby; never for its callbacks."""
    from otpy.behaviours._loop import answer

    standby = loop.standby
    assert standby is not None
    if isinstance(item, NameFree):
        if item.ref == standby.ref:
            _try(loop, standby, item.reason)
    elif type(item) is Call:
        answer(loop.proc, item.from_, False, ("standby", standby.holder))
    else:
        standby.held.append(item)
    return False


def _try(loop: "Loop", standby: Standby, why: Any) -> None:
    if standby.restart == "transient" and why == NORMAL:
        loop.stop(NORMAL, None)
    service, key = service_of(loop.proc, loop.name)
    if not service.register_name(key, loop.proc.pid):
        standby.holder = service.whereis_name(key)
        _watch(loop, service, key)
        return
    loop.standby = None
    loop.mark()
    loop.proc.mailbox.extendleft(reversed(standby.held))
    loop.run_init()
