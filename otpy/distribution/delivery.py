"""Handing in what came from another node, on the I/O thread.

Most of a full stream are messages and casts to one process after another: they are
gathered and reach its mailbox in one step. Whatever else stands between them waits
until they are handed in, so the order stays.
"""

import logging
from typing import Any

import msgspec

from otpy.distribution.codec import (
    PLAIN,
    Unreadable,
    carries_unreadable,
    open_payload,
    open_signal,
    read_frame,
)
from otpy.runtime.mail import Cast
from otpy.runtime.node import Node
from otpy.runtime.spawning import undefined
from otpy.terms.pid import Pid
from otpy.terms.signals import (
    CallSignal,
    CastSignal,
    DownSignal,
    ExitSignal,
    Message,
    ReplySignal,
    Signal,
    SpawnSignal,
)

LOG = logging.getLogger("otpy.mesh")


def hand_in_frame(node: Node, peer: str, data: bytes | memoryview) -> None:
    """Hand in the signals of one frame, in order. Raises ``DecodeError`` before the first."""
    dest: Any = None
    items: list[Any] = []
    for signal in read_frame(data):
        kind = type(signal)
        if kind is CastSignal or kind is Message:
            body: Any = signal.request if kind is CastSignal else signal.body  # type: ignore[union-attr]
            if type(body) not in PLAIN:
                body = open_payload(body)
            if type(body) is not Unreadable and type(signal.dest) is Pid:
                if signal.dest != dest:
                    _hand_in_items(node, peer, dest, items)
                    dest, items = signal.dest, []
                items.append(Cast(body) if kind is CastSignal else body)
                continue
        _hand_in_items(node, peer, dest, items)
        items = []
        _hand_in(node, peer, signal)
    _hand_in_items(node, peer, dest, items)


def _hand_in_items(node: Node, peer: str, dest: Pid, items: list[Any]) -> None:
    if items:
        try:
            node.inbound_items(dest, items)
        except Exception:  # one bad message must not end the I/O thread, and with it the node
            LOG.exception("%s: messages of %s could not be handed in", node.name, peer)


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
        case ExitSignal(reason=Unreadable(why)) | DownSignal(reason=Unreadable(why)):
            node.inbound(msgspec.structs.replace(signal, reason=("unreadable", why)))
        case ReplySignal(dest, ref, _, Unreadable(why)):
            node.inbound(ReplySignal(dest, ref, False, ("unreadable", why)))
        case SpawnSignal(args=Unreadable(why)):
            node.inbound(msgspec.structs.replace(signal, args=(undefined, (why,))))
        case CallSignal(sender, _, ref, _, Unreadable(why)):
            node.signal(ReplySignal(sender, ref, False, ("unreadable", why)))
        case Message(body=Unreadable(why)) | CastSignal(request=Unreadable(why)):
            node.events.emit("message_unreadable", peer=peer, why=why)
    LOG.error("%s: %s of %s: %s", node.name, type(signal).__name__, peer, why)
