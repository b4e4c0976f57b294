"""The machine of global names under every order of events a seed gives.

A network of machines with one queue for each direction of each link: messages keep
their order on a link, links come up and go down, processes end. When everything has
been delivered, all nodes of a component agree, and each name has one holder there.
"""

import random
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines import global_ as g
from otpy.machines.global_messages import Wanted
from otpy.terms.pid import Pid, Ref
from tests.machines.global_mistakes import (
    ForgetsNodeDown,
    NeverRefuses,
    NeverYields,
    TellsNobodyOfDeaths,
    TellsNoWatcher,
)

NODES = ("a", "b", "c", "d")
WAITS = Ref(0, "a", 0, 1, 1)


class Network:
    """Machines, links, and the processes that are alive."""

    def __init__(self, seed: int, machine: type[g.Names] = g.Names) -> None:
        self.draw = random.Random(seed)
        self.machines = {name: machine(name) for name in NODES}
        self.links: dict[tuple[str, str], deque[Any]] = {}
        self.alive: dict[Pid, None] = {}
        self.number = 0
        self.answers: dict[Any, bool] = {}
        self.asked: list[Any] = []
        self.watched: set[Pid] = set()
        self.waits: dict[Pid, tuple[str, str]] = {}
        self.elsewhere: dict[int, None] = {}  # asked of another node than the process's
        for one in NODES:
            for other in NODES:
                if one < other:
                    self.up(one, other)

    def up(self, one: str, other: str) -> None:
        if (one, other) in self.links:
            return
        self.links[one, other] = deque()
        self.links[other, one] = deque()
        self.do(one, self.machines[one].node_up(other))
        self.do(other, self.machines[other].node_up(one))

    def down(self, one: str, other: str) -> None:
        if (one, other) not in self.links:
            return
        del self.links[one, other], self.links[other, one]
        self.do(one, self.machines[one].node_down(other))
        self.do(other, self.machines[other].node_down(one))

    def do(self, node: str, effects: g.Effects) -> None:
        dead: list[Pid] = []  # a driver hears of deaths in later messages
        ended: list[Pid] = []
        for effect in effects:
            match effect:
                case g.Send(peer, message):
                    if (node, peer) in self.links:
                        self.links[node, peer].append(message)
                case g.Answer(request, value):
                    assert request not in self.answers
                    self.answers[request] = value
                case g.Watch(pid):
                    assert pid.node == node
                    if pid in self.alive:
                        self.watched.add(pid)
                    else:
                        dead.append(pid)
                case g.Unwatch(pid):
                    self.watched.discard(pid)
                case g.ExitPid(pid, (_, _, winner)):
                    assert winner < pid, "who sorts first stays"
                    has_it = self.answers.get(winner.number) or winner.number in self.elsewhere
                    assert has_it, f"for {winner}, which has no name"
                    ended.append(pid)
                case g.Freed(name, _, watchers):
                    for pid, _ in watchers:
                        assert self.waits.pop(pid, None) == (node, name), "told though dead"
                case _:
                    pass  # a network of machines has no use for it
        for pid in dead:
            self.do(node, self.machines[node].pid_down(pid, "noproc"))
        for pid in ended:
            self.kill(pid)

    def kill(self, pid: Pid) -> None:
        self.waits.pop(pid, None)
        if self.alive.pop(pid, 0) is None and pid in self.watched:
            self.watched.discard(pid)
            self.do(pid.node, self.machines[pid.node].pid_down(pid, "killed"))

    def register(self, node: str, name: str, owner: str | None = None) -> None:
        """Ask a node to register a process, of its own or of another node."""
        self.number += 1
        owner = owner or node
        if owner != node:
            self.elsewhere[self.number] = None
        pid = Pid(NODES.index(owner), owner, 0, self.number)
        self.alive[pid] = None
        self.asked.append(self.number)
        machine = self.machines[node]
        dead = tuple(held for held in machine.table.get(name, ()) if held not in self.alive)
        wanted = Wanted(name, pid, g.DEFAULT, dead=dead)
        self.do(node, machine.register(self.number, wanted))

    def monitor(self, node: str, name: str) -> None:
        """A watcher of its own for each: it must be told once, when nobody has the name."""
        self.number += 1
        pid = Pid(NODES.index(node), node, 0, self.number)
        self.alive[pid] = None
        self.waits[pid] = (node, name)
        self.do(node, self.machines[node].monitor(name, pid, Ref(0, node, 0, self.number)))

    def deliver_one(self) -> bool:
        ready = [link for link, queue in self.links.items() if queue]
        if not ready:
            return False
        sender, dest = link = self.draw.choice(ready)
        message = self.links[link].popleft()
        self.do(dest, self.machines[dest].message(sender, message))
        return True

    def settle(self) -> None:
        while self.deliver_one():
            pass

    def step(self) -> None:
        one, other = sorted(self.draw.sample(NODES, 2))
        match self.draw.randrange(9):
            case 0:
                self.down(one, other)
            case 1:
                self.up(one, other)
            case 2 if self.alive:
                self.kill(self.draw.choice(list(self.alive)))
            case 3:
                self.register(one, self.draw.choice("xy"))
            case 4:
                self.register(one, self.draw.choice("xy"), self.draw.choice(NODES))
            case 5:
                self.monitor(one, self.draw.choice("xy"))
            case _:
                for _ in range(self.draw.randrange(6)):
                    self.deliver_one()

    def check(self) -> None:
        """Heal everything, let it come to rest, and compare."""
        for one in NODES:
            for other in NODES:
                if one < other:
                    self.up(one, other)
        self.settle()
        assert sorted(self.answers) == self.asked, "a request was never answered"
        views = [
            {name: sorted(claims) for name, claims in machine.table.items()}
            for machine in self.machines.values()
        ]
        assert all(view == views[0] for view in views), f"views differ: {views}"
        assert all(len(pids) == 1 for pids in views[0].values()), "two claims at rest"
        assert all(pids[0] in self.alive for pids in views[0].values()), "a dead holder"
        waits = {
            pid: (node, name)
            for node, machine in self.machines.items()
            for name, watchers in machine.watchers.items()
            for pid, _ in watchers
        }
        assert waits == self.waits, "a watcher was forgotten, or is kept though it is dead"
        for machine in self.machines.values():
            known = {pid: set(names) for pid, names in machine.named.items()}
            assert known == {
                pid: {name for name, claims in machine.table.items() if pid in claims}
                for claims in machine.table.values()
                for pid in claims
            }
            mine = {pid for pid in known if pid.node == machine.node} | machine.waiting.keys()
            assert mine == {pid for pid in self.watched if pid.node == machine.node}
            assert not machine.requests
            assert not machine.origins
            assert not machine.granted
            assert not machine.queued
            assert not machine.pending


