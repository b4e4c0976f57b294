"""REG-01 to 14: registering, looking up, unregistering, and what a death leaves."""

# pyright: reportUnknownLambdaType=false
# A guard takes a value of any type: its parameter has none.

from typing import Any

import pytest

from otpy import (
    AlreadyRegistered,
    Exit,
    NoProcess,
    NotRegistered,
    Pid,
    process,
    registry,
    self_pid,
    sys,
)
from tests.conformance.conftest import Runner, until
from tests.conformance.registries import (
    cleaned,
    duplicate,
    holder,
    keeper,
    kill,
    links,
    tell,
    unique,
)
from tests.conformance.waiting import gone, nothing_more

PARTITIONS = (1, 3)


def test_reg_01_register_gives_the_pid_of_the_partition(run: Runner) -> None:
    """REG-01: unique register gives {:ok, owner_pid}: the partition process, not self."""

    def body() -> None:
        name = unique()
        owner = registry.register(name, "k", "v")
        assert owner == keeper(name) != self_pid()
        assert registry.lookup(name, "k") == [(self_pid(), "v")]
        assert registry.lookup(name, "other") == []

    run(body)


def test_reg_02_a_taken_key_is_refused_also_to_its_holder(run: Runner) -> None:
    """REG-02: taken key gives {:error, {:already_registered, pid}}, also for self."""

    def body() -> None:
        name = unique()
        other = holder(run, name, ("theirs", 1))
        with pytest.raises(AlreadyRegistered) as refused:
            registry.register(name, "theirs", 2)
        assert refused.value.pid == other
        assert links() == [process.whereis(name)]  # it was not linked for nothing
        registry.register(name, "mine", 1)
        with pytest.raises(AlreadyRegistered) as refused:
            registry.register(name, "mine", 2)
        assert refused.value.pid == self_pid()
        assert registry.lookup(name, "mine") == [(self_pid(), 1)]
        assert registry.lookup(name, "theirs") == [(other, 1)]

    run(body)


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_reg_03_the_key_of_a_dead_process_is_free_before_clean_up(
    run: Runner, partitions: int
) -> None:
    """REG-03: registering a key of a dead process succeeds even before cleanup ran."""

    def body() -> None:
        name = unique(partitions)
        for index in range(partitions):
            sys.suspend(keeper(name, index))
        dead = [holder(run, name, (number, "dead")) for number in range(partitions)]
        for pid in dead:
            kill(pid)
        assert registry.count(name) == partitions  # nothing was cleaned up
        for number in range(partitions):
            registry.register(name, number, "alive")
        for index in range(partitions):
            sys.resume(keeper(name, index))
            sys.get_state(keeper(name, index))
        # The late clean-up leaves the new entries alone.
        for number in range(partitions):
            assert registry.lookup(name, number) == [(self_pid(), "alive")]
        assert registry.keys(name, self_pid()) == list(range(partitions))
        assert registry.count(name) == partitions

    run(body)


def test_reg_04_lookup_never_gives_a_dead_process(run: Runner) -> None:
    """REG-04: lookup never returns dead processes in unique registries; here in no registry."""

    def body() -> None:
        for name in (unique(), duplicate()):
            sys.suspend(keeper(name))
            dead = holder(run, name, ("k", 1), ("other", 1))
            kill(dead)
            assert registry.count(name) == 2
            assert registry.lookup(name, "k") == []
            assert registry.match(name, "k", registry.ANY) == []
            assert registry.select(name, [(registry.ANY, [], True)]) == []
            assert registry.keys(name, dead) == []
            assert registry.values(name, "k", dead) == []
            sys.resume(keeper(name))

    run(body)


def test_reg_05_numbers_of_different_types_are_different_keys(run: Runner) -> None:
    """REG-05: keys compared with === (1 vs 1.0 distinct)."""

    def body() -> None:
        keys: list[Any] = [1, 1.0, True, (1,), (1.0,), (True, ("x",)), (1, ("x",))]
        keys += [frozenset({1}), frozenset({1.0}), "1", b"1", None, 0, False, -0.5]
        for name in (unique(), duplicate()):
            for number, key in enumerate(keys):
                registry.register(name, key, number)
            for number, key in enumerate(keys):
                assert registry.lookup(name, key) == [(self_pid(), number)]
            found = registry.keys(name, self_pid())
            assert [(type(key), key) for key in found] == [(type(key), key) for key in keys]
            registry.unregister(name, 1.0)
            assert registry.lookup(name, 1) == [(self_pid(), 0)]
            assert registry.lookup(name, True) == [(self_pid(), 2)]
            assert registry.lookup(name, 1.0) == []

    run(body)


