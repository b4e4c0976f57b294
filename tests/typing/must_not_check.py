"""Mistakes that both type checkers must find: each on the line that ends with ``# wrong``."""

from dataclasses import dataclass

from otpy import (
    CallResult,
    From,
    GenServer,
    GenStatem,
    InitResult,
    Next,
    NoReply,
    Ok,
    Reply,
    Request,
    Stop,
    Supervisor,
    aio,
    asgi,
    dynamic_supervisor,
    gen_server,
    gen_statem,
    process,
    registry,
    self_pid,
    supervisor,
    sys,
)


@dataclass(frozen=True)
class Get(Request[int]):
    """Answered with the count."""


@dataclass(frozen=True)
class Add:
    """Cast, never called."""

    amount: int


class Counter(GenServer[int]):
    def init(self, start: int, /) -> InitResult[int]:
        return Ok("not a number")  # wrong

    def handle_call(self, request: object, from_: From, count: int, /) -> CallResult[int]:
        if request == "a":
            return Reply("the reply may be anything", "the state may not")  # wrong
        if request == "b":
            return Reply(count, count, timout=1.0)  # wrong
        if request == "c":
            return None  # wrong
        return Stop("why", "the state may not")  # wrong

    def handle_cast(self, message: object, count: int, /) -> Next[int]:
        if message == "a":
            return Reply(count)  # wrong
        if message == "b":
            return NoReply(count, timeout="soon")  # wrong
        return NoReply(str(count))  # wrong

    def handle_info(self, message: object, /) -> Next[int]:  # wrong
        return None


class Wrong(GenServer[int]):
    """Its callbacks say that they give another state."""

    def init(self, start: int, /) -> Ok[str]:  # wrong
        return Ok("x")

    async def handle_call(  # wrong
        self, request: object, from_: From, count: int, /
    ) -> CallResult[str]:
        return Reply(1, "x")

    def handle_cast(self, message: object, count: int, /) -> Reply[int]:  # wrong
        return Reply(1)


class WrongDoor(GenStatem[str, int], callback_mode="handle_event_function"):
    def init(self, arg: object, /) -> gen_statem.InitResult[int, int]:  # wrong
        return gen_statem.Ok(1, 1)


class WrongTree(Supervisor):
    def init(self, arg: object, /) -> Ok[str]:  # wrong
        return Ok("a GenServer's")


class Misspelt(GenServer[int], grean=True):  # wrong
    """An option that there is not."""


class Never(GenServer[int], restart="never"):  # wrong
    """A restart type that there is not."""


class NoMode(GenStatem[str, int], callback_mode="state_function"):  # wrong
    """A callback mode that there is not."""


class Door(GenStatem[str, int], callback_mode="handle_event_function"):
    """Its state is a str, its data an int."""


def become_a_door(state: bytes) -> None:
    if state:
        gen_statem.enter_loop(Door, state, 0)  # wrong
    gen_statem.enter_loop(Door, "open", "the data may not")  # wrong


pid = self_pid()
gen_statem.SetStateTimeout(5.0, abs="the last")  # wrong
gen_statem.receive_response("no request")  # wrong
text: str = gen_server.call(pid, Get())  # wrong
gen_server.call(pid, Add(1))  # wrong
gen_statem.call(pid, Add(1))  # wrong
gen_server.send_request(pid, Add(1))  # wrong
gen_server.send_request(pid, Add(1), "label", gen_server.reqids_new())  # wrong
supervisor.start_link([], strategy="one_for_al")  # wrong
supervisor.init([], strategy="one_for_one", auto_shutdown="always")  # wrong
dynamic_supervisor.start_link(strategy="one_for_all")  # wrong
registry.start_link(keys="uniq", name="r")  # wrong
gen_server.call(pid, Get(), timeout="soon")  # wrong
gen_server.call(1.5, Get())  # wrong
gen_server.start_link(Add, 1)  # wrong
gen_server.start_link(Counter, 1, nme="counter")  # wrong
process.flag(trap_exits=True)  # wrong
process.send_after(pid, "x", "soon")  # wrong
process.alias("replay")  # wrong
process.monitor(pid, alias="reply_demonitr")  # wrong
process.spawn_request(print, reply="x")  # wrong
supervisor.child_spec((Counter, 1), restrat="permanent")  # wrong
supervisor.child_spec((Counter, 1), restart="x")  # wrong
supervisor.child_spec((Counter, 1), modules="x")  # wrong
gen_server.multi_call("x", Add(1))  # wrong
sys.log(pid, "x")  # wrong
sys.statistics(pid, "on")  # wrong


async def in_a_coroutine() -> None:
    await aio.call(pid, Add(1))  # wrong
    await aio.multi_call("x", Add(1))  # wrong
    await aio.sys.log(pid, "x")  # wrong
    await aio.sys.statistics(pid, "on")  # wrong


asgi.lifespan([], strategy="one_for_al")  # wrong
asgi.lifespan([], node="a@127.0.0.1")  # wrong
asgi.running([], strategy="one_for_one", shutdwn=1)  # wrong
asgi.running([], max_restarts="few")  # wrong


def wrap(app: asgi.App) -> None:
    asgi.Lifespan(app, [], strategy="one_for_one", on_end=3)  # wrong
    asgi.Lifespan(app, [], strategy="one_for_one", shutdwn=1)  # wrong
