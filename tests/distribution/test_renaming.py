"""What the pids of a node are called on the wire that got its name late."""

import itertools
from typing import Any

import msgspec

from otpy.distribution.codec import with_parts
from otpy.distribution.frames import open_signal, read_large
from otpy.distribution.renaming import Renamer, latest_life
from otpy.machines.gossip import Gossip
from otpy.runtime.node import Node
from otpy.runtime.ports import SystemClock
from otpy.terms.names import NO_NODE, At
from otpy.terms.pid import Creation, Pid, Ref
from otpy.terms.signals import CallSignal, DownSignal, Message, Signal, SpawnedSignal

HOME, NAME = Creation(7, NO_NODE, 9), "a@127.0.0.1"
RENAMER = Renamer(HOME, NAME)
OURS, REF = Pid(7, NO_NODE, 9, 1), Ref(7, NO_NODE, 9, 2, 1)
THEIRS = Pid(7, "b@127.0.0.1", 8, 1)
OLDER = Pid(6, NAME, 9, 1)  # of another node that once had the name


def told(signal: Signal) -> Any:
    """A signal as another node reads it."""
    first, *parts = RENAMER.encode(signal)
    held = read_large(first)
    with with_parts(parts):
        return open_signal(held)  # type: ignore[arg-type]  # it is no stream


def read_back(signal: Signal) -> Any:
    """A signal as the node itself reads it."""
    first, *parts = RENAMER.encode(signal)
    held = read_large(first)
    RENAMER.inward(held)
    with with_parts(parts):
        return open_signal(held)  # type: ignore[arg-type]  # it is no stream


def abroad(term: Any) -> Any:
    return msgspec.structs.replace(term, node=NAME)


def test_our_pids_and_references_travel_under_the_name_that_others_know() -> None:
    body = (OURS, [REF, {OURS: {OURS}}], THEIRS, OLDER, NO_NODE, b"x" * 100_000)
    out, ref = abroad(OURS), abroad(REF)
    assert told(Message(OURS, THEIRS, body)) == Message(
        out, THEIRS, (out, [ref, {out: {out}}], THEIRS, OLDER, NO_NODE, b"x" * 100_000)
    )
    assert told(CallSignal(OURS, At("x", "b@127.0.0.1"), REF, "call", OURS)) == CallSignal(
        out, At("x", "b@127.0.0.1"), ref, "call", out
    )
    assert told(DownSignal(THEIRS, REF, "normal", OURS)) == DownSignal(THEIRS, ref, "normal", out)
    assert told(SpawnedSignal(THEIRS, REF, None, OURS)) == SpawnedSignal(THEIRS, ref, None, out)


def test_what_comes_back_is_what_was_sent() -> None:
    signals: list[Signal] = [
        Message(OURS, THEIRS, (OURS, [REF, {OURS: {OURS}}], THEIRS, OLDER, NAME, 1 << 80)),
        CallSignal(OURS, THEIRS, REF, "call", [OURS]),
        DownSignal(THEIRS, REF, ("killed", OURS), OURS),
        SpawnedSignal(THEIRS, REF, OURS, None),
    ]
    for signal in signals:
        assert read_back(signal) == signal


def test_pids_sort_alike_here_and_elsewhere() -> None:
    others = [Pid(start, "b@127.0.0.1", 8, number) for start in (6, 8) for number in (1, 5)]
    ours = [Pid(7, NO_NODE, 9, number) for number in (1, 5)]
    there = sorted([*map(RENAMER.outward, ours), *others])
    assert [*map(RENAMER.outward, sorted([*ours, *others]))] == there


class Later(SystemClock):
    """Each look at the wall is a second later."""

    seconds = itertools.count(1000)

    def wall(self) -> float:
        return float(next(self.seconds))


def test_the_word_of_a_later_start_is_believed_though_it_is_the_same_life() -> None:
    node = Node(NAME, clock=Later())
    listener = Gossip(b"key", Creation(1, "b@127.0.0.1", 1), "127.0.0.1", 1, 10.0)
    for _ in range(2):
        speaker = Gossip(b"key", latest_life(node), "127.0.0.1", 2, 10.0)
        assert listener.hear(speaker.say(), 0.0)
        assert [entry.name for entry in listener.entries(0.0)] == [NAME]
        listener.hear(speaker.say(leaving=True), 0.0)
        assert listener.entries(0.0) == []
