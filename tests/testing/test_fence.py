"""The fence of a simulation: what is its own there, and what is refused (DESIGN §8)."""

import datetime
import os
import queue
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from otpy import process, self_pid
from otpy.terms.errors import NodeError, NotSimulated
from otpy.testing import ClusterSimulation, Simulation, SimulationFailed, capture_log, simulate

START = 1_000_000.0  # what the virtual clock shows first
DAY = datetime.date(1970, 1, 12)
ROOT = Path(__file__).parents[2]


def in_simulation(fn: Callable[[], Any], seed: int = 1) -> Any:
    return Simulation(seed).run(fn)


def is_about(ref: Any, message: Any) -> bool:
    return bool(message.ref == ref)


def spawn_all(*bodies: Callable[[], Any]) -> None:
    """Run bodies as processes, and wait for their ends."""
    for _, ref in [process.spawn_monitor(body) for body in bodies]:
        process.receive(where=partial(is_about, ref))


# Time.


@pytest.mark.parametrize(
    "clock",
    ["time", "monotonic", "perf_counter", "process_time", "thread_time"],
)
def test_every_clock_is_the_virtual_one(clock: str) -> None:
    def body() -> tuple[float, int, float]:
        first = getattr(time, clock)()
        process.sleep(3600.0)
        return first, getattr(time, f"{clock}_ns")(), getattr(time, clock)()

    real = getattr(time, clock)()
    first, nanoseconds, last = in_simulation(body)
    assert first == START
    assert last == START + 3600.0
    assert nanoseconds == int((START + 3600.0) * 1e9)
    assert 0 <= getattr(time, clock)() - real < 60, "outside it is the real one"


def test_a_clock_that_is_asked_by_its_number_is_the_virtual_one_too() -> None:
    def body() -> tuple[float, int]:
        return time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime_ns(time.CLOCK_REALTIME)

    assert in_simulation(body) == (START, int(START * 1e9))
    assert time.clock_gettime(time.CLOCK_REALTIME) == pytest.approx(time.time(), abs=60)


def test_the_day_is_the_virtual_one() -> None:
    def body() -> list[Any]:
        assert isinstance(datetime.datetime(2020, 1, 1), datetime.datetime)
        assert type(datetime.datetime.now()) is plain
        return [
            datetime.datetime.now(datetime.UTC).timestamp(),
            datetime.datetime.now(datetime.UTC).date(),
            time.gmtime().tm_yday,
            time.strftime("%Y"),
            time.gmtime(0).tm_yday,
        ]

    plain = datetime.datetime
    assert in_simulation(body) == [START, DAY, 12, "1970", 1]
    assert datetime.datetime is plain
    assert datetime.datetime.now().year > 2000


def test_a_class_of_dates_that_is_made_in_a_simulation_is_a_class_like_any_other() -> None:
    def body() -> tuple[Any, Any]:
        class Moment(datetime.datetime):
            pass

        class Day(datetime.date):
            pass

        assert [type(Moment.now()), type(Moment.today()), type(Day.today())] == [
            Moment,
            Moment,
            Day,
        ]
        assert Moment.now(datetime.UTC).timestamp() == START
        return Moment, Day

    kind, day = in_simulation(body)
    made = kind(2020, 2, 3, 4, fold=1)
    assert (type(made), made.hour, made.fold, type(day(2020, 2, 3))) == (kind, 4, 1, day)
    assert type(kind.now()) is kind
    assert day.today().year > 2000
    assert [type(kind.fromisoformat("2020-02-03")), made + datetime.timedelta(1) > made] == [
        kind,
        True,
    ]
    plain = datetime.datetime.now()
    assert [isinstance(made, kind), isinstance(plain, kind), isinstance(plain, day)] == [
        True,
        False,
        False,
    ]
    assert issubclass(kind, datetime.datetime)
    assert not issubclass(datetime.datetime, kind)


def test_time_sleep_parks_the_process_and_lets_others_run() -> None:
    def body() -> list[Any]:
        log: list[Any] = []

        def sleeps() -> None:
            time.sleep(10.0)
            log.append(("slept", time.monotonic() - START))

        def ticks() -> None:
            process.sleep(4.0)
            log.append(("ticked", time.monotonic() - START))

        spawn_all(sleeps, ticks)
        return log

    began = time.perf_counter()
    assert in_simulation(body) == [("ticked", 4.0), ("slept", 10.0)]
    assert time.perf_counter() - began < 5


def test_time_sleep_in_a_coroutine_is_refused() -> None:
    async def body() -> None:
        time.sleep(1.0)

    with pytest.raises(NotSimulated, match=r"time\.sleep, which would have to wait"):
        Simulation(1).run(body)


