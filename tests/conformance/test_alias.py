"""PROC-52 to 61: aliases."""

import pytest

from otpy.runtime import process
from otpy.terms.messages import Down
from otpy.terms.pid import Pid
from tests.conformance.kinds import (
    WAIT,
    World,
    dead,
    down_of,
    everywhere,
    idle,
    nothing_waits,
    take,
    until_told,
)


async def answers(alias: object, *messages: object) -> None:
    for message in messages:
        process.send(alias, message)  # type: ignore[call-overload]


def self_of(world: World) -> Pid:
    """A process that outlives the scenario's monitors and goes with the node."""
    return world.spawn(idle)


@everywhere
def test_proc_52_a_reply_alias_takes_one_message(world: World) -> None:
    """PROC-52: alias([reply]) is deactivated by the first message delivered through it."""
    ref = process.alias("reply")
    _, down = world.spawn_monitor(answers, ref, "one", "two")
    down_of(down)
    take("one")
    assert nothing_waits()
    assert process.unalias(ref) is False


@everywhere
def test_proc_53_a_new_reference_is_no_alias(world: World) -> None:
    """PROC-53: nor is one of make_ref() an alias; no two are equal."""
    refs = [process.make_ref() for _ in range(100)]
    assert len({process.self_pid(), *refs}) == 101
    process.send(refs[0], "one")
    assert process.unalias(refs[0]) is False
    assert nothing_waits()


@everywhere
def test_proc_53_messages_to_an_inactive_alias_are_dropped(world: World) -> None:
    """PROC-53: messages to an unaliased reference are dropped silently."""
    ref = process.alias()
    process.unalias(ref)
    _, down = world.spawn_monitor(answers, ref, "one")
    assert down_of(down) == "normal"
    assert nothing_waits()


@everywhere
def test_proc_54_unalias_tells_whether_it_was_active(world: World) -> None:
    """PROC-54: unalias returns true once, then false."""
    ref = process.alias()
    assert process.unalias(ref) is True
    assert process.unalias(ref) is False


@pytest.mark.otpy_leaves_processes
@everywhere
def test_proc_55_a_demonitor_alias_ends_with_its_monitor(world: World) -> None:
    """PROC-55: monitor alias demonitor: deactivated by DOWN or demonitor."""
    pid = world.spawn(until_told)
    ref = process.monitor(pid, alias="demonitor")
    process.send(ref, "one")
    take("one")
    process.send(pid, "bye")
    down_of(ref)
    process.send(ref, "two")
    other = process.monitor(self_of(world), alias="demonitor")
    process.demonitor(other)
    process.send(other, "three")
    assert nothing_waits()


@everywhere
def test_proc_56_the_first_message_of_a_reply_demonitor_alias_ends_both(world: World) -> None:
    """PROC-56: monitor alias reply_demonitor: first aliased message removes the monitor."""
    pid = world.spawn(until_told)
    ref = process.monitor(pid, alias="reply_demonitor")
    process.send(ref, "answer")
    process.send(ref, "again")
    take("answer")
    second = process.monitor(pid)
    process.send(pid, "bye")
    assert down_of(second) == "bye"
    assert nothing_waits()


@everywhere
def test_proc_57_an_explicit_unalias_alias_survives_the_down(world: World) -> None:
    """PROC-57: monitor alias explicit_unalias: survives DOWN until unalias."""
    pid = world.spawn(until_told)
    ref = process.monitor(pid, alias="explicit_unalias")
    process.send(pid, "bye")
    down_of(ref)
    process.send(ref, "still")
    take("still")
    assert process.unalias(ref) is True


@pytest.mark.otpy_leaves_processes
@everywhere
def test_proc_58_demonitor_also_deactivates_a_reply_demonitor_alias(world: World) -> None:
    """PROC-58: demonitor of a reply_demonitor monitor also deactivates the alias."""
    ref = process.monitor(self_of(world), alias="reply_demonitor")
    process.demonitor(ref)
    process.send(ref, "late")
    assert nothing_waits()


@everywhere
def test_proc_59_no_down_after_demonitor_with_flush(world: World) -> None:
    """PROC-59: after demonitor(flush) no DOWN may arrive even if the target dies meanwhile."""
    for _ in range(30):
        pid, fence = world.spawn_monitor(until_told)
        ref = process.monitor(pid)
        process.send(pid, "bye")
        process.demonitor(ref, flush=True)
        down_of(fence)
        assert nothing_waits()


@everywhere
def test_proc_60_demonitor_of_an_alias_does_nothing(world: World) -> None:
    """PROC-60: demonitor on a plain alias ref is a no-op, not an error."""
    ref = process.alias()
    assert process.demonitor(ref) is True
    process.send(ref, "still")
    take("still")


@everywhere
def test_proc_61_a_tag_marks_the_down(world: World) -> None:
    """PROC-61: monitor option {tag, T} marks DOWN, also for noproc."""
    ref = process.monitor(dead(world), tag="mine")
    down = process.receive(Down, timeout=WAIT)
    assert (down.ref, down.reason, down.tag) == (ref, "noproc", "mine")
    pid = world.spawn(until_told)
    process.monitor(pid, tag=("t", 1))
    process.send(pid, "bye")
    assert process.receive(Down, timeout=WAIT).tag == ("t", 1)
