"""Processes, exit signals, receive, names, aliases (PROC)."""

from typing import Any

import pytest

from otpy import (
    BadArgument,
    Crash,
    Down,
    Exit,
    NameTaken,
    NoProcess,
    NotAName,
    NotRegistered,
    ProcessExit,
    ReceiveTimeout,
    process,
    self_pid,
)
from otpy.terms.names import At
from tests.conformance.conftest import Runner


def wait() -> None:
    process.receive()


def trapping(to: Any) -> None:
    process.flag(trap_exit=True)
    process.send(to, "ready")
    process.send(to, process.receive())


def down_of(pid: Any) -> Any:
    ref = process.monitor(pid)
    return process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason


def test_proc_01_exit_normal_from_another_process_is_ignored(run: Runner) -> None:
    """exit(pid, normal) is ignored by a non-trapping target."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        process.exit(pid, "normal")
        assert process.alive(pid)
        process.exit(pid, "shutdown")
        assert down_of(pid) in ("shutdown", "noproc")

    run(body)


def test_proc_02_exit_normal_to_a_trapping_process_is_a_message(run: Runner) -> None:
    """exit(pid, normal) to a trapping target arrives as {EXIT, from, normal}."""

    def body() -> None:
        pid = process.spawn(trapping, self_pid(), green=run.green)
        assert process.receive(str, timeout=5) == "ready"
        process.exit(pid, "normal")
        assert process.receive(Exit, timeout=5) == Exit(self_pid(), "normal")

    run(body)


def test_proc_03_exit_self_normal_ends_the_caller(run: Runner) -> None:
    """exit(self(), normal) terminates a non-trapping caller."""

    def body() -> None:
        pid, ref = process.spawn_monitor(
            lambda: process.exit(self_pid(), "normal"), green=run.green
        )
        assert process.receive(Down, timeout=5) == Down(ref, pid, "normal")

    run(body)


def test_proc_04_exit_self_of_a_trapping_process_is_a_message_to_itself(run: Runner) -> None:
    """exit(self(), reason) on a trapping caller becomes a message; it survives."""

    def body() -> None:
        def inside(to: Any) -> None:
            process.flag(trap_exit=True)
            process.exit(self_pid(), "x")
            process.send(to, process.receive(Exit, timeout=5).reason)

        process.spawn(inside, self_pid(), green=run.green)
        assert process.receive(timeout=5) == "x"

    run(body)


def test_proc_05_exit_self_cannot_be_caught_as_an_exception(run: Runner) -> None:
    """exit(self(), reason) cannot be caught by try around the call."""

    def body() -> None:
        def inside() -> None:
            try:
                process.exit(self_pid(), "gone")
            except Exception:  # noqa: BLE001 - that it catches nothing is what is tested
                process.exit("caught")

        _, ref = process.spawn_monitor(inside, green=run.green)
        assert process.receive(Down, timeout=5).reason == "gone"
        assert ref

    run(body)


def test_proc_06_exit_of_self_equals_raising_the_exit(run: Runner) -> None:
    """exit(self(), term) is equivalent to exit(term)."""

    def body() -> None:
        def signal() -> None:
            process.exit(self_pid(), ("why", 1))

        def raising() -> None:
            raise ProcessExit(("why", 1))

        for inside in (signal, raising):
            process.spawn_monitor(inside, green=run.green)
            assert process.receive(Down, timeout=5).reason == ("why", 1)

    run(body)


def test_proc_07_kill_cannot_be_trapped_and_is_seen_as_killed(run: Runner) -> None:
    """exit(pid, kill) is untrappable and linked processes see killed."""

    def body() -> None:
        pid = process.spawn(trapping, self_pid(), green=run.green)
        assert process.receive(str, timeout=5) == "ready"
        process.flag(trap_exit=True)
        process.link(pid)
        process.exit(pid, "kill")
        assert process.receive(Exit, timeout=5) == Exit(pid, "killed")

    run(body)


def test_proc_08_killed_goes_through_chains_of_links(run: Runner) -> None:
    """kill becomes killed through chains of links."""

    def body() -> None:
        def link_to(pid: Any, to: Any) -> None:
            process.link(pid)
            process.send(to, "linked")
            wait()

        first = process.spawn(wait, green=run.green)
        second, ref = process.spawn_monitor(link_to, first, self_pid(), green=run.green)
        assert process.receive(str, timeout=5) == "linked"
        process.exit(first, "kill")
        assert process.receive(Down, timeout=5) == Down(ref, second, "killed")

    run(body)


def test_proc_09_raising_exit_kill_propagates_kill_and_can_be_trapped(run: Runner) -> None:
    """exit(kill) raised inside propagates kill and is trappable by links."""

    def body() -> None:
        process.flag(trap_exit=True)
        pid = process.spawn_link(lambda: process.exit("kill"), green=run.green)
        assert process.receive(Exit, timeout=5) == Exit(pid, "kill")

    run(body)


def test_proc_10_the_first_exit_signal_wins(run: Runner) -> None:
    """A second exit with another reason is ignored."""

    def body() -> None:
        pid, _ = process.spawn_monitor(wait, green=run.green)
        process.exit(pid, "first")
        process.exit(pid, "second")
        assert process.receive(Down, timeout=5).reason == "first"

    run(body)


def test_proc_11_an_uncaught_error_is_a_crash(run: Runner) -> None:
    """An uncaught error gives {Error, Stacktrace}."""

    def body() -> None:
        def inside() -> None:
            raise ValueError("no")

        process.spawn_monitor(inside, green=run.green)
        reason = process.receive(Down, timeout=5).reason
        assert reason == Crash("ValueError", "no")
        assert "in inside" in reason.traceback_text

    run(body)


def test_proc_13_an_exit_gives_its_reason_verbatim(run: Runner) -> None:
    """exit(reason) gives the reason verbatim."""

    def body() -> None:
        process.spawn_monitor(lambda: process.exit({"a": [1]}), green=run.green)
        assert process.receive(Down, timeout=5).reason == {"a": [1]}

    run(body)


def test_proc_17_exit_of_a_dead_process_is_silent_and_of_a_non_pid_an_error(run: Runner) -> None:
    """exit(pid, r) to a dead pid succeeds; a non-pid is badarg."""

    def body() -> None:
        pid, _ = process.spawn_monitor(lambda: None, green=run.green)
        process.receive(Down, timeout=5)
        process.exit(pid, "x")
        with pytest.raises(BadArgument, match="expected a Pid"):
            process.exit("a string", "x")

    run(body)


def test_proc_19_trap_exit_gives_the_value_it_had(run: Runner) -> None:
    """Setting trap_exit returns the previous value; non-boolean is badarg."""

    def body() -> None:
        assert process.flag(trap_exit=True) is False
        assert process.flag(trap_exit=False) is True
        with pytest.raises(BadArgument):
            process.flag(trap_exit=1)  # type: ignore[arg-type]  # wrong on purpose

    run(body)


def test_proc_20_signals_of_a_pair_arrive_in_order(run: Runner) -> None:
    """Signals from one sender to one receiver are delivered in send order."""

    def body() -> None:
        def sender(to: Any) -> None:
            for number in range(500):
                process.send(to, number)
            process.exit(to, "end")

        process.flag(trap_exit=True)
        process.spawn(sender, self_pid(), green=run.green)
        assert [process.receive(timeout=5) for _ in range(500)] == list(range(500))
        assert process.receive(timeout=5).reason == "end"

    run(body)


def test_proc_22_messages_come_before_the_down(run: Runner) -> None:
    """A process's messages to its monitor are all delivered before its DOWN."""

    def body() -> None:
        def sender(to: Any) -> None:
            for number in range(100):
                process.send(to, number)

        process.spawn_monitor(sender, self_pid(), green=run.green)
        got = [process.receive(timeout=5) for _ in range(101)]
        assert got[:100] == list(range(100))
        assert isinstance(got[100], Down)

    run(body)


