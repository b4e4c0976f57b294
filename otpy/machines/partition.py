"""Which partition a key belongs to: the same in every run and on every node.

Python's own ``hash`` is not (``PYTHONHASHSEED``). Keys that are equal belong to one
partition; so 1, 1.0 and True do.
"""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any
from zlib import crc32

import msgspec

from otpy.terms.errors import BadArgument
from otpy.terms.names import local_key
from otpy.terms.values import is_frozenset, is_tuple

EXPECTED = (
    "None, a bool, an int, a float, str, bytes, a pid, a class, an enum's member, or a tuple, "
    "frozenset or dataclass of these"
)


def partition_of(key: object, partitions: int) -> int:
    """The partition of a key: ``abs(key) % partitions`` of an int, else by a stable hash.

    Raises ``BadArgument`` for a key that has no stable form, and without partitions.
    """
    if partitions < 1:
        raise BadArgument(f"there are no partitions, so none for the key {key!r}")
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    if isinstance(key, int):
        return abs(key) % partitions
    return crc32(stable_bytes(key)) % partitions


def stable_bytes(key: object) -> bytes:
    """Bytes that are the same for equal keys, in every run. Raises ``BadArgument``."""
    parts: list[bytes] = []
    _write(key, parts)
    return b"".join(parts)


def _write(key: object, parts: list[bytes]) -> None:
    if key is None:
        parts.append(b"N")
    elif isinstance(key, float) and not key.is_integer():
        _sized(b"f", repr(key).encode(), parts)
    elif isinstance(key, (int, float)):
        _sized(b"i", str(int(key)).encode(), parts)
    elif isinstance(key, str):
        _sized(b"s", key.encode("utf-8", "surrogatepass"), parts)
    elif isinstance(key, bytes):
        _sized(b"b", key, parts)
    elif isinstance(key, Enum):
        _sized(b"E", f"{local_key(type(key))}.{key.name}".encode(), parts)
    elif isinstance(key, type):
        _sized(b"c", local_key(key).encode(), parts)
    else:
        _write_parts(key, parts)


def _write_parts(key: object, parts: list[bytes]) -> None:
    if is_tuple(key):
        items: list[Any] = list(key)
        kind = b"t"
    elif is_frozenset(key):
        found = sorted(map(stable_bytes, key))
        _sized(b"S", b"".join(found), parts)
        return
    elif type(key).__hash__ is not None and is_dataclass(key):
        items = [type(key), *(getattr(key, one.name) for one in fields(key) if one.compare)]
        kind = b"d"
    elif isinstance(key, msgspec.Struct):
        items = [type(key), *msgspec.structs.astuple(key)]
        kind = b"d"
    else:
        raise BadArgument(
            f"{key!r} is a {type(key).__name__}, which has no hash that is the same in every run; "
            f"expected {EXPECTED}; str(key) may do"
        )
    parts.append(kind + str(len(items)).encode() + b":")
    for item in items:
        _write(item, parts)


def _sized(kind: bytes, data: bytes, parts: list[bytes]) -> None:
    parts.append(kind + str(len(data)).encode() + b":" + data)
