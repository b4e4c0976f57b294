"""Orphans that compute on: interrupted once, and nobody else is."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from otpy import BadArgument, GenServer, Node, Ok, Pid, gen_server, process
from otpy.runtime import orphans
from otpy.runtime.threads import ThreadProcess
from otpy.testing import eventually
from otpy.testing.plugin import Reports
from tests.runtime.watched import Toolbox, spin, spin_deeper, spin_until

GRACE = 0.05


@contextmanager
def impatient() -> Generator[tuple[Node, list[Pid]], None, None]:
    """A node that soon looks at its orphans, and those that it has interrupted."""
    hit: list[Pid] = []
    with Node("orphans@127.0.0.1", orphan_grace=GRACE) as node, node.attached():
        node.events.attach("test", "orphan_interrupted", lambda _, told: hit.append(told["pid"]))
        yield node, hit


def killed(fn: Callable[..., Any], *args: Any) -> Pid:
    """A thread process that was ended in the midst of ``fn(*args)``."""
    begun = threading.Event()

    def body() -> None:
        begun.set()
        fn(*args)

    pid = process.spawn(body)
    assert begun.wait(10)
    process.exit(pid, "enough")
    return pid


def gone(node: Node, pid: Pid) -> bool:
    """Whether the thread of a process has ended, in the end."""
    return eventually(lambda: pid not in node.orphans, timeout=30)


def look_on(node: Node) -> None:
    """Return when whoever was an orphan before has been looked at twice more."""
    for _ in range(2):
        gone(node, killed(spin))  # it died later, and was found computing in two looks


@pytest.mark.parametrize("fn", [spin, spin_deeper], ids=["a loop", "calls without end"])
def test_an_orphan_that_computes_for_ever_is_ended(
    fn: Callable[[], Any], capture_reports: Reports
) -> None:
    with impatient() as (node, hit):
        pid = killed(fn)
        assert gone(node, pid)
        assert hit == [pid]
    assert [report["pid"] for report in capture_reports.labelled("orphan")] == [pid]
    assert any("was interrupted, once" in text for text in capture_reports.texts)
    assert not capture_reports.labelled("crash")


def test_what_comes_up_in_an_orphan_is_the_exit_that_ended_it() -> None:
    seen: list[BaseException] = []

    def watches() -> None:
        try:
            spin()
        except BaseException as error:
            seen.append(error)
            raise

    with impatient() as (node, _):
        assert gone(node, killed(watches))
    assert [(type(error).__name__, getattr(error, "reason", None)) for error in seen] == [
        ("ProcessExit", "enough")
    ]


def test_an_orphan_that_catches_the_interruption_is_left_alone(done: threading.Event) -> None:
    def refuses() -> None:
        try:
            spin()
        except BaseException:  # noqa: BLE001 - that is the point
            pass
        spin_until(done)

    with impatient() as (node, hit):
        pid = killed(refuses)
        eventually(lambda: hit == [pid], timeout=30)
        look_on(node)
        assert hit.count(pid) == 1
        assert pid in node.orphans
        done.set()
        assert gone(node, pid)


def test_an_orphan_whose_cpu_clock_stands_still_is_left_alone(
    done: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with impatient() as (node, hit):
        cpu_of = orphans.cpu_seconds
        last: list[Pid] = []  # those after it are looked at as they are

        def cpu_seconds(proc: ThreadProcess) -> float | None:
            return cpu_of(proc) if last and proc.pid.number > last[0].number else 1.0

        monkeypatch.setattr(orphans, "cpu_seconds", cpu_seconds)
        still = killed(spin_until, done)
        last.append(still)
        look_on(node)
        assert still not in hit
        assert still in node.orphans
        done.set()
        assert gone(node, still)


def test_a_pooled_thread_is_never_interrupted(done: threading.Event) -> None:
    begun, ended = threading.Event(), threading.Event()
    up: list[BaseException] = []

    def works() -> None:
        begun.set()
        try:
            spin_until(done)
        except BaseException as error:  # noqa: BLE001 - none must come
            up.append(error)
        ended.set()

    with impatient() as (node, hit):
        pid = process.spawn(process.blocking, works, green=True)
        assert begun.wait(10)
        process.exit(pid, "enough")
        look_on(node)
        assert pid not in hit
        assert not ended.is_set()
        done.set()
        assert ended.wait(10)
    assert not up


def test_a_thread_that_was_a_process_for_a_while_is_never_interrupted(
    done: threading.Event,
) -> None:
    pids: list[Pid] = []
    begun = threading.Event()
    up: list[BaseException] = []

    def works(node: Node) -> None:
        try:
            with node.attached() as pid:
                pids.append(pid)
                begun.set()
                spin_until(done)
        except BaseException as error:  # noqa: BLE001 - none must come
            up.append(error)

    with impatient() as (node, hit):
        thread = threading.Thread(target=works, args=(node,))
        thread.start()
        assert begun.wait(10)
        process.exit(pids[0], "enough")
        look_on(node)
        assert pids[0] not in hit
        done.set()
        thread.join()
    assert not up


class Busy(GenServer[None]):
    """Computes for as long as it is told."""

    def init(self, arg: None) -> Any:
        return Ok(arg)

    def handle_cast(self, request: tuple[threading.Event, Callable[[], Any]], state: None) -> None:
        request[0].set()
        request[1]()


class Untouched(Busy, interrupt="never"):
    """Must not be interrupted."""


def busy(cls: type[Busy], fn: Callable[[], Any]) -> Pid:
    """A server that was ended in the midst of a callback."""
    begun = threading.Event()
    pid = gen_server.start(cls, None)
    gen_server.cast(pid, (begun, fn))
    assert begun.wait(10)
    process.exit(pid, "kill")
    return pid


def test_a_server_is_interrupted_in_its_callback_unless_its_class_forbids_it(
    done: threading.Event,
) -> None:
    with impatient() as (node, hit):
        spared = busy(Untouched, lambda: spin_until(done))
        assert gone(node, busy(Busy, spin))
        look_on(node)
        assert spared not in hit
        assert spared in node.orphans
        done.set()
        assert gone(node, spared)


def test_interrupt_is_once_or_never() -> None:
    with pytest.raises(BadArgument, match="interrupt='often'; expected 'once' or 'never'"):
        type("Wrong", (GenServer,), {}, interrupt="often")
    with pytest.raises(BadArgument, match="expected interrupt, green"):
        type("Wrong", (GenServer,), {}, interupt="never")


@pytest.mark.usefixtures("eager_switching")
def test_an_interruption_leaves_no_lock_behind() -> None:
    tools = [Toolbox() for _ in range(4)]
    with impatient() as (node, _):
        for pid in [killed(toolbox.use) for toolbox in tools]:
            assert gone(node, pid)
        for toolbox in tools:
            toolbox.check_free()


def test_a_stop_waits_for_all_orphans_together_for_one_grace(done: threading.Event) -> None:
    """Two that block; each alone would take it."""
    grace = 2.0
    with Node("orphans@127.0.0.1", orphan_grace=grace) as node, node.attached():
        blocked = [killed(done.wait) for _ in range(2)]
        began = time.monotonic()
        left = node.stop()
        assert grace <= time.monotonic() - began < 2 * grace
    assert left == blocked