def test_proc_26_send_to_a_dead_pid_gives_the_message(run: Runner) -> None:
    """Send to a dead pid succeeds silently and returns the message."""

    def body() -> None:
        pid, _ = process.spawn_monitor(lambda: None, green=run.green)
        process.receive(Down, timeout=5)
        assert process.send(pid, "hello") == "hello"

    run(body)


def test_proc_27_send_to_an_unknown_name_raises_and_at_a_node_never(run: Runner) -> None:
    """Send to an unregistered name raises badarg; {name, node} never raises."""

    def body() -> None:
        with pytest.raises(NotRegistered, match="nobody_has_it"):
            process.send("nobody_has_it", 1)
        process.send(At("nobody_has_it", self_pid().node), 1)
        process.send(At("x", "nowhere@nohost"), 1)

    run(body)


def test_proc_28_a_selective_receive_keeps_the_others_in_order(run: Runner) -> None:
    """Selective receive leaves non-matching messages in order."""

    def body() -> None:
        for message in (1, "a", 2, "b", 3):
            process.send(self_pid(), message)
        assert process.receive(str) == "a"
        assert process.receive(where=lambda m: m == 3) == 3
        assert [process.receive() for _ in range(3)] == [1, 2, "b"]

    run(body)


def test_proc_29_a_timeout_of_zero_looks_once(run: Runner) -> None:
    """receive after 0 scans once and returns immediately."""

    def body() -> None:
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)
        process.send(self_pid(), "x")
        assert process.receive(timeout=0) == "x"

    run(body)


def test_proc_32_a_taken_name_cannot_be_registered(run: Runner) -> None:
    """register with a taken name raises."""

    def body() -> None:
        process.register(self_pid(), "it")
        pid = process.spawn(wait, green=run.green)
        with pytest.raises(NameTaken, match="it"):
            process.register(pid, "it")
        process.exit(pid, "kill")

    run(body)


def test_proc_33_a_process_has_one_name(run: Runner) -> None:
    """Registering a second name for a pid raises."""

    def body() -> None:
        process.register(self_pid(), "one")
        with pytest.raises(NameTaken, match="one"):
            process.register(self_pid(), "two")

    run(body)