def play(seed: int, machine: type[g.Names] = g.Names) -> None:
    network = Network(seed, machine)
    network.settle()
    for _ in range(60):
        network.step()
    network.check()


@pytest.mark.parametrize("batch", range(8))
def test_all_nodes_agree_at_rest_whatever_happened(batch: int) -> None:
    for seed in range(batch * 100, batch * 100 + 100):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_a_name_is_everywhere_when_its_registration_is_answered() -> None:
    for seed in range(200):
        network = Network(seed)
        network.settle()
        network.register("c", "x")
        while not network.answers:
            assert network.deliver_one()
        assert all("x" in machine.table for machine in network.machines.values())


def test_the_claims_go_out_before_anything_else_is_done_about_a_registration() -> None:
    """Whoever asks waits for them."""
    names = g.Names("a")
    names.node_up("b")
    names.node_up("c")
    pid = Pid(1, "a", 2, 3)
    effects = names.register(7, Wanted("x", pid, g.DEFAULT))
    assert [type(effect) for effect in effects] == [g.Send, g.Send, g.Watch]


def test_two_registrations_at_once_have_one_winner() -> None:
    for seed in range(300):
        network = Network(seed)
        network.settle()
        for node in NODES:
            network.register(node, "x")
        network.settle()
        assert sorted(network.answers.values()) == [False, False, False, True]


