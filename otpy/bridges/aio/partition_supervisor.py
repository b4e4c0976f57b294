"""``otpy.partition_supervisor`` for coroutines.

Each function raises what that of the same name raises; ``partitions`` and addresses do not
wait, and are used as they are.
"""

from typing import Any

from otpy.behaviours import partition_supervisor as plain
from otpy.behaviours._children import ChildCount, ChildInfo
from otpy.bridges.aio import _servers
from otpy.machines.restart import Strategy
from otpy.runtime.node import Node
from otpy.terms.pid import Pid


async def start_link(
    *,
    child_spec: Any,
    name: plain.Name,
    partitions: int | None = None,
    with_arguments: plain.WithArguments | None = None,
    strategy: Strategy = "one_for_one",
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    node: Node | None = None,
) -> Pid:
    """Start a partition supervisor, linked to the task's process.

    A task that is no process becomes one until it ends.
    """
    driver, given = plain.plan(
        child_spec,
        name,
        partitions,
        with_arguments,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
    )
    return await _servers.start_link(driver, given, name=name, node=node)


async def resize(name: plain.Name, wanted: int) -> int:
    """Stop or start partitions until there are ``wanted``; how many there were."""
    request = ("resize", plain.check_size(wanted))
    return plain.resized(await _servers.call(name, request, None), wanted)


async def which_children(name: plain.Name) -> list[ChildInfo]:
    """A row for each partition, the last one first; the ids are the partitions' numbers."""
    rows: list[ChildInfo] = await _servers.call(name, ("which_children",), None)
    return rows


async def count_children(name: plain.Name) -> ChildCount:
    """How many partitions, live ones, supervisors and workers there are."""
    count: ChildCount = await _servers.call(name, ("count_children",), None)
    return count


async def stop(name: plain.Name, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it and its partitions; its name is free afterwards."""
    await _servers.stop(name, reason, timeout)


__all__ = ["count_children", "resize", "start_link", "stop", "which_children"]
