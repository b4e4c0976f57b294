"""What waits of ``otpy.registry``, for coroutines; all else there is used as it is."""

from collections.abc import Callable, Mapping
from typing import Any

from otpy.behaviours import registry as plain
from otpy.behaviours._registry import Keys, Name, Registry, options
from otpy.bridges.aio import supervisor
from otpy.bridges.aio._processes import blocking
from otpy.runtime.node import Node
from otpy.terms.pid import Pid


async def start_link(
    *,
    keys: Keys,
    name: Name,
    partitions: int = 1,
    listeners: list[Name] | tuple[Name, ...] = (),
    meta: Mapping[Any, Any] | list[tuple[Any, Any]] | tuple[tuple[Any, Any], ...] = (),
    node: Node | None = None,
) -> Pid:
    """Start a registry, linked to the task's process; it stops when the task ends.

    A task that is no process becomes one until it ends.
    """
    checked = options(keys=keys, name=name, partitions=partitions, listeners=listeners, meta=meta)
    return await supervisor.start_link(Registry, checked, name=name, node=node)


async def dispatch(
    registry: Name,
    key: Any,
    fn: Callable[[list[tuple[Pid, Any]]], Any],
    *,
    parallel: bool = False,
) -> None:
    """Call ``fn([(pid, value), ...])`` for each partition, in a process other than this one."""
    await blocking(plain.dispatch, registry, key, fn, parallel=parallel)


__all__ = [
    "dispatch",
    "start_link",
]
