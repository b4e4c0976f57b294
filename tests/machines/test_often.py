"""What happens too often: counted in a window that slides, told once for each of its lengths."""

from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.often import Often, TooOften


def warned(often: Often, instants: list[float]) -> list[float]:
    return [now for now in instants if often.happened(now) is not None]


def test_as_many_as_the_limit_are_not_too_many() -> None:
    often = Often(3, 10.0)
    assert [often.happened(now) for now in (0.0, 1.0, 2.0)] == [None] * 3
    assert often.happened(3.0) == TooOften(4, 3.0)


def test_what_is_as_old_as_the_window_does_not_count() -> None:
    assert warned(Often(3, 10.0), [0.0, 1.0, 2.0, 10.0, 10.9, 11.5, 11.6]) == [10.9]
    assert warned(Often(3, 10.0), [float(4 * n) for n in range(100)]) == []


def test_it_is_told_once_for_as_long_as_the_window_is() -> None:
    instants = [float(n) for n in range(30)]
    assert warned(Often(3, 10.0), instants) == [3.0, 13.0, 23.0]


def test_the_rate_is_that_of_the_window() -> None:
    often = Often(10, 60.0)
    told = [often.happened(now / 4) for now in range(11)][-1]
    assert told is not None
    assert told.rate == 11 / 2.5
    at_once = [Often(0, 60.0).happened(5.0)][0]
    assert at_once is not None
    assert at_once.rate == float("inf")


@given(
    st.integers(0, 5),
    st.lists(st.floats(0, 4, allow_nan=False).map(lambda x: round(x, 1)), max_size=60),
)
def test_it_says_what_a_count_of_all_instants_says(limit: int, waits: list[float]) -> None:
    often, seconds, told = Often(limit, 5.0), 5.0, float("-inf")
    instants: list[float] = []
    now = 0.0
    for wait in waits:
        now += wait
        instants.append(now)
        within = sum(then > now - seconds for then in instants)
        said = often.happened(now)
        assert (said is not None) == (within > limit and now >= told + seconds)
        assert len(often.recent) <= limit + 1
        if said is not None:
            told = now
            assert said.count == limit + 1