def test_reg_06_only_the_holder_updates_a_value(run: Runner) -> None:
    """REG-06: update_value only by owner gives {new, old}; otherwise :error and fun not run."""

    def body() -> None:
        name = unique()
        registry.register(name, "mine", 1)
        assert registry.update_value(name, "mine", lambda value: value + 1) == (2, 1)
        assert registry.lookup(name, "mine") == [(self_pid(), 2)]
        other = holder(run, name, ("theirs", 1))
        ran: list[Any] = []
        for key in ("theirs", "nobody's"):
            with pytest.raises(NotRegistered, match=key):
                registry.update_value(name, key, ran.append)
        assert ran == []
        assert registry.lookup(name, "theirs") == [(other, 1)]

    run(body)


def test_reg_07_unregister_removes_the_callers_entries_only(run: Runner) -> None:
    """REG-07: unregister removes only caller's entries; always :ok."""

    def body() -> None:
        name = unique()
        other = holder(run, name, ("theirs", 1))
        registry.register(name, "mine", 1)
        for key in ("mine", "mine", "theirs", "nobody's"):
            registry.unregister(name, key)
        assert registry.keys(name, self_pid()) == []
        assert registry.lookup(name, "mine") == []
        assert registry.lookup(name, "theirs") == [(other, 1)]

    run(body)


@pytest.mark.parametrize("partitions", PARTITIONS)
@pytest.mark.parametrize("start", [unique, duplicate])
def test_reg_08_entries_vanish_when_their_process_dies(
    run: Runner, start: Any, partitions: int
) -> None:
    """REG-08: entries vanish when process dies (all partitions)."""

    def body() -> None:
        name = start(partitions)
        registry.register(name, "mine", 0)
        dying = [
            holder(run, name, *[((number, key), key) for key in range(number * 700)])
            for number in range(1, 6)  # the last has more than are removed at once
        ]
        assert registry.count(name) == 1 + 15 * 700
        for pid in dying:
            kill(pid)
        cleaned(name, 1)
        assert registry.keys(name, self_pid()) == ["mine"]

    run(body)


def test_reg_09_the_first_registration_links_and_the_last_unlinks(run: Runner) -> None:
    """REG-09: register links caller with the partition; last unregister unlinks."""

    def body() -> None:
        for name in (unique(), duplicate()):
            owner = keeper(name)
            assert owner not in links()
            registry.register(name, "one", 1)
            registry.register(name, "two", 2)
            assert owner in links()
            registry.unregister(name, "one")
            assert owner in links()
            registry.unregister(name, "two")
            assert owner not in links()
            linked = process.info(owner, "links")
            assert linked is not None
            assert self_pid() not in linked["links"]
            registry.register(name, "one", 1)  # and again, at once
            assert owner in links()
            registry.unregister_match(name, "one", 2)
            assert owner in links()
            registry.unregister_match(name, "one", 1)
            assert owner not in links()

    run(body)


@pytest.mark.parametrize("start", [unique, duplicate])
def test_reg_10_a_partitions_crash_ends_who_registered_and_loses_the_entries(
    run: Runner, start: Any
) -> None:
    """REG-10: partition crash kills linked registrants (trapping get EXIT) and loses entries."""

    def body() -> None:
        name = start()
        other = holder(run, name, ("k", 1))
        process.flag(trap_exit=True)
        owner = registry.register(name, "mine", 1)
        process.exit(owner, "kill")
        assert process.receive(Exit, timeout=5) == Exit(owner, "killed")
        gone(other)
        until(lambda: process.whereis(f"{name}.PIDPartition0") not in (None, owner))
        assert registry.lookup(name, "mine") == []
        assert registry.count(name) == 0
        until(lambda: _registered(name))
        assert registry.lookup(name, "mine") == [(self_pid(), 2)]

    run(body)


def _in_partition(run: Runner, name: str, index: int) -> Pid:
    others: list[Pid] = []
    while True:
        pid = holder(run, name, ((index, len(others)), 1))
        if keeper(name, index) in tell(pid, links):
            break
        others.append(pid)
    for other in others:
        kill(other)
    return pid


