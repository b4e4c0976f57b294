"""Links (LINK) within one node."""

from typing import Any

import pytest

from otpy import Down, Exit, NoProcess, process, self_pid
from tests.conformance.conftest import Runner
from tests.conformance.waiting import ended, gone, nothing_more, wait


def test_link_01_links_are_idempotent(run: Runner) -> None:
    """Link twice is one link; one EXIT only."""

    def body() -> None:
        process.flag(trap_exit=True)
        pid = process.spawn(wait, green=run.green)
        process.link(pid)
        process.link(pid)
        process.exit(pid, "x")
        assert process.receive(Exit, timeout=5) == Exit(pid, "x")
        gone(pid)
        nothing_more()

    run(body)


def test_link_02_a_link_to_itself_does_nothing(run: Runner) -> None:
    """link(self()) is a no-op."""

    def body() -> None:
        process.link(self_pid())
        info = process.info(self_pid(), "links")
        assert info is not None
        assert self_pid() not in info["links"]

    run(body)


def test_link_03_a_normal_exit_does_not_kill_a_peer(run: Runner) -> None:
    """exit normal does not kill a linked non-trapping peer."""

    def body() -> None:
        pid = process.spawn_link(lambda: None, green=run.green)
        gone(pid)

    run(body)


@pytest.mark.parametrize("reason", ["x", "shutdown"])
def test_link_04_an_abnormal_exit_kills_a_peer(run: Runner, reason: str) -> None:
    """Abnormal exit kills a linked peer with the same reason (LINK-11: shutdown too)."""

    def body() -> None:
        def parent() -> None:
            process.spawn_link(lambda: process.exit(reason), green=run.green)
            wait()

        process.spawn_monitor(parent, green=run.green)
        assert process.receive(Down, timeout=5).reason == reason

    run(body)


def test_link_05_a_trapping_peer_gets_every_exit(run: Runner) -> None:
    """A trapping peer gets {EXIT, pid, reason} for any reason including normal."""

    def body() -> None:
        process.flag(trap_exit=True)
        for reason in ("normal", "shutdown", "boom"):
            pid = process.spawn_link(process.exit, reason, green=run.green)
            assert process.receive(Exit, timeout=5) == Exit(pid, reason)

    run(body)


def test_link_06_no_exit_comes_after_unlink(run: Runner) -> None:
    """After unlink returns no later EXIT may arrive."""

    def body() -> None:
        process.flag(trap_exit=True)
        pid = process.spawn_link(wait, green=run.green)
        process.unlink(pid)
        process.exit(pid, "x")
        gone(pid)
        nothing_more()

    run(body)


def test_link_07_an_exit_in_the_mailbox_stays_after_unlink(run: Runner) -> None:
    """An EXIT already in the mailbox is not removed by unlink."""

    def body() -> None:
        process.flag(trap_exit=True)
        pid = process.spawn_link(lambda: process.exit("x"), green=run.green)
        gone(pid)
        process.unlink(pid)
        assert process.receive(Exit, timeout=0) == Exit(pid, "x")

    run(body)


def test_link_08_a_link_to_a_dead_process(run: Runner) -> None:
    """Non-trapping caller raises noproc; a trapping one gets {EXIT, pid, noproc}."""

    def body() -> None:
        pid = ended(run)
        with pytest.raises(NoProcess):
            process.link(pid)
        process.flag(trap_exit=True)
        process.link(pid)
        assert process.receive(Exit, timeout=5) == Exit(pid, "noproc")

    run(body)


def test_link_12_a_link_to_an_unreachable_node_breaks_at_once(run: Runner) -> None:
    """Link to a pid on an unreachable node delivers {EXIT, pid, noconnection}."""

    def body() -> None:
        process.flag(trap_exit=True)
        far = type(self_pid())(1, "far@nohost", 2, 3)
        process.link(far)
        assert process.receive(Exit, timeout=5) == Exit(far, "noconnection")

    run(body)


def test_link_09_a_link_to_a_process_that_is_ending_is_never_silent(run: Runner) -> None:
    """link racing with peer exit yields either the real reason or noproc, never silence."""

    def body() -> None:
        process.flag(trap_exit=True)
        for _ in range(100):
            pid = process.spawn(process.exit, "real", green=run.green)
            process.link(pid)
            assert process.receive(timeout=5) in (Exit(pid, "real"), Exit(pid, "noproc"))
        assert process.info(self_pid(), "links") == {"links": []}
        nothing_more()

    run(body)


@pytest.mark.parametrize("reason", ["shutdown", ("shutdown", "x")])
def test_link_11_shutdown_is_an_abnormal_reason(run: Runner, reason: Any) -> None:
    """shutdown propagated over links is an abnormal reason (kills non-trapping peers)."""

    def body() -> None:
        def peer(other: Any) -> None:
            process.link(other)
            process.send(me, "linked")
            wait()

        me = self_pid()
        pid = process.spawn(wait, green=run.green)
        linked, ref = process.spawn_monitor(peer, pid, green=run.green)
        assert process.receive(str, timeout=5) == "linked"
        process.exit(pid, reason)
        assert process.receive(Down, timeout=5) == Down(ref, linked, reason)

    run(body)


def test_link_17_an_exit_comes_before_the_down_of_the_same_process(run: Runner) -> None:
    """EXIT (link) is delivered before DOWN (monitor) when both exist on the same pair."""

    def body() -> None:
        process.flag(trap_exit=True)
        for monitor_first in (False, True):
            pid = process.spawn(wait, green=run.green)
            if not monitor_first:
                process.link(pid)
            ref = process.monitor(pid)
            if monitor_first:
                process.link(pid)
            process.exit(pid, "x")
            assert process.receive(timeout=5) == Exit(pid, "x")
            assert process.receive(timeout=5) == Down(ref, pid, "x")

    run(body)
