"""Whom a node dials: the found against the connected, at every tick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.discovery import LOOK_AGAIN, MOST, Dialing, Entry, merged, tcp, wrong
from otpy.terms.pid import Creation

ME, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"
FIRST, SECOND = Creation(1, B, 7), Creation(2, B, 8)


def at(name: str, port: int = 1) -> Entry:
    return Entry(name, "127.0.0.1", port)


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def test_the_found_are_dialed_but_for_the_connected_and_the_node_itself() -> None:
    found = [at(ME), at(B), at(C)]
    assert names(Dialing(ME).wanted(found, {C}, 0.0)) == [B]


def test_a_hidden_node_is_not_dialed_because_it_is_found() -> None:
    found = [Entry(B, "127.0.0.1", 1, hidden=True), at(C)]
    assert names(Dialing(ME).wanted(found, (), 0.0)) == [C]


def test_a_node_is_dialed_at_every_tick_until_it_is_connected() -> None:
    dialing = Dialing(ME)
    assert [names(dialing.wanted([at(B)], (), float(now))) for now in range(3)] == [[B]] * 3
    assert dialing.wanted([at(B)], (B,), 3.0) == []


def test_a_node_that_drained_is_looked_at_rarely() -> None:
    dialing = Dialing(ME)
    dialing.goodbye(FIRST, 0.0)
    ticks = [tick / 4 for tick in range(int(LOOK_AGAIN * 4 * 2) + 1)]
    dialed = [now for now in ticks if dialing.wanted([at(B)], (), now)]
    assert dialed == [LOOK_AGAIN, 2 * LOOK_AGAIN]


@pytest.mark.parametrize(("life", "may"), [(FIRST, False), (SECOND, True)])
def test_only_a_new_life_of_a_node_that_drained_is_a_node_as_any_other(
    life: Creation, may: bool
) -> None:
    dialing = Dialing(ME)
    dialing.goodbye(FIRST, 0.0)
    dialing.heard(life)
    assert dialing.may(B, 1.0) is may
    assert dialing.may(C, 1.0)


def test_the_late_goodbye_of_an_earlier_life_says_nothing_of_this_one() -> None:
    dialing = Dialing(ME)
    dialing.heard(SECOND)
    dialing.goodbye(FIRST, 0.0)
    assert dialing.may(B, 0.0)
    dialing.goodbye(SECOND, 0.0)
    assert not dialing.may(B, 0.0)


def test_a_node_that_drains_dials_nobody() -> None:
    dialing = Dialing(ME, draining=True)
    assert dialing.wanted([at(B)], (), 0.0) == []


def test_the_first_strategy_that_found_a_node_says_where_it_is() -> None:
    assert merged([[at(B, 1)], [at(C, 2), at(B, 3)]]) == [at(B, 1), at(C, 2)]


def test_a_liar_who_finds_any_number_of_nodes_is_believed_so_many_only() -> None:
    assert len(merged([[at(f"n{n}@h") for n in range(MOST + 10)]])) == MOST


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (at(B), None),
        (at("b"), "no node's name"),
        (Entry(B, "", 1), "no host"),
        (at(B, 0), "no port"),
        (at(B, 65536), "no port"),
        ((B, "127.0.0.1", 1), "no Entry"),
    ],
)
def test_what_is_no_place_of_a_node_is_told_by_what_is_wrong(entry: object, why: str) -> None:
    told = wrong(entry)
    assert told is None if why is None else told is not None and told.endswith(why)


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert tcp("fd00::1", 9) == "tcp://[fd00::1]:9"
    assert tcp("10.0.0.1", 9) == "tcp://10.0.0.1:9"


LIVES = st.integers(1, 4).map(lambda n: Creation(n, B, n))


@given(st.lists(st.tuples(st.sampled_from(["goodbye", "heard"]), LIVES)))
def test_a_node_is_left_alone_only_while_its_latest_life_may_be_the_one_that_drained(
    events: list[tuple[str, Creation]],
) -> None:
    dialing = Dialing(ME)
    drained: set[Creation] = set()
    latest: Creation | None = None
    for event, life in events:
        if event == "goodbye":
            dialing.goodbye(life, 0.0)
            drained.add(life)
        else:
            dialing.heard(life)
            latest = life
            # Whoever is heard and never said goodbye is never left alone.
            assert life in drained or dialing.may(B, 0.0)
    if latest is not None and events[-1] == ("goodbye", latest):
        assert not dialing.may(B, 0.0)
