"""A FastAPI application that owns a supervision tree.

``uvicorn examples.web_counter.app:app``, then GET /next. A counter that crashes is started
again by its supervisor; SIGTERM stops the tree, the latest child first.
"""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from otpy import CallExit, GenServer, Ok, Pid, Reply, aio, asgi, gen_server, process

LOG = logging.getLogger("uvicorn.error")


class Journal(GenServer[list[int]]):
    """Keeps what the counter gave out; it may block, it has a thread of its own."""

    @classmethod
    def start_link(cls, arg: object, /) -> Pid:
        return gen_server.start_link(cls, arg, name=cls)

    def init(self, arg: object, /) -> Ok[list[int]]:
        process.flag(trap_exit=True)  # so that terminate runs
        return Ok([])

    def handle_call(self, request: object, from_: object, given: list[int], /) -> Reply[list[int]]:
        return Reply(len(given))

    def handle_cast(self, number: int, given: list[int], /) -> None:
        given.append(number)

    def terminate(self, reason: object, given: list[int], /) -> None:
        LOG.info("journal closed with %d entries: %s", len(given), reason)


class Counter(GenServer[int]):
    """Counts: a task on the server's own loop, because a callback is async."""

    @classmethod
    def start_link(cls, start: int, /) -> Pid:
        return gen_server.start_link(cls, start, name=cls)

    def init(self, start: int, /) -> Ok[int]:
        process.flag(trap_exit=True)
        return Ok(start)

    async def handle_call(self, request: object, from_: object, count: int, /) -> Reply[int]:
        if request == "crash":
            raise RuntimeError("told to crash")
        gen_server.cast(Journal, count + 1)
        return Reply(count + 1, count + 1)

    def terminate(self, reason: object, count: int, /) -> None:
        LOG.info("counter closed at %d: %s", count, reason)


app = FastAPI(
    lifespan=asgi.lifespan([(Journal, None), (Counter, 0)], strategy="one_for_one", shutdown=5.0)
)


@app.get("/next")
async def next_number() -> int:
    number: int = await aio.call(Counter, "next")
    return number


@app.get("/entries")
async def entries() -> int:
    count: int = await aio.call(Journal, "entries")
    return count


@app.get("/crash")
async def crash() -> None:
    await aio.call(Counter, "crash")


@app.exception_handler(CallExit)
async def not_now(request: Request, exit_: CallExit) -> JSONResponse:
    """Who is called has ended, or is being started again."""
    return JSONResponse({"detail": f"ended: {exit_.reason}"}, status_code=503)
