"""The server of the GenServer tests, and small helpers for them."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from collections.abc import Callable
from typing import Any

from otpy import (
    GenServer,
    Global,
    NoReply,
    Ok,
    Pid,
    Reply,
    Via,
    gen_server,
    process,
    self_pid,
)
from tests.conformance.conftest import Runner


class Server(GenServer[Any]):
    """Does what it is sent: functions of the state."""

    def init(self, arg: Any) -> Any:
        return arg() if callable(arg) else Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        if callable(request):
            return request(from_, state)
        return Reply((request, state))

    def handle_cast(self, request: Any, state: Any) -> Any:
        return request(state) if callable(request) else None

    def handle_info(self, message: Any, state: Any) -> Any:
        if callable(message):
            return message(state)
        if isinstance(state, tuple) and state and state[0] == "tell":
            process.send(state[1], ("info", message))
            return None
        return super().handle_info(message, state)

    def handle_continue(self, arg: Any, state: Any) -> Any:
        return arg(state)

    def terminate(self, reason: Any, state: Any) -> None:
        if isinstance(state, tuple) and state and state[0] == "tell":
            process.send(state[1], ("terminate", reason))


class GreenServer(Server, green=True):
    """The same, green."""


def kind(run: Runner) -> type[Server]:
    return GreenServer if run.green else Server


def telling() -> tuple[str, Any]:
    return ("tell", self_pid())


class Book:
    """A name service for ``Via``."""

    scope = "node"

    def __init__(self) -> None:
        self.pids: dict[Any, Pid] = {}

    def register_name(self, key: Any, pid: Pid) -> bool:
        if key in self.pids and process.alive(self.pids[key]):
            return False
        self.pids[key] = pid
        return True

    def unregister_name(self, key: Any) -> None:
        self.pids.pop(key, None)

    def whereis_name(self, key: Any) -> Pid | None:
        pid = self.pids.get(key)
        return pid if pid is not None and process.alive(pid) else None


def names(run: Runner) -> list[Any]:
    """A name of every form; the cluster's names are not simulated here."""
    every: list[Any] = ["one", Server, Via(Book(), "one")]
    return every if run.node is None else [*every, Global("one")]


def cast(server: Any, step: Callable[[Any], Any]) -> None:
    """Cast a function of the state."""
    gen_server.cast(server, step)


def adds(item: Any) -> Callable[[Any], Any]:
    """What a cast does to add an item to a state that is a list."""
    return lambda state: NoReply([*state, item])


def ask(server: Any, step: Callable[[Any, Any], Any]) -> Any:
    """Call with a function of the ``from_`` and the state."""
    return gen_server.call(server, step)


def queue_of(pid: Pid) -> int:
    info = process.info(pid, "message_queue_len")
    assert info is not None
    length: int = info["message_queue_len"]
    return length


def links_of(pid: Pid) -> list[Any]:
    info = process.info(pid, "links")
    assert info is not None
    links: list[Any] = info["links"]
    return links


def async_server() -> type[GenServer[int]]:
    class Async(GenServer[int]):
        async def init(self, arg: int) -> Any:
            return Ok(arg)

        async def handle_call(self, request: Any, from_: Any, state: int) -> Any:
            return Reply(state + 1, state + 1)

        async def handle_cast(self, request: Callable[[int], Any], state: int) -> Any:
            return request(state)

    return Async


def crashing(_: Any) -> Any:
    raise RuntimeError("oops")
