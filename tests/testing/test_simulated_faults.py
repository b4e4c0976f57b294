"""What can happen to a simulated cluster: breaks, one-way cuts, pauses, crashes with their disk."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from otpy import At, Down, Exit, NodeDown, node, process, self_pid
from otpy.terms.errors import BadArgument, NodeStopped
from otpy.testing import disk, simulate
from otpy.testing.disk import Disk
from otpy.testing.faults import (
    KINDS,
    Break,
    ClockSkew,
    Crash,
    Fault,
    OneWay,
    Partition,
    Pause,
    draw_schedule,
    lasts,
)
from otpy.testing.simulation import ClusterSimulation
from tests.testing import cluster_program as program
from tests.testing.bodies import ticks

A, B, C = NAMES = ("a@sim", "b@sim", "c@sim")
TICK = 10.0  # seconds after which a silent node is down
ROOT = Path(__file__).parents[2]


def cluster(seed: int = 1, start: Any = None, prevent: bool = True) -> ClusterSimulation:
    sim = ClusterSimulation(seed, NAMES, start=start, prevent_overlapping_partitions=prevent)
    sim.wait(sim.meshed)
    return sim


def echo(inbox: list[Any], *, at: ClusterSimulation, name: str) -> None:
    """Let a process called "echo" of a node note what it gets, and when."""

    def body() -> None:
        while True:
            message = process.receive()
            inbox.append((round(at.elapsed, 3), message))

    at.call(name, lambda: process.spawn(body, name="echo"))


def tell(sim: ClusterSimulation, source: str, target: str, message: Any) -> None:
    sim.call(source, lambda: process.send(At("echo", target), message))


def sees(sim: ClusterSimulation, name: str) -> list[str]:
    return sim.meshes[name].nodes()


def test_a_broken_connection_ends_the_session_and_loses_what_it_carried() -> None:
    sim, inbox = cluster(), list[Any]()
    echo(inbox, at=sim, name=B)
    ended: list[Any] = []
    sim.nodes[A].events.attach("t", "node_down", lambda _, data: ended.append(data["node"]))
    tell(sim, A, B, "lost")
    sim.inject(Break(A, B))
    sim.wait(lambda: ended == [B])
    sim.wait(sim.meshed)
    tell(sim, A, B, "arrives")
    sim.wait(lambda: bool(inbox))
    assert [message for _, message in inbox] == ["arrives"]


def test_a_one_way_cut_lets_the_other_way_through_and_holds_what_it_cuts() -> None:
    sim, to_a, to_b = cluster(), list[Any](), list[Any]()
    echo(to_a, at=sim, name=A)
    echo(to_b, at=sim, name=B)
    sim.inject(OneWay(A, B, 5.0))
    for number in range(20):
        tell(sim, A, B, number)
        tell(sim, B, A, number)
    sim.let_pass(4.0)
    assert [message for _, message in to_a] == list(range(20))
    assert to_b == []
    assert sim.meshed(), "no session ends before the tick's time is over"
    sim.let_faults_pass()
    sim.let_pass(0.1)
    assert [message for _, message in to_b] == list(range(20)), "in order"


def test_a_long_one_way_cut_ends_the_session_on_both_sides_and_no_other() -> None:
    sim = cluster(prevent=False)
    sim.inject(OneWay(A, B, 60.0))
    took = sim.wait(lambda: sees(sim, A) == [C] and sees(sim, B) == [C])
    assert TICK / 2 < took < 2 * TICK
    sim.let_pass(20.0)
    assert sees(sim, A) == sees(sim, B) == [C], "a connection needs both ways"
    sim.let_faults_pass()
    sim.wait(sim.meshed, 20.0)


def test_a_paused_node_runs_nothing_and_its_clock_goes_on() -> None:
    sim, at_a, at_b, inbox = cluster(), list[float](), list[float](), list[Any]()
    sim.call(A, lambda: process.spawn(ticks(at_a, sim)))
    sim.call(B, lambda: process.spawn(ticks(at_b, sim)))
    echo(inbox, at=sim, name=A)
    began = sim.elapsed
    sim.inject(Pause(A, 5.5))
    tell(sim, B, A, "hello")
    sim.let_pass(5.4)
    assert at_a == []
    assert inbox == []
    assert len(at_b) == 5
    sim.let_faults_pass()
    assert sim.nodes[A].clock.now() - sim.began >= began + 5.5
    sim.let_pass(0.01)
    assert len(at_a) == 1, "late, and once"
    assert [message for _, message in inbox] == ["hello"]
    assert sim.meshed(), "the others have not missed it"


def test_timers_of_a_paused_node_fire_when_it_goes_on() -> None:
    sim = cluster()

    def waits() -> None:
        process.send_after(self_pid(), "tick", 1.0)
        process.receive(where=lambda message: message == "never")

    pid = sim.call(A, lambda: process.spawn(waits))
    sim.let_pass(0.1)
    sim.inject(Pause(A, 5.0))
    sim.let_pass(4.0)
    assert list(sim.nodes[A].procs[pid].mailbox) == []
    sim.let_faults_pass()
    sim.let_pass(0.01)
    assert list(sim.nodes[A].procs[pid].mailbox) == ["tick"]


def test_a_node_paused_for_long_is_taken_for_down_and_comes_back() -> None:
    sim, heard = cluster(), list[Any]()

    def watches() -> None:
        node.monitor(A, True)
        heard.append(process.receive())

    sim.call(B, lambda: process.spawn(watches))
    sim.inject(Pause(A, 30.0))
    sim.wait(lambda: bool(heard))
    assert isinstance(heard[0], NodeDown)
    sim.let_faults_pass()
    sim.wait(sim.meshed, 20.0)


def test_coroutines_of_a_paused_node_wait_too() -> None:
    sim, log = cluster(), list[float]()

    async def body() -> None:
        import asyncio

        while True:
            await asyncio.sleep(1.0)
            log.append(sim.elapsed)

    sim.call(A, lambda: process.spawn(body))
    sim.inject(Pause(A, 5.5))
    sim.let_pass(5.4)
    assert log == []
    sim.let_pass(0.2)
    assert len(log) == 1


def test_a_crash_is_heard_of_and_the_node_starts_again_by_itself() -> None:
    lives: list[Any] = []
    sim = cluster(start=lambda: lives.append(self_pid()))
    died: list[Any] = []

    def watches() -> None:
        process.flag(trap_exit=True)
        pid = next(pid for pid in lives if pid.node == A)
        process.monitor(pid)
        process.link(pid)
        died.extend(process.receive() for _ in range(2))

    sim.call(B, lambda: process.spawn(watches))
    sim.let_pass(0.1)
    sim.inject(Crash(A, 3.0))
    sim.wait(lambda: len(died) == 2)
    assert {type(message) for message in died} == {Down, Exit}
    assert {message.reason for message in died} == {"noconnection"}
    assert A not in sim.nodes
    sim.let_faults_pass()
    sim.wait(sim.meshed)
    assert sorted(pid.node for pid in lives) == [A, *NAMES]
    assert len(set(lives)) == 4


def test_faults_may_overlap_and_what_cannot_happen_does_not() -> None:
    sim = cluster()
    sim.inject(Crash(A, 2.0))
    for fault in (Crash(A, 1.0), Pause(A, 1.0), Break(A, B), OneWay(A, B, 1.0)):
        sim.inject(fault)
    sim.inject(Partition((A, B), (C,), 3.0))
    sim.inject(Partition((A,), (B, C), 1.0))
    sim.inject(Pause(C, 4.0))
    sim.inject(Pause(C, 1.0))
    sim.inject(Crash(C, 0.5))
    sim.let_faults_pass()
    sim.wait(sim.meshed, 20.0)


def test_what_start_raises_is_raised_by_the_wait() -> None:
    def start() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ClusterSimulation(1, NAMES, start=start)


def test_an_instant_that_is_over_and_a_restart_of_what_runs_are_refused() -> None:
    sim = cluster()
    sim.let_pass(2.0)
    with pytest.raises(BadArgument, match=r"Break.* at 1\.0 s"):
        sim.schedule([(1.0, Break(A, B))])
    with pytest.raises(BadArgument, match="it runs"):
        sim.restart(A)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Partition(("a",), ("b",), 1.0), "no node 'a'; expected of a@sim, b@sim, c@sim"),
        (Partition((), (B,), 1.0), "one or more on each"),
        (Partition("a", (B,), 1.0), "expected a side"),  # type: ignore[arg-type]
        (Partition((A, B), (B, C), 1.0), "twice"),
        (OneWay(A, A, 1.0), "twice"),
        (Break(A, "z@sim"), "no node 'z@sim'"),
        (Pause(A, -1.0), "not negative"),
        (Crash(A, float("nan")), "not negative"),
        (ClockSkew(A, 0.0, 1.0), "a rate above 0"),
        ("Pause", "is no fault"),
    ],
)
def test_a_fault_of_no_node_is_named_and_not_passed_over(fault: Any, told: str) -> None:
    sim = ClusterSimulation(0)
    for begins in (
        lambda: sim.inject(fault),
        lambda: sim.schedule([(1.0, fault)]),
        lambda: simulate(lambda _: None, seeds=1, faults=[(1.0, fault)]),
    ):
        with pytest.raises(BadArgument, match=told):
            begins()


def test_what_is_done_by_hand_to_no_node_or_one_that_does_not_run_is_named() -> None:
    sim = ClusterSimulation(0)
    with pytest.raises(BadArgument, match="no node 'a'"):
        sim.partition(["a"], [B])
    sim.kill(C)
    for does in (sim.pause, sim.resume, sim.kill, sim.restart, partial(sim.skew, rate=1.1)):
        with pytest.raises(BadArgument, match="no node 'z@sim'"):
            does("z@sim")
    for does in (sim.pause, sim.resume, sim.kill):
        with pytest.raises(BadArgument, match="does not run"):
            does(C)


def test_a_close_ends_every_body() -> None:
    ended: list[str] = []

    def start() -> None:
        def body() -> None:
            try:
                process.sleep(float("inf"))
            finally:
                ended.append(self_name)

        self_name = process.self_pid().node
        process.spawn(body)

    sim = cluster(start=start)
    sim.inject(Pause(B, 100.0))
    sim.close()
    assert sorted(ended) == [*NAMES]
    assert sim.nodes == {}


# Schedules.


def test_a_drawn_schedule_has_every_kind_in_order_within_its_window() -> None:
    schedule = draw_schedule(Random(5), NAMES, 200, (2.0, 9.0))
    assert {type(fault) for _, fault in schedule} == {*KINDS}
    assert [instant for instant, _ in schedule] == sorted(instant for instant, _ in schedule)
    assert all(2.0 <= instant <= 9.0 for instant, _ in schedule)
    sizes = [lasts(fault) for _, fault in schedule if not isinstance(fault, Break)]
    assert min(sizes) < 0.05 < TICK < max(sizes) < 41
    for _, fault in schedule:
        if isinstance(fault, Partition):
            assert sorted((*fault.left, *fault.right)) == [*NAMES]
            assert fault.left
            assert fault.right
    assert schedule == draw_schedule(Random(5), NAMES, 200, (2.0, 9.0))


def test_one_node_alone_is_never_cut_off() -> None:
    kinds = {type(fault) for _, fault in draw_schedule(Random(1), (A,), 50, (0.0, 1.0))}
    assert kinds == {Pause, Crash, ClockSkew}


# The same seed, the same log.


@pytest.mark.parametrize("seed", [2, 4, 8])
@pytest.mark.usefixtures("quiet_log")
def test_a_cluster_under_faults_has_the_same_log_in_two_interpreters(seed: int) -> None:
    def log(hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.testing.cluster_program", str(seed)]
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            command, env=env, check=True, capture_output=True, text=True, cwd=ROOT
        )
        return done.stdout

    first = log("1")
    assert first.count("\n") > 40
    assert first == log("2")
    assert first == "\n".join(program.play(seed)) + "\n"


@pytest.mark.usefixtures("quiet_log")
def test_seeds_of_a_cluster_differ() -> None:
    assert program.play(2) != program.play(3)


# Disks.


def crashed(prepare: Any) -> set[tuple[tuple[str, bytes], ...]]:
    """What many crashes may leave of what ``prepare(disk)`` did."""
    left: set[tuple[tuple[str, bytes], ...]] = set()
    for seed in range(300):
        before = Disk()
        prepare(before)
        after = before.crash(Random(seed))
        left.add(tuple((name, after.read(name)) for name in after.names()))
    return left


def test_what_was_fsynced_survives_and_a_later_write_may_be_torn() -> None:
    def prepare(disk: Disk) -> None:
        disk.append("log", b"one")
        disk.fsync("log")
        disk.append("log", b"two")

    assert crashed(prepare) == {(("log", b"one" + b"two"[:n]),) for n in range(4)}


def test_writes_survive_in_order() -> None:
    def prepare(disk: Disk) -> None:
        disk.write("log", b"")
        disk.fsync("log")
        for part in (b"a", b"b", b"c"):
            disk.append("log", part)

    assert crashed(prepare) == {(("log", b"abc"[:n]),) for n in range(4)}


def test_a_rename_without_fsync_may_lead_to_an_empty_file() -> None:
    def careless(disk: Disk) -> None:
        disk.write("state", b"old")
        disk.fsync("state")
        disk.write("new", b"new")
        disk.rename("new", "state")

    assert (("state", b""),) in crashed(careless)

    def careful(disk: Disk) -> None:
        disk.write("state", b"old")
        disk.fsync("state")
        disk.write("new", b"new")
        disk.fsync("new")
        disk.rename("new", "state")

    assert crashed(careful) == {(("new", b"new"), ("state", b"old")), (("state", b"new"),)}


def test_names_last_after_fsync_of_the_names() -> None:
    def prepare(disk: Disk) -> None:
        disk.write("a", b"1")
        disk.fsync("a")
        disk.rename("a", "b")
        disk.write("c", b"")
        disk.remove("c")
        disk.fsync_names()

    assert crashed(prepare) == {(("b", b"1"),)}


def test_the_disk_of_a_node_that_crashed_is_gone_and_its_next_life_finds_what_is_left() -> None:
    held: list[Disk] = []

    def start() -> None:
        if self_pid().node == A:
            held.append(disk())

    sim = cluster(start=start)
    held[0].append("log", b"kept")
    held[0].fsync("log")
    sim.inject(Crash(A, 1.0))
    with pytest.raises(NodeStopped, match="has crashed"):
        held[0].append("log", b"late")
    sim.let_faults_pass()
    sim.wait(lambda: len(held) == 2)
    assert held[1].read("log") == b"kept"
    assert held[1] is sim.disk(A)
    with pytest.raises(FileNotFoundError, match=r"no file 'x'.*\['log'\]"):
        held[1].read("x")


def test_faults_are_data() -> None:
    fault: Fault = Pause(A, 1.0)
    assert eval(repr(fault), {"Pause": Pause}) == fault