# Chance.


def chances() -> list[Any]:
    """One of each."""
    return [
        random.random(),
        random.randint(1, 10**9),
        random.choice(range(10**9)),
        random.Random().random(),
        random.SystemRandom().random(),
        secrets.token_hex(8),
        os.urandom(8),
        os.getrandom(8),
        uuid.uuid4(),
        uuid.uuid1(),
    ]


def test_chance_comes_from_the_seed() -> None:
    first = in_simulation(chances, 1)
    assert first == in_simulation(chances, 1)
    assert all(one != other for one, other in zip(first, in_simulation(chances, 2), strict=True))
    assert [one.version for one in first[-2:]] == [4, 1]
    assert all(one != other for one, other in zip(chances(), chances(), strict=True))


def test_a_simulation_leaves_the_real_dice_as_they_were() -> None:
    random.seed(5)
    first = random.random()
    random.seed(5)
    in_simulation(chances)
    assert random.random() == first


# Locks.


def test_a_lock_parks_whoever_waits() -> None:
    def body() -> list[str]:
        lock, log = threading.Lock(), list[str]()

        def holds() -> None:
            with lock:
                log.append("has it")
                process.sleep(5.0)
                log.append("gives it back")

        def waits() -> None:
            process.sleep(1.0)
            assert not lock.acquire(blocking=False)
            assert not lock.acquire(timeout=1.0)
            log.append(f"no, at {time.monotonic() - START}")
            with lock:
                log.append(f"yes, at {time.monotonic() - START}")

        spawn_all(holds, waits)
        return log

    assert in_simulation(body) == ["has it", "no, at 2.0", "gives it back", "yes, at 5.0"]


def test_whoever_is_killed_while_it_waits_takes_nobodys_turn() -> None:
    def body() -> list[str]:
        lock, log = threading.Lock(), list[str]()

        def waits() -> None:
            with lock:
                log.append("got it")

        lock.acquire()
        first = process.spawn(waits)
        _, ref = process.spawn_monitor(waits)
        process.sleep(1.0)
        process.exit(first, "kill")
        lock.release()
        assert process.receive().ref == ref
        assert not lock.locked()
        return log

    for seed in range(20):
        assert in_simulation(body, seed) == ["got it"]


def test_an_rlock_belongs_to_a_process() -> None:
    def body() -> bool:
        lock = threading.RLock()
        got: list[bool] = []
        with lock, lock:
            spawn_all(lambda: got.append(lock.acquire(blocking=False)))
        spawn_all(lambda: got.append(lock.acquire(blocking=False)))
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()
        return got == [False, True]

    assert in_simulation(body)


@pytest.mark.parametrize(
    ("kind", "size"), [("Queue", [1]), ("LifoQueue", [1]), ("SimpleQueue", [])]
)
def test_a_queue_parks_whoever_waits(kind: str, size: list[int]) -> None:
    def body() -> tuple[list[int], float]:
        box = vars(queue)[kind](*size)
        got: list[int] = []

        def puts() -> None:
            for number in range(5):
                process.sleep(2.0)
                box.put(number)

        def gets() -> None:
            got.extend(box.get() for _ in range(5))
            with pytest.raises(queue.Empty):
                box.get(timeout=7.0)

        spawn_all(puts, gets)
        return got, time.monotonic() - START

    assert in_simulation(body) == ([0, 1, 2, 3, 4], 17.0)


def test_events_conditions_and_barriers_wait_too() -> None:
    def body() -> list[str]:
        log: list[str] = []
        event, condition, barrier = threading.Event(), threading.Condition(), threading.Barrier(2)

        def waits() -> None:
            assert not event.wait(1.0)
            assert event.wait(60.0)
            with condition:
                condition.wait()
            log.append("notified")
            barrier.wait()

        def tells() -> None:
            process.sleep(10.0)
            event.set()
            process.sleep(1.0)
            with condition:
                condition.notify_all()
            barrier.wait()
            log.append("both")

        spawn_all(waits, tells)
        return log

    assert in_simulation(body) == ["notified", "both"]


def test_a_lock_that_nobody_gives_back_ends_the_run_and_does_not_hang_it() -> None:
    def body() -> None:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

    with pytest.raises(NodeError, match="waits for ever"):
        in_simulation(body)


def takes(lock: Any) -> None:
    with lock:
        pass


