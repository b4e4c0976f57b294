"""What a user writes, and both type checkers must accept; the inferred types are asserted."""

from dataclasses import dataclass
from typing import Any, Literal, assert_type

from otpy import (
    IGNORE,
    CallResult,
    Down,
    From,
    GenServer,
    GenStatem,
    InitResult,
    Next,
    Node,
    NoReply,
    Ok,
    Pid,
    Reply,
    Request,
    Stop,
    Supervisor,
    Timeout,
    asgi,
    gen_server,
    gen_statem,
    process,
    supervisor,
    sys,
)


@dataclass(frozen=True)
class Get(Request[int]):
    """Answered with the count."""


@dataclass(frozen=True)
class Names(Request[list[str]]):
    prefix: str


@dataclass(frozen=True)
class Add:
    """Cast, never called."""

    amount: int


class Counter(GenServer[int], restart="transient"):
    @classmethod
    def start_link(cls, start: int, /) -> Pid:
        return gen_server.start_link(cls, start, name=cls)

    def init(self, start: int, /) -> InitResult[int]:
        if start < 0:
            return IGNORE
        return Ok(start, continue_="ready") if start else Stop("nothing to count")

    def handle_continue(self, arg: object, count: int, /) -> Next[int]:
        return NoReply(count, timeout=1.5)

    def handle_call(self, request: object, from_: From, count: int, /) -> CallResult[int]:
        match request:
            case Get():
                return Reply(count)
            case Names(prefix):
                return Reply([prefix], count + 1)
            case "later":
                return NoReply()
            case _:
                return Stop("unknown", count, reply=None)

    def handle_cast(self, message: object, count: int, /) -> Next[int]:
        match message:
            case Add(amount):
                return NoReply(count + amount)
            case _:
                return None

    def handle_info(self, message: object, count: int, /) -> Next[int]:
        match message:
            case Timeout() | Down():
                return Stop("normal")
            case _:
                return NoReply(count)

    def terminate(self, reason: object, count: int, /) -> None:
        print(reason, count)


class AsyncCounter(Counter):
    """An async callback in a class of its own is not an override: see the next one."""


class Async(GenServer[int]):
    def init(self, start: int, /) -> Ok[int]:
        return Ok(start)

    async def handle_call(self, request: object, from_: From, count: int, /) -> Reply[int]:
        return Reply(count)


class Tree(Supervisor):
    def init(self, arg: int, /) -> supervisor.Flags:
        return supervisor.init([(Counter, arg)], strategy="one_for_one")


class Maybe(GenServer[int | None]):
    """A state that is wider than what a callback makes of it."""

    async def init(self, start: int, /) -> Ok[int]:
        return Ok(start)

    def handle_cast(self, message: object, count: int | None, /) -> NoReply[None]:
        return NoReply(None)


Light = Literal["red", "green"]


class Lights(GenStatem[Light, int], callback_mode="handle_event_function"):
    def init(self, changes: int, /) -> gen_statem.InitResult[Light, int]:
        return gen_statem.Ok("red", changes, gen_statem.SetStateTimeout(5.0, abs=True))

    def code_change(
        self, old_vsn: object, light: Light, changes: int, extra: object, /
    ) -> gen_statem.Ok[Light, int]:
        return gen_statem.Ok(light, changes + 1)


def become_lights() -> None:
    gen_statem.enter_loop(Lights, "green", 0, actions=gen_statem.SetStateTimeout(5.0))


pid = Counter.start_link(1)
assert_type(gen_server.call(pid, Get()), int)
assert_type(gen_server.call(Counter, Names("a"), timeout=None), list[str])
assert_type(gen_server.call(pid, "anything"), Any)
assert_type(gen_server.call(pid, ("tagged", 1)), Any)
assert_type(gen_server.call(pid, {"one", "of", "a set"}), Any)
assert_type(gen_server.multi_call("name", Get()), tuple[list[tuple[str, int]], list[str]])
assert_type(gen_server.multi_call("name", "x"), tuple[list[tuple[str, Any]], list[str]])
sys.log(pid, 10)
sys.log(pid, True)
sys.log(pid, "get")
sys.statistics(pid, "get")
supervisor.child_spec((Counter, 1), id="x", restart="temporary", shutdown=5, modules=("m",))
supervisor.child_spec((Counter, 1), modules="dynamic")
process.spawn_request(print, reply="error_only")
asked = gen_statem.send_request(pid, Get())
assert_type(asked, gen_statem.RequestId[int])
response = gen_statem.receive_response(asked, 5.0)
if response != "timeout" and response[0] == "reply":
    assert_type(response[1], int)
gen_server.cast(pid, Add(1))
assert_type(process.spawn(print, "x"), Pid)
assert_type(process.send(pid, Add(2)), Add)
_, ref = process.spawn_monitor(print)
process.demonitor(ref, flush=True)


async def live(app: asgi.App, node: Node | None) -> None:
    asgi.lifespan([(Counter, 1)], strategy="one_for_one", max_restarts=1, shutdown=5)
    asgi.Lifespan(app, [(Counter, 1)], strategy="rest_for_one", node=node, on_end=print)
    async with asgi.running([], strategy="one_for_one", name="tree", green=True) as home:
        assert_type(home, Node)
