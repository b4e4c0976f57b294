"""How values travel: MessagePack with a closed table of tags. No pickle.

Every container is an array whose first item is its tag; scalars stand for
themselves. Two rules: the encoder says on the sender's side what cannot be sent
and where it stands; the decoder imports nothing and makes only data classes that
are loaded already.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import sys
import threading
import types
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import msgspec

from otpy.behaviours._reqids import Request
from otpy.runtime.mail import From
from otpy.terms.errors import NotSendable, OtpyError
from otpy.terms.pid import Pid, Ref

MAX_DEPTH = 200
APART = 64 * 1024  # bytes objects as long as this can travel beside what they stand in
SCALARS = (str, int, float, bool, bytes, type(None))
_SMALL = 2**63
_type_of: Callable[[Any], type[Any]] = type  # to a checker, ``type`` of any value is unknown
_new: Callable[[Any], Any] = object.__new__
_plain_tuple: Any = tuple  # to a checker, items may be anything

TUPLE, LIST, DICT, SET, FROZENSET, PID, REF, BIG, NAMED, DATA, ENUM, TEXT, BYTEARRAY, PART = range(
    14
)


class DecodeError(OtpyError, ValueError):
    """The bytes are no message of this protocol."""


class Unreadable(msgspec.Struct, frozen=True):
    """Stands for a payload that this node cannot read, and says why."""

    why: str


write = _encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class _Apart(threading.local):
    """The long bytes objects of the value that this thread packs or unpacks now."""

    out: list[bytes] | None = None
    parts: list[bytes] | None = None


_apart = _Apart()


def _pack(value: Any, path: str, depth: int) -> Any:
    kind = _type_of(value)
    if kind in PLAIN:
        if kind is bytes and len(value) >= APART and _apart.out is not None:
            _apart.out.append(value)
            return [PART, len(_apart.out) - 1]
        if kind is int and not -_SMALL <= value < _SMALL:
            return [BIG, hex(value)]
        return value
    if depth > MAX_DEPTH:
        raise NotSendable(path[:200], f"nested deeper than {MAX_DEPTH}, or in a circle")
    if kind is Pid or kind is Ref:
        return value
    packer = _PACKERS.get(kind)
    if packer is not None:
        return packer(value, path, depth + 1)
    return _pack_other(value, kind, path, depth + 1)


PLAIN = frozenset(SCALARS)  # what a packed value may be as it is


def _items(tag: int) -> Callable[[Any, str, int], list[Any]]:
    def pack(value: Any, path: str, depth: int) -> list[Any]:
        packed: list[Any] = [tag]
        for number, item in enumerate(value):
            kind = _type_of(item)
            if kind in PLAIN and (
                -_SMALL <= item < _SMALL if kind is int else kind is not bytes or len(item) < APART
            ):
                packed.append(item)
            else:
                packed.append(_pack(item, f"{path}[{number}]", depth))
        return packed

    return pack


def _unordered(tag: int) -> Callable[[Any, str, int], list[Any]]:
    def pack(value: Any, path: str, depth: int) -> list[Any]:
        members = [_pack(item, f"{path}{{}}", depth) for item in value]
        return [tag, *sorted(members, key=_encode)]

    return pack


def _pack_dict(value: dict[Any, Any], path: str, depth: int) -> list[Any]:
    packed: list[Any] = [DICT]
    for key, item in value.items():
        shown = repr(key)[:40] if type(key) in PLAIN else f"a {type(key).__name__}"
        packed.append(_pack(key, f"{path} key {shown}", depth))
        packed.append(_pack(item, f"{path}[{shown}]", depth))
    return packed


_TEXTS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    dt.timedelta: (
        "timedelta",
        lambda value: f"{value.days} {value.seconds} {value.microseconds}",
        lambda text: dt.timedelta(*map(int, text.split())),
    ),
    decimal.Decimal: ("decimal", str, decimal.Decimal),
    uuid.UUID: ("uuid", str, uuid.UUID),
    complex: ("complex", repr, complex),
}
_FROM_TEXT = {name: parse for name, _, parse in _TEXTS.values()}


def _pack_text(value: Any, path: str, depth: int) -> list[Any]:
    name, show, _ = _TEXTS[type(value)]
    return [TEXT, name, show(value)]


_FUNCTIONS = (type, types.FunctionType, types.BuiltinFunctionType)


def _is_class_method(value: Any) -> bool:
    return isinstance(value, types.MethodType) and isinstance(value.__self__, type)


def _named(value: Any, path: str) -> str:
    module, name = value.__module__, value.__qualname__
    if isinstance(value, types.MethodType):  # of a class: that is what has the name
        owner: Any = value.__self__
        module, name = owner.__module__, f"{owner.__qualname__}.{value.__name__}"
    found = _find(module, name)
    if "<" in name or not (found is value or (_is_class_method(value) and found == value)):
        raise NotSendable(path, f"{value!r} cannot be named from another node; move it to a module")
    if module == "__main__":
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        module = spec.name.removesuffix(".__main__") if spec is not None else module
    return f"{module}:{name}"


def _pack_other(value: Any, kind: type[Any], path: str, depth: int) -> list[Any]:
    if isinstance(value, _FUNCTIONS) or _is_class_method(value):
        return [NAMED, _named(value, path)]
    if isinstance(value, enum.Enum):
        # A combination of flags has no name of its own.
        single = value.name in kind.__members__
        return [ENUM, _named(kind, path), value.name if single else [TUPLE, value.value]]
    names = _fields(kind)
    if names is None:
        raise NotSendable(
            path,
            f"a {kind.__module__}.{kind.__qualname__} cannot be sent to another node; send plain "
            "values, dataclasses, msgspec Structs, enums or NamedTuples",
        )
    if kind in _undeclared:
        for name in getattr(value, "__dict__", ()):
            if name not in names:
                told = f"no field of {kind.__module__}.{kind.__qualname__}; make that a dataclass"
                raise NotSendable(f"{path}.{name}", told)
    packed = [DATA, _named(kind, path)]
    for name in names:
        try:
            item = getattr(value, name)
        except AttributeError:
            raise NotSendable(f"{path}.{name}", "the field has no value") from None
        packed.append(_pack(item, f"{path}.{name}", depth))
    return packed


_known_fields: dict[type, tuple[str, ...] | None] = {}
_undeclared: dict[type, None] = {}  # whose own attributes would be no fields, if it had any


def _fields(kind: type) -> tuple[str, ...] | None:
    """The fields of a data class, None for any other class."""
    if kind in _known_fields:
        return _known_fields[kind]
    names: tuple[str, ...] | None = None
    named: Any = getattr(kind, "_fields", None)
    if dataclasses.is_dataclass(kind):
        # One that is an exception or a list as well holds more than its fields.
        if kind.__new__ is object.__new__:
            names = tuple(field.name for field in dataclasses.fields(kind))
            if "__dataclass_fields__" not in kind.__dict__:
                _undeclared[kind] = None
    elif issubclass(kind, msgspec.Struct):
        names = kind.__struct_fields__
    elif issubclass(kind, tuple) and named is not None:
        names = tuple(named)
    elif issubclass(kind, Request) and kind.__new__ is object.__new__:
        names = ()  # a question without parts
        _undeclared[kind] = None
    _known_fields[kind] = names
    return names


_PACKERS: dict[type, Callable[[Any, str, int], list[Any]]] = {
    tuple: _items(TUPLE),
    list: _items(LIST),
    set: _unordered(SET),
    frozenset: _unordered(FROZENSET),
    dict: _pack_dict,
    bytearray: lambda value, path, depth: [BYTEARRAY, _pack(bytes(value), path, depth)],
    **dict.fromkeys(_TEXTS, _pack_text),
}


# Decoding.

Packed = str | int | float | bytes | list[Any] | dict[Any, Any] | None  # what MessagePack reads


def _find(module: str, qualname: str) -> Any:
    """What a qualified name stands for in the modules that are loaded; None if nothing."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        owner, found = (
            found,
            getattr(found, "__dict__", {}).get(part) if found is not None else None,
        )
        if found is None and isinstance(owner, type):
            inherited = (base.__dict__[part] for base in owner.__mro__ if part in base.__dict__)
            found = next(inherited, None)
            if not isinstance(found, classmethod):
                return None
        if isinstance(found, staticmethod):
            return None
        if isinstance(found, classmethod):
            found = getattr(owner, part) if isinstance(owner, type) else None
    return found


