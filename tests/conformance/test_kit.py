"""TEST: the test kit, as ExUnit's own tests ask it to be."""

import logging
import threading

import pytest

from otpy import (
    Down,
    GenServer,
    Node,
    Ok,
    gen_server,
    process,
    self_pid,
)
from otpy.testing import (
    assert_receive,
    assert_received,
    capture_log,
    catch_exit,
    refute_receive,
    refute_received,
    with_log,
)
from tests.conformance.conftest import Runner

LOG = logging.getLogger("kit")


class Echo(GenServer[object]):
    def init(self, arg: object, /) -> Ok[object]:
        return Ok(arg)


def test_test_01_assert_receive_waits_and_assert_received_does_not(run: Runner) -> None:
    """assert_receive waits and returns the message; assert_received does not wait."""

    def body() -> None:
        me = self_pid()
        process.send_after(me, "late", 0.01)
        with pytest.raises(AssertionError):
            assert_received("late")
        assert assert_receive("late", timeout=5) == "late"
        process.send(me, "other")
        process.send(me, ("pair", 1))
        assert assert_received(tuple) == ("pair", 1)
        assert assert_received(where=lambda message: message == "other") == "other"
        pid, ref = process.spawn_monitor(lambda: None)
        down = assert_receive(Down, where=lambda down: down.ref == ref, timeout=5)
        assert (down.pid, down.reason) == (pid, "normal")

    run(body)


def test_test_02_a_failure_shows_the_mailbox(run: Runner) -> None:
    """failure text: "no matching message after Nms" + "The process mailbox is empty." or "Showing
    10 of 11 messages in the mailbox"."""

    def body() -> None:
        with pytest.raises(AssertionError) as empty:
            assert_receive("x", timeout=0.001)
        assert str(empty.value) == (
            "no matching message after 0.001 s: 'x'\nThe process mailbox is empty."
        )
        for number in range(11):
            process.send(self_pid(), number)
        with pytest.raises(AssertionError) as full:
            assert_received(str)
        lines = str(full.value).splitlines()
        assert lines[0] == "no matching message in the mailbox: str"
        assert lines[1] == "Showing 10 of 11 messages in the mailbox"
        assert lines[2:] == [f"  {number}" for number in range(1, 11)]
        with pytest.raises(AssertionError, match=r"^where is it$"):
            assert_receive("x", timeout=0, message="where is it")

    run(body)


def test_test_03_a_message_that_came_just_too_late_is_told(node: Node) -> None:
    """race text "Found message matching X after Nms" advises increasing the timeout."""
    process.send(self_pid(), "late")
    looks = [False, True]  # the message is there when the time is over, not before

    def late(message: object) -> bool:
        return message == "late" and looks.pop(0)

    with pytest.raises(AssertionError, match=r"Found message matching .* increase the timeout"):
        assert_receive(where=late, timeout=0)


def test_test_04_refute_receive_waits(run: Runner) -> None:
    """refute_receive waits; failure "Unexpectedly received message M (which matched P)"."""

    def body() -> None:
        me = self_pid()
        refute_receive("late", timeout=0.005)
        refute_received("late")
        process.send_after(me, ("late", 1), 0.005)
        with pytest.raises(AssertionError) as failed:
            refute_receive(tuple, timeout=5)
        told = "Unexpectedly received message ('late', 1) (which matched tuple)"
        assert str(failed.value) == told
        process.send(me, "now")
        with pytest.raises(AssertionError, match=r"^no$"):
            refute_received("now", message="no")

    run(body)


def test_test_16_capture_log_has_the_text_of_all_processes(node: Node) -> None:
    """capture_log returns text of all processes during fun, nested, level filtered, removed if
    caller dies."""
    with capture_log() as outer:
        LOG.info("one")
        with capture_log(logging.ERROR) as inner:
            LOG.warning("two")
            pid, _ = process.spawn_monitor(LOG.error, "from another process")
            assert_receive(Down, where=lambda down: down.pid == pid, timeout=5)
        LOG.debug("three")
    assert inner.text == "[ERROR] kit: from another process\n"
    assert all(part in outer for part in ("one", "two", "from another process", "three"))
    before = list(logging.getLogger().handlers)
    entered = threading.Event()

    def dies() -> None:
        with capture_log():
            entered.set()
            process.receive()

    pid, ref = process.spawn_monitor(dies)
    entered.wait()
    process.exit(pid, "kill")
    assert_receive(Down, where=lambda down: down.ref == ref, timeout=5)
    while pid in node.orphans:
        process.sleep(0.001)
    assert logging.getLogger().handlers == before


def test_test_17_with_log_returns_the_value_too(node: Node) -> None:
    """with_log returns {value, log}."""

    def work() -> int:
        LOG.error("worked")
        return 7

    assert with_log(work) == (7, "[ERROR] kit: worked\n")


def test_test_18_catch_exit_returns_the_reason(run: Runner) -> None:
    """catch_exit returns reason or fails "Expected to catch exit, got nothing"."""

    def body() -> None:
        assert catch_exit(lambda: process.exit("over")) == "over"
        pid = gen_server.start(Echo, None)
        gen_server.stop(pid)
        reason = catch_exit(lambda: gen_server.call(pid, "x"))
        assert reason == ("noproc", ("gen_server", "call", (pid, "x", 5.0)))
        with pytest.raises(AssertionError, match=r"^Expected to catch exit, got nothing$"):
            catch_exit(lambda: None)

    run(body)


def test_test_18_catch_exit_lets_the_end_of_the_process_itself_go_on(node: Node) -> None:
    box: list[object] = []

    def body() -> None:
        box.append(catch_exit(process.receive))

    pid, ref = process.spawn_monitor(body)
    process.exit(pid, "outside")
    down = assert_receive(Down, where=lambda down: down.ref == ref, timeout=5)
    assert (down.reason, box) == ("outside", [])
