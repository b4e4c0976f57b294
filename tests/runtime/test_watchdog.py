"""The watchdog: who holds a scheduler is named, and ended if it is Python code."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

from otpy import Down, Node, Pid, Ref, gen_server, process, self_pid, supervisor
from otpy.runtime.interrupt import interrupter
from otpy.runtime.scheduler import GreenProcess
from otpy.runtime.stacks import OPEN
from otpy.terms.errors import BadArgument, CallExit
from otpy.testing import eventually
from otpy.testing.plugin import Reports
from tests.runtime.watched import (
    Holder,
    Toolbox,
    brief,
    compute,
    refuse,
    spin,
    spin_deeper,
    spin_until,
)

FAR = 60.0  # a limit that no test reaches
LIMIT = 0.1
ENDED = ("green_limit", LIMIT)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node with a short limit; the test is one of its processes."""
    with watched(LIMIT) as fresh:
        yield fresh


@contextmanager
def watched(green_limit: float, **options: Any) -> Generator[Node]:
    fresh = Node("watched@127.0.0.1", green_limit=green_limit, **options)
    with fresh, fresh.attached():
        yield fresh


def labelled(reports: Reports, label: str) -> list[dict[str, Any]]:
    return [report for report in reports.reports if report["label"] == label]


def held(reports: Reports) -> dict[str, Any]:
    """The first report of a held scheduler."""
    return eventually(lambda: labelled(reports, "scheduler_held"))[0]


def down_of(pid: Pid, *, after: Callable[[], Any]) -> Any:
    """The reason a process ends with, having been made to by ``after``."""
    ref = process.monitor(pid)
    after()
    return reason_in(ref)


def reason_in(ref: Ref) -> Any:
    """The reason in the down message of a monitor."""
    return process.receive(Down, where=lambda down: down.ref == ref, timeout=10).reason


def end_of(fn: Callable[..., Any], *args: Any) -> Any:
    """The reason a green process ends with that runs ``fn(*args)``."""
    _, ref = process.spawn(fn, *args, green=True, monitor=True)
    return reason_in(ref)


# Naming.


def test_the_report_names_pid_class_callback_and_stack(
    done: threading.Event, capture_reports: Reports
) -> None:
    with watched(FAR) as node:
        pid = gen_server.start(Holder, None, name="holder")
        gen_server.cast(pid, lambda: spin_until(done))
        report = held(capture_reports)
        done.set()
        assert (report["pid"], report["registered_name"]) == (pid, "holder")
        assert (report["class"], report["callback"]) == (Holder, "handle_cast")
        assert report["scheduler"] == node.user.name
        assert report["seconds"] > 0.04
        assert "in spin_until" in "".join(report["stack"][-2:])
        text = next(text for text in capture_reports.texts if "holds the scheduler" in text)
        assert "'holder'" in text
        assert "handle_cast of tests.runtime.watched.Holder" in text
        assert "in spin_until" in text


def test_a_bare_process_is_named_by_its_function(
    done: threading.Event, capture_reports: Reports
) -> None:
    with watched(FAR):
        pid = process.spawn(spin_until, done, green=True)
        report = held(capture_reports)
        done.set()
        assert (report["pid"], report["class"]) == (pid, None)
        assert report["callback"] == "tests.runtime.watched.spin_until"


def test_a_hold_is_reported_once_and_its_end_as_an_event(
    done: threading.Event, capture_reports: Reports
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    with watched(FAR) as node:
        for event in ("scheduler_held", "scheduler_released"):
            node.events.attach("test", event, lambda name, data: events.append((name, data)))
        pid = process.spawn(spin_until, done, green=True)
        began = held(capture_reports)
        done.set()
        eventually(lambda: len(events) == 2)
        assert [name for name, _ in events] == ["scheduler_held", "scheduler_released"]
        released = events[1][1]
        assert (released["pid"], released["ended"]) == (pid, False)
        assert released["seconds"] > began["seconds"]
        assert len(labelled(capture_reports, "scheduler_held")) == 1


def test_a_held_scheduler_delays_neither_restarts_nor_timers(done: threading.Event) -> None:
    """How little it delays them: the benchmark row ``scheduler_held``."""
    with watched(FAR):
        child = supervisor.child_spec((Victim, self_pid()))
        supervisor.start_link([child], strategy="one_for_one")
        first = process.receive(Pid, timeout=5)
        holding = threading.Event()

        def hold() -> None:
            holding.set()
            spin_until(done)

        pid = process.spawn(hold, green=True)
        assert holding.wait(5)
        process.exit(first, "kill")
        assert process.receive(Pid, timeout=5) != first
        process.send_after(self_pid(), "due", 0.01)
        assert process.receive(str, timeout=5) == "due"
        assert process.alive(pid)
        done.set()


class Victim(Holder, green=False):
    """Tells when it starts."""

    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg)

    def init(self, arg: Any) -> Any:
        process.send(arg, self_pid())
        return super().init(arg)


