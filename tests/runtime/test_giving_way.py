"""Who polls, by a wait of no time, lets those run that share its thread; and time goes on."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    Down,
    GenServer,
    Node,
    Ok,
    Pid,
    ReceiveTimeout,
    Reply,
    aio,
    gen_server,
    process,
    self_pid,
)
from otpy.runtime.simulated import Simulation
from otpy.testing import assert_received, refute_received

FEW = 3  # polls, until what is ready has run


class Echo(GenServer[int], green=True):
    """Answers."""

    def init(self, arg: int, /) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int, /) -> Any:
        return Reply(request, state)


def looks_once() -> None:
    with pytest.raises(ReceiveTimeout):
        process.receive(str, timeout=0)


def looks_for_an_instant() -> None:
    with pytest.raises(ReceiveTimeout):
        process.receive(str, timeout=1e-12)


def asserts() -> None:
    with pytest.raises(AssertionError):
        assert_received("nothing")


POLLS: list[Callable[[], None]] = [
    lambda: process.sleep(0),
    lambda: process.sleep(1e-12),
    looks_once,
    looks_for_an_instant,
    asserts,
    lambda: refute_received("nothing"),
]
IDS = ["sleep", "short_sleep", "receive", "short_receive", "assert_received", "refute_received"]


def runs_beside(poll: Callable[[], None]) -> int:
    """How often a process polls until another has run, at most."""
    ran: list[bool] = []
    process.spawn(lambda: ran.append(True), green=True)
    for polls in range(FEW):
        if ran:
            return polls
        poll()
    return -1


def on_scheduler(node: Node, fn: Callable[..., Any], *args: Any) -> Any:
    """What ``fn`` gives as a green process."""
    with node.attached():
        me = self_pid()
        pid, _ = process.spawn_monitor(lambda: process.send(me, ("got", fn(*args))), green=True)
        got = process.receive(tuple, timeout=10)[1]
        down = process.receive(Down, where=lambda down: down.pid == pid, timeout=10)
        assert down.reason == "normal"
        return got


@pytest.mark.parametrize("poll", POLLS, ids=IDS)
def test_a_green_process_that_polls_lets_others_run(node: Node, poll: Callable[[], None]) -> None:
    assert on_scheduler(node, runs_beside, poll) > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("poll", POLLS, ids=IDS)
def test_a_simulated_process_that_polls_lets_others_run(
    seed: int, poll: Callable[[], None]
) -> None:
    def until_it_ran() -> None:
        ran: list[bool] = []
        process.spawn(lambda: ran.append(True), green=True)
        while not ran:  # whose turn it is says the seed
            poll()

    Simulation(seed).run(until_it_ran)


def test_an_answer_that_is_polled_for_comes(node: Node) -> None:
    def ask() -> Any:
        server = gen_server.start_link(Echo, 0)
        request = gen_server.send_request(server, "x")
        answers = [gen_server.wait_response(request, timeout=0)]
        while answers[-1] == "timeout" and len(answers) < FEW:
            answers.append(gen_server.wait_response(request, timeout=0))
        gen_server.stop(server)
        return answers[-1]

    assert on_scheduler(node, ask) == ("reply", "x")


def test_a_message_of_a_thread_that_is_polled_for_comes(node: Node) -> None:
    def poll() -> Any:
        me = self_pid()
        process.spawn(lambda: process.send(me, "from a thread"))
        end = time.monotonic() + 4
        while time.monotonic() < end:
            try:
                return process.receive(timeout=0)
            except ReceiveTimeout:
                pass
        return None

    assert on_scheduler(node, poll) == "from a thread"


def test_who_finds_a_message_at_once_goes_straight_on(node: Node) -> None:
    def finds() -> list[bool]:
        ran: list[bool] = []
        process.spawn(lambda: ran.append(True), green=True)
        process.send(self_pid(), "here")
        process.receive(timeout=0)
        return list(ran)

    assert on_scheduler(node, finds) == []


def test_who_is_killed_while_it_gives_way_goes_no_further(node: Node) -> None:
    went_on: list[bool] = []

    def victim() -> None:
        process.sleep(0)
        went_on.append(True)

    def kill() -> Any:
        pid, ref = process.spawn_monitor(victim, green=True)
        process.spawn(lambda: process.exit(pid, "kill"), green=True)
        return process.receive(Down, where=lambda down: down.ref == ref).reason

    assert on_scheduler(node, kill) == "killed"
    assert went_on == []


@pytest.mark.parametrize("poll", [*POLLS, lambda: time.sleep(0)], ids=[*IDS, "time"])
def test_time_goes_on_in_a_simulation_whose_process_polls(poll: Callable[[], None]) -> None:
    def until_it_is_time() -> float:
        began = time.monotonic()
        while time.monotonic() < began + 0.001:
            poll()
        return time.monotonic() - began

    assert Simulation(1).run(until_it_is_time) == pytest.approx(0.001, abs=0.0002)


async def sleeps() -> None:
    await aio.sleep(0)


async def looks() -> None:
    with pytest.raises(ReceiveTimeout):
        await aio.receive(str, timeout=0)


async def coroutines_run_beside(poll: Callable[[], Any]) -> int:
    ran: list[bool] = []

    async def other() -> None:
        ran.append(True)

    process.spawn(other)
    for polls in range(FEW):
        if ran:
            return polls
        await poll()
    return -1


@pytest.mark.parametrize("poll", [sleeps, looks])
def test_a_coroutine_that_polls_lets_others_run(node: Node, poll: Callable[[], Any]) -> None:
    with node.attached():
        me = self_pid()

        async def body(to: Pid) -> None:
            process.send(to, await coroutines_run_beside(poll))

        process.spawn(body, me)
        assert process.receive(int, timeout=10) > 0


@pytest.mark.parametrize("poll", [sleeps, looks])
def test_time_goes_on_in_a_simulation_whose_coroutine_polls(poll: Callable[[], Any]) -> None:
    async def until_it_is_time() -> float:
        began = time.monotonic()
        while time.monotonic() < began + 0.001:
            await poll()
        return time.monotonic() - began

    assert Simulation(1).run(until_it_is_time) == pytest.approx(0.001, abs=0.0002)


def test_an_answer_that_a_coroutine_polls_for_comes(node: Node) -> None:
    class Async(Echo):
        async def handle_call(self, request: Any, from_: Any, state: int, /) -> Any:
            return Reply(request, state)

    async def body(to: Pid) -> None:
        server = await aio.start_link(Async, 0)
        request = gen_server.send_request(server, "x")
        answers = [await aio.wait_response(request, timeout=0)]
        while answers[-1] == "timeout" and len(answers) < FEW:
            answers.append(await aio.wait_response(request, timeout=0))
        await aio.stop(server)
        process.send(to, answers[-1])

    with node.attached():
        process.spawn(body, self_pid())
        assert process.receive(tuple, timeout=10) == ("reply", "x")
