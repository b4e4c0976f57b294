"""The order in which applications start."""

from hypothesis import given
from hypothesis import strategies as st

from otpy.machines.start_order import Circular, Missing, Needs, start_order


def test_what_is_needed_comes_first_from_left_to_right() -> None:
    known = {"a": Needs(("c", "b")), "b": Needs(("d",)), "c": Needs(), "d": Needs()}
    assert start_order(["a"], known) == ("c", "d", "b", "a")


def test_an_application_comes_once() -> None:
    known = {"a": Needs(("c",)), "b": Needs(("c",)), "c": Needs()}
    assert start_order(["a", "b", "a"], known) == ("c", "a", "b")


def test_the_missing_one_is_named_with_who_needs_it() -> None:
    assert start_order(["a"], {"a": Needs(("b",))}) == Missing("b", "a")
    assert start_order(["a"], {}) == Missing("a", None)


def test_an_optional_one_may_be_missing() -> None:
    assert start_order(["a"], {"a": Needs(("b",), ("b",))}) == ("a",)
    assert start_order(["a"], {"a": Needs(("b",), ("b",)), "b": Needs()}) == ("b", "a")


def test_a_circle_is_named_from_its_first() -> None:
    known = {"a": Needs(("b",)), "b": Needs(("c",)), "c": Needs(("b",))}
    assert start_order(["a"], known) == Circular(("b", "c", "b"))


@given(st.lists(st.lists(st.integers(0, 20), max_size=4), min_size=1, max_size=20))
def test_each_stands_after_all_that_it_needs(graph: list[list[int]]) -> None:
    known = {
        str(number): Needs(tuple(str(need) for need in needs if need < number))
        for number, needs in enumerate(graph)
    }
    order = start_order(list(known), known)
    assert isinstance(order, tuple)
    assert sorted(order) == sorted(known)
    for name, needs in known.items():
        assert all(order.index(need) < order.index(name) for need in needs.applications)
