"""What a value is, where ``isinstance`` alone says too little to a type checker or to a caller."""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeGuard

LARGEST = 1.7976931348623157e308  # of all finite floats
INFINITE = float("inf")


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Whether it is a tuple, where a type checker must know that items may be anything.

    By its type alone: ``isinstance`` asks a value for its ``__class__``, which may raise.
    """
    return issubclass(type(value), tuple)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """``isinstance(value, list)``, likewise."""
    return isinstance(value, list)


def is_frozenset(value: object) -> TypeGuard[frozenset[Any]]:
    """``isinstance(value, frozenset)``, likewise."""
    return isinstance(value, frozenset)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """``isinstance(value, Mapping)``, likewise."""
    return isinstance(value, Mapping)


def is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    """``isinstance(value, Iterable)``, likewise."""
    return isinstance(value, Iterable)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether it is an int of at least ``least``; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_seconds(value: object) -> TypeGuard[float]:
    """Whether it is a number of at least 0; neither a bool nor a NaN is one.

    Nor is an int with which no clock can count, as it is greater than any finite float.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return 0 <= value <= LARGEST or value == INFINITE


def is_instant(value: object) -> TypeGuard[float]:
    """Whether it can be a time of a clock: any number; neither a bool nor a NaN is one.

    Nor is an int that is greater than any finite float, or less.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return -LARGEST <= value <= LARGEST or value in (INFINITE, -INFINITE)


def await_hint(value: object) -> str:
    """What an error adds about a value whose result should stand there: an ``await`` is missing.

    Empty for a value that cannot be awaited.
    """
    return "; await it to get its result" if isinstance(value, Awaitable) else ""


def is_hashable(value: object) -> bool:
    """Whether it has a hash; a tuple with a list in it has none."""
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - whatever a hash of a user's own raises, it has none
        return False
    return True
