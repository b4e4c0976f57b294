"""Nodes that tell of themselves: what is believed, and for how long."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines import gossip
from otpy.machines.gossip import MARK, MAX_PACKET, MOST, Gossip, Packet
from otpy.terms.pid import Creation

KEY, OTHER = b"k" * 32, b"o" * 32
A, B = "a@127.0.0.1", "b@127.0.0.1"


def speaker(name: str, started: int = 1, key: bytes = KEY, port: int = 9) -> Gossip:
    return Gossip(key, Creation(started, name, started), "127.0.0.1", port, 10.0)


def names(listener: Gossip, now: float) -> list[str]:
    return [entry.name for entry in listener.entries(now)]


def test_who_was_heard_is_found_until_it_was_not_heard_for_so_long() -> None:
    a, b = speaker(A), speaker(B)
    assert a.hear(b.say(), 0.0)
    assert names(a, 9.9) == [B]
    assert names(a, 10.0) == []
    assert a.hear(b.say(), 11.0)
    assert names(a, 20.9) == [B]


def test_a_hidden_node_says_that_it_is() -> None:
    a, b = speaker(A), speaker(B)
    b.hidden = True
    a.hear(b.say(), 0.0)
    a.hear(speaker("c@127.0.0.1").say(), 0.0)
    assert [(entry.name[0], entry.hidden) for entry in a.entries(0.0)] == [
        ("b", True),
        ("c", False),
    ]


def test_a_node_that_is_known_is_nothing_new() -> None:
    a, b = speaker(A), speaker(B)
    assert [a.hear(b.say(), float(now)) for now in range(3)] == [True, False, False]


def test_a_node_does_not_find_itself() -> None:
    a = speaker(A)
    assert not a.hear(a.say(), 0.0)
    assert a.entries(0.0) == []


def test_who_says_that_it_leaves_is_found_no_more() -> None:
    a, b = speaker(A), speaker(B)
    before = b.say()
    a.hear(before, 0.0)
    assert not a.hear(b.say(leaving=True), 1.0)
    assert a.entries(1.0) == []
    a.hear(before, 2.0)  # repeated by somebody
    assert a.entries(2.0) == []


def test_a_dead_node_is_not_brought_back_by_what_it_once_said() -> None:
    a, b = speaker(A), speaker(B)
    said = [b.say() for _ in range(3)]
    for packet in said:
        a.hear(packet, 0.0)
    for packet in said:
        assert not a.hear(packet, 100.0)
    assert a.entries(100.0) == []


def test_a_new_life_counts_and_the_words_of_the_old_one_do_not() -> None:
    a, old, new = speaker(A), speaker(B, 1, port=1), speaker(B, 2, port=2)
    a.hear(old.say(), 0.0)
    assert a.hear(new.say(), 1.0)
    a.hear(old.say(), 2.0)
    assert [entry.port for entry in a.entries(2.0)] == [2]


def test_a_stranger_says_nothing() -> None:
    a = speaker(A)
    assert not a.hear(speaker(B, key=OTHER).say(), 0.0)
    assert a.entries(0.0) == []


def signed(data: bytes) -> bytes:
    return MARK + speaker(B)._mac(data) + data  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "data",
    [
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode(Packet("no name", 1, 1, 1, "127.0.0.1", 9, False)),
        msgspec.msgpack.encode(Packet(B, 1, 1, 1, "127.0.0.1", 70000, False)),
        msgspec.msgpack.encode(Packet(B, 1, 1, 1, "h" * MAX_PACKET, 9, False)),
        b"",
    ],
)
def test_what_is_signed_and_makes_no_sense_is_dropped(data: bytes) -> None:
    a = speaker(A)
    assert not a.hear(signed(data), 0.0)
    assert a.entries(0.0) == []


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_packet_with_one_other_byte_is_dropped(place: int, change: int) -> None:
    packet = bytearray(speaker(B).say())
    packet[place % len(packet)] ^= change
    a = speaker(A)
    assert not a.hear(bytes(packet), 0.0)
    assert a.entries(0.0) == []


@given(st.binary(max_size=300))
def test_garbage_is_dropped(datagram: bytes) -> None:
    assert not speaker(A).hear(datagram, 0.0)
    assert not speaker(A).hear(MARK + datagram, 0.0)


def test_the_longest_name_and_host_fit_into_a_packet() -> None:
    longest = "n@" + "h" * 253
    b = Gossip(KEY, Creation(2**62, longest, 2**32), "h" * 253, 65535, 10.0)
    a = speaker(A)
    assert a.hear(b.say(), 0.0)


def test_it_remembers_so_many_nodes_and_forgets_the_one_heard_longest_ago() -> None:
    a = speaker(A)
    for number in range(MOST + 1):
        a.hear(speaker(f"n{number}@127.0.0.1").say(), float(number) / MOST)
    assert len(a.heard) == MOST == gossip.MOST
    assert "n0@127.0.0.1" not in a.heard
