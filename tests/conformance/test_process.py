"""PROC: processes, exits, signal order, receive, names, aliases."""

import pytest

from otpy.runtime import process
from otpy.runtime.process import self_pid
from otpy.terms.errors import (
    BadArgument,
    NameTaken,
    NoProcess,
    NotAName,
    NotRegistered,
    ProcessExit,
    ReceiveTimeout,
)
from otpy.terms.messages import Down, Exit
from otpy.terms.names import At
from otpy.terms.pid import Pid
from otpy.terms.reasons import Crash
from tests.conformance.kinds import (
    WAIT,
    World,
    down_of,
    ends_with,
    everywhere,
    idle,
    mail,
    nothing_waits,
    trapper,
    until_told,
)


def take(expected: object) -> None:
    assert process.receive(where=lambda m: not isinstance(m, Down), timeout=WAIT) == expected


def dead(world: World) -> Pid:
    pid, ref = world.spawn_monitor(ends_with, "normal")
    down_of(ref)
    return pid


# Exit signals and exit reasons.


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


async def exits_itself(reason: object, parent: Pid) -> None:
    process.exit(self_pid(), reason)
    process.send(parent, "survived")


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


async def linked_idle(parent: Pid, left: int, spawn: World) -> None:
    if left:
        spawn.spawn(linked_idle, parent, left - 1, spawn, link=True)
    process.send(parent, (left, self_pid()))
    await mail(where=lambda _: False)


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


async def raises(error: BaseException) -> None:
    raise error


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


# Signal order.


@everywhere
def test_proc_20_signals_of_one_sender_keep_their_order(world: World) -> None:
    """PROC-20: signals from one sender to one receiver are delivered in send order."""
    pid = world.spawn(trapper, self_pid())
    take("ready")
    for number in range(50):
        if number % 3:
            process.send(pid, number)
        else:
            process.exit(pid, number)
    for number in range(50):
        take(("got", number if number % 3 else Exit(self_pid(), number)))
    process.exit(pid, "kill")


@everywhere
def test_proc_21_messages_after_an_exit_are_never_seen(world: World) -> None:
    """PROC-21: messages sent after exit(P, R) by the same sender are never observed by P."""

    async def body(parent: Pid) -> None:
        process.send(parent, ("saw", await mail()))

    for _ in range(20):
        pid, ref = world.spawn_monitor(body, self_pid())
        process.exit(pid, "boom")
        process.send(pid, "late")
        assert down_of(ref) == "boom"
    assert nothing_waits()


@everywhere
def test_proc_22_messages_come_before_the_down_of_their_sender(world: World) -> None:
    """PROC-22: a process's messages to its monitorer are all delivered before its DOWN."""

    async def body(parent: Pid) -> None:
        for number in range(100):
            process.send(parent, number)

    _, ref = world.spawn_monitor(body, self_pid())
    seen: list[int] = []
    while not isinstance(item := process.receive(timeout=WAIT), Down):
        seen.append(item)
    assert item.ref == ref
    assert seen == list(range(100))
    assert nothing_waits()


@everywhere
def test_proc_23_order_holds_over_pids_names_and_aliases(world: World) -> None:
    """PROC-23: ordering holds when sender mixes pid, {name,node} and alias destinations."""

    async def body(parent: Pid, node: str) -> None:
        alias = await mail()
        for number in range(60):
            process.send((parent, At("keeper", node), alias)[number % 3], number)

    process.register(self_pid(), "keeper")
    pid = world.spawn(body, self_pid(), self_pid().node)
    process.send(pid, process.alias())
    assert [process.receive(timeout=WAIT) for _ in range(60)] == list(range(60))
    process.unregister("keeper")


# Sending and receiving.


@everywhere
def test_proc_26_send_to_a_dead_pid_gives_the_message_back(world: World) -> None:
    """PROC-26: send to a dead pid succeeds silently and returns the message."""
    assert process.send(dead(world), "hello") == "hello"


@everywhere
def test_proc_27_send_to_an_unknown_name_raises_unless_with_its_node(world: World) -> None:
    """PROC-27: send to an unregistered atom raises badarg; to {name, node} never raises."""
    with pytest.raises(NotRegistered):
        process.send("nobody", "hello")
    assert process.send(At("nobody", self_pid().node), "hello") == "hello"
    assert process.send(At("nobody", "other@nowhere"), "hello") == "hello"


