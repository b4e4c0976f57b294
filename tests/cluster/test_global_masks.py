"""A death that this node has been told of is never given by ``whereis`` again."""

from collections.abc import Callable
from typing import Any

import pytest

from otpy import CallExit, GenServer, Ok, Pid, Stop, gen_server, global_, process
from otpy.cluster._deaths import MASKS, Deaths
from otpy.cluster.global_ import GlobalNames
from otpy.terms.messages import Down, Exit
from otpy.terms.names import Global
from otpy.testing import eventually
from otpy.testing.simulation import ClusterSimulation
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
A, B, C = "a@sim", "b@sim", "c@sim"


class Holder(GenServer[None], green=True):
    def init(self, arg: Any) -> Ok[None]:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Stop[None]:
        return Stop("enough")


def waits() -> None:
    process.receive(where=lambda m: m == "end")


def hears_by_monitor(pid: Pid, end: Callable[[], None]) -> None:
    process.monitor(pid)
    end()
    process.receive(Down, timeout=30)


def hears_by_link(pid: Pid, end: Callable[[], None]) -> None:
    process.flag(trap_exit=True)
    process.link(pid)
    process.monitor(pid)  # the Down is not looked at: it comes after the Exit
    end()
    process.receive(Exit, timeout=30)


def hears_by_call(pid: Pid, end: Callable[[], None]) -> None:
    end()
    with pytest.raises(CallExit):
        gen_server.call(pid, "anything", timeout=30)


def hears_by_an_answer(pid: Pid, end: Callable[[], None]) -> None:
    with pytest.raises(CallExit, match="enough"):
        gen_server.call(pid, "end", timeout=30)


WAYS = [hears_by_monitor, hears_by_link, hears_by_call, hears_by_an_answer]


def one_round(name: Any, hears: Callable[[Pid, Callable[[], None]], None], holder: Pid) -> None:
    """Hear of the holder's end, then ask for the name at once, and take it."""
    assert gen_server.whereis(Global(name)) == holder
    hears(holder, lambda: process.exit(holder, "kill"))
    assert gen_server.whereis(Global(name)) is None
    assert name not in global_.registered_names()


def registered(name: Any, hears: Any) -> Pid:
    pid = (
        gen_server.start(Holder, None)
        if hears in (hears_by_call, hears_by_an_answer)
        else process.spawn(waits, green=True)
    )
    assert global_.register_name(name, pid)
    return pid


@pytest.mark.parametrize("hears", WAYS)
def test_whereis_after_a_down_never_gives_the_dead_pid(cluster: Cluster, hears: Any) -> None:
    a, b = cluster.start("ab").nodes.values()
    for number in range(100):
        with b.attached():
            pid = registered(("x", number), hears)
        with a.attached():
            one_round(("x", number), hears, pid)


@pytest.mark.parametrize("hears", WAYS)
def test_whereis_after_a_down_never_gives_the_dead_pid_in_the_simulator(hears: Any) -> None:
    for seed in range(40):
        sim = ClusterSimulation(seed, (A, B, C))
        sim.wait(lambda sim=sim: all(len(m.nodes()) == 2 for m in sim.meshes.values()))  # type: ignore[misc]
        pid = sim.call(B, registered, "x", hears)
        sim.call(C, one_round, "x", hears, pid)


def test_without_the_mask_the_dead_pid_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_mask(self: Deaths, pid: Pid) -> None:
        """Forget it."""

    monkeypatch.setattr(Deaths, "mask", no_mask)
    with pytest.raises(AssertionError, match="is None"):
        test_whereis_after_a_down_never_gives_the_dead_pid_in_the_simulator(hears_by_monitor)


def takes_over(name: str, holder: Pid) -> bool:
    hears_by_monitor(holder, lambda: process.exit(holder, "kill"))
    return global_.register_name(name, process.spawn(waits, green=True))


def test_who_has_heard_of_the_holders_death_may_register_at_once() -> None:
    """``register_name`` treats a holder known to be dead as free."""
    for seed in range(40):
        sim = ClusterSimulation(seed, (A, B, C))
        sim.wait(lambda sim=sim: all(len(m.nodes()) == 2 for m in sim.meshes.values()))  # type: ignore[misc]
        for holder, taker in ((B, C), (C, B), (A, C), (C, A)):
            pid = sim.call(holder, registered, holder + taker, hears_by_monitor)
            assert sim.call(taker, takes_over, holder + taker, pid), f"seed {seed}"
            for name in (A, B, C):
                found = sim.nodes[name].name_services["global"].whereis_name(holder + taker)
                assert found is not None, f"seed {seed}: {name} does not see it"
                assert found.node == taker


def test_a_mask_goes_when_newer_deaths_come_and_not_before_the_table_drops_the_pid() -> None:
    sim = ClusterSimulation(0, (A, B))
    service = sim.nodes[A].name_services["global"]
    assert isinstance(service, GlobalNames)
    held = Pid(1, B, 1, 1)
    service.names.message(B, ("sync", (("x", held, "default"),)))
    for number in range(1, MASKS + 500):
        service.deaths.mask(Pid(1, B, 1, number))
    assert len(service.deaths.masks) == MASKS
    assert held in service.deaths.masks
    assert Pid(1, B, 1, 2) not in service.deaths.masks
    service.names.message(B, ("gone", "x", held, "killed"))
    for number in range(MASKS + 500, 2 * MASKS + 1000):
        service.deaths.mask(Pid(1, B, 1, number))
    assert held not in service.deaths.masks
    assert len(service.deaths.masks) == MASKS


def test_a_restarted_node_does_not_bring_its_old_pids_back() -> None:
    """Its name is back before the name server has heard that its earlier life is over."""
    sim = ClusterSimulation(3, (A, B))
    servers = [sim.nodes[name].name_services["global"] for name in (A, B)]
    sim.wait(lambda: all(isinstance(one, GlobalNames) and one.names.peers for one in servers))
    pid = sim.call(B, registered, "x", hears_by_monitor)
    service = sim.nodes[A].name_services["global"]
    life = sim.nodes[A].peers[B]
    assert service.whereis_name("x") == pid
    sim.nodes[A].peers[B] = type(life)(life.started + 1, life.node, life.bits + 1)
    assert service.whereis_name("x") is None


def test_a_split_ends_and_the_pid_is_found_again(cluster: Cluster) -> None:
    """What "noconnection" hides is back with the session."""
    a, b = cluster.start("ab").nodes.values()
    with b.attached():
        pid = registered("x", hears_by_monitor)
    with a.attached():
        process.monitor(pid)
        cluster.partition("a", "b")
        assert process.receive(Down, timeout=5).reason == "noconnection"
        assert global_.whereis_name("x") is None
        cluster.heal("a", "b")
        eventually(lambda: global_.whereis_name("x") == pid)


def test_a_node_without_a_name_server_does_not_hold_up_a_registration(cluster: Cluster) -> None:
    cluster.start("a")
    bare = cluster.start_bare("b")
    a = cluster.nodes["a"]
    eventually(lambda: list(a.peers) == [bare.name])
    with a.attached():
        pid = process.spawn(waits, green=True)
        assert global_.register_name("x", pid)  # for ever, if it waited for the other node
    global_.start(bare)
    eventually(lambda: bare.name_services["global"].whereis_name("x") == pid)
    with bare.attached():
        assert global_.register_name("x", process.self_pid()) is False
        assert global_.register_name("y", process.self_pid()) is True
