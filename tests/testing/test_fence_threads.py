"""Threads of a simulation: which identity a process has there, and which locals."""

import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from otpy import GenServer, Ok, gen_server, process, self_pid
from otpy.runtime.fence import here
from otpy.runtime.simulated import Simulation
from otpy.terms.errors import NotSimulated

A, B = NAMES = ("a@sim", "b@sim")
Who = tuple[int, threading.Thread]


def who() -> Who:
    """Which thread this is."""
    assert threading.get_ident() == threading.current_thread().ident
    return threading.get_ident(), threading.current_thread()


def all_of(*bodies: Callable[[], Any], green: bool = False) -> list[Any]:
    """What bodies give, in their order, each as a process; all run before any ends."""
    given: dict[int, Any] = {}

    def runs(number: int, body: Callable[[], Any]) -> None:
        given[number] = body()
        process.sleep(1.0)

    for number, body in enumerate(bodies):
        process.spawn(partial(runs, number, body), green=green)
    process.sleep(2.0)
    return [given[number] for number in range(len(bodies))]


def test_every_thread_process_is_a_thread_of_its_own() -> None:
    def stays() -> Who:
        before = who()
        process.sleep(0.5)
        assert who() == before
        return before

    def body() -> list[Who]:
        found = [*all_of(stays, stays, stays), who()]
        assert found[-1][1].name == repr(self_pid())
        assert found[-1][1] is not threading.main_thread()
        return found

    found = Simulation(1).run(lambda: all_of(body))[0]
    assert len({number for number, _ in found}) == len({thread for _, thread in found}) == 4
    real = threading.get_ident()
    assert real not in {number for number, _ in found}
    assert threading.current_thread().ident == real


def test_who_shares_a_thread_elsewhere_shares_one_here() -> None:
    async def coroutine() -> Who:
        return who()

    def greens() -> list[Who]:
        return all_of(who, who, green=True)

    sim = Simulation(1, NAMES)
    green, far = [sim.run(greens, node=name) for name in NAMES]
    assert green[0] == green[1]
    assert far[0] == far[1] != green[0]
    assert sim.run(coroutine) == sim.run(coroutine) != sim.run(coroutine, node=B)
    assert sim.run(coroutine) not in (green[0], far[0])


def test_a_job_of_blocking_and_a_server_have_threads_of_their_own() -> None:
    class Server(GenServer[None]):
        def init(self, arg: list[Who]) -> Ok[None]:
            arg.append(who())
            return Ok(None)

    def body() -> list[Who]:
        found = [who()]
        gen_server.start(Server, found)
        found.append(process.blocking(who))
        return found

    assert len(set(Simulation(1).run(body))) == 3


def test_identities_are_the_same_under_the_same_seed() -> None:
    def body() -> list[int]:
        return [number for number, _ in all_of(who, who, who, who)]

    assert Simulation(3).run(body) == Simulation(3).run(body)


def test_locals_are_those_of_a_process() -> None:
    def body() -> list[Any]:
        class Counted(threading.local):
            def __init__(self, first: int) -> None:
                self.count = first

        plain, counted = threading.local(), Counted(7)
        assert isinstance(plain, threading.local)
        assert isinstance(counted, threading.local)
        plain.value = counted.count = 0

        def uses(value: int) -> tuple[bool, int, int]:
            had, first = hasattr(plain, "value"), counted.count
            plain.value, counted.count = value, first + value
            process.sleep(0.5)
            assert plain.value == value
            return had, first, counted.count

        found = all_of(partial(uses, 1), partial(uses, 2))
        assert (plain.value, counted.count) == (0, 0), "as they were"
        return found

    assert Simulation(1).run(body) == [(False, 7, 8), (False, 7, 9)]


def test_a_local_that_outlives_its_simulation_is_one_of_real_threads() -> None:
    real = threading.local

    def body() -> Any:
        made = threading.local()
        made.value = 1
        return made

    made, seen = Simulation(1).run(body), list[bool]()
    assert threading.local is real
    assert not hasattr(made, "value")
    made.value = 2
    thread = threading.Thread(target=lambda: seen.append(hasattr(made, "value")))
    thread.start()
    thread.join(10)
    assert seen == [False]
    assert made.value == 2


def test_another_thread_has_real_threads_meanwhile() -> None:
    go, seen = threading.Event(), list[Any]()

    def real() -> None:
        go.wait(10)
        seen.extend((threading.current_thread(), threading.get_ident(), type(threading.local())))

    thread, kind = threading.Thread(target=real), type(threading.local())
    thread.start()

    def body() -> None:
        go.set()
        thread.join(10)
        assert not thread.is_alive()

    Simulation(1).run(body)
    assert seen == [thread, thread.ident, kind]


ASKS = """
import threading
class Kept(threading.local): pass
found = [threading.current_thread(), threading.get_ident(), Kept.__base__, type(threading.local())]
"""


def test_otpy_itself_has_real_threads() -> None:
    """Also in a module of its own that is imported there for the first time."""

    def body() -> Any:
        names: dict[str, Any] = {"__name__": "otpy.late"}
        exec(ASKS, names)
        return names["found"]

    real = type(threading.local())
    thread = threading.current_thread()
    assert Simulation(1).run(body) == [thread, thread.ident, real, real]


def test_threads_of_processes_that_have_ended_are_forgotten() -> None:
    def body() -> int:
        for _ in range(1000):
            _, ref = process.spawn_monitor(who)
            assert process.receive().ref == ref
        fence = here()
        assert fence is not None
        return len(fence.threads)

    assert Simulation(1).run(body) < 100


def test_what_stands_for_a_process_is_no_thread_to_start_or_to_signal() -> None:
    def body() -> None:
        number, thread = who()
        assert thread.is_alive()
        assert thread.daemon
        for refused in (thread.start, thread.join):
            with pytest.raises(RuntimeError, match="stands for a process"):
                refused()
        with pytest.raises(NotSimulated, match=r"signal\.pthread_kill"):
            signal.pthread_kill(number, signal.SIGTERM)
        with pytest.raises(NotSimulated, match=r"time\.pthread_getcpuclockid"):
            time.pthread_getcpuclockid(number)

    Simulation(1).run(body)