@everywhere
def test_proc_28_selective_receive_leaves_the_others_in_order(world: World) -> None:
    """PROC-28: selective receive leaves non-matching messages in original order."""
    for item in ("a", 1, "b", 2, "c"):
        process.send(self_pid(), item)
    assert process.receive(int, where=lambda n: n > 1) == 2
    assert [process.receive() for _ in range(4)] == ["a", 1, "b", "c"]


@everywhere
def test_proc_29_timeout_zero_looks_once(world: World) -> None:
    """PROC-29: receive timeout 0 scans the mailbox once and returns immediately."""
    with pytest.raises(ReceiveTimeout):
        process.receive(timeout=0)
    process.send(self_pid(), "x")
    with pytest.raises(ReceiveTimeout):
        process.receive(int, timeout=0)
    assert process.receive(str, timeout=0) == "x"


@everywhere
def test_proc_30_huge_timeouts_are_fine(world: World) -> None:
    """PROC-30: infinite sleep / timeouts above 2^32-1 ms must not crash sleep."""

    async def body(parent: Pid, seconds: float) -> None:
        process.send(parent, "waiting")
        await mail(str, timeout=seconds)

    for seconds in (2.0**33, 1e12, float("inf")):
        pid, ref = world.spawn_monitor(body, self_pid(), seconds)
        take("waiting")
        process.send(pid, "wake up")
        assert down_of(ref) == "normal"


@everywhere
def test_proc_31_a_call_does_not_scan_the_mailbox(world: World) -> None:
    """PROC-31: call latency must not degrade with a huge unrelated mailbox."""
    from otpy.runtime._current import current

    looks = 0

    class Unrelated:  # counts who looks at its class
        @property  # type: ignore[misc]
        def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
            nonlocal looks
            looks += 1
            return object

    for _ in range(1000):
        process.send(self_pid(), Unrelated())
    before = looks
    assert process.await_coroutine(_answer()) == 42 if world.kind in ("thread", "async") else True
    assert looks == before
    current().mailbox.clear()


async def _answer() -> int:
    return 42


# Names.


@everywhere
def test_proc_32_a_taken_name_is_refused(world: World) -> None:
    """PROC-32: register with a taken name raises badarg."""
    pid = world.spawn(idle)
    process.register(pid, "taken")
    with pytest.raises(NameTaken):
        process.register(self_pid(), "taken")
    assert process.whereis("taken") == pid
    process.exit(pid, "kill")


@everywhere
def test_proc_33_a_second_name_is_refused(world: World) -> None:
    """PROC-33: registering a second name for an already-named pid raises badarg."""
    pid = world.spawn(idle, name="one")
    with pytest.raises(NameTaken):
        process.register(pid, "two")
    assert process.whereis("two") is None
    process.exit(pid, "kill")


@everywhere
def test_proc_34_bad_names_and_bad_pids_are_refused(world: World) -> None:
    """PROC-34: register(undefined, _) / non-atom name / dead pid / non-pid raise badarg."""
    for name in (None, 7, "", b"bytes"):
        with pytest.raises(NotAName):
            process.register(self_pid(), name)  # type: ignore[arg-type]
    with pytest.raises(NoProcess):
        process.register(dead(world), "name")
    with pytest.raises(BadArgument):
        process.register("pid", "name")  # type: ignore[arg-type]
    assert set(process.registered()) <= {"global_name_server"}


@everywhere
def test_proc_35_unregister_of_an_unknown_name_raises(world: World) -> None:
    """PROC-35: unregister of an unknown name raises badarg."""
    with pytest.raises(NotRegistered):
        process.unregister("unknown")


@everywhere
def test_proc_36_whereis_of_an_unknown_name_is_none(world: World) -> None:
    """PROC-36: whereis of an unknown name is undefined."""
    assert process.whereis("unknown") is None


@everywhere
def test_proc_37_a_name_is_free_after_its_holder_ended(world: World) -> None:
    """PROC-37: name is released automatically on process exit."""
    pid, ref = world.spawn_monitor(idle, name="held")
    assert process.whereis("held") == pid
    process.exit(pid, "boom")
    down_of(ref)
    assert process.whereis("held") is None


@everywhere
def test_proc_38_the_name_is_free_before_the_down_by_name(world: World) -> None:
    """PROC-38: a by-name DOWN comes only after the name has been unregistered."""
    for _ in range(30):
        pid = world.spawn(idle, name="held")
        ref = process.monitor("held")
        process.exit(pid, "boom")
        assert down_of(ref) == "boom"
        process.register(self_pid(), "held")
        process.unregister("held")


