"""The frames with which nodes meet: who I am, that I heard you, whom else I know.

| frame | holds                                                              |
|-------|--------------------------------------------------------------------|
| H     | protocol, name, start, bits, address, whom it looks for, if hidden |
| A     | the session id of the H it answers, start, bits                    |
| M     | names and addresses of the connected nodes                         |
| V     | whom the node accounts for: ``machines/overlaps.py``               |
| Q     | a number: whom do you see?                                         |
| W     | that number; if hidden; visible nodes and others it is connected to |
| R     | why an H was refused                                               |
| B     | the end of the session; start, bits of a node that drains          |
| T     | nothing: a sign of life                                            |
| D     | signals                                                            |
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from otpy.machines.session import PROTOCOL
from otpy.runtime.view import Sight
from otpy.terms.pid import Creation

T = TypeVar("T")
Members = list[tuple[str, str]]
Accounts = list[str]


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """What a node says of itself on a connection it opened, and whom it looks for."""

    version: int
    name: str
    started: int
    bits: int
    address: str
    wanted: str
    hidden: bool = False  # a node that does not say so is not

    @property
    def creation(self) -> Creation:
        """The life of the node that speaks."""
        return Creation(self.started, self.name, self.bits)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node is not wanted; it is told so."""

    name: str
    why: str


class Ack(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a hello."""

    rid: bytes
    started: int
    bits: int


def hello(me: Creation, address: str, wanted: str, hidden: bool = False) -> bytes:
    """The H frame of a node that looks for ``wanted``."""
    words = Hello(PROTOCOL, me.node, me.started, me.bits, address, wanted, hidden)
    return b"H" + msgspec.msgpack.encode(words)


def read_hello(data: bytes, me: str, apart: int | None = None) -> Hello | Refusal:
    """What came in an H frame at node ``me``; ``apart``: a start that no other may have."""
    try:
        # The version and the name stand first in the hello of every version.
        version, name, *_ = msgspec.msgpack.decode(data, type=list[Any])
        if version != PROTOCOL:
            return Refusal(str(name), f"{me} speaks protocol {PROTOCOL}, {name} speaks {version}")
        heard = msgspec.msgpack.decode(data, type=Hello)
    except ValueError as error:  # msgspec's are such, and so is an array of one
        return Refusal("a stranger with the right cookie", f"no proper hello: {error}")
    if heard.wanted != me:
        return Refusal(heard.name, f"this is {me}, not {heard.wanted}")
    if heard.name == me:
        return Refusal(heard.name, f"{me} is this node's own name")
    if heard.started == apart:
        return Refusal(heard.name, f"{me} got its name late, and began in the same millisecond")
    return heard


def ack(rid: bytes, me: Creation) -> bytes:
    """The A frame that answers the hello of connection ``rid``."""
    return b"A" + msgspec.msgpack.encode(Ack(rid, me.started, me.bits))


class Goodbye(msgspec.Struct, frozen=True, array_like=True):
    """What a B frame of a node that drains holds: which life of it does."""

    started: int
    bits: int


def goodbye(me: Creation | None) -> bytes:
    """The B frame; with the life of the node that says it, if it drains."""
    return b"B" if me is None else b"B" + msgspec.msgpack.encode(Goodbye(me.started, me.bits))


def members(known: Members) -> bytes:
    """The M frame."""
    return b"M" + msgspec.msgpack.encode(known)


def accounts(known: Accounts | None) -> bytes:
    """The V frame; None from a node that leaves."""
    return b"V" if known is None else b"V" + msgspec.msgpack.encode(known)


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """Whom a node sees, as a W frame says it."""

    number: int
    hidden: bool
    visible: list[str]
    concealed: list[str]


def question(number: int) -> bytes:
    """The Q frame."""
    return b"Q" + msgspec.msgpack.encode(number)


def answer(number: int, sight: Sight) -> bytes:
    """The W frame that answers question ``number``."""
    words = Answer(number, sight.hidden, sight.visible, sight.concealed)
    return b"W" + msgspec.msgpack.encode(words)


def read(data: bytes, kind: type[T]) -> T | str:
    """What a frame holds, after its first byte; a text that says why it cannot be read."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:  # it may be anything: it came over the net
        return str(error)
