"""Monitors (MON) within one node."""

from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    Down,
    NotAName,
    gen_server,
    process,
    self_pid,
)
from otpy.runtime._current import current
from otpy.terms.signals import DemonitorSignal
from tests.conformance.conftest import Runner
from tests.conformance.servers import Server, kind
from tests.conformance.waiting import ended, gone, nothing_more, wait


def test_mon_01_one_down_for_a_monitor(run: Runner) -> None:
    """Exactly one {DOWN, ref, process, pid, reason}."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid)
        process.exit(pid, "x")
        assert process.receive(timeout=5) == Down(ref, pid, "x")
        nothing_more()

    run(body)


def test_mon_02_a_monitor_of_a_dead_process_fires_noproc(run: Runner) -> None:
    """Monitor of a dead or unknown process delivers noproc, never raises."""

    def body() -> None:
        pid = ended(run)
        ref = process.monitor(pid)
        assert process.receive(timeout=5) == Down(ref, pid, "noproc")
        ref = process.monitor("nobody")
        assert process.receive(timeout=5) == Down(ref, At("nobody", self_pid().node), "noproc")

    run(body)


def test_mon_03_a_monitor_by_name_tells_the_name(run: Runner) -> None:
    """monitoring by name: DOWN object is {name, node}, not a pid."""

    def body() -> None:
        for name in ("one", Server):
            for target in (name, At(name, self_pid().node)):
                pid = gen_server.start(kind(run), 0, name=name)
                ref = process.monitor(target)
                gen_server.stop(pid, "over")
                expected = Down(ref, At(name, self_pid().node), "over")
                assert process.receive(Down, timeout=5) == expected

    run(body)


def test_mon_04_each_monitor_has_its_own_down(run: Runner) -> None:
    """n monitors give n DOWNs."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        refs = [process.monitor(pid) for _ in range(5)]
        process.exit(pid, "x")
        assert sorted(process.receive(Down, timeout=5).ref for _ in refs) == refs

    run(body)


def test_mon_05_a_monitor_of_oneself_never_fires(run: Runner) -> None:
    """monitor(self()) returns a ref and never fires."""

    def body() -> None:
        process.monitor(self_pid())
        nothing_more()

    run(body)


def test_mon_06_demonitor_is_idempotent(run: Runner) -> None:
    """demonitor is true for unknown refs."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid)
        assert [process.demonitor(ref), process.demonitor(ref)] == [True, True]
        process.exit(pid, "kill")

    run(body)


def test_mon_07_demonitor_leaves_a_queued_down(run: Runner) -> None:
    """Without flush a queued DOWN stays; with it (MON-08) it goes."""

    def body() -> None:
        for flush in (False, True):
            pid = process.spawn(lambda: None, green=run.green)
            ref = process.monitor(pid)
            gone(pid)
            process.demonitor(ref, flush=flush)
            if not flush:
                assert process.receive(Down, timeout=5).ref == ref
            nothing_more()

    run(body)


def test_mon_09_demonitor_with_info_tells_whether_it_was_active(run: Runner) -> None:
    """info: false if the monitor had fired, true if active."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid)
        assert process.demonitor(ref, info=True) is True
        assert process.demonitor(ref, info=True) is False
        process.exit(pid, "kill")

    run(body)


def test_mon_10_no_down_comes_after_demonitor(run: Runner) -> None:
    """After demonitor returns no new DOWN may arrive."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid)
        process.demonitor(ref)
        process.exit(pid, "x")
        gone(pid)
        nothing_more()

    run(body)


def test_mon_12_bad_input_is_named(run: Runner) -> None:
    """demonitor of a non-reference and a monitor of a bad target raise (MON-13)."""

    def body() -> None:
        with pytest.raises(BadArgument, match="expected a Ref"):
            process.demonitor("x")  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(BadArgument, match="expected one of"):
            process.monitor(self_pid(), alias="sometimes")  # type: ignore[arg-type]  # wrong too

    run(body)


def test_mon_14_a_monitor_ends_with_its_holder(run: Runner) -> None:
    """A monitoring process's exit removes its monitors from the targets."""

    def body() -> None:
        target = process.spawn(wait, green=run.green)

        def holder(to: Any) -> None:
            process.monitor(target)
            process.send(to, "set")
            wait()

        pid = process.spawn(holder, self_pid(), green=run.green)
        assert process.receive(str, timeout=5) == "set"
        info = process.info(target, "monitored_by")
        assert info is not None
        assert info["monitored_by"] == [pid]
        process.exit(pid, "kill")
        gone(pid)
        info = process.info(target, "monitored_by")
        assert info is not None
        assert info["monitored_by"] == []
        assert process.alive(target)  # MON-15: the target does not notice
        process.exit(target, "kill")

    run(body)


