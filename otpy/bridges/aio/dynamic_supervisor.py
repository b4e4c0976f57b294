"""``otpy.dynamic_supervisor`` for coroutines.

Each function raises what that of the same name raises.
"""

from typing import Any, Literal

from otpy.behaviours import dynamic_supervisor as plain
from otpy.behaviours._children import ChildCount, ChildInfo, started
from otpy.behaviours.dynamic_supervisor import DynamicSupervisor
from otpy.bridges.aio import _servers
from otpy.runtime.node import Node
from otpy.runtime.process import Dest
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid


async def start_link(
    module: type[DynamicSupervisor] | None = None,
    arg: Any = None,
    *,
    name: str | type | Global | Via | None = None,
    strategy: Literal["one_for_one"] = "one_for_one",
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    max_children: int | None = None,
    extra_arguments: tuple[Any, ...] | list[Any] = (),
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """Start a dynamic supervisor, linked to the task's process; it stops when the task ends.

    A task that is no process becomes one until it ends.
    """
    driver, given = plain.plan(
        module,
        arg,
        green,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
        max_children=max_children,
        extra_arguments=extra_arguments,
    )
    return await _servers.start_link(driver, given, name=name, node=node)


async def _ask(supervisor: Dest, *request: Any) -> Any:
    return await _servers.call(supervisor, request, None)


async def which_children(supervisor: Dest) -> list[ChildInfo]:
    """A row for each child, the newest first; every id is "undefined"."""
    rows: list[ChildInfo] = await _ask(supervisor, "which_children")
    return rows


async def count_children(supervisor: Dest) -> ChildCount:
    """How many children, live children, supervisors and workers there are."""
    count: ChildCount = await _ask(supervisor, "count_children")
    return count


async def start_child(supervisor: Dest, child: Any) -> Any:
    """Start a child: its pid, ``(pid, info)``, or None if it wanted no process."""
    return started(plain.done(await _ask(supervisor, "start_child", plain.check_child(child))))


async def terminate_child(supervisor: Dest, pid: Pid) -> None:
    """Stop a child for good, also one that is being restarted, by the pid it had."""
    plain.done(await _ask(supervisor, "terminate_child", plain.check_pid(pid)))


async def stop(supervisor: Dest, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it: all children get "shutdown" at once, it ends with ``reason``."""
    await _servers.stop(supervisor, reason, timeout)


__all__ = [
    "count_children",
    "start_child",
    "start_link",
    "stop",
    "terminate_child",
    "which_children",
]
