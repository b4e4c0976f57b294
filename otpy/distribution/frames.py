"""Signals and frames as bytes: what goes over the wire, made of what ``codec.py`` makes of values.

A frame is many signals, or runs of messages of one process to another, in order; a large
signal travels by itself, with the long bytes objects that stand in it beside it.
"""

from typing import Any

import msgspec

from otpy.distribution.codec import (
    APART,
    PLAIN,
    SIMPLE,
    DecodeError,
    Unreadable,
    decoding,
    open_payload,
    pack,
    pack_apart,
    unicode_error,
    write,
)
from otpy.terms.names import At
from otpy.terms.pid import Pid
from otpy.terms.signals import (
    CallSignal,
    CastSignal,
    DownSignal,
    ExitSignal,
    Message,
    ReplySignal,
    Signal,
    SpawnedSignal,
    SpawnSignal,
)

STREAM = 20  # above the tags of terms/signals.py, below 128


class Stream(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=STREAM):
    """A run of messages, or of casts, of one process to another: ``Outbox`` makes them."""

    sender: Pid
    dest: Pid | At
    cast: bool
    bodies: list[Any]

    def signals(self) -> "list[Signal]":
        """The same one by one, their payloads still packed."""
        make = CastSignal if self.cast else Message
        return [make(self.sender, self.dest, body) for body in self.bodies]


# Structs that msgspec writes and reads itself; only their payload is packed here.
PAYLOAD: dict[type[Signal], str] = {
    Message: "body",
    CallSignal: "request",
    CastSignal: "request",
    ReplySignal: "value",
    ExitSignal: "reason",
    DownSignal: "reason",
    SpawnedSignal: "reason",
    SpawnSignal: "args",
}
_decode_signal = msgspec.msgpack.Decoder(Signal).decode
_decode_one = msgspec.msgpack.Decoder(Signal | Stream).decode
_decode_frame = msgspec.msgpack.Decoder(list[Signal | Stream]).decode


def encode_signal(signal: Signal) -> bytes:
    """The bytes of a signal. Raises ``NotSendable``."""
    name = PAYLOAD.get(type(signal))
    try:
        if name is None or type(getattr(signal, name)) in SIMPLE:
            return write(signal)
    except OverflowError:
        pass  # an int of more than 64 bits: packed below
    except UnicodeEncodeError as error:
        raise unicode_error("message", error) from None
    assert name is not None
    packed = pack(getattr(signal, name), what_of(name))
    return written(msgspec.structs.replace(signal, **{name: packed}), what_of(name))


def encode_signal_apart(signal: Signal) -> list[bytes]:
    """As ``encode_signal``, and behind it the long bytes objects that stand in the payload."""
    name = PAYLOAD.get(type(signal))
    if name is None:
        return [write(signal)]
    payload = getattr(signal, name)
    if type(payload) in SIMPLE and not (type(payload) is bytes and len(payload) >= APART):
        return [encode_signal(signal)]
    packed, parts = pack_apart(payload, what_of(name))
    return [written(msgspec.structs.replace(signal, **{name: packed}), what_of(name)), *parts]


def what_of(name: str) -> str:
    """What errors call the payload of that name."""
    return "message" if name in ("body", "request") else name


def written(signal: Signal, what: str) -> bytes:
    """The bytes of a signal whose payload is packed. Raises ``NotSendable``."""
    try:
        return write(signal)
    except UnicodeEncodeError as error:
        raise unicode_error(what, error) from None


_HEAD, _MANY = bytes((0x95, STREAM)), b"\xdd"  # an array of five, its tag; an array of many


def encode_run(sender: Pid, dest: Pid | At, cast: bool, bodies: list[bytes]) -> bytes:
    """The bytes of a ``Stream``, from bodies encoded before."""
    head = (_HEAD, write(sender), write(dest), b"\xc3" if cast else b"\xc2", _MANY)
    return b"".join((*head, len(bodies).to_bytes(4, "big"), *bodies))


def open_signal(signal: Signal) -> Signal:
    """Unpack the payload of a signal that ``read_frame`` gave."""
    name = PAYLOAD.get(type(signal))
    if name is not None:
        packed = getattr(signal, name)
        if type(packed) not in PLAIN:
            msgspec.structs.force_setattr(signal, name, open_payload(packed))
    return signal


def carries_unreadable(signal: Signal) -> bool:
    """Whether the signal's payload could not be read."""
    name = PAYLOAD.get(type(signal))
    return name is not None and type(getattr(signal, name)) is Unreadable


def decode_signal(data: bytes) -> Signal:
    """The signal behind the bytes. Raises ``DecodeError``."""
    signal: Signal = decoding(lambda raw: open_signal(_decode_signal(raw)), data)
    return signal


def frame(parts: list[bytes]) -> bytes:
    """Many encoded signals as one: a MessagePack array of them."""
    return b"\xdd" + len(parts).to_bytes(4, "big") + b"".join(parts)


def read_frame(data: bytes | memoryview) -> list[Signal | Stream]:
    """What one frame holds, in order, payloads still packed. Raises ``DecodeError``."""
    held: list[Signal | Stream] = decoding(_decode_frame, data)
    return held


def read_large(data: bytes) -> Signal | Stream:
    """The signal, or the run of one message, that came in pieces. Raises ``DecodeError``."""
    held: Signal | Stream = decoding(_decode_one, data)
    return held


def unframe(data: bytes) -> list[Signal]:
    """The signals of one frame, in order. Raises ``DecodeError``."""
    signals: list[Signal] = []
    for held in read_frame(data):
        signals.extend(held.signals() if isinstance(held, Stream) else (held,))
    return [open_signal(signal) for signal in signals]


__all__ = [
    "DecodeError",
    "Stream",
    "carries_unreadable",
    "decode_signal",
    "encode_run",
    "encode_signal",
    "encode_signal_apart",
    "frame",
    "open_signal",
    "read_frame",
    "read_large",
    "unframe",
]
