"""The codec: what goes out comes back, what cannot go is named, what is hostile is refused."""

import dataclasses
import datetime as dt
import decimal
import enum
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otpy import Request, global_
from otpy.distribution.codec import DecodeError, decode, encode, function_of
from otpy.distribution.frames import encode_signal, frame, unframe
from otpy.terms.errors import NotSendable
from otpy.terms.messages import Down, NodeUp
from otpy.terms.names import At, Global
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import Crash
from otpy.terms.signals import CallSignal, CastSignal, ExitSignal, Message, Signal


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Order:
    number: int
    lines: list[str]


class Point(NamedTuple):
    x: int
    y: int


class Item(msgspec.Struct):
    name: str
    price: float


MADE: list[str] = []  # whose ``__post_init__`` ran


@dataclasses.dataclass
class NotedOrder:
    number: int

    def __post_init__(self) -> None:
        MADE.append("dataclass")


class NotedItem(msgspec.Struct):
    price: float

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError("a price below 0")
        MADE.append("struct")


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


class Keyed(msgspec.Struct, kw_only=True):
    name: str
    size: int = 3


class Doubled(NamedTuple("Doubled", [("x", int)])):
    def __new__(cls, x: int) -> "Doubled":
        return super().__new__(cls, 2 * x)


@dataclasses.dataclass
class Late:
    now: int
    later: int = dataclasses.field(init=False)


@dataclasses.dataclass
class Failure(Exception):
    code: int


class Unshown:
    def __repr__(self) -> str:
        raise ValueError("no repr")


PID = Pid(1, "a@h", 2, 3)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
hashables = scalars | st.tuples(scalars, scalars)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.frozensets(hashables, max_size=4)
        | st.sets(hashables, max_size=4)
    ),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


@given(values)
def test_a_value_comes_back_as_it_was_with_its_type(value: Any) -> None:
    data = encode(value)
    back = decode(data)
    assert same(back, value)
    assert encode(back) == data


@pytest.mark.parametrize(
    "value",
    [
        PID,
        Ref(1, "a@h", 2, 3, 4),
        Global("x"),
        At("x", "a@h"),
        Down(Ref(1, "a@h", 2, 3), PID, "boom"),
        NodeUp("b@h"),
        Crash("ValueError", "no", "tb"),
        Colour.RED,
        Access.READ,
        Access.READ | Access.WRITE,
        Access(0),
        Rights(9),
        Keyed(name="k"),
        Doubled(3),
        Order(1, ["a"]),
        Point(1, 2),
        Item("x", 1.5),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC),
        dt.date(2026, 1, 2),
        dt.time(1, 2),
        dt.timedelta(-1, 2, 3),
        decimal.Decimal("1.10"),
        uuid.UUID(int=7),
        2**200,
        -(2**63),
        Order,
        same,
        bytearray(b"x"),
        (1, 1.0, True, [1], (1,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_classes_terms_and_dates_come_back(value: Any) -> None:
    assert same(decode(encode(value)), value)


def test_only_a_struct_runs_its_post_init_again_at_the_receiver() -> None:
    values = (NotedOrder(1), NotedItem(1.5))
    MADE.clear()
    assert decode(encode(values)) == values
    assert MADE == ["struct"]
    refused = NotedItem(1.5)
    refused.price = -1.0
    with pytest.raises(DecodeError, match="a price below 0"):
        decode(encode(refused))


def test_what_cannot_be_sent_is_named_with_the_path_to_it() -> None:
    with socket.socket() as sock, pytest.raises(NotSendable, match=r"message\[1\]\.lines\['x'\]"):
        encode((1, Order(1, {"x": sock})))  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(NotSendable, match="named from another node"):
        encode(lambda: 1)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Late(1), r"message\.later: the field has no value"),
        ([Failure(2)], r"message\[0\]: a .*Failure cannot be sent"),
        ({Unshown(): 1}, r"message key a Unshown: .*Unshown cannot be sent"),
        ({"k": {Unshown(): 1}}, r"message\['k'\] key a Unshown"),
    ],
)
def test_what_another_node_could_not_read_is_refused_by_the_sender(value: Any, path: str) -> None:
    with pytest.raises(NotSendable, match=path):
        encode(value)


