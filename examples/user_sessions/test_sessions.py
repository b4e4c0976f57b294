"""The tests of the sessions."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.user_sessions.sessions import (
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
    CallExit,
    Crash,
    Timeout,
    dynamic_supervisor,
    gen_server,
    process,
    sys,
    task,
)
from otpy.testing import eventually


@pytest.fixture(autouse=True)
def sessions(start_supervised: Callable[..., Any]) -> None:
    start_supervised((Sessions, None))


def test_a_session_starts_on_first_use_and_keeps_its_values() -> None:
    assert gen_server.whereis(via("ann")) is None
    put("ann", "cart", ["tea"])
    pid = gen_server.whereis(via("ann"))
    assert get("ann", "cart") == ["tea"]
    assert get("bob", "cart") is None
    assert users() == ["ann", "bob"]
    assert session("ann") == gen_server.whereis(via("ann")) == pid


def test_first_uses_at_the_same_time_have_one_session() -> None:
    keys = [f"key {n}" for n in range(20)]
    task.await_many([task.async_(put, "ann", key, key) for key in keys])
    assert [get("ann", key) for key in keys] == keys
    assert dynamic_supervisor.count_children(SUPERVISOR).active == 1


def test_a_request_to_a_session_that_has_just_become_idle_reaches_the_next() -> None:
    put("ann", "cart", ["tea"])
    old = session("ann")
    sys.suspend(old)
    process.send(old, Timeout())  # its time is over, but it has not ended:
    late = task.async_(put, "ann", "cart", ["jam"])
    eventually(lambda: process.info(old, "message_queue_len") == {"message_queue_len": 2})
    sys.resume(old)
    task.await_(late)
    assert not process.alive(old)
    assert get("ann", "cart") == ["jam"]


def test_a_session_that_crashes_takes_nobody_along_and_begins_anew() -> None:
    put("bob", "cart", ["jam"])
    for _ in range(20):
        put("ann", "cart", ["tea"])
        process.exit(session("ann"), "boom")
        assert get("ann", "cart") is None
    assert get("bob", "cart") == ["jam"]


def test_a_request_that_crashes_its_session_is_not_made_again() -> None:
    with pytest.raises(CallExit) as failed:
        get("ann", [])  # type: ignore[arg-type]  # a key without a hash
    assert isinstance(failed.value.reason, Crash)
    assert users() == []


def test_who_logs_out_has_no_session() -> None:
    put("ann", "cart", ["tea"])
    log_out("ann")
    assert users() == []
    log_out("ann")
    assert get("ann", "cart") is None
