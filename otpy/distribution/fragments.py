"""Large messages in pieces: how they are cut, and put together again.

A large message is a list of buffers: the encoded signal, and the long ``bytes`` that stand in it
as numbers, which are neither copied nor encoded. A piece never spans two of them. The first
piece tells their sizes.
"""

import ctypes
import struct
from collections.abc import Iterator

from otpy.distribution.transport import FRAGMENT, MAX_MESSAGE
from otpy.terms.errors import OtpyError

_HEAD = struct.Struct(">cIH")  # "F", which message, how many sizes follow
_LATER = 0  # sizes in a piece that is not the first
MOST_BUFFERS = 1024


class FragmentError(OtpyError, ValueError):
    """A piece that belongs to no message, or does not fit."""


def pieces(number: int, buffers: list[bytes]) -> Iterator[tuple[bytes, memoryview]]:
    """The frames that carry a message, in order, each as its head and its part of a buffer."""
    sizes = struct.pack(f">{len(buffers)}Q", *map(len, buffers))
    head = _HEAD.pack(b"F", number, len(buffers)) + sizes
    later = _HEAD.pack(b"F", number, _LATER)
    for buffer in buffers:
        view = memoryview(buffer)
        for start in range(0, len(view), FRAGMENT):
            yield head, view[start : start + FRAGMENT]
            head = later


def count(buffers: list[bytes]) -> int:
    """How many frames that makes."""
    return sum(-(-len(buffer) // FRAGMENT) for buffer in buffers)


_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t]
_address = ctypes.pythonapi.PyBytes_AsString
_address.restype = ctypes.c_void_p
_address.argtypes = [ctypes.py_object]


class Growing:
    """``bytes`` of a known size that are filled piece by piece.

    Joining a hundred megabytes in the end would stop the interpreter for 50 ms. CPython lets the
    maker of a bytes object fill it as long as nobody else has seen it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.filled = 0
        self._bytes: bytes = _new_bytes(None, size)
        self._at: int = _address(self._bytes)

    def add(self, piece: memoryview) -> None:
        """Append a piece. Raises ``FragmentError`` if there is no room."""
        count = len(piece)
        if count > self.size - self.filled:
            raise FragmentError(f"{count} bytes; only {self.size - self.filled} are missing")
        ctypes.memmove(self._at + self.filled, piece.tobytes(), count)
        self.filled += count

    @property
    def full(self) -> bool:
        """Whether nothing is missing."""
        return self.filled == self.size

    def get(self) -> bytes:
        """The bytes, once they are full."""
        assert self.full
        return self._bytes


class Assembly:
    """The messages of one peer that have come in part."""

    def __init__(self) -> None:
        self.growing: dict[int, list[Growing]] = {}

    def add(self, frame: memoryview) -> list[bytes] | None:
        """Take a piece; the buffers of its message if it is the last. Raises ``FragmentError``."""
        try:
            _, number, count = _HEAD.unpack_from(frame)
            start = _HEAD.size + 8 * count
            sizes: tuple[int, ...] = struct.unpack_from(f">{count}Q", frame, _HEAD.size)
        except struct.error:
            raise FragmentError(f"a piece of {len(frame)} bytes is too short") from None
        if count:
            self._begin(number, sizes)
        buffers = self.growing.get(number)
        if buffers is None:
            raise FragmentError(f"a piece of message {number}, which has not begun")
        next(buffer for buffer in buffers if not buffer.full).add(frame[start:])
        if not buffers[-1].full:
            return None
        del self.growing[number]
        return [buffer.get() for buffer in buffers]

    def _begin(self, number: int, sizes: tuple[int, ...]) -> None:
        if number in self.growing:
            raise FragmentError(f"message {number} begins twice")
        if not all(sizes) or sum(sizes) > MAX_MESSAGE:
            raise FragmentError(f"a message of {sum(sizes)} bytes; at most {MAX_MESSAGE}")
        self.growing[number] = [Growing(size) for size in sizes]
