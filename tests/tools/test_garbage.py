"""What ``garbage.freeze`` spares a node, and what it does not take away."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from otpy.tools import garbage


class Thing:
    """Something in a cycle with itself."""

    def __init__(self) -> None:
        self.me: Thing | None = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_lives_is_frozen_and_garbage_is_collected_before() -> None:
    thing, garbage_then = Thing(), weakref.ref(Thing())
    count = garbage.freeze()
    assert garbage_then() is None
    # What was frozen may go already, by another thread: the count only falls.
    assert count >= gc.get_freeze_count() > 0
    assert not any(one is thing for one in gc.get_objects())


def test_what_is_frozen_still_goes_with_its_last_reference() -> None:
    thing = Thing()
    thing.me = None
    gone = weakref.ref(thing)
    garbage.freeze()
    del thing
    assert gone() is None


def test_cycles_made_later_are_collected() -> None:
    garbage.freeze()
    gone = weakref.ref(Thing())
    gc.collect()
    assert gone() is None
