"""What the tests of ``erpc`` and ``rpc`` let nodes do: functions that can be named everywhere."""

import threading
from collections.abc import Callable
from typing import Any

from otpy import CallExit, Pid, erpc, gen_server, node, process, self_pid

NOWHERE = "nowhere@127.0.0.1"


class Unsendable:
    """What no message may hold."""


def add(a: int, b: int) -> int:
    return a + b


async def add_later(a: int, b: int) -> int:
    return a + b


def where() -> str:
    return node.self_()


def fails(text: str) -> None:
    raise ValueError(text)


def exits(reason: Any) -> None:
    process.exit(reason)


def calls_nobody() -> None:
    gen_server.call("nobody", "x")


def killed(reason: Any) -> None:
    """Somebody else ends it."""
    process.spawn(process.exit, self_pid(), reason)
    process.sleep(float("inf"))


def dies_of_a_link() -> None:
    process.spawn_link(exits, "linked")
    process.sleep(float("inf"))


def for_ever(who: Pid | None = None) -> None:
    if who is not None:
        process.send(who, ("runs", self_pid()))
    process.sleep(float("inf"))


def until_told(who: Pid) -> str:
    process.send(who, ("runs", self_pid()))
    told: str = process.receive(str)
    return told


def tells(who: Pid, what: Any) -> None:
    process.send(who, what)


def unsendable() -> Unsendable:
    return Unsendable()


def nested(inner: str, fn: Callable[..., Any], *args: Any) -> Any:
    return erpc.call(inner, fn, *args)


def late() -> None:
    erpc.call(node.self_(), for_ever, timeout=0.001)


_turn = threading.Lock()


def alone() -> bool:
    """Whether nobody else is in here."""
    if not _turn.acquire(blocking=False):
        return False
    try:
        process.sleep(0.001)
        return True
    finally:
        _turn.release()


def forged(reason: Any) -> None:
    raise CallExit(reason)
