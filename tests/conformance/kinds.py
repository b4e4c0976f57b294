"""One scenario on every executor.

A scenario is a plain function; its child bodies are coroutine functions that take
messages with ``await mail(...)``. Only the ``async`` executor ever suspends them;
elsewhere they are run straight through, so that one text serves all kinds.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from otpy.bridges import aio
from otpy.runtime import process
from otpy.runtime._current import HERE
from otpy.runtime.node import Node
from otpy.runtime.simulated import Simulation
from otpy.terms.errors import ReceiveTimeout
from otpy.terms.messages import Down
from otpy.terms.pid import Pid, Ref

KINDS = ("thread", "green", "mixed", "async", "sim1", "sim2", "sim3", "simasync1", "simasync2")
WAIT = 5.0  # seconds until a test gives up on a message that must come
Body = Callable[..., Coroutine[Any, Any, None]]
SPAWN = cast("Callable[..., Any]", process.spawn)  # what it returns depends on the options


async def mail(
    *types: type, where: Callable[[Any], bool] | None = None, timeout: float | None = None
) -> Any:
    """``process.receive`` in a child body of any kind."""
    if HERE.proc is None:
        return await aio.receive(*types, where=where, timeout=timeout)
    return process.receive(*types, where=where, timeout=timeout)


class World:
    """Starts children of the kind under test."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def _start(self, body: Body, args: tuple[Any, ...], **options: Any) -> Any:
        if self.kind == "async":
            return SPAWN(body, *args, **options)

        @functools.wraps(body)
        def straight(*given: Any) -> None:
            try:
                body(*given).send(None)
            except StopIteration:
                return
            raise AssertionError("a body was suspended outside an event loop")

        del straight.__wrapped__  # else it looks like a coroutine
        return SPAWN(straight, *args, green=self.kind != "thread", **options)

    def spawn(self, body: Body, *args: Any, **options: Any) -> Pid:
        """``process.spawn``."""
        pid: Pid = self._start(body, args, **options)
        return pid

    def spawn_monitor(self, body: Body, *args: Any, **options: Any) -> tuple[Pid, Ref]:
        """``process.spawn_monitor``."""
        both: tuple[Pid, Ref] = self._start(body, args, monitor=True, **options)
        return both


def on_scheduler(scenario: Callable[[World], None]) -> None:
    """Run the scenario itself as a green process."""
    errors: list[BaseException] = []

    def body() -> None:
        try:
            scenario(World("green"))
        except BaseException as error:
            errors.append(error)
            raise

    _, ref = process.spawn_monitor(body, green=True)
    process.receive(Down, where=lambda down: down.ref == ref, timeout=30.0)
    if errors:
        raise errors[0]


def everywhere(scenario: Callable[[World], None]) -> Callable[[str, Node], None]:
    """Make a test of a scenario: once per kind of process."""

    @pytest.mark.parametrize("kind", KINDS)
    def test(kind: str, node: Node) -> None:
        if kind == "green":
            on_scheduler(scenario)
        elif kind.startswith("simasync"):
            Simulation(int(kind[8:])).run(scenario, World("async"))
        elif kind.startswith("sim"):
            Simulation(int(kind[3:])).run(scenario, World(kind))
        else:
            scenario(World("green" if kind == "mixed" else kind))

    test.__name__ = scenario.__name__
    test.__qualname__ = scenario.__qualname__
    test.__module__ = scenario.__module__
    test.__doc__ = scenario.__doc__
    return test


def down_of(ref: Ref) -> Any:
    """The reason in the ``Down`` of a monitor."""
    down = process.receive(Down, where=lambda item: item.ref == ref, timeout=WAIT)
    return down.reason


def take(expected: object) -> None:
    """The next message but for ``Down`` is this one."""
    assert process.receive(where=lambda m: not isinstance(m, Down), timeout=WAIT) == expected


def dead(world: World) -> Pid:
    """The pid of a process that has ended."""
    pid, ref = world.spawn_monitor(ends_with, "normal")
    down_of(ref)
    return pid


def nothing_waits() -> bool:
    """Whether the mailbox is empty."""
    try:
        process.receive(timeout=0)
    except ReceiveTimeout:
        return True
    return False


async def idle() -> None:
    """Waits until it is ended."""
    await mail(where=lambda _: False)


async def until_told() -> None:
    """Ends with the reason it is sent."""
    process.exit(await mail())


async def ends_with(reason: Any) -> None:
    """Ends at once."""
    process.exit(reason)


async def raises(error: BaseException) -> None:
    """Ends at once with an exception."""
    raise error


async def trapper(parent: Pid) -> None:
    """Traps exits, says so, and hands on every message it gets."""
    process.flag(trap_exit=True)
    process.send(parent, "ready")
    while True:
        process.send(parent, ("got", await mail()))