# False alarms.


class HandClock:
    """A clock that the test moves."""

    time = 1000.0

    def now(self) -> float:
        """Seconds."""
        return self.time

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.time

    def boottime(self) -> float:
        """Seconds."""
        return self.time


@pytest.mark.parametrize(("step", "looks"), [(0.01, 6), (10.0, 3)])
def test_time_counts_only_as_far_as_the_watchdog_itself_gets_to_look(
    step: float, looks: int, capture_reports: Reports
) -> None:
    """A machine that stands still for ten seconds is no reason to report anybody."""
    clock = HandClock()
    node = Node("watched@127.0.0.1", clock=clock)  # not started: the test looks itself
    watchdog = node.watchdog
    assert watchdog is not None
    node.user.turn = 1
    node.user.running = proc = GreenProcess(node, node.new_pid(), spin, (), node.user)
    watchdog.look()
    for _ in range(looks - 1):
        clock.time += step
        watchdog.look()
    assert labelled(capture_reports, "scheduler_held") == []
    clock.time += step
    watchdog.look()
    report = held(capture_reports)
    assert report["pid"] == proc.pid
    assert report["seconds"] == pytest.approx(step * looks)


def test_busy_threads_beside_it_make_no_false_alarm(capture_reports: Reports) -> None:
    with watched(LIMIT):
        stop = threading.Event()

        def hog() -> None:
            while not stop.is_set():
                sum(range(1000))

        hogs = [process.spawn(hog) for _ in range(6)]
        pid = gen_server.start(Holder, None)
        for number in range(30):
            assert gen_server.call(pid, number, timeout=30) == number
        stop.set()
        eventually(lambda: not any(process.alive(hog) for hog in hogs))
        assert labelled(capture_reports, "scheduler_held") == []


def test_a_green_process_that_waits_holds_nothing(capture_reports: Reports) -> None:
    with watched(LIMIT):
        assert end_of(process.sleep, 0.3) == "normal"
        assert capture_reports.reports == []


# Ending.


@pytest.mark.parametrize("work", [spin, spin_deeper])
def test_an_endless_computation_is_ended_and_its_supervisor_replaces_it(
    node: Node, work: Callable[[], Any]
) -> None:
    supervisor.start_link([(Holder, None)], strategy="one_for_one")
    first = process.whereis("holder")
    assert first is not None
    assert down_of(first, after=lambda: gen_server.cast(first, work)) == ENDED
    second = eventually(lambda: process.whereis("holder"))
    assert second is not None
    assert second != first
    assert gen_server.call(second, "alive") == "alive"


def test_links_and_callers_learn_why(node: Node) -> None:
    process.flag(trap_exit=True)
    pid = process.spawn(spin, green=True, link=True)
    assert process.receive(timeout=10).reason == ENDED
    server = gen_server.start(Holder, None)
    gen_server.cast(server, spin)
    with pytest.raises(CallExit) as caught:
        gen_server.call(server, "never answered", timeout=10)
    assert caught.value.reason == ENDED
    assert not process.alive(pid)


def test_who_catches_the_end_is_ended_again(node: Node) -> None:
    assert end_of(refuse, 2) == ENDED


def test_terminate_runs_and_has_time() -> None:
    class Tidy(Holder, green=True):
        def terminate(self, reason: Any, state: Any) -> None:
            compute(0.06)
            process.send(state, ("tidied", reason))

    with watched(0.8):
        pid = gen_server.start(Tidy, self_pid())
        reason = down_of(pid, after=lambda: gen_server.cast(pid, spin))
        assert reason == ("green_limit", 0.8)
        assert process.receive(tuple, timeout=5) == ("tidied", reason)