# Looking at processes.


@everywhere
def test_proc_39_info_of_a_dead_pid_is_none(world: World) -> None:
    """PROC-39: info(dead pid) is undefined for any item list; info(non-pid) raises badarg."""
    gone = dead(world)
    assert process.info(gone) is None
    assert process.info(gone, "links", "messages") is None
    with pytest.raises(BadArgument):
        process.info("pid", "links")  # type: ignore[arg-type]


@everywhere
def test_proc_40_info_of_the_name_tells_unnamed_from_dead(world: World) -> None:
    """PROC-40: info(pid, registered_name) is empty when unnamed but nil when dead."""
    assert process.info(self_pid(), "registered_name") == {"registered_name": None}
    process.register(self_pid(), "me")
    assert process.info(self_pid(), "registered_name") == {"registered_name": "me"}
    process.unregister("me")
    assert process.info(dead(world), "registered_name") is None


@everywhere
def test_proc_41_info_keeps_the_order_asked(world: World) -> None:
    """PROC-41: info with a list returns pairs in requested order."""
    pid = world.spawn(idle)
    for items in (("trap_exit", "links", "kind"), ("kind", "links", "trap_exit")):
        found = process.info(pid, *items)
        assert found is not None
        assert tuple(found) == items
    process.exit(pid, "kill")


@everywhere
def test_proc_42_info_sees_all_messages_sent_before(world: World) -> None:
    """PROC-42: info(messages) and message_queue_len reflect all previously sent messages."""
    pid = world.spawn(idle)
    for count in range(1, 30):
        process.send(pid, count)
        found = process.info(pid, "messages", "message_queue_len")
        assert found == {"messages": list(range(1, count + 1)), "message_queue_len": count}
    process.exit(pid, "kill")


@everywhere
def test_proc_43_info_follows_unlink_and_demonitor(world: World) -> None:
    """PROC-43: info(links/monitors/monitored_by) updates after demonitor/unlink."""
    pid = world.spawn(idle)
    me = self_pid()
    process.link(pid)
    ref = process.monitor(pid)
    assert process.info(pid, "links", "monitored_by") == {"links": [me], "monitored_by": [me]}
    assert process.info(me, "links", "monitors") == {"links": [pid], "monitors": [pid]}
    process.unlink(pid)
    process.demonitor(ref)
    assert process.info(pid, "links", "monitored_by") == {"links": [], "monitored_by": []}
    assert process.info(me, "links", "monitors") == {"links": [], "monitors": []}
    process.exit(pid, "kill")


@everywhere
def test_proc_44_the_dictionary_gives_the_values_it_replaces(world: World) -> None:
    """PROC-44: process dictionary put returns old value, get_keys(value), delete."""
    assert process.put("k", 1) is None
    assert process.put("k", 2) == 1
    process.put("other", 2)
    assert process.get("k") == 2
    assert process.get("unknown", "default") == "default"
    assert process.get_keys(2) == ["k", "other"]
    assert process.delete("k") == 2
    assert process.delete("k") is None
    assert process.get("k") is None


@everywhere
def test_proc_46_pids_are_unique_and_each_is_listed_once(world: World) -> None:
    """PROC-46: spawn returns unique pids; the list contains each live one exactly once."""
    pids = [world.spawn(idle) for _ in range(50)]
    assert len(dict.fromkeys(pids)) == 50
    listed = process.list_()
    assert all(listed.count(pid) == 1 for pid in pids)
    assert self_pid() in listed
    for pid in pids:
        process.exit(pid, "kill")


@everywhere
def test_proc_51_a_child_linked_from_the_start_dies_with_its_parent(world: World) -> None:
    """PROC-51: parent exit while a linked spawn is in flight still kills the child."""

    async def parent(boss: Pid) -> None:
        process.send(boss, world.spawn(idle, link=True))
        process.exit("boom")

    for _ in range(20):
        world.spawn(parent, self_pid())
        child = process.receive(Pid, timeout=WAIT)
        assert down_of(process.monitor(child)) in ("boom", "noproc")


# Aliases.


async def answers(alias: object, *messages: object) -> None:
    for message in messages:
        process.send(alias, message)  # type: ignore[arg-type]


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


def self_of(world: World) -> Pid:
    """A process that outlives the scenario's monitors and goes with the node."""
    return world.spawn(idle)


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
