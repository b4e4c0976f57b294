"""Session machines in a network: whatever happens to connections and nodes.

Up and Down alternate on each side; what is delivered in a session is a prefix of what
the peer sent in it; nothing comes before Up, after Down or from an older session; and
when the network is left alone, both sides come up.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otpy.machines.session import Deliver, Down, Effect, Frame, Session, Up
from otpy.terms.pid import Creation
from tests.machines.sessions import Network, NeverUpError

KINDS = ["open", "open", "open", "deliver", "deliver", "flow", "flow", "say", "say", "say"]
RARE = ["end", "cut", "die", "wait"]
HISTORY = st.lists(
    st.tuples(st.sampled_from([*KINDS, *RARE]), st.integers(0, 63)), min_size=20, max_size=60
)
History = list[tuple[str, int]]


def drawn(seed: int) -> History:
    """A history that a seed gives: cheaper than a generated one, for long searches."""
    draw = random.Random(seed)
    kinds = [*KINDS, *RARE]
    return [(draw.choice(kinds), draw.randrange(64)) for _ in range(draw.randrange(20, 60))]


def play(names: str, history: History, seed: int, machine: type[Session] = Session) -> None:
    network = Network(names, machine)
    for kind, number in history:
        network.happen(kind, number)
    network.check(seed)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(HISTORY, st.integers(0, 63))
def test_two_nodes(history: History, seed: int) -> None:
    play("ab", history, seed)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(HISTORY, st.integers(0, 63))
def test_three_nodes(history: History, seed: int) -> None:
    play("abc", history, seed)


@pytest.mark.parametrize(("names", "many"), [("ab", 800), ("abc", 400)])
def test_many_histories(names: str, many: int) -> None:
    for seed in range(many):
        try:
            play(names, drawn(seed), seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_two_that_open_at_every_hello_may_chase_each_other_for_ever() -> None:
    """Why a driver waits after an end: the HELLO of each ends the session of the other."""
    for seed in range(100):
        network = Network("ab", hasty=True)
        for kind, number in drawn(seed):
            network.happen(kind, number)
        try:
            network.check(seed)
        except NeverUpError:
            network.hasty = False
            network.check(seed)
            return
    raise AssertionError("none did")


# Seeded mistakes: each is found by the same histories.


class TakesDataOfAnySession(Session):
    def data(self, in_id: bytes, data: Frame, now: float) -> list[Effect] | None:
        return None if self.in_id is None else super().data(self.in_id, data, now)


class DeliversBeforeUp(Session):
    def data(self, in_id: bytes, data: Frame, now: float) -> list[Effect] | None:
        effects = super().data(in_id, data, now)
        return effects if effects is None else [Deliver(data)]


class DeliversAfterDown(Session):
    def data(self, in_id: bytes, data: Frame, now: float) -> list[Effect] | None:
        if self.ended and in_id == self.in_id:
            return [Deliver(data)]
        return super().data(in_id, data, now)


class TakesAnotherHello(Session):
    def hello(self, in_id: bytes, peer: Creation, now: float) -> list[Effect]:
        if not self.ended and self.in_id is not None:
            self.in_id, self.peer = in_id, peer
        return super().hello(in_id, peer, now)


class TakesAnyAck(Session):
    def ack(self, out_id: bytes, peer: Creation, now: float) -> list[Effect]:
        return super().ack(self.out_id, peer, now)


class UpWithoutAck(Session):
    def hello(self, in_id: bytes, peer: Creation, now: float) -> list[Effect]:
        self.acked = True
        return super().hello(in_id, peer, now)


class LosesWhatItKept(Session):
    def _began(self, before: bool) -> list[Effect]:
        return [effect for effect in super()._began(before) if isinstance(effect, Up)]


class KeepsInReverse(Session):
    def _began(self, before: bool) -> list[Effect]:
        self.kept.reverse()
        return super()._began(before)


class MindsNoSilence(Session):
    def silent(self, now: float, limit: float) -> list[Effect]:
        return []


class EndsWithoutDown(Session):
    def end(self, reason: str) -> list[Effect]:
        return [one for one in super().end(reason) if not (isinstance(one, Down) and one.was_up)]


@pytest.mark.parametrize(
    "broken",
    [
        TakesDataOfAnySession,
        DeliversBeforeUp,
        DeliversAfterDown,
        TakesAnotherHello,
        TakesAnyAck,
        UpWithoutAck,
        LosesWhatItKept,
        KeepsInReverse,
        MindsNoSilence,
        EndsWithoutDown,
    ],
)
def test_a_seeded_mistake_is_found(broken: type[Session]) -> None:
    for seed in range(4000):
        try:
            play("ab", drawn(seed), seed, broken)
        except AssertionError:
            return
    raise AssertionError("not found")