def test_a_lock_that_outlives_its_simulation_is_a_real_one() -> None:
    lock, rlock = in_simulation(lambda: (threading.Lock(), threading.RLock()))
    for made in (lock, rlock):
        made.acquire()
        waits = threading.Thread(target=takes, args=(made,))
        waits.start()
        assert waits.is_alive()
        made.release()
        waits.join(5)
        assert not waits.is_alive()


# The world outside.


def opens_a_file() -> None:
    Path("/tmp/otpy-fence").write_text("no")


def reads_a_file() -> None:
    Path(__file__).read_text()


def lists_files() -> None:
    os.listdir("/")


def opens_a_socket() -> None:
    socket.socket()


def asks_dns() -> None:
    socket.getaddrinfo("localhost", 80)


def starts_a_thread() -> None:
    threading.Thread(target=print).start()


def starts_a_program() -> None:
    subprocess.run(["true"], check=False)


def asks_the_shell() -> None:
    os.system("true")  # pyright: ignore[reportDeprecated]


def forks() -> None:
    os.fork()


@pytest.mark.parametrize(
    ("asks", "what"),
    [
        (opens_a_file, r"open of '/tmp/otpy-fence'"),
        (reads_a_file, r"open of .*test_fence\.py"),
        (lists_files, r"os\.listdir of '/'"),
        (opens_a_socket, "a socket"),
        (asks_dns, r"socket\.getaddrinfo of 'localhost'"),
        (starts_a_thread, "an OS thread"),
        (starts_a_program, r"subprocess\.Popen of 'true'"),
        (asks_the_shell, r"os\.system of "),
        (forks, r"os\.fork"),
    ],
)
def test_the_world_outside_is_refused_with_the_pid_and_the_stack(
    asks: Callable[[], None], what: str
) -> None:
    def body() -> None:
        with pytest.raises(NotSimulated, match=f"^{what}") as refused:
            asks()
        text = str(refused.value)
        assert f"asked for by {self_pid()!r}" in text
        assert f"in {asks.__name__}" in text

    in_simulation(body)


def test_outside_of_a_simulation_nothing_is_refused(tmp_path: Path) -> None:
    in_simulation(lambda: None)
    (tmp_path / "file").write_text("yes")
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0
    with socket.socket():
        pass


def test_another_thread_has_the_real_world_meanwhile(tmp_path: Path) -> None:
    """The simulation waits, outside of otpy, for a thread that it did not start."""
    go = threading.Event()
    seen: list[Any] = []

    def real() -> None:
        go.wait(10)
        seen.extend((time.time(), datetime.datetime.now().year, threading.Lock()))
        (tmp_path / "file").write_text("yes")

    thread = threading.Thread(target=real)
    thread.start()

    def body() -> None:
        go.set()
        thread.join(10)
        assert not thread.is_alive()

    in_simulation(body)
    assert seen[0] > START * 1000
    assert seen[1] > 2000
    assert type(seen[2]) is type(threading.Lock())


def test_code_is_loaded_and_errors_are_logged_as_ever() -> None:
    def body() -> None:
        sys.modules.pop("this_is_not_there", None)
        for name in [name for name in sys.modules if name.startswith("wsgiref")]:
            del sys.modules[name]
        import wsgiref.util

        assert wsgiref.util is not None
        spawn_all(lambda: 1 / 0)

    with capture_log() as log:
        in_simulation(body)
    assert "1 / 0" in log.text, "with the source line"


def test_modules_imported_for_the_first_time_in_a_simulation_are_as_good_as_any() -> None:
    names = (
        *("threading", "logging", "logging.handlers", "queue", "concurrent.futures.thread"),
        *("asyncio", "multiprocessing", "multiprocessing.pool", "multiprocessing.managers"),
    )
    program = [sys.executable, "-m", "tests.testing.imports_program", *names]
    done = subprocess.run(program, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_what_is_refused_and_swallowed_fails_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTPY_TIMELINES", str(tmp_path))

    def test(sim: ClusterSimulation) -> None:
        def swallows() -> None:
            try:
                socket.socket()
            except Exception:  # noqa: BLE001 - what careless code does
                pass

        sim.call("a@sim", swallows)

    with pytest.raises(SimulationFailed, match="a socket needs the world outside"):
        simulate(test, seeds=1, faults=0)


def test_every_name_is_put_back_also_after_nested_runs() -> None:
    from otpy.runtime import fence_names

    def inner() -> Any:
        return Simulation(2).run(lambda: time.time())

    before: list[Any] = [vars(owner)[name] for owner, name, _ in fence_names.REPLACED]
    assert in_simulation(inner) == START
    assert [vars(owner)[name] for owner, name, _ in fence_names.REPLACED] == before
    assert time.time.__module__ == "time"
