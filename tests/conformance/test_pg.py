"""Process groups (PG) within one node, in every kind of process."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    Crash,
    Down,
    GroupJoin,
    GroupLeave,
    NotRegistered,
    Pid,
    ReceiveTimeout,
    gen_server,
    pg,
    process,
    self_pid,
    supervisor,
)
from otpy.testing import Reports, eventually
from tests.conformance.conftest import Runner, until

# A scope is started without a link, and lives as long as its node.
pytestmark = pytest.mark.otpy_leaves_processes


def spawn() -> Pid:
    """A process that does nothing until it is ended."""
    return process.spawn(process.sleep, float("inf"), green=True)


def ended(pid: Pid) -> None:
    """End a process, and return when this one has been told."""
    ref = process.monitor(pid)
    process.exit(pid, "kill")
    process.receive(Down, where=lambda down: down.ref == ref, timeout=5)


def settled() -> None:
    """Return when the scope has dealt with all that it was told so far."""
    pg.leave("settled", self_pid())


def events() -> list[Any]:
    settled()
    found: list[Any] = []
    while True:
        try:
            found.append(process.receive(GroupJoin, GroupLeave, timeout=0))
        except ReceiveTimeout:
            return found


def test_pg_01_a_process_may_join_more_than_once(run: Runner) -> None:
    """join pid or list; multiple joins counted."""

    def body() -> None:
        pg.start()
        one, two = sorted((spawn(), spawn()))
        assert pg.join("g", two) is None  # type: ignore[func-returns-value]  # which is the point
        pg.join("g", [one, two])
        pg.join("g", (one,))
        assert pg.get_members("g") == [one, one, two, two]
        pg.join("g", [])
        assert pg.which_groups() == ["g"]
        pg.join("nobody", [])
        assert pg.which_groups() == ["g"]

    run(body)


def test_pg_02_leave_takes_one_place_for_each_time_a_pid_is_named(run: Runner) -> None:
    """leave removes one occurrence per listed pid; not_joined if none were members."""

    def body() -> None:
        pg.start()
        one, two = sorted((spawn(), spawn()))
        pg.join("g", [one, one, one, two])
        assert pg.leave("g", one) is True
        assert pg.get_members("g") == [one, one, two]
        assert pg.leave("g", [one, one, two]) is True
        assert pg.get_members("g") == []
        assert pg.leave("g", one) is False
        assert pg.leave("g", [one, two]) is False
        assert pg.leave("g", []) is False
        assert pg.leave("h", one) is False

    run(body)


def test_pg_03_a_leave_of_some_who_are_no_members_counts_as_one(run: Runner) -> None:
    """leave of mixed list is ok if at least one left."""

    def body() -> None:
        pg.start()
        member, stranger = spawn(), spawn()
        pg.join("g", member)
        assert pg.leave("g", [stranger, member, member]) is True
        assert pg.get_members("g") == []

    run(body)


def test_pg_04_what_is_no_pid_cannot_join(run: Runner) -> None:
    """only local pids: error {nolocal,_}; non-pid function_clause/nolocal."""

    def body() -> None:
        pg.start()
        me = self_pid()
        elsewhere = Pid(me.started, "other@host", me.bits, 7)
        earlier = Pid(me.started - 1, me.node, me.bits, 7)
        for bad in (elsewhere, earlier, "me", None, [me, elsewhere], [me, "me"]):
            with pytest.raises(BadArgument, match="expected the pid of a process of"):
                pg.join("g", bad)  # type: ignore[arg-type]  # wrong on purpose
            with pytest.raises(BadArgument, match="leave"):
                pg.leave("g", bad)  # type: ignore[arg-type]  # wrong on purpose
        assert pg.which_groups() == []

    run(body)


def test_pg_05_a_member_goes_when_it_ends(run: Runner) -> None:
    """members removed on process death (all occurrences) and node down."""

    def body() -> None:
        pg.start()
        one, two = spawn(), spawn()
        pg.join("g", [one, one, two])
        pg.join("h", one)
        ended(one)
        # At once: who has been told of the end never finds the pid.
        assert pg.get_members("g") == pg.get_local_members("g") == [two]
        assert pg.get_members("h") == []
        assert pg.which_groups() == pg.which_local_groups() == ["g"]
        until(lambda: _held("h") is None)
        assert _held("g") == [two]

    run(body)


def _held(group: Any) -> list[Pid] | None:
    """What the scope's own table has, with those that have just ended."""
    from otpy.cluster._pg_server import Scopes
    from otpy.runtime._current import current

    return current().node.own(Scopes).table["pg"].groups.table.get(group)