@pytest.mark.parametrize(
    "broken", [ForgetsNodeDown, TellsNobodyOfDeaths, NeverYields, NeverRefuses]
)
def test_a_seeded_mistake_is_found(broken: type[g.Names]) -> None:
    found = 0
    for seed in range(300):
        try:
            play(seed, broken)
            network = Network(seed, broken)
            network.settle()
            for node in NODES:
                network.register(node, "x")
            network.settle()
            assert sorted(network.answers.values()) == [False, False, False, True]
        except (AssertionError, RecursionError):
            found += 1
    assert found > 0


class KeepsDeadWatchers(g.Names):
    def pid_down(self, pid: Pid, reason: Any) -> g.Effects:
        return super().pid_down(pid, reason) if pid in self.named else []


@pytest.mark.parametrize("broken", [KeepsDeadWatchers, TellsNoWatcher])
def test_a_mistake_about_watchers_is_found(broken: type[g.Names]) -> None:
    for seed in range(200):
        try:
            play(seed, broken)
        except AssertionError:
            return
    pytest.fail("200 seeds found nothing")


PARTS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(("x", "a", "default", "own", "ask", "grant", "claim", "said", "sync", "gone")),
    st.builds(Pid, st.just(0), st.sampled_from(NODES), st.just(0), st.integers(1, 3)),
)
JUNK = st.recursive(
    PARTS,
    lambda part: st.lists(part, max_size=6) | st.lists(part, max_size=6).map(tuple),
    max_leaves=12,
)
KINDS = st.sampled_from(
    ("own", "owned", "ask", "grant", "done", "claim", "said", "free", "gone", "sync", "resolved")
)
MESSAGES = JUNK | st.tuples(KINDS, st.lists(JUNK, max_size=4)).map(lambda m: (m[0], *m[1]))


@given(st.lists(MESSAGES, max_size=6))
def test_glob_22_no_message_makes_the_machine_raise(messages: list[Any]) -> None:
    machine = g.Names("a")
    machine.node_up("b")
    machine.register(1, Wanted("x", Pid(0, "a", 0, 1), g.DEFAULT))
    for message in messages:
        machine.message("b", message)


def test_a_resolver_that_decides_too_late_changes_nothing() -> None:
    """One of the two ended meanwhile: the other keeps the name."""
    first, second = Pid(0, "a", 0, 1), Pid(1, "b", 0, 1)
    machine = g.Names("a")
    machine.node_up("b")
    machine.register(1, Wanted("x", first, "m:f"))
    machine.message("b", ("said", 1, True, ()))
    (resolve,) = machine.message("b", ("sync", (("x", second, "default"),)))
    assert resolve == g.Resolve("x", first, second, "m:f")
    machine.message("b", ("gone", "x", second, "killed"))
    assert machine.resolved("x", first, second, second) == []
    assert machine.holder("x") == first


def test_a_claim_that_loses_before_its_registration_is_answered_is_refused() -> None:
    """It had no name yet, so nothing is done to the process: it may have to stand by."""
    first, second = Pid(0, "b", 0, 1), Pid(1, "a", 0, 1)
    machine = g.Names("a")
    machine.node_up("c")
    machine.register(1, Wanted("x", second, g.DEFAULT), (second, WAITS))
    machine.node_up("b")
    lost = machine.message("b", ("sync", (("x", first, g.DEFAULT),)))
    assert [effect for effect in lost if isinstance(effect, g.ExitPid | g.Notify)] == []
    assert machine.holder("x") == first
    assert machine.message("c", ("said", 1, True, ())) == [], "b was asked as well"
    answered = machine.message("b", ("said", 1, False, ()))
    assert g.Answer(1, False, (first,)) in answered
    assert machine.pending == {}
    assert machine.message("b", ("gone", "x", first, "normal"))[-1:] == [g.Unwatch(second)]


