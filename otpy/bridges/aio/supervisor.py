"""``otpy.supervisor`` for coroutines. Each function raises what that of the same name raises."""

from typing import Any

from otpy.behaviours import supervisor as plain
from otpy.behaviours._children import ChildCount, ChildInfo, started
from otpy.behaviours.child_spec import ChildSpec, child_spec, keyed
from otpy.behaviours.supervisor import Supervisor
from otpy.bridges.aio import _servers
from otpy.machines.restart import AutoShutdown, Strategy
from otpy.runtime.node import Node
from otpy.runtime.process import Dest
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid


async def start_link(
    children: list[Any] | tuple[Any, ...] | type[Supervisor],
    arg: Any = None,
    *,
    name: str | type | Global | Via | None = None,
    strategy: Strategy | None = None,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
    green: bool = False,
    node: Node | None = None,
) -> Pid:
    """Start a supervisor, linked to the task's process; it stops when the task ends.

    A task that is no process becomes one until it ends.
    """
    driver, start = plain.plan(
        children,
        arg,
        green,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
        auto_shutdown=auto_shutdown,
    )
    return await _servers.start_link(driver, start, name=name, node=node)


async def _ask(supervisor: Dest, *request: Any) -> Any:
    return await _servers.call(supervisor, request, None)


async def _ask_of(supervisor: Dest, what: str, child_id: Any) -> Any:
    return plain.done(await _ask(supervisor, what, plain.check_id(what, child_id)))


async def which_children(supervisor: Dest) -> list[ChildInfo]:
    """A row for each child, the newest first."""
    rows: list[ChildInfo] = await _ask(supervisor, "which_children")
    return rows


async def count_children(supervisor: Dest) -> ChildCount:
    """How many child specs, live children, supervisors and workers there are."""
    count: ChildCount = await _ask(supervisor, "count_children")
    return count


async def start_child(supervisor: Dest, child: Any) -> Any:
    """Add a child and start it: its pid, ``(pid, info)``, or None if it wanted no process."""
    return started(plain.done(await _ask(supervisor, "start_child", keyed(child_spec(child)))))


async def terminate_child(supervisor: Dest, child_id: Any) -> None:
    """Stop a child; its spec stays, unless it is temporary."""
    await _ask_of(supervisor, "terminate_child", child_id)


async def restart_child(supervisor: Dest, child_id: Any) -> Any:
    """Start a stopped child."""
    return started(await _ask_of(supervisor, "restart_child", child_id))


async def delete_child(supervisor: Dest, child_id: Any) -> None:
    """Forget a stopped child."""
    await _ask_of(supervisor, "delete_child", child_id)


async def get_childspec(supervisor: Dest, child_id: Any) -> ChildSpec:
    """A child's specification."""
    spec: ChildSpec = await _ask_of(supervisor, "get_childspec", child_id)
    return spec


async def get_callback_module(supervisor: Dest) -> type:
    """The ``Supervisor`` class it was started with; ``Supervisor`` itself if with a list."""
    module: type = await _ask(supervisor, "get_callback_module")
    return module


async def stop(supervisor: Dest, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it: its children get "shutdown", it ends with ``reason``."""
    await _servers.stop(supervisor, reason, timeout)


__all__ = [
    "count_children",
    "delete_child",
    "get_callback_module",
    "get_childspec",
    "restart_child",
    "start_child",
    "start_link",
    "stop",
    "terminate_child",
    "which_children",
]