def test_data_classes_of_a_module_that_runs_as_the_program_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import dataclasses\n"
        "from otpy.distribution.codec import decode, encode\n"
        "@dataclasses.dataclass\n"
        "class Order:\n"
        "    number: int\n"
        "data = encode(Order(7))\n"
        "print(b'shop:Order' in data, decode(data) == Order(7))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "shop"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "True True\n", done.stderr


def test_a_circle_is_not_sendable() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(NotSendable, match="circle"):
        encode(ring)


@given(st.binary(max_size=200))
def test_random_bytes_give_a_decode_error_or_a_value_and_nothing_else(data: bytes) -> None:
    for work in (decode, unframe):
        try:
            work(data)
        except DecodeError:
            continue


@given(values, st.data())
def test_mutated_bytes_never_raise_anything_but_a_decode_error(value: Any, data: Any) -> None:
    raw = bytearray(encode(value))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(raw))
    except DecodeError:
        return


def test_decoding_imports_nothing() -> None:
    data = encode(Order(1, [])).replace(b"tests.distribution", b"wave.distributions")
    before = set(sys.modules)
    with pytest.raises(DecodeError):
        decode(data)
    assert set(sys.modules) == before


class Made:
    """Has functions of the class."""

    @classmethod
    def made(cls, text: str) -> str:
        return f"{cls.__name__} {text}"

    def own(self) -> None:
        """One of an object."""


class MadeToo(Made):
    """Inherits them."""


@pytest.mark.parametrize("value", [Made.made, MadeToo.made])
def test_a_function_of_a_class_comes_back_as_that_of_the_class(value: Any) -> None:
    back = decode(encode(value))
    assert back == value
    assert back("x") == f"{value.__self__.__name__} x"


def test_what_stands_for_no_fencing_token_is_the_same_object_wherever_it_came_from() -> None:
    token, number = decode(encode((global_.NO_TOKEN, 1)))
    assert token is global_.NO_TOKEN
    assert number == 1


def test_a_function_of_an_object_cannot_be_sent() -> None:
    with pytest.raises(NotSendable, match="method cannot be sent"):
        encode(Made().own)
    for name in ("MadeToo.own", "MadeToo.none"):
        with pytest.raises(DecodeError, match="not loaded"):
            function_of(f"{Made.__module__}:{name}")


def test_only_data_classes_are_made() -> None:
    hostile = msgspec.msgpack.encode([9, "subprocess:Popen", "true"])
    with pytest.raises(DecodeError, match=r"not a data class|not loaded"):
        decode(hostile)


def test_a_frame_keeps_its_signals_in_order() -> None:
    signals: list[Signal] = [
        Message(PID, At("x", "b@h"), ("hi", [1])),
        CastSignal(PID, PID, {"a": 1}),
        CallSignal(PID, PID, Ref(1, "a@h", 2, 9), "call", "get"),
        ExitSignal(PID, PID, ("shutdown", 1), True),
    ]
    assert unframe(frame([encode_signal(signal) for signal in signals])) == signals


class Ask(Request[int]):
    """A question without parts."""


class AskOf(Request[int]):
    """One with a part that no other node would see."""

    def __init__(self, what: str) -> None:
        self.what = what


class UrgentOrder(Order):
    """Its urgency is no field."""

    def __init__(self, number: int, urgency: int) -> None:
        super().__init__(number, [])
        object.__setattr__(self, "urgency", urgency)


def test_a_request_without_parts_needs_no_decoration() -> None:
    assert type(decode(encode(Ask()))) is Ask


@pytest.mark.parametrize(
    ("value", "where"), [(AskOf("it"), "message.what"), (UrgentOrder(1, 2), "message.urgency")]
)
def test_an_attribute_that_is_no_field_is_not_lost_without_a_word(value: Any, where: str) -> None:
    with pytest.raises(NotSendable, match=f"{where}.*make that a dataclass"):
        encode(value)
