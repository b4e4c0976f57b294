"""Registries and processes that register, for the tests of ``registry``."""

from collections.abc import Callable
from typing import Any

from otpy import Pid, process, registry, self_pid
from tests.conformance.conftest import Runner, until
from tests.conformance.waiting import gone


def unique(partitions: int = 1, **options: Any) -> str:
    """Start a unique registry; its name."""
    registry.start_link(keys="unique", name="Names", partitions=partitions, **options)
    return "Names"


def duplicate(partitions: int = 1, **options: Any) -> str:
    """Start a duplicate registry; its name."""
    registry.start_link(keys="duplicate", name="Topics", partitions=partitions, **options)
    return "Topics"


def holder(run: Runner, name: str, *entries: tuple[Any, Any]) -> Pid:
    """A process that has registered these keys and values; it waits."""
    me = self_pid()

    def body() -> None:
        for key, value in entries:
            registry.register(name, key, value)
        process.send(me, ("holds", self_pid()))
        obey()

    pid = process.spawn(body, green=run.green)
    process.receive(tuple, where=lambda message: message == ("holds", pid), timeout=5)
    return pid


def obey() -> None:
    """Do what is sent: functions."""
    while True:
        process.receive()()


def tell(pid: Pid, work: Callable[[], Any]) -> Any:
    """Let a holder do something; what came of it."""
    me = self_pid()
    process.send(pid, lambda: process.send(me, ("did", work())))
    return process.receive(tuple, where=lambda message: message[0] == "did", timeout=5)[1]


def kill(pid: Pid) -> None:
    """End a process; returns when its end has been told."""
    process.exit(pid, "kill")
    gone(pid)


def keeper(name: str, index: int = 0) -> Pid:
    """The process of a partition."""
    pid = process.whereis(f"{name}.PIDPartition{index}")
    assert pid is not None
    return pid


def cleaned(name: str, count: int = 0) -> None:
    """Return when the registry has so many entries."""
    until(lambda: registry.count(name) == count)


def links() -> list[Any]:
    """The current process's links."""
    info = process.info(self_pid(), "links")
    assert info is not None
    found: list[Any] = info["links"]
    return found