def test_proc_34_bad_names_and_dead_pids_cannot_be_registered(run: Runner) -> None:
    """Bad names, dead and non-pids raise."""

    def body() -> None:
        pid, _ = process.spawn_monitor(lambda: None, green=run.green)
        process.receive(Down, timeout=5)
        with pytest.raises(NoProcess):
            process.register(pid, "x")
        with pytest.raises(BadArgument):
            process.register("me", "x")  # type: ignore[arg-type]  # wrong on purpose
        for bad in (7, "", "x" * 300, None):
            with pytest.raises(NotAName, match="1 to 255"):
                process.register(self_pid(), bad)  # type: ignore[arg-type]  # wrong on purpose

    run(body)


def test_proc_35_unregister_of_an_unknown_name_raises(run: Runner) -> None:
    """unregister of an unknown name raises."""

    def body() -> None:
        with pytest.raises(NotRegistered):
            process.unregister("nobody")

    run(body)


def test_proc_36_whereis_of_an_unknown_name_is_none(run: Runner) -> None:
    """whereis of an unknown name is nil."""
    run(lambda: [process.whereis("nobody")].index(None))


def test_proc_37_a_name_is_free_when_its_process_ends(run: Runner) -> None:
    """A name is released on process exit."""

    def body() -> None:
        pid, _ = process.spawn_monitor(wait, green=run.green)
        process.register(pid, "short")
        process.exit(pid, "kill")
        process.receive(Down, timeout=5)
        assert process.whereis("short") is None

    run(body)


def test_proc_38_the_name_is_free_when_a_down_by_name_arrives(run: Runner) -> None:
    """A by-name DOWN comes after the name was unregistered."""

    def body() -> None:
        for _ in range(20):
            pid = process.spawn(wait, green=run.green)
            process.register(pid, "again")
            process.monitor("again")
            process.exit(pid, "kill")
            assert process.receive(Down, timeout=5).pid == At("again", self_pid().node)
            assert process.whereis("again") is None

    run(body)


def test_proc_39_info_of_a_dead_process_is_none(run: Runner) -> None:
    """info(dead pid) is nil; a non-pid raises."""

    def body() -> None:
        pid, _ = process.spawn_monitor(lambda: None, green=run.green)
        process.receive(Down, timeout=5)
        assert process.info(pid, "links") is None
        with pytest.raises(BadArgument):
            process.info("x")  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(BadArgument, match="colour"):
            process.info(self_pid(), "colour")

    run(body)


def test_proc_41_info_keeps_the_order_asked(run: Runner) -> None:
    """info with a list returns pairs in requested order."""

    def body() -> None:
        info = process.info(self_pid(), "trap_exit", "links", "registered_name")
        assert info is not None
        assert list(info) == ["trap_exit", "links", "registered_name"]
        assert info["registered_name"] is None

    run(body)


def test_proc_44_the_process_dictionary(run: Runner) -> None:
    """put returns the old value, get_keys looks up by value, delete returns the value."""

    def body() -> None:
        assert process.put("a", 1) is None
        assert process.put("a", 2) == 1
        process.put("b", 2)
        assert process.get_keys(2) == ["a", "b"]
        assert process.delete("a") == 2
        assert process.get("a", "none") == "none"

    run(body)


def test_proc_52_a_reply_alias_takes_one_message(run: Runner) -> None:
    """alias([reply]) is deactivated by its first message."""

    def body() -> None:
        ref = process.alias("reply")
        process.send(ref, 1)
        process.send(ref, 2)
        assert process.receive(timeout=5) == 1
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)


def test_proc_53_messages_to_an_inactive_alias_are_dropped(run: Runner) -> None:
    """Messages to an unaliased reference are dropped."""

    def body() -> None:
        ref = process.alias()
        process.send(ref, 1)
        assert process.unalias(ref) is True
        process.send(ref, 2)
        assert process.receive(timeout=5) == 1
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)


def test_proc_54_unalias_is_true_once(run: Runner) -> None:
    """unalias returns true once, then false."""

    def body() -> None:
        ref = process.alias()
        assert [process.unalias(ref), process.unalias(ref)] == [True, False]

    run(body)


def test_proc_55_a_demonitor_alias_ends_with_the_monitor(run: Runner) -> None:
    """monitor alias demonitor: deactivated by DOWN or demonitor."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid, alias="demonitor")
        process.send(ref, "one")
        assert process.receive(timeout=5) == "one"
        process.demonitor(ref)
        process.send(ref, "two")
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)
        process.exit(pid, "kill")

    run(body)


def test_proc_56_a_reply_demonitor_alias_takes_the_monitor_with_it(run: Runner) -> None:
    """reply_demonitor: the first message also removes the monitor."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid, alias="reply_demonitor")
        process.send(ref, "one")
        assert process.receive(timeout=5) == "one"
        process.exit(pid, "kill")
        assert down_of(pid) in ("killed", "noproc")
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)