def test_pg_05_a_process_that_has_ended_may_join_and_is_never_seen(run: Runner) -> None:
    def body() -> None:
        pg.start()
        ref, _ = pg.monitor("g")
        dead = spawn()
        ended(dead)
        pg.join("g", dead)
        assert pg.get_members("g") == []
        until(lambda: _held("g") is None)
        assert events() == [GroupJoin(ref, "g", (dead,)), GroupLeave(ref, "g", (dead,))]

    run(body)


def test_pg_06_a_group_is_there_as_long_as_it_has_a_member(run: Runner) -> None:
    """empty group disappears from which_groups on all nodes."""

    def body() -> None:
        pg.start()
        pid = spawn()
        pg.join("g", pid)
        assert pg.which_groups() == ["g"]
        pg.leave("g", pid)
        assert pg.which_groups() == pg.which_local_groups() == []

    run(body)


def test_pg_08_a_monitor_hears_of_every_call_in_its_order(run: Runner) -> None:
    """monitor returns current members, then {Ref,join,Group,Pids} / {Ref,leave,Group,Pids}
    in order, one event per call."""

    def body() -> None:
        pg.start()
        one, two = sorted((spawn(), spawn()))
        pg.join("g", one)
        ref, members = pg.monitor("g")
        assert members == [one]
        pg.join("g", [two, one])
        pg.join("other", one)
        pg.leave("g", one)
        pg.leave("g", self_pid())
        ended(two)
        until(lambda: _held("g") == [one])
        assert events() == [
            GroupJoin(ref, "g", (two, one)),
            GroupLeave(ref, "g", (one,)),
            GroupLeave(ref, "g", (two,)),
        ]

    run(body)


def test_pg_08_an_end_is_told_as_often_as_the_process_had_joined(run: Runner) -> None:
    """As OTP does."""

    def body() -> None:
        pg.start()
        pid = spawn()
        pg.join("g", [pid, pid])
        ref, _ = pg.monitor("g")
        ended(pid)
        until(lambda: _held("g") is None)
        assert events() == [GroupLeave(ref, "g", (pid,)), GroupLeave(ref, "g", (pid,))]

    run(body)


def test_pg_09_a_monitor_of_the_scope_hears_of_all_groups(run: Runner) -> None:
    """monitor_scope returns the whole map and all groups' events."""

    def body() -> None:
        pg.start()
        one, two = sorted((spawn(), spawn()))
        pg.join("g", [two, one])
        pg.join(("room", 7), one)
        ref, groups = pg.monitor_scope()
        assert groups == {"g": [one, two], ("room", 7): [one]}
        pg.join("new", two)
        pg.leave(("room", 7), one)
        assert events() == [GroupJoin(ref, "new", (two,)), GroupLeave(ref, ("room", 7), (one,))]

    run(body)


def test_pg_10_demonitor_takes_what_has_arrived_along(run: Runner) -> None:
    """demonitor ok then false; dead monitorers cleaned."""

    def body() -> None:
        pg.start()
        pid = spawn()
        ref, _ = pg.monitor("g")
        other, _ = pg.monitor_scope()
        pg.join("g", pid)
        settled()
        assert pg.demonitor(ref) is True
        assert pg.demonitor(ref) is False
        pg.leave("g", pid)
        assert events() == [GroupJoin(other, "g", (pid,)), GroupLeave(other, "g", (pid,))]
        assert pg.demonitor(other) is True
        pg.join("g", pid)
        assert events() == []
        with pytest.raises(BadArgument, match="expected a Ref"):
            pg.demonitor("ref")  # type: ignore[arg-type]  # wrong on purpose

    run(body)


def test_pg_10_the_monitors_of_the_dead_are_forgotten(run: Runner) -> None:
    def body() -> None:
        from otpy.cluster._pg_server import Scopes
        from otpy.runtime._current import current

        pg.start()
        me = self_pid()

        def watch() -> None:
            pg.monitor("g")
            pg.monitor_scope()
            process.send(me, "watches")
            process.sleep(float("inf"))

        pids = [process.spawn(watch, green=True) for _ in range(3)]
        for _ in pids:
            process.receive(str, timeout=5)
        groups = current().node.own(Scopes).table["pg"].groups
        assert len(groups.monitors) == 6
        for pid in pids:
            process.exit(pid, "kill")
        until(lambda: not groups.monitors)
        assert not groups.monitoring
        assert not groups.of_group
        assert not groups.of_scope

    run(body)


