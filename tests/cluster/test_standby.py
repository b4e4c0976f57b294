"""Children that wait for a cluster-wide name, on simulated and on real nodes."""

from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    CallExit,
    ChildSpec,
    Exit,
    GenServer,
    Global,
    Node,
    NoReply,
    Ok,
    Pid,
    Reply,
    StartError,
    Stop,
    gen_server,
    global_,
    process,
    self_pid,
    supervisor,
    sys,
)
from otpy.behaviours.supervisor import ChildInfo
from otpy.testing import eventually
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
A, B, C = NODES = ("a@sim", "b@sim", "c@sim")
LEADER = Global("leader")
SEEDS = range(16)


class Worker(GenServer[list[Any]], green=True):
    """Notes what becomes of it in the list it is started with."""

    @classmethod
    def start_link(cls, arg: list[Any]) -> Pid:
        return gen_server.start_link(cls, arg, name=LEADER)

    def init(self, arg: list[Any]) -> Ok[list[Any]]:
        arg.append(("init", self_pid()))
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: list[Any]) -> Reply[Any]:
        return Reply((request, self_pid()))

    def handle_cast(self, request: Any, state: list[Any]) -> Any:
        if request[0] == "stop":
            return Stop(request[1])
        state.append(("cast", request))
        return NoReply(state)

    def handle_info(self, message: Any, state: list[Any]) -> None:
        state.append(("info", message))

    def terminate(self, reason: Any, state: list[Any]) -> None:
        state.append(("terminate", reason))


class Sibling(GenServer[None], green=True):
    def init(self, arg: Any) -> Ok[None]:
        return Ok(None)


class Caught(Worker, green=True):
    """Traps exits, so it hears that it lost its name."""

    def init(self, arg: list[Any]) -> Ok[list[Any]]:
        process.flag(trap_exit=True)
        return super().init(arg)


class Simulated:
    """Three nodes, each with a supervisor of the same children and a list of what happens."""

    def __init__(self, seed: int, module: Any = Worker, **options: Any) -> None:
        self.sim = ClusterSimulation(seed, NODES)
        self.sim.wait(self.meshed)
        self.logs: dict[str, list[Any]] = {name: [] for name in NODES}
        self.options = options
        self.module = module
        for name in NODES:
            self.sim.call(name, self.start, name)

    def meshed(self) -> bool:
        return all(len(mesh.nodes()) == 2 for mesh in self.sim.meshes.values())

    def start(self, name: str) -> None:
        child = supervisor.child_spec((self.module, self.logs[name]), id="w", **self.options)

        def boss() -> None:
            children = [supervisor.child_spec((Sibling, None), id="s"), child]
            supervisor.start_link(children, strategy="one_for_all", max_restarts=0, name="sup")
            process.receive()

        process.spawn(boss, green=True)
        while process.whereis("sup") is None or len(supervisor.which_children("sup")) < 2:
            process.sleep(0.001)

    def rows(self, name: str) -> dict[str, ChildInfo]:
        rows: list[ChildInfo] = self.sim.call(name, supervisor.which_children, "sup")
        return {row.id: row for row in rows}

    def row(self, name: str) -> ChildInfo:
        return self.rows(name)["w"]

    def whereis(self, name: str) -> Pid | None:
        return self.sim.nodes[name].name_services["global"].whereis_name("leader")

    def led_by(self, pid: Pid) -> bool:
        return all(self.whereis(name) == pid for name in self.sim.nodes)

    def leader(self, name: str = A) -> Pid:
        found = self.whereis(name)
        assert found is not None
        return found


def test_a_standby_is_an_ordinary_child_that_has_not_run_init() -> None:
    for seed in SEEDS:
        it = Simulated(seed)
        leader = it.leader()
        assert leader.node == A
        assert it.row(A).standby is None
        for name in (B, C):
            row = it.row(name)
            assert row.standby == leader
            assert row.pid.node == name
            assert it.logs[name] == []
            counts = it.sim.call(name, supervisor.count_children, "sup")
            assert (counts.specs, counts.active, counts.workers) == (2, 2, 2)


def test_a_standby_is_promoted_in_place_and_the_loser_of_the_race_waits_on() -> None:
    """``max_restarts`` is 0: neither waiting nor losing counts as a restart."""
    for seed in SEEDS:
        it = Simulated(seed)
        pids = {name: it.row(name).pid for name in NODES}
        it.sim.kill(A)
        it.sim.wait(lambda it=it, pids=pids: it.whereis(B) in (pids[B], pids[C]))  # type: ignore[misc]
        winner = it.leader(B)
        it.sim.wait(lambda it=it, winner=winner: it.led_by(winner))  # type: ignore[misc]
        loser = B if winner.node == C else C
        assert winner == pids[winner.node]
        it.sim.wait(lambda it=it, winner=winner: bool(it.logs[winner.node]))  # type: ignore[misc]
        assert it.logs[winner.node] == [("init", winner)]
        assert it.logs[loser] == []
        assert it.row(winner.node).standby is None
        assert (it.row(loser).pid, it.row(loser).standby) == (pids[loser], winner)


