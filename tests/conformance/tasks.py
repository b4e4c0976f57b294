"""What the tests of tasks share."""

from collections.abc import Callable
from typing import Any

from otpy import Down, Pid, process, self_pid
from tests.conformance.conftest import Runner


def raises(*_: Any) -> Any:
    raise RuntimeError("oops")


def stuck(*_: Any) -> Any:
    """Runs for ever."""
    process.receive(where=lambda _: False)


def links() -> list[Pid]:
    info = process.info(self_pid(), "links")
    assert info is not None
    found: list[Pid] = info["links"]
    return found


def clean() -> None:
    """Nothing of any task is left with the current process."""
    info = process.info(self_pid(), "links", "messages", "monitors")
    assert info == {"links": [], "messages": [], "monitors": []}


def reason_of(run: Runner, owner: Callable[[], Any]) -> Any:
    """What a process ends with that runs ``owner``."""
    _, ref = process.spawn_monitor(owner, green=run.green)
    return process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason


def trapping(body: Callable[[], None]) -> Callable[[], None]:
    """The body in a process that traps exits."""

    def inside() -> None:
        before = process.flag(trap_exit=True)
        try:
            body()
        finally:
            process.flag(trap_exit=before)

    return inside
