"""Standbys under dynamic supervisors: ordinary children, as under any other."""

from typing import Any

import pytest

from otpy import (
    ChildError,
    GenServer,
    Global,
    Ok,
    Pid,
    dynamic_supervisor,
    gen_server,
    process,
)
from otpy.behaviours.supervisor import ChildInfo
from otpy.testing.simulation import ClusterSimulation

A, B = "a@sim", "b@sim"
SEEDS = pytest.mark.parametrize("seed", range(3))


class Leader(GenServer[Any], green=True):
    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg, name=Global("leader"))

    def init(self, arg: Any) -> Any:
        return Ok(arg)


class World:
    """Two nodes, each with a dynamic supervisor that was asked to start the leader."""

    def __init__(self, seed: int) -> None:
        self.sim = ClusterSimulation(seed, (A, B))
        self.sim.wait(lambda: all(mesh.nodes() for mesh in self.sim.meshes.values()))
        for name in (A, B):
            self.sim.call(name, self.start)

    def start(self) -> None:
        def boss() -> None:
            dynamic_supervisor.start_link(name="sup", max_restarts=0, max_children=1)
            dynamic_supervisor.start_child("sup", CHILD)
            process.receive()

        process.spawn(boss, green=True)
        while process.whereis("sup") is None or not dynamic_supervisor.which_children("sup"):
            process.sleep(0.001)

    def row(self, name: str) -> ChildInfo:
        rows: list[ChildInfo] = self.sim.call(name, dynamic_supervisor.which_children, "sup")
        return rows[0]

    def leader(self, name: str) -> Pid | None:
        found: Pid | None = self.sim.nodes[name].name_services["global"].whereis_name("leader")
        return found


CHILD = {"id": "leader", "start": (Leader.start_link, (None,))}


@SEEDS
def test_the_second_node_has_a_standby_that_counts(seed: int) -> None:
    it = World(seed)
    assert it.row(A).standby is None
    assert it.row(B).standby == it.row(A).pid == it.leader(B)
    assert it.sim.call(B, dynamic_supervisor.count_children, "sup") == (1, 1, 0, 1)
    with pytest.raises(ChildError, match="max_children"):
        it.sim.call(B, dynamic_supervisor.start_child, "sup", CHILD)


@SEEDS
def test_a_standby_takes_over_in_place(seed: int) -> None:
    it = World(seed)
    waiting = it.row(B).pid
    it.sim.call(A, dynamic_supervisor.terminate_child, "sup", it.row(A).pid)
    it.sim.wait(lambda: it.leader(A) == it.leader(B) == waiting)
    assert it.row(B)[:4] == ("undefined", waiting, "worker", (Leader,))
    assert it.row(B).standby is None


@SEEDS
def test_a_standby_is_terminated_and_stopped_as_any_child(seed: int) -> None:
    it = World(seed)
    waiting, leads = it.row(B).pid, it.row(A).pid
    it.sim.call(B, dynamic_supervisor.terminate_child, "sup", waiting)
    assert it.sim.call(B, dynamic_supervisor.which_children, "sup") == []
    assert waiting not in it.sim.nodes[B].procs
    it.sim.call(B, dynamic_supervisor.start_child, "sup", CHILD)
    assert it.row(B).standby == leads
    it.sim.call(B, dynamic_supervisor.stop, "sup")
    assert it.leader(A) == leads


@SEEDS
def test_a_lost_name_is_no_restart_that_counts(seed: int) -> None:
    """The supervisors allow no restart at all."""
    it = World(seed)
    leads = it.row(A).pid
    it.sim.call(A, process.exit, leads, ("name_conflict", "leader", leads))
    it.sim.wait(lambda: it.leader(A) is not None and it.leader(A) == it.leader(B) != leads)
    rows = [it.row(A), it.row(B)]
    assert [row.standby for row in rows if row.standby] == [it.leader(A)]
    assert it.row(A).pid != leads
