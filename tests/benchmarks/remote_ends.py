"""The two ends of the remote rows; each runs in an OS process of its own (``worker.py``)."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import msgspec
import zmq
from zmq.utils import z85

from otpy import At, GenServer, Node, NoReply, Ok, Pid, Reply, gen_server, process, self_pid
from otpy.distribution.mesh import Mesh
from otpy.distribution.start import start_mesh

HOST = "127.0.0.1"
COOKIE = "the cookie of the benchmarks"  # with a cookie every frame goes through CURVE
SERVER = "there@127.0.0.1"


class Counter(GenServer[int], green=True):
    def init(self, arg: int) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        return Reply(self_pid() if request == "pid" else state)

    def handle_cast(self, request: Any, state: int) -> Any:
        return NoReply(state + 1)


class OtpyEnd:
    """A node with its mesh."""

    def __init__(self, name: str, folder: str) -> None:
        self.stack = ExitStack()
        self.node = self.stack.enter_context(Node(name))
        self.mesh: Mesh = start_mesh(self.node, cookie=COOKIE, directory=folder)

    def close(self) -> None:
        self.stack.close()


class OtpyServer(OtpyEnd):
    """Serves a counter."""

    def __init__(self, folder: str) -> None:
        super().__init__(SERVER, folder)

    def ready(self) -> bool:
        with self.node.attached():
            gen_server.start(Counter, 0, name="bench")
        return True


class OtpyCaller(OtpyEnd):
    """Calls and casts, from a green process or from a thread."""

    def __init__(self, folder: str) -> None:
        super().__init__("here@127.0.0.1", folder)

    def connect(self) -> bool:
        limit = time.monotonic() + 20
        while not self.mesh.connect(SERVER, 1.0):
            if time.monotonic() > limit:
                raise TimeoutError(f"{SERVER} does not answer")
            time.sleep(0.01)
        return True

    def _run(self, green: bool, work: Callable[[Pid, int], float], count: int) -> float:
        with self.node.attached():
            server: Pid = gen_server.call(At("bench", SERVER), "pid")
            if not green:
                return work(server, count)
            me = self_pid()
            process.spawn(lambda: process.send(me, work(server, count)), green=True)
            seconds: float = process.receive(float)
            return seconds

    def call(self, green: bool, count: int) -> float:
        return self._run(green, _calls, count)

    def cast(self, green: bool, count: int) -> float:
        return self._run(green, _casts, count)

    def beside(self, size: int) -> float:
        """The longest of the calls made while one message of ``size`` bytes travels, in seconds."""
        with self.node.attached():
            server: Pid = gen_server.call(At("bench", SERVER), "pid")
            me, data = self_pid(), bytes(size)

            def large() -> None:
                gen_server.call(server, data, timeout=60)
                process.send(me, "arrived")

            process.spawn(large)
            worst = 0.0
            while process.info(me, "messages") == {"messages": []}:
                worst = max(worst, _calls(server, 1))
            process.receive(str)
            return worst


def _calls(server: Pid, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        gen_server.call(server, "get", timeout=60)
    return (time.perf_counter() - start) / count


def _casts(server: Pid, count: int) -> float:
    base = gen_server.call(server, "get")
    start = time.perf_counter()
    for _ in range(count):
        gen_server.cast(server, "add")
    arrived = gen_server.call(server, "get", timeout=120) - base
    assert arrived == count, f"{count} casts sent, {arrived} arrived"
    return (time.perf_counter() - start) / count


# The same with nothing but asyncio: four bytes of length, then msgpack.


def _frame(message: Any) -> bytes:
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(4, "big") + data


async def _read(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return msgspec.msgpack.decode(await reader.readexactly(size))


def _no_delay(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class EchoServer:
    """Counts what is cast in a connection and answers calls with the count."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, HOST, 0))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _no_delay(writer)
        count = 0
        try:
            while True:
                kind, _ = await _read(reader)
                if kind == "cast":
                    count += 1
                else:
                    writer.write(_frame(count))
                    await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    def port(self) -> int:
        port: int = self.server.sockets[0].getsockname()[1]
        return port


class EchoClient:
    """Asks an ``EchoServer``."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(self, count: int) -> float:
        return asyncio.run(self._measure(self._calls, count))

    def cast(self, count: int) -> float:
        return asyncio.run(self._measure(self._casts, count))

    async def _measure(self, work: Any, count: int) -> float:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        _no_delay(writer)
        start = time.perf_counter()
        await work(reader, writer, count)
        seconds = (time.perf_counter() - start) / count
        writer.close()
        await writer.wait_closed()
        return seconds

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        writer.write(_frame(("call", "get")))
        await writer.drain()
        return await _read(reader)

    async def _calls(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
    ) -> None:
        for _ in range(count):
            await self._ask(reader, writer)

    async def _casts(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
    ) -> None:
        for _ in range(count):
            writer.write(_frame(("cast", "add")))
            await writer.drain()
        arrived = await self._ask(reader, writer)
        assert arrived == count, f"{count} sent, {arrived} arrived"


# The same with nothing but ZeroMQ and CURVE: what the mesh stands on.


_SECRET = z85.encode(bytes(range(32)))
_PUBLIC = zmq.curve_public(_SECRET)


def _context() -> "zmq.Context[zmq.Socket[bytes]]":
    return cast("zmq.Context[zmq.Socket[bytes]]", zmq.Context.instance())


def _curve(socket: "zmq.Socket[bytes]") -> "zmq.Socket[bytes]":
    socket.curve_secretkey, socket.curve_publickey = _SECRET, _PUBLIC
    socket.linger = 0
    return socket


class ZeroMQServer:
    """Counts what is cast and answers calls with the count."""

    def __init__(self) -> None:
        self.socket = _curve(_context().socket(zmq.ROUTER))
        self.socket.curve_server = True
        self.bound = self.socket.bind_to_random_port(f"tcp://{HOST}")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        count = 0
        while True:
            name, data = self.socket.recv_multipart()
            if msgspec.msgpack.decode(data)[0] == "cast":
                count += 1
            else:
                self.socket.send_multipart([name, msgspec.msgpack.encode(count)])

    def port(self) -> int:
        return self.bound


class ZeroMQClient:
    """Asks a ``ZeroMQServer``."""

    def __init__(self, port: int) -> None:
        self.socket = _curve(_context().socket(zmq.DEALER))
        self.socket.curve_serverkey = _PUBLIC
        self.socket.sndhwm = 0
        self.socket.connect(f"tcp://{HOST}:{port}")
        self._ask()

    def _ask(self) -> Any:
        self.socket.send(msgspec.msgpack.encode(("call", "get")))
        return msgspec.msgpack.decode(self.socket.recv())

    def call(self, count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            self._ask()
        return (time.perf_counter() - start) / count

    def cast(self, count: int) -> float:
        base = self._ask()
        start = time.perf_counter()
        for _ in range(count):
            self.socket.send(msgspec.msgpack.encode(("cast", "add")))
        arrived = self._ask() - base
        assert arrived == count, f"{count} sent, {arrived} arrived"
        return (time.perf_counter() - start) / count
