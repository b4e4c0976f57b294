"""The window of a stream: rules of ``machines/task_stream.py`` on any sequence of events."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.task_stream import Window


@given(st.integers(1, 5), st.booleans(), st.integers(0, 20), st.randoms())
def test_every_input_is_taken_in_time_and_given_once(
    most: int,
    ordered: bool,
    inputs: int,
    draw: Random,
) -> None:
    window = Window(most, ordered)
    running: list[int] = []
    finished: list[int] = []
    given_: list[int] = []
    left = inputs
    while not window.over:
        while window.wants_input:
            if not left:
                window.ended = True
                break
            left -= 1
            running.append(window.take(f"input {len(running)}"))
        assert len(running) - len(finished) <= most
        under_way = [n for n in running if n not in finished]
        if under_way:
            done = draw.choice(under_way)
            finished.append(done)
            window.finish(done, done)
        while window.has_result and draw.random() < 0.7:
            given_.append(window.give())
    assert given_ == (sorted(finished) if ordered else finished)
    assert len(given_) == inputs


def test_an_early_result_makes_room_and_waits_for_its_turn() -> None:
    window = Window(2, ordered=True)
    assert [window.take("a"), window.take("b")] == [0, 1]
    assert not window.wants_input
    window.finish(1, "B")
    assert window.wants_input
    assert not window.has_result
    window.finish(0, "A")
    assert [window.give(), window.give()] == ["A", "B"]