def test_a_claim_that_may_be_refused_is_put_before_a_new_node_and_does_not_win() -> None:
    first, second = Pid(0, "a", 0, 1), Pid(1, "b", 0, 1)
    a, b = g.Names("a"), g.Names("b")
    a.node_up("c")
    a.register(1, Wanted("x", first, g.DEFAULT))
    b.register(1, Wanted("x", second, g.DEFAULT))
    sync, claim = [e.message for e in a.node_up("b") if isinstance(e, g.Send)]
    assert sync == ("sync", ())
    b.message("a", sync)
    assert b.message("a", claim) == [g.Send("a", ("said", 1, False, (second,)))]
    assert b.holder("x") == second
    a.message("b", ("said", 1, False, (second,)))
    answered = a.message("c", ("said", 1, True, ()))
    assert g.Answer(1, False, (second,)) in answered
    assert a.holder("x") is None


def test_a_new_nodes_holder_wins_over_a_claim_that_may_be_refused() -> None:
    """Also where that claim sorts first: nobody has heard a yes to it."""
    first, second = Pid(0, "a", 0, 1), Pid(1, "b", 0, 1)
    machine = g.Names("a")
    machine.node_up("c")
    machine.register(1, Wanted("x", first, "m:f"))
    machine.node_up("b")
    decided = machine.message("b", ("sync", (("x", second, g.DEFAULT),)))
    assert [e for e in decided if isinstance(e, g.Resolve | g.ExitPid | g.Notify)] == []
    assert machine.holder("x") == second
    machine.message("c", ("said", 1, True, ()))
    assert g.Answer(1, False, (second,)) in machine.message("b", ("said", 1, True, ()))


FIRST, SECOND = Pid(0, "b", 0, 1), Pid(1, "a", 0, 1)  # of the node b, and of a


@pytest.mark.parametrize(
    ("how", "fate"),
    [
        (g.DEFAULT, g.ExitPid(SECOND, ("name_conflict", "x", FIRST))),
        (g.RANDOM_EXIT, g.ExitPid(SECOND, "kill")),
        (g.RANDOM_NOTIFY, g.Notify(SECOND, ("global_name_conflict", "x"))),
        (g.NOTIFY_ALL, g.Notify(SECOND, ("global_name_conflict", "x", FIRST))),
    ],
)
def test_how_a_name_was_registered_says_what_becomes_of_who_sorts_last(how: str, fate: Any) -> None:
    machine = g.Names("a")
    machine.register(1, Wanted("x", SECOND, how))
    machine.node_up("b")
    lost = machine.message("b", ("sync", (("x", FIRST, how),)))
    assert g.Send("b", ("gone", "x", SECOND, "name_conflict")) in lost
    assert [one for one in lost if isinstance(one, g.ExitPid | g.Notify)] == [fate]
    assert machine.holder("x") == FIRST


@pytest.mark.parametrize(
    ("how", "fates"),
    [
        (g.DEFAULT, []),
        (g.RANDOM_EXIT, []),
        (g.RANDOM_NOTIFY, []),
        (g.NOTIFY_ALL, [g.Notify(FIRST, ("global_name_conflict", "x", SECOND))]),
    ],
)
def test_how_a_name_was_registered_says_what_becomes_of_who_sorts_first(
    how: str, fates: list[Any]
) -> None:
    machine = g.Names("b")
    machine.register(1, Wanted("x", FIRST, how))
    machine.node_up("a")
    decided = machine.message("a", ("sync", (("x", SECOND, how),)))
    assert [one for one in decided if isinstance(one, g.ExitPid | g.Notify)] == fates
