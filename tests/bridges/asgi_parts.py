"""What the trees of the tests of ``asgi`` are made of."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from otpy import GenServer, Ok, Pid, Reply, gen_server, process


class Part(GenServer[Any]):
    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        return gen_server.start_link(cls, arg, name=cls)

    def init(self, arg: Any, /) -> Ok[Any]:
        process.flag(trap_exit=True)
        if arg == "bad":
            raise RuntimeError("no")
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any, /) -> Any:
        return Reply((request, threading.get_ident()))

    def terminate(self, reason: Any, state: Any, /) -> None:
        if callable(state):
            state(reason)


class AsyncPart(Part):
    async def handle_call(self, request: Any, from_: Any, state: Any, /) -> Reply[Any]:
        return Reply((request, threading.get_ident()))


def on_loop(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(body())
