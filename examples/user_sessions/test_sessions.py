"""The tests of the sessions; what takes half an hour is in simulated time."""

from collections.abc import Callable
from typing import Any

from examples.user_sessions.sessions import (
    IDLE,
    SUPERVISOR,
    Sessions,
    get,
    log_out,
    put,
    session,
    users,
    via,
)
from otpy import (
    Down,
    Node,
    Pid,
    dynamic_supervisor,
    gen_server,
    hours,
    minutes,
    process,
    supervisor,
)
from otpy.runtime.simulated import Simulation
from otpy.testing import eventually

Start = Callable[..., Any]


def in_time(body: Callable[[], None]) -> None:
    def beside_sessions() -> None:
        boss = supervisor.start_link(Sessions, None)
        body()
        supervisor.stop(boss)

    Simulation(seed=1).run(beside_sessions, limit=3 * hours(1))


def ended(pid: Pid) -> Any:
    """Why the session ended."""
    ref = process.monitor(pid)
    return process.receive(Down, where=lambda down: down.ref == ref).reason


def test_a_session_starts_on_first_use_and_keeps_its_values(
    node: Node, start_supervised: Start
) -> None:
    start_supervised((Sessions, None))
    assert gen_server.whereis(via("ann")) is None
    put("ann", "cart", ["tea"])
    pid = gen_server.whereis(via("ann"))
    assert get("ann", "cart") == ["tea"]
    assert get("bob", "cart") is None
    assert users() == ["ann", "bob"]
    assert session("ann") == gen_server.whereis(via("ann")) == pid


def test_an_idle_session_ends_normally_and_is_not_restarted() -> None:
    def body() -> None:
        put("ann", "cart", ["tea"])
        assert ended(session("ann")) == "normal"
        assert users() == []
        assert dynamic_supervisor.count_children(SUPERVISOR).active == 0
        assert get("ann", "cart") is None

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


def test_a_session_that_crashes_is_started_anew(node: Node, start_supervised: Start) -> None:
    start_supervised((Sessions, None))
    put("ann", "cart", ["tea"])
    put("bob", "cart", ["jam"])
    old = session("ann")
    process.exit(old, "boom")
    assert eventually(lambda: gen_server.whereis(via("ann")) not in (None, old))
    assert get("ann", "cart") is None
    assert get("bob", "cart") == ["jam"]


def test_who_logs_out_has_no_session(node: Node, start_supervised: Start) -> None:
    start_supervised((Sessions, None))
    put("ann", "cart", ["tea"])
    log_out("ann")
    log_out("nobody")
    assert eventually(lambda: users() == [])
    assert get("ann", "cart") is None


def test_a_request_to_a_session_that_ends_just_now_reaches_the_next(
    node: Node, start_supervised: Start
) -> None:
    start_supervised((Sessions, None))
    for n in range(50):
        put("ann", "n", n)
        log_out("ann")
        assert get("ann", "n") is None