def test_pg_13_what_a_missing_scope_answers(run: Runner) -> None:
    """join/leave on missing scope exits noproc; get_members returns []."""

    def body() -> None:
        missing: list[Any] = [
            lambda: pg.join("g", self_pid(), scope="none"),
            lambda: pg.leave("g", self_pid(), scope="none"),
            lambda: pg.monitor("g", scope="none"),
            lambda: pg.monitor_scope(scope="none"),
            lambda: pg.demonitor(process.alias(), scope="none"),
        ]
        for call in missing:
            with pytest.raises(CallExit) as refused:
                call()
            assert refused.value.reason == "noproc"
        assert pg.get_members("g", scope="none") == pg.get_local_members("g", scope="none") == []
        for read in (pg.which_groups, pg.which_local_groups):
            with pytest.raises(NotRegistered, match="'none' does not run"):
                read(scope="none")

    run(body)


def test_pg_13_a_scope_that_has_ended_is_a_missing_one(run: Runner) -> None:
    def body() -> None:
        pg.start()
        pg.join("g", self_pid())
        gen_server.stop("pg")
        assert pg.get_members("g") == []
        with pytest.raises(CallExit, match="noproc"):
            pg.monitor("g")
        pg.start()
        assert pg.which_groups() == []

    run(body)


def test_pg_13_nothing_is_kept_of_a_scope_that_was_killed(run: Runner) -> None:
    """As an ETS table it goes with its process."""

    def body() -> None:
        from otpy.cluster._pg_server import Scopes
        from otpy.runtime._current import current

        ended(pg.start("other"))
        ended(pg.start())
        scopes = current().node.own(Scopes)
        eventually(lambda: gc.collect() >= 0 and not list(scopes.table))

    run(body)


def test_pg_14_a_leave_that_races_with_the_end_is_harmless(run: Runner) -> None:
    """leave racing with exit is harmless."""

    def body() -> None:
        pg.start()
        for _ in range(30):
            pid = spawn()
            pg.join("g", pid)
            process.exit(pid, "kill")
            pg.leave("g", pid)
        until(lambda: _held("g") is None)
        pg.join("g", self_pid())
        assert pg.get_members("g") == [self_pid()]

    run(body)


def test_pg_15_a_leave_tells_of_all_that_it_was_given(run: Runner) -> None:
    """a mixed leave emits one leave event listing the non-member pid too (observed)."""

    def body() -> None:
        pg.start()
        member, stranger = spawn(), spawn()
        pg.join("g", member)
        ref, _ = pg.monitor("g")
        pg.leave("g", [stranger, member, member])
        assert events() == [GroupLeave(ref, "g", (stranger, member, member))]

    run(body)


def test_pg_17_what_the_scope_does_not_know_ends_it(run: Runner, capture_reports: Reports) -> None:
    """garbage call crashes the scope with badarg."""

    def body() -> None:
        def calls() -> None:
            with pytest.raises(CallExit) as refused:
                gen_server.call("pg", "garbage")
            assert isinstance(refused.value.reason, Crash)

        garbages: list[Callable[[], Any]] = [
            calls,
            lambda: gen_server.cast("pg", ("sync", 1)),
            lambda: process.send("pg", "garbage"),
            lambda: process.send("pg", ("pg", ("join", self_pid(), "g"))),
        ]
        for garbage in garbages:
            ref = process.monitor(pg.start())
            garbage()
            down = process.receive(Down, timeout=5)
            assert down.ref == ref
            assert isinstance(down.reason, Crash)
            assert down.reason.type.endswith("BadArgument")

    run(body)


def test_pg_12_a_supervisor_starts_a_scope_anew_without_members(run: Runner) -> None:
    """scope restart loses local, regains remote members."""

    def body() -> None:
        process.flag(trap_exit=True)
        children = [pg.child_spec(), pg.child_spec("other")]
        boss = supervisor.start_link(children, strategy="one_for_one")
        assert [row.id for row in supervisor.which_children(boss)] == [
            ("pg", "other"),
            ("pg", "pg"),
        ]
        pg.join("g", self_pid())
        pg.join("g", self_pid(), scope="other")
        first = process.whereis("pg")
        assert first is not None
        ended(first)
        until(lambda: process.whereis("pg") not in (None, first))
        until(lambda: pg.which_groups() == [])
        assert pg.get_members("g", scope="other") == [self_pid()]
        supervisor.stop(boss)

    run(body)
