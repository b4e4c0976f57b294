"""PROC-01 to 19: exit signals and exit reasons."""

import pytest

from otpy.runtime import process
from otpy.runtime.process import self_pid
from otpy.terms.errors import (
    BadArgument,
    ProcessExit,
)
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid
from otpy.terms.reasons import Crash
from tests.conformance.kinds import (
    WAIT,
    World,
    dead,
    down_of,
    ends_with,
    everywhere,
    idle,
    mail,
    nothing_waits,
    raises,
    take,
    trapper,
    until_told,
)


async def exits_itself(reason: object, parent: Pid) -> None:
    process.exit(self_pid(), reason)
    process.send(parent, "survived")


async def linked_idle(parent: Pid, left: int, spawn: World) -> None:
    if left:
        spawn.spawn(linked_idle, parent, left - 1, spawn, link=True)
    process.send(parent, (left, self_pid()))
    await mail(where=lambda _: False)


@everywhere
def test_proc_01_exit_normal_from_another_process_is_ignored(world: World) -> None:
    """PROC-01: exit(pid, normal) from another process is ignored by a non-trapping target."""
    pid, ref = world.spawn_monitor(until_told)
    process.exit(pid, "normal")
    process.send(pid, "its own end")
    assert down_of(ref) == "its own end"


@everywhere
def test_proc_02_exit_normal_reaches_a_trapping_target_as_a_message(world: World) -> None:
    """PROC-02: exit(pid, normal) to a trapping target arrives as {EXIT, from, normal}."""
    pid = world.spawn(trapper, self_pid())
    take("ready")
    process.exit(pid, "normal")
    take(("got", Exit(self_pid(), "normal")))
    process.exit(pid, "kill")


@everywhere
def test_proc_03_exit_normal_to_itself_ends_the_caller(world: World) -> None:
    """PROC-03: exit(self(), normal) terminates a non-trapping caller with reason normal."""
    _, ref = world.spawn_monitor(exits_itself, "normal", self_pid())
    assert down_of(ref) == "normal"
    assert nothing_waits()


@everywhere
def test_proc_04_exit_to_itself_is_a_message_to_a_trapping_caller(world: World) -> None:
    """PROC-04: exit(self(), reason) on a trapping caller becomes {EXIT, self, reason}."""

    async def body(parent: Pid) -> None:
        process.flag(trap_exit=True)
        process.exit(self_pid(), "boom")
        process.send(parent, await mail())

    pid, ref = world.spawn_monitor(body, self_pid())
    take(Exit(pid, "boom"))
    assert down_of(ref) == "normal"


@everywhere
def test_proc_05_exit_to_itself_cannot_be_caught(world: World) -> None:
    """PROC-05: exit(self(), reason) cannot be caught by try/catch around the call."""

    async def body(parent: Pid) -> None:
        try:
            process.exit(self_pid(), "boom")
        except ProcessExit:
            pass
        process.send(parent, "survived")

    _, ref = world.spawn_monitor(body, self_pid())
    assert down_of(ref) == "boom"
    assert nothing_waits()


@everywhere
def test_proc_06_exit_to_itself_equals_exit(world: World) -> None:
    """PROC-06: exit(self(), term) is equivalent to exit(term) for a non-trapping process."""
    _, one = world.spawn_monitor(exits_itself, ("some", 1), self_pid())
    _, two = world.spawn_monitor(ends_with, ("some", 1))
    assert down_of(one) == down_of(two) == ("some", 1)


@everywhere
def test_proc_07_kill_cannot_be_trapped_and_is_seen_as_killed(world: World) -> None:
    """PROC-07: exit(pid, kill) is untrappable and linked processes see reason killed."""
    process.flag(trap_exit=True)
    pid = world.spawn(trapper, self_pid(), link=True)
    take("ready")
    process.exit(pid, "kill")
    take(Exit(pid, "killed"))
    assert nothing_waits()


@everywhere
def test_proc_08_killed_is_what_every_hop_of_a_chain_propagates(world: World) -> None:
    """PROC-08: kill->killed conversion holds through chains of links."""
    world.spawn(linked_idle, self_pid(), 4, world)
    pids = dict(process.receive(tuple, timeout=WAIT) for _ in range(5))
    refs = [process.monitor(pid) for pid in pids.values()]
    process.exit(pids[2], "kill")
    assert [down_of(ref) for ref in refs] == ["killed"] * 5


