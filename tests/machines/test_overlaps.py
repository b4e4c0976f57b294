"""No partitions that overlap: whatever is lost, at rest each node sees its whole group."""

import random
from collections.abc import Iterable, Mapping
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otpy.machines.overlaps import Overlaps, Part, Peer, Rejoin
from otpy.terms.pid import Creation
from tests.machines.overlapping import SETTLE, Network, Pair

PAIRS = [*combinations(range(4), 2)]
HISTORY = st.lists(
    st.tuples(st.sampled_from(["cut", "step", "step", "step", "die", "heal"]), st.integers(0, 63)),
    max_size=30,
)


def life(number: int) -> Creation:
    return Creation(number, str(number), 0)


def between(*names: str) -> Overlaps:
    """A node that is connected to these, each of which accounts for all."""
    machine = Overlaps(1.0)
    for name in names:
        machine.up(life(int(name)))
    for name in names:
        machine.told(name, names)
    return machine


def test_a_pair_that_stays_broken_costs_the_later_one_its_session() -> None:
    machine = between("1", "2", "3")
    machine.told("2", ["1"])
    machine.told("3", ["1"])
    assert machine.check(0.0, {}) == []
    assert machine.check(0.9, {"2": 0.9, "3": 0.9}) == []
    assert machine.check(1.0, {"2": 1.0, "3": 1.0}) == [Part("3", "2")]
    assert machine.accounts() == ["1", "2", "3"]


@pytest.mark.parametrize(("deaf", "late"), [("2", "3"), ("3", "2")])
def test_without_a_sign_of_life_from_both_nobody_is_parted_with(deaf: str, late: str) -> None:
    machine = between("1", "2", "3")
    machine.told("2", ["1"])
    machine.told("3", ["1"])
    machine.check(0.0, {})
    assert machine.check(9.0, {late: 9.0, deaf: 0.5}) == []
    assert machine.check(9.1, {late: 9.1, deaf: 9.1}) == [Part("3", "2")]


def test_a_pair_that_is_whole_again_in_time_is_forgotten() -> None:
    machine = between("1", "2", "3")
    machine.told("2", ["1"])
    machine.told("3", ["1"])
    machine.check(0.0, {})
    machine.told("3", ["1", "2"])
    machine.check(0.5, {})
    machine.told("3", ["1"])
    machine.check(0.9, {})
    assert machine.check(1.5, {"2": 1.5, "3": 1.5}) == []


def test_who_is_kept_out_is_let_in_when_the_two_see_each_other() -> None:
    machine = between("1", "2")
    machine.told("1", [])
    machine.told("2", [])
    machine.check(0.0, {})
    assert machine.check(1.0, {"1": 1.0, "2": 1.0}) == [Part("2", "1")]
    assert machine.down("2") == []
    assert machine.told("1", ["2"]) == [Rejoin("2")]


def test_who_is_kept_out_is_let_in_when_the_other_is_gone() -> None:
    machine = between("1", "2")
    machine.told("1", [])
    machine.told("2", [])
    machine.check(0.0, {})
    machine.check(1.0, {"1": 1.0, "2": 1.0})
    assert machine.down("1") == [Rejoin("2")]


def test_a_node_that_takes_no_part_breaks_no_pair() -> None:
    machine = between("1", "2", "3")
    machine.told("3", None)
    machine.told("2", ["1"])
    machine.check(0.0, {})
    assert machine.check(9.0, {"2": 9.0, "3": 9.0}) == []


@pytest.mark.parametrize("seed", range(4))
def test_whichever_links_of_four_nodes_are_lost_the_groups_are_whole_and_meet_again(
    seed: int,
) -> None:
    for lost in range(1 << len(PAIRS)):
        network = Network(4, seed)
        cut = [ends for number, ends in enumerate(PAIRS) if lost >> number & 1]
        network.draw.shuffle(cut)
        for ends in cut:
            network.cut(ends)
            for _ in range(network.draw.randrange(12)):
                network.step()
        network.check()
        network.heal()
        network.check()
        assert network.groups() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("dead", [(0,), (1,), (3,), (0, 2), (1, 3), (0, 1, 2)])