def test_whereis_gives_none_and_never_a_standby_while_a_promotion_is_under_way() -> None:
    nobody = 0
    for seed in SEEDS:
        it = Simulated(seed)
        before = it.leader()
        seen: list[Pid | None] = []

        def look(it: Simulated = it, seen: list[Pid | None] = seen) -> bool:
            found = it.whereis(B)
            if not seen or seen[-1] != found:
                seen.append(found)
            return found is not None and found != seen[0]

        look()
        it.sim.kill(before.node)
        it.sim.wait(look)
        assert seen[0] == before
        assert len([pid for pid in seen if pid is not None]) == 2
        assert it.sim.call(B, gen_server.call, LEADER, "x") == ("x", seen[-1])
        assert it.row(it.leader(B).node).standby is None
        nobody += None in seen
    assert nobody == len(SEEDS)


def ask(pid: Pid) -> Any:
    with pytest.raises(CallExit) as failed:
        gen_server.call(pid, "hello", timeout=5)
    return failed.value.reason


def test_a_call_to_a_standby_is_refused_and_what_else_it_gets_is_kept() -> None:
    for seed in SEEDS:
        it = Simulated(seed)
        leader, waiting = it.leader(), it.row(B).pid
        assert it.sim.call(C, ask, waiting) == ("standby", leader)
        assert it.sim.call(B, ask, waiting) == ("standby", leader)

        def send(waiting: Pid = waiting) -> None:
            gen_server.cast(waiting, ("cast", 1))
            process.send(waiting, "two")
            gen_server.cast(waiting, ("cast", 3))

        it.sim.call(B, send)
        it.sim.kill(C)  # so that b is next
        it.sim.kill(A)
        it.sim.wait(lambda it=it: len(it.logs[B]) >= 4)  # type: ignore[misc]
        assert it.logs[B] == [
            ("init", waiting),
            ("cast", ("cast", 1)),
            ("info", "two"),
            ("cast", ("cast", 3)),
        ]


def test_the_holder_that_is_shown_is_the_present_one() -> None:
    it = Simulated(3)

    def replace() -> Pid:
        pid = process.spawn(process.receive, green=True)
        assert global_.re_register_name("leader", pid)
        return pid

    other = it.sim.call(C, replace)
    assert it.row(B).standby == other
    assert it.sim.call(A, ask, it.row(B).pid) == ("standby", other)


@pytest.mark.parametrize(("reason", "promoted"), [("normal", False), ("boom", True)])
def test_a_transient_standby_ends_with_a_holder_that_ended_normally(
    reason: Any, promoted: bool
) -> None:
    for seed in SEEDS:
        it = Simulated(seed, restart="transient")
        standbys = [it.row(name).pid for name in (B, C)]
        # Its own supervisor must not be the one that starts it again.
        it.sim.call(A, lambda: process.exit(process.whereis("sup"), "kill"))

        def moved(it: Simulated = it) -> bool:
            leader = it.whereis(B)
            return leader is not None and leader.node != A

        it.sim.wait(moved)
        leader = it.whereis(B)
        assert leader in standbys
        standbys.remove(leader)
        it.sim.call(B, gen_server.cast, leader, ("stop", reason))
        other = standbys[0].node
        if promoted:
            it.sim.wait(lambda it=it, standbys=standbys: it.whereis(B) == standbys[0])  # type: ignore[misc]
        else:
            it.sim.wait(lambda it=it, other=other: it.row(other).pid is None)  # type: ignore[misc]
            assert it.whereis(B) is None
            assert it.logs[other] == []


@pytest.mark.parametrize("reason", ["normal", "shutdown", "boom"])
def test_a_permanent_standby_takes_over_for_every_reason(reason: Any) -> None:
    for seed in SEEDS:
        it = Simulated(seed)
        standbys = [it.row(name).pid for name in (B, C)]

        def hand_over(reason: Any = reason) -> None:
            pid = process.spawn(lambda: process.exit(process.receive()), green=True)
            supervisor.terminate_child("sup", "w")
            while not global_.re_register_name("leader", pid):
                process.sleep(0.001)
            process.send(pid, reason)

        it.sim.call(A, hand_over)
        it.sim.wait(lambda it=it, standbys=standbys: it.whereis(B) in standbys)  # type: ignore[misc]


def test_a_temporary_child_does_not_stand_by() -> None:
    it = Simulated(1)

    def more() -> Any:
        child = supervisor.child_spec((Worker, []), id="more", restart="temporary")
        return supervisor.start_child("sup", child)

    with pytest.raises(StartError) as refused:
        it.sim.call(B, more)
    assert refused.value.reason == ("already_started", it.leader())


def test_outside_a_supervisor_a_taken_name_is_already_started() -> None:
    it = Simulated(1)
    with pytest.raises(AlreadyStarted) as refused:
        it.sim.call(C, Worker.start_link, [])
    assert refused.value.pid == it.leader()


def split_and_heal(it: Simulated) -> tuple[Pid, Pid]:
    """Two leaders, then one; the winner and the loser."""
    it.sim.partition([A, B], [C])
    it.sim.wait(lambda: it.whereis(C) is not None and it.whereis(C).node == C)  # type: ignore[union-attr]
    winner, loser = it.leader(), it.whereis(C)
    assert loser is not None
    it.sim.heal()
    it.sim.wait(lambda: it.meshed() and it.led_by(winner))
    return winner, loser