def test_a_call_of_c_code_is_reported_and_not_ended(node: Node, capture_reports: Reports) -> None:
    capture_reports.setLevel(logging.INFO)
    lock = threading.Lock()
    lock.acquire()
    pid = gen_server.start(Holder, None)
    gen_server.cast(pid, lambda: lock.acquire())
    eventually(lambda: labelled(capture_reports, "scheduler_held_unendable"))
    lock.release()
    assert gen_server.call(pid, "alive") == "alive"
    released = eventually(lambda: labelled(capture_reports, "scheduler_released"))
    assert [report["ended"] for report in released] == [False]
    assert len(labelled(capture_reports, "scheduler_held")) == 1
    assert len(labelled(capture_reports, "scheduler_held_unendable")) == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs sys.monitoring")
def test_a_loop_of_calls_of_c_code_is_ended(node: Node) -> None:
    def poll() -> None:
        while True:
            time.sleep(0.005)

    assert end_of(poll) == ENDED


def test_a_node_may_be_told_never_to_end_anybody(
    done: threading.Event, capture_reports: Reports
) -> None:
    with watched(float("inf")):
        _, ref = process.spawn(spin_until, done, green=True, monitor=True)
        held(capture_reports)
        done.set()
        assert reason_in(ref) == "normal"
        assert labelled(capture_reports, "scheduler_held_unendable") == []


def test_a_node_without_a_watchdog_reports_nothing(capture_reports: Reports) -> None:
    with watched(LIMIT, watchdog=False) as node:
        assert node.watchdog is None
        assert end_of(compute, 0.3) == "normal"
        assert capture_reports.reports == []


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), True, "5"])
def test_a_limit_that_is_no_time_is_refused(limit: Any) -> None:
    with pytest.raises(BadArgument, match="green_limit="):
        Node("watched@127.0.0.1", green_limit=limit)


# Safety.


class Striker:
    """Interrupts, again and again, whichever green process runs, however short it has run."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.aimed: set[Pid] = set()
        self.hits = 0
        self.spared: set[Pid] = set()
        self._stop = False
        self._thread = threading.Thread(target=self._main)

    def __enter__(self) -> "Striker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()

    def _main(self) -> None:
        sched = self.node.user
        way = interrupter(sched)
        while not self._stop:
            turn, proc = sched.turn, sched.running
            if proc is None or proc.pid in self.spared or sched.turn != turn:
                time.sleep(0)
                continue
            self.aimed.add(proc.pid)
            hit = False
            while sched.turn == turn and not self._stop:
                if not hit and way.strike(turn, "tests", ENDED):
                    hit = True
                    self.hits += 1
                time.sleep(0)
            way.rest()


@pytest.mark.usefixtures("eager_switching")
def test_interruptions_leave_no_lock_held() -> None:
    tools = Toolbox()
    with watched(5.0, watchdog=False) as node, Striker(node):
        for _ in range(300):
            _, ref = process.spawn(tools.use, green=True, monitor=True)
            assert reason_in(ref) == ENDED
            tools.check_free()


@pytest.mark.usefixtures("eager_switching")
def test_an_interruption_that_comes_late_hits_nobody_else() -> None:
    with watched(5.0, watchdog=False) as node, Striker(node) as striker:
        bystander = gen_server.start(Holder, None)
        striker.spared.add(bystander)
        reasons: dict[Any, int] = {}
        for number in range(3000):
            pid, ref = process.spawn(brief, number % 40, green=True, monitor=True)
            assert gen_server.call(bystander, number, timeout=10) == number
            reason = reason_in(ref)
            if reason == ENDED:
                assert pid in striker.aimed
            reasons[reason] = reasons.get(reason, 0) + 1
        assert process.alive(bystander)
    assert reasons[ENDED] >= 100
    assert reasons["normal"] == 3000 - reasons[ENDED] >= 100
    if sys.version_info < (3, 12):  # what has been set there has come up, and nowhere else
        assert reasons[ENDED] == striker.hits


class SlowHandler(logging.Handler):
    """A user's log handler that takes its time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Compute for three times the limit."""
        compute(3 * LIMIT)


def test_a_death_that_is_under_way_is_not_cut_short(node: Node) -> None:
    def crash() -> None:
        raise ValueError("crashed")

    handler = SlowHandler()
    logging.getLogger("otpy.process").addHandler(handler)
    try:
        reason = end_of(crash)
    finally:
        logging.getLogger("otpy.process").removeHandler(handler)
    assert reason.type == "ValueError"
    assert gen_server.call(gen_server.start(Holder, None), "works") == "works"


def test_the_frames_an_exit_may_come_up_through_exist() -> None:
    for name, functions in OPEN.items():
        module = import_module(name)
        for function in functions:
            owners = [module, *(kind for kind in vars(module).values() if isinstance(kind, type))]
            assert any(hasattr(owner, function) for owner in owners), function
