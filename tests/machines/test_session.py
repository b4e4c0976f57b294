"""The session machine: both directions acknowledged, in order, and nothing after its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.session import Deliver, Down, Effect, Session, Up
from otpy.terms.pid import Creation

PEER = Creation(1, "b@127.0.0.1", 7)
REBORN = Creation(2, "b@127.0.0.1", 8)


def up() -> Session:
    session = Session(b"mine")
    session.hello(b"theirs", PEER, 0.0)
    session.ack(b"mine", PEER, 0.0)
    return session


@pytest.mark.parametrize("order", ["hello first", "ack first"])
def test_it_is_up_when_both_directions_are_acknowledged(order: str) -> None:
    session = Session(b"mine")
    if order == "hello first":
        assert session.hello(b"theirs", PEER, 0.0) == []
        assert session.ack(b"mine", PEER, 0.0) == [Up(PEER)]
    else:
        assert session.ack(b"mine", PEER, 0.0) == []
        assert session.hello(b"theirs", PEER, 0.0) == [Up(PEER)]
    assert session.up


def test_an_ack_of_another_session_is_ignored() -> None:
    session = Session(b"mine")
    session.hello(b"theirs", PEER, 0.0)
    assert session.ack(b"older", PEER, 0.0) == []
    assert not session.up


def test_data_that_came_before_the_ack_is_delivered_after_up() -> None:
    session = Session(b"mine")
    session.hello(b"theirs", PEER, 0.0)
    assert session.data(b"theirs", b"1", 0.0) == []
    assert session.data(b"theirs", b"2", 0.0) == []
    assert session.ack(b"mine", PEER, 0.0) == [Up(PEER), Deliver(b"1"), Deliver(b"2")]


def test_a_repeated_hello_changes_nothing() -> None:
    assert up().hello(b"theirs", PEER, 1.0) == []


@pytest.mark.parametrize(("in_id", "peer"), [(b"other", PEER), (b"theirs", REBORN)])
def test_a_hello_of_another_session_or_life_ends_it(in_id: bytes, peer: Creation) -> None:
    session = up()
    assert session.hello(in_id, peer, 1.0) == [Down(PEER, "restarted", True)]
    assert not session.up


def test_an_ack_from_another_life_ends_it() -> None:
    session = Session(b"mine")
    session.hello(b"theirs", PEER, 0.0)
    assert session.ack(b"mine", REBORN, 0.0) == [Down(PEER, "restarted", False)]


def test_data_of_an_unknown_session_is_not_of_it() -> None:
    assert up().data(b"unknown", b"1", 0.0) is None


def test_silence_at_two_looks_ends_it_and_a_tick_does_not() -> None:
    session = up()
    session.tick(b"theirs", 9.0)
    assert session.silent(18.9, 10.0) == []
    session.tick(b"unknown", 18.9)
    assert session.silent(19.1, 10.0) == []
    assert session.silent(19.2, 10.0) == [Down(PEER, "net_tick_timeout", True)]


def test_what_came_in_while_the_program_was_stopped_counts_although_it_is_read_late() -> None:
    session = up()
    assert session.silent(60.0, 10.0) == []
    session.tick(b"theirs", 60.0)
    assert session.silent(61.0, 10.0) == []
    assert session.silent(75.0, 10.0) == []  # one look long after the other is one again


def test_it_ends_once() -> None:
    session = up()
    assert session.end("bye") == [Down(PEER, "bye", True)]
    assert session.end("closed") == []


def test_nothing_comes_out_after_its_end() -> None:
    session = up()
    session.end("bye")
    assert session.hello(b"theirs", PEER, 1.0) == []
    assert session.ack(b"mine", PEER, 1.0) == []
    assert session.data(b"theirs", b"late", 1.0) is None
    assert session.silent(99.0, 1.0) == session.silent(99.1, 1.0) == []


STEPS = st.lists(
    st.sampled_from(["hello", "ack", "data", "data", "tick", "strange", "restart", "end", "wait"]),
    max_size=40,
)


@given(STEPS)
def test_up_then_deliveries_without_a_gap_then_down_whatever_comes_in(steps: list[str]) -> None:
    session, now, sent = Session(b"mine"), 0.0, 0
    effects: list[Effect] = []
    for step in steps:
        now += 1.0
        match step:
            case "hello":
                effects += session.hello(b"theirs", PEER, now)
            case "ack":
                effects += session.ack(b"mine", PEER, now)
            case "data":
                effects += session.data(b"theirs", b"%d" % sent, now) or []
                # The peer's stream begins with its HELLO: data before one is of no session.
                sent += session.in_id is not None and not session.ended
            case "tick":
                session.tick(b"theirs", now)
            case "strange":
                assert session.data(b"strange", b"x", now) is None
            case "restart":
                effects += session.hello(b"other", REBORN, now) if session.in_id else []
            case "end":
                effects += session.end("closed")
            case _:
                now += 6.0
                effects += session.silent(now, 10.0)
    names = [type(effect).__name__ for effect in effects]
    assert names.count("Up") <= 1
    assert names.count("Down") <= 1
    assert "Deliver" not in names or names[0] == "Up"
    assert "Down" not in names or names[-1] == "Down"
    got = [effect.data for effect in effects if isinstance(effect, Deliver)]
    assert got == [b"%d" % number for number in range(len(got))]
