"""Making a failing list smaller: delta debugging (Zeller and Hildebrandt, 2002)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def smallest(items: Sequence[T], fails: Callable[[list[T]], bool], tries: int = 500) -> list[T]:
    """A part of ``items``, in order, that still fails; without any one of it, it does not.

    ``items`` fail. ``fails`` is asked at most ``tries`` times; the best part until then is given.
    """
    left = list(items)
    if tries > 0 and fails([]):
        return []
    tries -= 1
    parts = 2
    while len(left) > 1 and tries > 0:
        size = -(-len(left) // parts)
        for begin in range(0, len(left), size):
            rest = left[:begin] + left[begin + size :]
            if tries <= 0:
                return left
            tries -= 1
            if fails(rest):
                left, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                return left
            parts = min(len(left), parts * 2)
    return left