def _loaded(text: Any) -> Any:
    if not isinstance(text, str) or text.count(":") != 1:
        raise DecodeError(f"{text!r:.80} is not a qualified name")
    module, qualname = text.split(":")
    found = _find(module, qualname)
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if found is None and spec is not None and spec.name.removesuffix(".__main__") == module:
        found = _find("__main__", qualname)
    if found is None:
        raise DecodeError(f"{text} is not loaded on this node; import its module here as well")
    return found


def _unpack(value: Packed) -> Any:
    if type(value) is not list:
        if type(value) in PLAIN:
            return value
        raise DecodeError(f"a {type(value).__name__} stands where no such value may")
    tag = value[0]
    if tag == PID:
        return Pid(value[1], value[2], value[3], value[4])
    if tag == TUPLE:
        # A list in a list is of the same kind; "type(...) is" makes a checker forget it.
        return tuple(
            [
                item if type(item) is not list else _unpack(item)  # pyright: ignore[reportUnknownArgumentType]
                for item in value[1:]
            ]
        )
    return _UNPACKERS[tag](value)


def _unpack_dict(value: list[Any]) -> dict[Any, Any]:
    flat = [_unpack(item) for item in value[1:]]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _unpack_named(value: list[Any]) -> Any:
    found = _loaded(value[1])
    if not (isinstance(found, _FUNCTIONS) or _is_class_method(found)):
        raise DecodeError(f"{value[1]} is neither a class nor a function")
    return found


