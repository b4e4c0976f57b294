"""A cache whose entries end after a while.

Each entry has a timer of the cache's process, so nothing has to be swept. A missing value is
made by whoever wants it: a slow one holds up nobody else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otpy import (
    CallResult,
    From,
    GenServer,
    Next,
    NoReply,
    Ok,
    Pid,
    Ref,
    Reply,
    TimerFired,
    gen_server,
    minutes,
    process,
    self_pid,
)

TTL = minutes(5)
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and the timer that ends it."""

    value: Any
    timer: Ref


Entries = dict[Any, Entry]


class Cache(GenServer[Entries], green=True):
    @classmethod
    def start_link(cls, name: str, /) -> Pid:
        return gen_server.start_link(cls, None, name=name)

    def init(self, arg: None) -> Any:
        return Ok(Entries())

    def handle_call(self, request: Any, from_: From, entries: Entries) -> CallResult[Entries]:
        match request:
            case ("get", key):
                entry = entries.get(key)
                return Reply(MISSING if entry is None else ("ok", entry.value))
            case _:
                raise ValueError(f"unknown request {request!r}")

    def handle_cast(self, request: Any, entries: Entries) -> Next[Entries]:
        match request:
            case ("put", key, value, ttl):
                drop(entries, key)
                entries[key] = Entry(value, process.start_timer(self_pid(), key, ttl))
            case ("delete", key):
                drop(entries, key)
        return NoReply(entries)

    def handle_info(self, message: Any, entries: Entries) -> Next[Entries]:
        match message:
            case TimerFired(timer, key) if key in entries and entries[key].timer == timer:
                del entries[key]
        return NoReply(entries)


def drop(entries: Entries, key: Any) -> None:
    entry = entries.pop(key, None)
    if entry is not None:
        process.cancel_timer(entry.timer)


# What users of the cache call.


def put(cache: str, key: Any, value: Any, ttl: float = TTL) -> None:
    """Keep ``value`` for ``ttl`` seconds, in place of what was there."""
    gen_server.cast(cache, ("put", key, value, ttl))


def get(cache: str, key: Any, default: Any = None) -> Any:
    """The value, if it has not ended yet."""
    match gen_server.call(cache, ("get", key)):
        case ("ok", value):
            return value
        case _:
            return default


def delete(cache: str, key: Any) -> None:
    """Forget a value."""
    gen_server.cast(cache, ("delete", key))


def fetch(cache: str, key: Any, make: Callable[[], Any], ttl: float = TTL) -> Any:
    """The value; if it is missing, ``make()``, which is kept."""
    match gen_server.call(cache, ("get", key)):
        case ("ok", value):
            return value
        case _:
            value = make()
            put(cache, key, value, ttl)
            return value
