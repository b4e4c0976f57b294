"""Handing in what came from another node, on the I/O thread.

A run of messages or casts to one process reaches its mailbox in one step.
"""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from otpy.distribution.codec import PLAIN, DecodeError, Unreadable, open_payload, with_parts
from otpy.distribution.fragments import Assembly, FragmentError
from otpy.distribution.frames import (
    Stream,
    carries_unreadable,
    open_signal,
    read_frame,
    read_large,
)
from otpy.runtime.mail import Cast
from otpy.runtime.node import Node
from otpy.runtime.spawning import undefined
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

LOG = logging.getLogger("otpy.mesh")


Inward = Callable[[Signal | Stream], None]  # what must be changed in all that comes in


def hand_in_frame(
    node: Node, peer: str, data: bytes | memoryview, inward: Inward | None = None
) -> None:
    """Hand in what a frame holds, in order. Raises ``DecodeError`` before the first."""
    for held in read_frame(data):
        if inward is not None:
            inward(held)
        _hand_in_either(node, peer, held)


def hand_in_piece(
    node: Node, peer: str, assembly: Assembly, data: memoryview, inward: Inward | None = None
) -> None:
    """Take a piece of a large message, and hand it in if it is the last.

    Raises ``DecodeError``, also for a piece that does not fit.
    """
    try:
        buffers = assembly.add(data)
    except FragmentError as error:
        raise DecodeError(str(error)) from None
    if buffers is not None:
        held = read_large(buffers[0])
        if inward is not None:
            inward(held)
        with with_parts(buffers[1:]):
            _hand_in_either(node, peer, held)


def _hand_in_either(node: Node, peer: str, held: Signal | Stream) -> None:
    if type(held) is Stream:
        _hand_in_stream(node, peer, held)
    else:
        _hand_in(node, peer, held)  # type: ignore[arg-type]  # all that is not a Stream


def _hand_in_stream(node: Node, peer: str, stream: Stream) -> None:
    items: list[Any] = []
    for body in stream.bodies:
        if type(body) not in PLAIN:
            body = open_payload(body)
            if type(body) is Unreadable:
                _unreadable(node, peer, "cast" if stream.cast else "message", body.why)
                continue
        items.append(Cast(body) if stream.cast else body)
    try:
        node.inbound_items(stream.dest, items)
    except Exception:  # one bad message must not end the I/O thread, and with it the node
        LOG.exception("%s: messages of %s could not be handed in", node.name, peer)


def _unreadable(node: Node, peer: str, what: str, why: str) -> None:
    node.events.emit("message_unreadable", peer=peer, why=why)
    LOG.error("%s: %s of %s: %s", node.name, what, peer, why)


def _hand_in(node: Node, peer: str, signal: Signal) -> None:
    open_signal(signal)
    try:
        if carries_unreadable(signal):
            _hand_in_unreadable(node, peer, signal)
        else:
            node.inbound(signal)
    except Exception:  # one bad signal must not end the I/O thread, and with it the node
        LOG.exception("%s: a signal of %s could not be handed in", node.name, peer)


def _hand_in_unreadable(node: Node, peer: str, signal: Any) -> None:
    """What carries a payload that cannot be read here: its sender hears, or its reader."""
    why: str
    match signal:
        case (
            ExitSignal(reason=Unreadable(why))
            | DownSignal(reason=Unreadable(why))
            | SpawnedSignal(reason=Unreadable(why))
        ):
            node.inbound(msgspec.structs.replace(signal, reason=("unreadable", why)))
        case ReplySignal(dest, ref, _, Unreadable(why), dead):
            node.inbound(ReplySignal(dest, ref, False, ("unreadable", why), dead))
        case SpawnSignal(args=Unreadable(why)):
            node.inbound(msgspec.structs.replace(signal, args=(undefined, (why,))))
        case CallSignal(sender, _, ref, _, Unreadable(why)):
            node.signal(ReplySignal(sender, ref, False, ("unreadable", why)))
        case Message(body=Unreadable(why)) | CastSignal(request=Unreadable(why)):
            _unreadable(node, peer, type(signal).__name__, why)
            return
        case _:
            raise AssertionError(f"{signal!r} carries nothing unreadable")
    LOG.error("%s: %s of %s: %s", node.name, type(signal).__name__, peer, why)