def _unpack_data(value: list[Any]) -> Any:
    kind = _loaded(value[1])
    names = _fields(kind) if isinstance(kind, type) else None
    if names is None:
        raise DecodeError(f"{value[1]} is not a data class")
    if len(names) != len(value) - 2:
        raise DecodeError(f"{value[1]} has {len(names)} fields here and {len(value) - 2} there")
    items = [_unpack(item) for item in value[2:]]
    if issubclass(kind, tuple):
        return _plain_tuple.__new__(kind, items)  # a __new__ of its own has run before it was sent
    if issubclass(kind, msgspec.Struct):
        return kind(**dict(zip(names, items, strict=True)))
    made = _new(kind)
    for name, item in zip(names, items, strict=True):
        object.__setattr__(made, name, item)
    return made


def _unpack_enum(value: list[Any]) -> Any:
    kind = _loaded(value[1])
    if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        raise DecodeError(f"{value[1]} is not an enum")
    member: Any = value[2]
    if isinstance(member, list):
        if not issubclass(kind, enum.Flag):
            raise DecodeError(f"{value[1]} is not a flag")
        (bits,) = _unpack(value[2])
        return kind(bits)
    return kind[member]


def _unpack_part(value: list[Any]) -> bytes:
    parts = _apart.parts
    if parts is None or type(value[1]) is not int or not 0 <= value[1] < len(parts):
        raise DecodeError(f"a part {value[1]!r:.40} that did not come")
    return parts[value[1]]


