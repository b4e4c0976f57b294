"""The sessions in simulated time: half an hour passes at once, and at any instant comes a user."""

from collections.abc import Callable
from typing import Any

from examples.user_sessions.sessions import IDLE, SUPERVISOR, Sessions, get, put, session, users
from otpy import (
    Down,
    Pid,
    dynamic_supervisor,
    hours,
    minutes,
    process,
    supervisor,
    task,
)
from otpy.testing import Simulation


def in_time(body: Callable[[], None], seed: int = 1) -> None:
    def beside_sessions() -> None:
        boss = supervisor.start_link(Sessions, None)
        body()
        supervisor.stop(boss)

    Simulation(seed).run(beside_sessions, limit=hours(3))


def ended(pid: Pid) -> Any:
    """Why the session ended, when it has."""
    ref = process.monitor(pid)
    return process.receive(Down, where=lambda down: down.ref == ref).reason


def test_an_idle_session_ends_normally_and_is_not_restarted() -> None:
    def body() -> None:
        put("ann", "cart", ["tea"])
        assert ended(session("ann")) == "normal"
        assert users() == []
        assert dynamic_supervisor.count_children(SUPERVISOR).active == 0
        assert get("ann", "cart") is None
        assert ended(session("bob")) == "normal"  # though nobody ever asked it

    in_time(body)


def test_every_use_begins_the_idle_time_anew() -> None:
    def body() -> None:
        put("ann", "cart", ["tea"])
        for _ in range(3):
            process.sleep(IDLE - minutes(1))
            assert get("ann", "cart") == ["tea"]
        process.sleep(IDLE + minutes(1))
        assert users() == []

    in_time(body)


def test_a_message_that_is_no_request_does_not_keep_it_for_ever() -> None:
    def body() -> None:
        pid = session("ann")
        process.send(pid, "hello")
        assert ended(pid) == "normal"

    in_time(body)


def test_all_who_come_at_the_instant_at_which_a_session_ends_have_the_next() -> None:
    def comes(key: str) -> None:
        process.sleep(IDLE)
        put("ann", key, key)

    def body() -> None:
        put("ann", "cart", ["tea"])
        old = session("ann")
        task.await_many([task.async_(comes, key) for key in "abc"], timeout=None)
        assert not process.alive(old)
        assert [get("ann", key) for key in "abc"] == ["a", "b", "c"]
        assert get("ann", "cart") is None
        assert dynamic_supervisor.count_children(SUPERVISOR).active == 1

    for seed in range(100):  # some find it and are too late, some do not find it any more
        in_time(body, seed)
