"""The tests of the job runner, as its author writes them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from examples.job_runner.job_runner import Busy, Done, cancel, children, runner_of, running, submit
from otpy import ChildError, Crash, Down, Pid, gen_server, process
from otpy.testing import eventually

Start = Callable[..., Any]


@pytest.fixture
def door() -> Iterator[threading.Event]:
    """Jobs that wait for it end with the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def runners(start_supervised: Start) -> Pid:
    [child] = children(max_jobs=2, runners=2)
    pid: Pid = start_supervised(child)
    return pid


def other_user() -> str:
    """A user whose jobs another runner has than "ann"'s."""
    anns = gen_server.whereis(runner_of("ann"))
    return next(name for name in "bcdefgh" if gen_server.whereis(runner_of(name)) != anns)


def test_a_job_tells_its_result() -> None:
    job = submit("ann", lambda: 6 * 7)
    assert process.receive(Done, timeout=5) == Done(job, 42)
    eventually(lambda: running("ann") == 0)


def test_a_runner_that_has_enough_refuses_more(door: threading.Event) -> None:
    first = submit("ann", door.wait)
    submit("ann", door.wait)
    with pytest.raises(Busy, match="ann: max_children"):
        submit("ann", door.wait)
    submit(other_user(), door.wait)  # who has a runner that is free
    door.set()
    assert process.receive(Done, where=lambda done: done.job == first, timeout=5).result
    eventually(lambda: running("ann") == 0)
    submit("ann", door.wait)


def test_a_crash_costs_one_job_only(door: threading.Event) -> None:
    other = submit("ann", door.wait)

    def crash() -> None:
        door.wait()
        raise RuntimeError("no disk")

    ref = process.monitor(submit("ann", crash))
    door.set()
    down = process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
    assert down.reason == Crash("RuntimeError", "no disk")
    assert process.receive(Done, timeout=5).job == other


def test_a_job_can_be_cancelled(door: threading.Event) -> None:
    def work() -> None:
        process.receive()

    job = submit("ann", work)
    ref = process.monitor(job)
    cancel("ann", job)
    assert process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason == "shutdown"
    assert running("ann") == 0
    with pytest.raises(ChildError, match="not_found"):
        cancel("ann", job)


def test_a_runner_that_dies_is_there_again() -> None:
    runner = gen_server.whereis(runner_of("ann"))
    assert isinstance(runner, Pid)
    ref = process.monitor(runner)
    process.exit(runner, "kill")
    process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
    eventually(lambda: gen_server.whereis(runner_of("ann")))
    job = submit("ann", lambda: "again")
    assert process.receive(Done, timeout=5) == Done(job, "again")