@everywhere
def test_proc_09_exit_kill_inside_propagates_kill_and_can_be_trapped(world: World) -> None:
    """PROC-09: raising exit(kill) inside a process propagates kill and IS trappable."""
    process.flag(trap_exit=True)
    pid = world.spawn(ends_with, "kill", link=True)
    take(Exit(pid, "kill"))


@everywhere
def test_proc_10_the_first_exit_signal_wins(world: World) -> None:
    """PROC-10: first exit signal wins; a second exit/2 with another reason is ignored."""
    pid, ref = world.spawn_monitor(idle)
    process.exit(pid, "first")
    process.exit(pid, "second")
    assert down_of(ref) == "first"


@everywhere
def test_proc_11_an_uncaught_error_is_the_reason_with_its_stack(world: World) -> None:
    """PROC-11: uncaught error gives exit reason {Error, Stacktrace}."""
    _, ref = world.spawn_monitor(raises, ValueError("wrong"))
    reason = down_of(ref)
    assert isinstance(reason, Crash)
    assert reason == Crash("ValueError", "wrong")
    assert "raise error" in reason.traceback_text


@everywhere
def test_proc_13_exit_gives_the_reason_verbatim(world: World) -> None:
    """PROC-13: exit(reason) gives reason verbatim (no stacktrace wrapping)."""
    reason = ("bye", [1, {"a": 2}])
    _, ref = world.spawn_monitor(ends_with, reason)
    assert down_of(ref) == reason


@everywhere
def test_proc_14_an_error_in_finally_replaces_the_reason(world: World) -> None:
    """PROC-14: an exception raised in an after/finally block replaces the in-flight reason."""

    async def body() -> None:
        try:
            process.exit("first")
        finally:
            raise ValueError("later")

    _, ref = world.spawn_monitor(body)
    assert down_of(ref) == Crash("ValueError", "later")


@everywhere
def test_proc_15_large_reasons_arrive_intact(world: World) -> None:
    """PROC-15: large/compound exit reasons are delivered intact and compare equal."""
    reason = ("big", [list(range(100)) for _ in range(100)], {"k": "v" * 10_000})
    pid, ref = world.spawn_monitor(idle)
    process.exit(pid, reason)
    assert down_of(ref) == reason


@everywhere
def test_proc_16_a_failure_on_entry_is_the_childs(world: World) -> None:
    """PROC-16: spawn of a function that fails on entry crashes the new process."""
    _, ref = world.spawn_monitor(ends_with)
    assert down_of(ref).type == "TypeError"


@everywhere
def test_proc_17_exit_to_a_dead_pid_is_silent_and_to_no_pid_an_error(world: World) -> None:
    """PROC-17: exit(pid, r) to a dead pid returns true silently; non-pid raises badarg."""
    process.exit(dead(world), "boom")
    with pytest.raises(BadArgument):
        process.exit("not a pid", "boom")
    assert nothing_waits()


@everywhere
def test_proc_18_an_exit_ends_a_process_that_waits_with_a_timeout(world: World) -> None:
    """PROC-18: an exit signal to a process blocked in receive-after terminates it."""

    async def body() -> None:
        await mail(timeout=0.02)

    pids = [world.spawn_monitor(body) for _ in range(20)]
    for pid, _ in pids[::2]:
        process.exit(pid, "boom")
    for number, (_, ref) in enumerate(pids):
        reason = down_of(ref)
        if number % 2:
            assert reason.type.endswith("ReceiveTimeout")
        else:
            assert reason == "boom" or reason.type.endswith("ReceiveTimeout")


@everywhere
def test_proc_19_flag_gives_the_previous_value(world: World) -> None:
    """PROC-19: setting trap_exit returns the previous value; non-boolean raises badarg."""
    assert process.flag(trap_exit=True) is False
    assert process.flag(trap_exit=True) is True
    assert process.flag(trap_exit=False) is True
    with pytest.raises(BadArgument):
        process.flag(trap_exit=1)  # type: ignore[arg-type]