_UNPACKERS: dict[int, Callable[[list[Any]], Any]] = {
    LIST: lambda value: [_unpack(item) for item in value[1:]],
    DICT: _unpack_dict,
    SET: lambda value: {_unpack(item) for item in value[1:]},
    FROZENSET: lambda value: frozenset(_unpack(item) for item in value[1:]),
    REF: lambda value: Ref(*value[1:]),
    BIG: lambda value: int(value[1], 16),
    NAMED: _unpack_named,
    DATA: _unpack_data,
    ENUM: _unpack_enum,
    TEXT: lambda value: _FROM_TEXT[value[1]](value[2]),
    BYTEARRAY: lambda value: bytearray(_unpack(value[1])),
    PART: _unpack_part,
}


def function_text(function: Any, what: str = "function") -> str:
    """``module:qualname``, as which a function is known on every node. Raises ``NotSendable``."""
    return _named(function, what)


def function_of(text: str) -> Callable[..., Any]:
    """The function behind ``module:qualname``, if it is loaded here. Raises ``DecodeError``."""
    found: Callable[..., Any] = _unpack_named([NAMED, text])
    return found


def encode(value: Any, what: str = "message") -> bytes:
    """The bytes of a value. Raises ``NotSendable`` with the path to what cannot be sent."""
    try:
        return _encode(_pack(value, what, 0))
    except UnicodeEncodeError as error:
        raise unicode_error(what, error) from None


@contextmanager
def with_parts(parts: list[bytes]) -> Generator[None, None, None]:
    """Within it, a value that was packed apart is unpacked with these."""
    before, _apart.parts = _apart.parts, parts
    try:
        yield
    finally:
        _apart.parts = before


def pack_apart(value: Any, what: str) -> tuple[Any, list[bytes]]:
    """As ``pack``, without the long bytes objects that stand in the value: they are beside it."""
    before, _apart.out = _apart.out, []
    try:
        return _pack(value, what, 0), _apart.out
    finally:
        _apart.out = before


def encode_apart(value: Any, what: str = "message") -> list[bytes]:
    """As ``encode``, and behind the bytes the long bytes objects that stand in the value."""
    packed, parts = pack_apart(value, what)
    try:
        return [_encode(packed), *parts]
    except UnicodeEncodeError as error:
        raise unicode_error(what, error) from None


def unicode_error(what: str, error: UnicodeEncodeError) -> NotSendable:
    """The exception for a str that cannot be encoded."""
    return NotSendable(what, f"a str that is not valid Unicode: {error}")


def decoding(work: Callable[[Any], Any], data: bytes | memoryview) -> Any:
    """``work(data)``, where all that goes wrong is a ``DecodeError``."""
    try:
        return work(data)
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001 - hostile bytes may break anything
        raise DecodeError(told(error)) from None


def decode(data: bytes) -> Any:
    """The value behind the bytes. Raises ``DecodeError``."""
    return decoding(lambda raw: _unpack(_decode(raw)), data)


SIMPLE = frozenset((*SCALARS, Pid, Ref))  # what travels as it is


def pack(value: Any, what: str) -> Any:
    """What MessagePack can write of a value. Raises ``NotSendable``."""
    return _pack(value, what, 0)


def open_payload(packed: Any) -> Any:
    """The value that a signal's payload stands for.

    One that cannot be read here (its class is not loaded, say) spoils that signal only: it
    is an ``Unreadable``.
    """
    try:
        return _unpack(packed)
    except Exception as error:  # noqa: BLE001 - hostile bytes may break anything
        return Unreadable(told(error))


def told(error: Exception) -> str:
    """What is wrong with bytes that cannot be read, as text."""
    if isinstance(error, DecodeError):
        return str(error)
    return f"malformed message: {type(error).__name__}: {error}"


__all__ = [
    "APART",
    "PLAIN",
    "SIMPLE",
    "DecodeError",
    "From",
    "Unreadable",
    "decode",
    "decoding",
    "encode",
    "encode_apart",
    "function_of",
    "function_text",
    "open_payload",
    "pack",
    "pack_apart",
    "told",
    "unicode_error",
    "with_parts",
    "write",
]
