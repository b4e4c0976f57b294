"""What waits for a peer: nothing overtakes what it must not, and nobody waits for a stranger."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from otpy.machines.lanes import Entry, Lane, Lanes

PIECES = 3  # of every large item


@dataclass(frozen=True)
class Sent:
    number: int
    sender: str | None
    dest: str
    large: bool

    @property
    def pid(self) -> bool:
        return not self.dest.startswith("name")

    def entry(self) -> "Entry[Sent]":
        return Entry(self, self.sender, self.dest, self.pid, self.large)


@dataclass
class Line:
    """Takes pieces of large items and small ones out, in turns."""

    lanes: Lanes[Sent]
    went: list[Sent]
    left: dict[Sent, int]

    def step(self, large_first: bool) -> bool:
        lane = self.lanes.turn() if large_first or not self.lanes.queue else None
        if lane is not None:
            self._piece(lane)
            return True
        if self.lanes.queue:
            self.went.append(self.lanes.pop())
            return True
        return False

    def _piece(self, lane: Lane[Sent]) -> None:
        left = self.left[lane.item] = self.left.get(lane.item, PIECES) - 1
        if not left:
            self.went.append(lane.item)
            self.lanes.done(lane)


def line() -> Line:
    return Line(Lanes(), [], {})


def ordered(one: Sent, two: Sent) -> bool:
    """Whether the order of the two matters: they may be of one pair of processes."""
    if one.sender is not None and two.sender is not None and one.sender != two.sender:
        return False
    return one.dest == two.dest or not one.pid or not two.pid


items: st.SearchStrategy[tuple[str | None, str, bool]] = st.tuples(
    st.sampled_from(["p", "q", "r", None]),
    st.sampled_from(["x", "y", "name one", "name two"]),
    st.booleans(),
)
Move = tuple[str | None, str, bool] | bool
moves: st.SearchStrategy[list[Move]] = st.lists(st.one_of(items, st.booleans()), max_size=40)


@settings(max_examples=2000, derandomize=True, deadline=None)
@given(moves)
def test_nothing_overtakes_and_nothing_is_lost(drawn: list[Move]) -> None:
    here, sent = line(), list[Sent]()
    for move in drawn:
        if isinstance(move, tuple):
            one = Sent(len(sent), *move)
            sent.append(one)
            here.lanes.add(one.entry())
        else:
            here.step(move)
    turn = False
    while here.step(turn):
        turn = not turn
    assert not here.lanes
    assert sorted(here.went, key=lambda one: one.number) == sent
    place = {one: at for at, one in enumerate(here.went)}
    for one in sent:
        for two in sent[one.number + 1 :]:
            if ordered(one, two):
                assert place[one] < place[two], f"{two} overtook {one}"


def test_a_small_item_of_another_pair_passes_a_large_one() -> None:
    here = line()
    large, small = Sent(0, "p", "x", True), Sent(1, "q", "x", False)
    here.lanes.add(large.entry())
    here.step(True)
    here.lanes.add(small.entry())
    here.step(False)
    assert here.went == [small]


def test_large_items_take_turns() -> None:
    here = line()
    first, second = Sent(0, "p", "x", True), Sent(1, "q", "x", True)
    here.lanes.add(first.entry())
    here.lanes.add(second.entry())
    for _ in range(2 * (PIECES - 1)):
        here.step(True)
    assert here.left == {first: 1, second: 1}


def test_what_was_there_before_a_large_item_goes_first() -> None:
    here = line()
    small, large = Sent(0, "p", "x", False), Sent(1, "p", "x", True)
    here.lanes.add(small.entry())
    here.lanes.add(large.entry())
    for _ in range(PIECES + 1):
        here.step(True)
    assert here.went == [small, large]
