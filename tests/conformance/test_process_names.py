"""PROC-32 to 51: names, looking at processes, starting them."""

import contextlib
import sys
import threading

import pytest

from otpy.runtime import process
from otpy.runtime.node import Node
from otpy.runtime.process import self_pid
from otpy.terms.errors import (
    BadArgument,
    NameTaken,
    NoProcess,
    NotAName,
    NotRegistered,
)
from otpy.terms.messages import Down
from otpy.terms.pid import Pid
from tests.conformance.kinds import (
    WAIT,
    World,
    dead,
    down_of,
    everywhere,
    idle,
)


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
    assert set(process.registered()) <= {"global_name_server", "global_lease_server"}


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


def test_proc_33_a_process_that_two_register_at_once_gets_one_name_and_leaves_none(
    node: Node,
) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(1500):
            pid, ref = process.spawn_monitor(process.receive, green=True)
            start = threading.Barrier(2)

            def register(name: str, pid: Pid = pid, start: threading.Barrier = start) -> None:
                with node.attached():
                    start.wait()
                    with contextlib.suppress(NameTaken):
                        process.register(pid, name)

            racers = [threading.Thread(target=register, args=(name,)) for name in ("one", "two")]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            process.exit(pid, "kill")
            assert process.receive(Down, timeout=5).ref == ref
            assert not {"one", "two"} & set(process.registered())
    finally:
        sys.setswitchinterval(before)
