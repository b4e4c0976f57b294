"""What is known of the processes of this node: ``process.info``, ``alive`` and ``list_``."""

from collections.abc import Callable
from typing import Any

from otpy.runtime._current import HERE, current, may_wait
from otpy.runtime.arguments import checked_pid
from otpy.runtime.outside import outside
from otpy.runtime.record import Process
from otpy.runtime.reports import initial_call, unhandled
from otpy.runtime.scheduler import GreenProcess
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid


def alive(pid: Pid) -> bool:
    """Whether a process of this node is alive."""
    me = current()
    if not me.node.is_here(checked_pid(pid, "alive")):
        raise BadArgument(f"alive({pid!r}): it belongs to another node; monitor it, or ask there")
    return pid in me.node.procs


def list_() -> list[Pid]:
    """The live processes of this node: ``Process.list()``."""
    return list(current().node.procs)


INFO: dict[str, Callable[[Process], Any]] = {
    "registered_name": lambda proc: proc.name,
    "messages": unhandled,
    "message_queue_len": lambda proc: len(unhandled(proc)),
    "links": lambda proc: list(proc.links or ()),
    "monitors": lambda proc: [held.target for held in (proc.monitors or {}).values()],
    "monitored_by": lambda proc: [holder for holder, _ in (proc.monitored_by or {}).values()],
    "trap_exit": lambda proc: proc.trap_exit,
    "status": lambda proc: "waiting" if proc.waiting else "running",
    "kind": lambda proc: proc.kind,
    "dictionary": lambda proc: dict(proc.dictionary or {}),
    "ancestors": lambda proc: proc.ancestors,
    "callers": lambda proc: proc.callers,
    "initial_call": initial_call,
}


def info(pid: Pid, *items: str) -> dict[str, Any] | None:
    """What is known of a process of this node, in the order asked; None if it is not alive."""
    unknown = [item for item in items if item not in INFO]
    if unknown:
        raise BadArgument(f"info item {unknown[0]!r}; expected one of {', '.join(INFO)}")
    me = current()
    proc = me.node.procs.get(checked_pid(pid, "info"))
    if proc is None:
        return None
    target = proc

    def look() -> dict[str, Any] | None:
        with target.owned:
            return {item: INFO[item](target) for item in items or INFO} if target.alive else None

    elsewhere = HERE.sched is not proc.sched and me.kind == "thread"
    if isinstance(proc, GreenProcess) and elsewhere and may_wait():
        # Asked on its scheduler's thread, so that what was sent before is there.
        sched = proc.sched

        def begin(done: Callable[[Callable[[], dict[str, Any] | None]], None]) -> None:
            sched.post(None, lambda: done(look))

        return outside(me, begin)
    return look()
