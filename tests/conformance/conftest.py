"""``run(fn)``: the body of a test as a thread process, a green one and a simulated one."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from otpy import Node, process
from otpy.runtime.simulated import Simulation
from tests.conformance.kit import outcomes as outcomes

Body = Callable[[], Any]


@dataclass
class Runner:
    """Runs a test's body as a process of one kind."""

    kind: str
    node: Node | None

    @property
    def green(self) -> bool:
        """Whether the processes the body spawns are to be green."""
        return self.kind != "thread"

    def __call__(self, body: Body) -> Any:
        if self.kind == "simulated":
            result: Any = None
            for seed in range(3):
                result = Simulation(seed).run(body)
            return result
        if self.kind == "thread":
            return body()
        me = process.self_pid()

        def inside() -> None:
            try:
                process.send(me, ("ok", body()))
            except BaseException as error:  # noqa: BLE001 - raised again in the test itself
                process.send(me, ("error", error))

        process.spawn(inside, green=True)
        how, value = process.receive(tuple, where=lambda m: m[0] in ("ok", "error"), timeout=30)
        if how == "error":
            raise value
        return value


@pytest.fixture(params=["thread", "green", "simulated"])
def run(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """The body runner for one kind of process."""
    if request.param == "simulated":
        yield Runner("simulated", None)
    else:
        yield Runner(request.param, request.getfixturevalue("node"))


@pytest.fixture(params=["affinity", "no affinity"])
def cpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The CPUs of a machine: of 64, an OS process with an affinity mask may use three."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64 if request.param == "affinity" else 5)
    if request.param == "no affinity":
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        return 5

    def mask(_pid: int) -> set[int]:
        return {1, 4, 9}

    monkeypatch.setattr(os, "sched_getaffinity", mask, raising=False)
    return 3


def until(probe: Callable[[], Any]) -> None:
    """Look again and again, from a process of any kind, until it is true."""
    for _ in range(20_000):
        if probe():
            return
        process.sleep(0.0001)
    raise AssertionError("it never became true")