def _started_again(name: str, old: Pid) -> None:
    until(lambda: process.whereis(f"{name}.PIDPartition1") not in (None, old))


def _registered(name: str) -> bool:
    try:
        registry.register(name, "mine", 2)
    except NoProcess:  # its partition is not there yet
        return False
    return True


def test_reg_10_one_partition_of_many_takes_the_others_along_if_keys_are_unique(
    run: Runner,
) -> None:
    """REG-10: the entries of a crashed partition are gone, those of a duplicate sibling stay."""

    def body() -> None:
        process.flag(trap_exit=True)
        for start, stays in ((unique, False), (duplicate, True)):
            name = start(2)
            pids = [_in_partition(run, name, 1), _in_partition(run, name, 0)]
            old = [keeper(name, 0), keeper(name, 1)]
            process.exit(old[1], "kill")
            gone(pids[0])
            _started_again(name, old[1])
            if not stays:
                gone(pids[1])
            assert process.alive(pids[1]) is stays
            cleaned(name, stays)

    run(body)


def test_reg_11_keys_values_count_and_count_match(run: Runner) -> None:
    """REG-11: keys(pid), values(key, pid), count, count_match, lookup."""

    def body() -> None:
        name = unique()
        assert registry.count(name) == 0
        registry.register(name, "a", 1)
        registry.register(name, "b", 2)
        other = holder(run, name, ("c", 3))
        assert registry.keys(name, self_pid()) == ["a", "b"]
        assert registry.keys(name, other) == ["c"]
        assert registry.values(name, "a", self_pid()) == [1]
        assert registry.values(name, "c", self_pid()) == []
        assert registry.values(name, "c", other) == [3]
        assert registry.count(name) == 3
        assert registry.count_match(name, "a", 1) == 1
        assert registry.count_match(name, "a", 2) == 0

    run(body)


@pytest.mark.parametrize("partitions", PARTITIONS)
def test_reg_12_a_key_may_have_many_entries_also_of_one_process(
    run: Runner, partitions: int
) -> None:
    """REG-12: duplicate: many entries per key and process; keys shows repeats."""

    def body() -> None:
        name = duplicate(partitions)
        me = self_pid()
        for key, value in (("a", 1), ("a", 2), ("a", 2), ("b", 3)):
            registry.register(name, key, value)
        other = holder(run, name, ("a", 4))
        assert registry.keys(name, me) == ["a", "a", "a", "b"]
        assert registry.values(name, "a", me) == [1, 2, 2]
        found = registry.lookup(name, "a")
        assert sorted(found) == sorted([(me, 1), (me, 2), (me, 2), (other, 4)])
        assert registry.count(name) == 5
        assert registry.count_match(name, "a", 2) == 2

    run(body)


def test_reg_13_unregister_removes_all_entries_of_the_key_and_caller(run: Runner) -> None:
    """REG-13: duplicate: unregister removes all caller entries for key."""

    def body() -> None:
        name = duplicate()
        other = holder(run, name, ("a", 4))
        for key, value in (("a", 1), ("a", 2), ("b", 3)):
            registry.register(name, key, value)
        registry.unregister(name, "a")
        assert registry.keys(name, self_pid()) == ["b"]
        assert registry.lookup(name, "a") == [(other, 4)]
        assert registry.count(name) == 2

    run(body)


def test_reg_14_unregister_match_removes_what_matches_of_the_caller(run: Runner) -> None:
    """REG-14: unregister_match removes only matching entries of caller."""

    def body() -> None:
        name = duplicate()
        other = holder(run, name, ("k", (1, "a")))
        for value in ((1, "a"), (1, "b"), (2, "a"), "text"):
            registry.register(name, "k", value)
        registry.unregister_match(name, "k", (1, registry.ANY), [lambda value: value[1] == "b"])
        assert registry.values(name, "k", self_pid()) == [(1, "a"), (2, "a"), "text"]
        registry.unregister_match(name, "k", (registry.ANY, "a"))
        assert registry.values(name, "k", self_pid()) == ["text"]
        registry.unregister_match(name, "other", registry.ANY)
        registry.unregister_match(name, "k", str)
        assert registry.lookup(name, "k") == [(other, (1, "a"))]
        nothing_more()

    run(body)