def test_a_demotion_is_not_counted_and_leaves_siblings_alone() -> None:
    """``one_for_all`` and ``max_restarts`` 0: anything counted would end the supervisor."""
    for seed in SEEDS:
        it = Simulated(seed)
        siblings = [it.rows(name)["s"].pid for name in NODES]
        for _ in range(3):
            winner, loser = split_and_heal(it)
            it.sim.wait(lambda it=it, winner=winner: it.row(C).standby == winner)  # type: ignore[misc]
            assert it.row(C).pid != loser
            assert it.logs[C][-1] == ("init", loser)
        assert [it.rows(name)["s"].pid for name in NODES] == siblings


def test_a_demoted_process_that_traps_exits_may_hand_over_first() -> None:
    it = Simulated(5, Caught)
    winner, loser = split_and_heal(it)
    conflict = ("name_conflict", "leader", winner)
    it.sim.wait(lambda: len(it.logs[C]) > 1)
    (kind, message) = it.logs[C][1]
    assert kind == "info"
    assert isinstance(message, Exit)
    assert message.reason == conflict
    assert it.row(C).pid == loser
    it.sim.call(C, gen_server.cast, loser, ("stop", conflict))
    it.sim.wait(lambda: it.row(C).standby == winner)


def test_a_standby_that_is_shut_down_does_not_run_terminate() -> None:
    it = Simulated(2)
    waiting = it.row(B).pid
    it.sim.call(B, supervisor.terminate_child, "sup", "w")
    assert it.row(B).pid is None
    assert it.logs[B] == []
    assert waiting not in it.sim.nodes[B].procs
    it.sim.wait(lambda: not it.sim.nodes[B].name_services["global"].names.watchers)  # type: ignore[attr-defined]
    it.sim.call(B, supervisor.restart_child, "sup", "w")
    assert it.row(B).standby == it.leader()


class Changed(Worker, green=True):
    """What a Worker becomes."""

    def code_change(self, old_vsn: Any, state: Any, extra: Any) -> Any:
        raise AssertionError(f"there is no state to change, not {state!r}")


def test_the_code_of_a_standby_is_changed_before_it_has_a_state() -> None:
    it = Simulated(3)
    waiting = it.row(B).pid

    def change() -> None:
        sys.suspend(waiting)
        with pytest.raises(CallExit, match="bad_module"):
            sys.change_code(waiting, int, None, None)
        sys.change_code(waiting, Changed, None, None)
        sys.resume(waiting)

    it.sim.call(B, change)
    assert it.logs[B] == []
    it.sim.kill(A)
    it.sim.kill(C)
    it.sim.wait(lambda: it.logs[B] == [("init", waiting)])
    assert it.sim.call(B, sys.get_status, waiting)["module"] is Changed


# Every kind of process, on real nodes.


class OnThread(GenServer[Any]):
    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg, name=LEADER)

    def init(self, arg: Any) -> Ok[Any]:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Reply[Any]:
        return Reply(self_pid())


class Green(OnThread, green=True):
    pass


class Async(OnThread):
    async def init(self, arg: Any) -> Ok[Any]:  # type: ignore[override]
        return Ok(arg)


@pytest.mark.parametrize("module", [OnThread, Green, Async])
def test_processes_of_every_kind_stand_by_and_take_over(cluster: Cluster, module: Any) -> None:
    a, b = cluster.start("ab").nodes.values()

    def boss() -> None:
        supervisor.start_link([(module, None)], strategy="one_for_one", name="sup")
        process.sleep(float("inf"))

    for node in (a, b):
        with node.attached():
            process.spawn(boss)
            eventually(lambda: process.whereis("sup") and supervisor.which_children("sup"))

    with b.attached():
        (row,) = supervisor.which_children("sup")
        assert row.standby is not None
        assert row.standby.node == a.name
        assert ask(row.pid) == ("standby", row.standby)
        process.send(row.pid, "kept")
        a.stop()
        eventually(lambda: gen_server.whereis(LEADER) == row.pid)
        assert gen_server.call(LEADER, "who") == row.pid
        with pytest.raises(AlreadyStarted):
            module.start_link(None)


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_a_child_that_loses_its_name_while_it_starts_is_started_again(
    node: Node, restart: Any
) -> None:
    conflict = ("name_conflict", "leader", self_pid())
    losses = [conflict, conflict]

    def start() -> Pid:
        if losses:
            raise StartError(losses.pop())
        return process.spawn_link(process.receive)

    boss = supervisor.start_link([], strategy="one_for_one", max_restarts=0)
    spec = ChildSpec(id="child", start=(start, ()), restart=restart)
    if restart == "temporary":
        with pytest.raises(StartError) as refused:
            supervisor.start_child(boss, spec)
        assert refused.value.reason == conflict
    else:
        assert process.alive(supervisor.start_child(boss, spec))
        assert supervisor.count_children(boss).active == 1