@pytest.mark.parametrize("seed", range(10))
def test_nobody_parts_because_nodes_die(dead: tuple[int, ...], seed: int) -> None:
    network = Network(4, seed)
    for node in dead:
        network.die(node)
        for _ in range(network.draw.randrange(60)):
            network.step()
    network.check()
    assert network.parted == []


def play(
    nodes: int, history: list[tuple[str, int]], seed: int, machine: type[Overlaps] = Overlaps
) -> None:
    network = Network(nodes, seed, machine)
    pairs: list[Pair] = [*combinations(range(nodes), 2)]
    for what, number in history:
        match what:
            case "cut":
                network.cut(pairs[number % len(pairs)])
            case "die" if len(network.machines) > 2:
                network.die(number % nodes)
            case "heal":
                network.heal()
            case _:
                network.step()
    network.check()
    network.heal()
    network.check()
    assert len(network.groups()) == 1


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.integers(3, 7), HISTORY, st.integers(0, 63))
def test_any_history(nodes: int, history: list[tuple[str, int]], seed: int) -> None:
    play(nodes, history, seed)


class PartsWithTheEarlier(Overlaps):
    def check(self, now: float, heard: Mapping[str, float]) -> list[Part]:
        lives = {name: peer.life for name, peer in self.peers.items()}
        parted = super().check(now, heard)
        for part in parted:
            part.peer, part.unseen = part.unseen, part.peer
            self.peers[part.unseen] = Peer(self.apart.pop(part.unseen))
            self.peers.pop(part.peer, None)
            self.apart[part.peer] = lives[part.peer]
        return parted


class WaitsForNoSign(Overlaps):
    def check(self, now: float, heard: Mapping[str, float]) -> list[Part]:
        return super().check(now, dict.fromkeys(heard, now))


class ForgetsWhomItKeepsOut(Overlaps):
    def accounts(self) -> list[str]:
        return sorted(self.peers)


class LetsNobodyInAgain(Overlaps):
    def told(self, peer: str, accounts: Iterable[str] | None) -> list[Rejoin]:
        if peer in self.peers and accounts is not None:
            self.peers[peer].accounts = dict.fromkeys(accounts)
        return []


class KeepsOutForOneThatHasGone(Overlaps):
    def down(self, peer: str) -> list[Rejoin]:
        self.peers.pop(peer, None)
        return []


class LooksAtOneSide(Overlaps):
    def told(self, peer: str, accounts: Iterable[str] | None) -> list[Rejoin]:
        every = accounts if peer == min(self.peers, default=peer) else None
        return super().told(peer, every)


MISTAKES = [
    PartsWithTheEarlier,
    ForgetsWhomItKeepsOut,
    LetsNobodyInAgain,
    KeepsOutForOneThatHasGone,
    LooksAtOneSide,
]


def drawn(seed: int) -> tuple[int, list[tuple[str, int]]]:
    draw = random.Random(seed)
    kinds = ["cut", "cut", "cut", "step", "step", "die", "heal"]
    history = [(draw.choice(kinds), draw.randrange(64)) for _ in range(draw.randrange(5, 30))]
    return draw.randrange(3, 7), history


def search(machine: type[Overlaps]) -> None:
    for seed in range(300):
        play(*drawn(seed), seed, machine)


def test_many_histories() -> None:
    search(Overlaps)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: type[Overlaps]) -> None:
    with pytest.raises(AssertionError):
        search(mistake)


def test_a_node_that_lost_another_and_then_died_costs_nobody_else_a_session() -> None:
    """Until its death is noticed it is a peer whose last word was that it misses another."""

    def parted(machine: type[Overlaps]) -> list[Part]:
        network = Network(3, 0, machine)
        network.cut((0, 1))
        network.notice((0, 1))
        for ends in ((0, 2), (1, 2)):
            while network.sessions[ends].way[2]:
                network.deliver(ends, 2)
        network.die(0)  # and 2 has yet to notice
        for _ in range(5):
            network.let_pass(SETTLE)
            network.look(2)
        return [part for _, part in network.parted]

    assert parted(Overlaps) == []
    assert parted(WaitsForNoSign) == [Part("1", "0")]