def test_mon_16_a_monitor_of_an_unreachable_node_fires_noconnection(run: Runner) -> None:
    """DOWN noconnection when the node is unreachable."""

    def body() -> None:
        far = type(self_pid())(1, "far@nohost", 2, 3)
        ref = process.monitor(far)
        assert process.receive(timeout=5) == Down(ref, far, "noconnection")

    run(body)


def test_mon_19_spawn_monitor_has_no_race(run: Runner) -> None:
    """spawn_monitor never gives noproc."""

    def body() -> None:
        for _ in range(50):
            _, ref = process.spawn_monitor(lambda: process.exit("at once"), green=run.green)
            assert process.receive(Down, timeout=5).reason == "at once"
            assert ref

    run(body)


def test_mon_08_flush_removes_a_queued_down(run: Runner) -> None:
    """demonitor with flush removes an already queued DOWN, that one only."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        one, two = process.monitor(pid), process.monitor(pid)
        process.exit(pid, "x")
        gone(pid)
        process.demonitor(one, flush=True)
        assert process.receive(timeout=0) == Down(two, pid, "x")
        nothing_more()

    run(body)


def test_mon_11_only_the_holder_can_take_a_monitor_away(run: Runner) -> None:
    """demonitor from the wrong process has no effect on the monitor."""

    def body() -> None:
        pid = process.spawn(wait, green=run.green)
        ref = process.monitor(pid)

        def meddle() -> None:
            process.demonitor(ref, flush=True)
            me = current()
            me.node.send_signal(me, DemonitorSignal(me.pid, pid, ref))

        _, other = process.spawn_monitor(meddle, green=run.green)
        assert process.receive(Down, timeout=5).ref == other
        process.exit(pid, "x")
        assert process.receive(Down, timeout=5) == Down(ref, pid, "x")

    run(body)


def test_mon_13_a_monitor_of_no_process_is_refused(run: Runner) -> None:
    """monitor of an invalid type/target raises."""

    def body() -> None:
        for bad in (7, None, b"name", "", ("name", "node")):
            with pytest.raises(NotAName):
                process.monitor(bad)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(BadArgument, match="expected a Pid or a name"):
            process.monitor(process.alias())
        assert process.info(self_pid(), "monitors") == {"monitors": []}

    run(body)


def test_mon_15_the_target_does_not_notice_its_monitors_end(run: Runner) -> None:
    """monitor is one-directional: monitorer death does not affect target."""

    def body() -> None:
        me = self_pid()

        def target() -> None:
            while True:
                process.send(me, ("heard", process.receive()))

        def holder(reason: Any) -> None:
            process.monitor(pid)
            process.exit(reason)

        pid = process.spawn(target, green=run.green)
        for reason in ("normal", "boom", "shutdown"):
            _, ref = process.spawn_monitor(holder, reason, green=run.green)
            assert process.receive(Down, timeout=5).ref == ref
        process.send(pid, "only this")
        assert process.receive(tuple, timeout=5) == ("heard", "only this")
        assert process.alive(pid)
        process.exit(pid, "kill")

    run(body)


def test_mon_18_a_node_without_a_mesh_has_no_other_nodes(run: Runner) -> None:
    """monitor on a not-distributed node with a remote {name,node}: OTP raises badarg, otpy says
    "noconnection" (departures)."""

    def body() -> None:
        there = At("name", "other@nohost")
        ref = process.monitor(there)
        assert process.receive(timeout=5) == Down(ref, there, "noconnection")
        assert process.info(self_pid(), "monitors") == {"monitors": []}

    run(body)
