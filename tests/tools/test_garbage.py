"""``garbage.freeze``: what lives is spared later collections, and still goes when it is let go."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from otpy.tools import garbage


class Thing:
    """In no cycle."""


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_frozen_is_not_looked_at_and_still_goes_with_its_last_reference(
    thawed: None,
) -> None:
    thing = Thing()
    gone = weakref.ref(thing)
    count = garbage.freeze()
    assert count > 1000
    assert not any(one is thing for one in gc.get_objects())
    del thing
    assert gone() is None


def test_garbage_is_not_frozen(thawed: None) -> None:
    cycle = Thing()
    vars(cycle)["me"] = cycle
    gone = weakref.ref(cycle)
    del cycle
    garbage.freeze()
    assert gone() is None
