"""The candidates: the same work on otpy, Pykka and a bare asyncio actor."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pykka

from otpy import GenServer, Node, NoReply, Ok, Reply, gen_server, process, self_pid


class Green(GenServer[int], green=True):
    def init(self, arg: int) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        return Reply(state)

    def handle_cast(self, request: Any, state: int) -> Any:
        return NoReply(state + 1)


class Thread(Green, green=False):
    pass


class Async(Green):
    async def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        return Reply(state)


def on_node(body: Callable[[], float], green: bool, watchdog: bool = True) -> float:
    """Run a body as a process of a fresh node."""
    with Node("bench@127.0.0.1", watchdog=watchdog) as node, node.attached():
        if not green:
            return body()
        me = self_pid()
        process.spawn(lambda: process.send(me, body()), green=True)
        seconds: float = process.receive(float)
        return seconds


def timed(count: int, work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / count


def _calls(cls: type[GenServer[int]], count: int) -> float:
    pid = gen_server.start(cls, 0)

    def work() -> None:
        for _ in range(count):
            gen_server.call(pid, "get")

    return timed(count, work)


def _casts(cls: type[GenServer[int]], count: int) -> float:
    pid = gen_server.start(cls, 0)

    def work() -> None:
        for _ in range(count):
            gen_server.cast(pid, "add")
        assert gen_server.call(pid, "get", timeout=60) == count

    return timed(count, work)


def _start_stop(cls: type[GenServer[int]], count: int) -> float:
    def work() -> None:
        for _ in range(count):
            gen_server.stop(gen_server.start_link(cls, 0))

    return timed(count, work)


def green_call(count: int) -> float:
    return on_node(lambda: _calls(Green, count), green=True)


def thread_call(count: int) -> float:
    return on_node(lambda: _calls(Thread, count), green=False)


def async_call(count: int) -> float:
    return on_node(lambda: _calls(Async, count), green=False)


def green_cast(count: int) -> float:
    return on_node(lambda: _casts(Green, count), green=True)


def thread_cast(count: int) -> float:
    return on_node(lambda: _casts(Thread, count), green=False)


def green_start_stop(count: int) -> float:
    return on_node(lambda: _start_stop(Green, count), green=True)


def thread_start_stop(count: int) -> float:
    return on_node(lambda: _start_stop(Thread, count), green=False)


class Plain(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self.state = 0

    def on_receive(self, message: Any) -> Any:
        if message == "add":
            self.state += 1
        return self.state


def pykka_call(count: int) -> float:
    ref = Plain.start()

    def work() -> None:
        for _ in range(count):
            ref.ask("get")

    seconds = timed(count, work)
    ref.stop()
    return seconds


def async_cast(count: int) -> float:
    return on_node(lambda: _casts(Async, count), green=False)


def async_start_stop(count: int) -> float:
    return on_node(lambda: _start_stop(Async, count), green=False)


def pykka_cast(count: int) -> float:
    ref = Plain.start()

    def work() -> None:
        for _ in range(count):
            ref.tell("add")
        assert ref.ask("get") == count

    seconds = timed(count, work)
    ref.stop()
    return seconds


def pykka_start_stop(count: int) -> float:
    def work() -> None:
        for _ in range(count):
            Plain.start().stop()

    return timed(count, work)


async def _actor(queue: "asyncio.Queue[tuple[Any, asyncio.Future[int] | None]]") -> None:
    state = 0
    while True:
        message, future = await queue.get()
        if message == "add":
            state += 1
        if future is not None:
            future.set_result(state)


def _on_loop(body: Callable[[Any], Coroutine[Any, Any, float]]) -> float:
    async def main() -> float:
        queue: asyncio.Queue[tuple[Any, asyncio.Future[int] | None]] = asyncio.Queue()
        task = asyncio.create_task(_actor(queue))
        seconds = await body(queue)
        task.cancel()
        return seconds

    return asyncio.run(main())


def asyncio_start_stop(count: int) -> float:
    async def body(_: Any) -> float:
        start = time.perf_counter()
        for _ in range(count):
            task = asyncio.create_task(_actor(asyncio.Queue()))
            await asyncio.sleep(0)  # it runs until its first get
            task.cancel()
            await asyncio.wait([task])
        return (time.perf_counter() - start) / count

    return _on_loop(body)


async def _ask(queue: Any) -> int:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    queue.put_nowait(("get", future))
    return await future


def asyncio_call(count: int) -> float:
    async def body(queue: Any) -> float:
        start = time.perf_counter()
        for _ in range(count):
            await _ask(queue)
        return (time.perf_counter() - start) / count

    return _on_loop(body)


def asyncio_cast(count: int) -> float:
    async def body(queue: Any) -> float:
        start = time.perf_counter()
        for _ in range(count):
            queue.put_nowait(("add", None))
        assert await _ask(queue) == count
        return (time.perf_counter() - start) / count

    return _on_loop(body)
