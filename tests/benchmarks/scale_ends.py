"""What the rows about many processes run in OS processes of their own (``worker.py``)."""

import gc
import logging
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from otpy import (
    ChildSpec,
    GenServer,
    Node,
    Ok,
    Reply,
    Supervisor,
    dynamic_supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from tests.benchmarks.peers import Green

NAME = "bench@127.0.0.1"
PATIENCE = 60.0  # seconds until a process that holds its scheduler gives it back by itself
STATM = Path("/proc/self/statm")


def rss() -> int:
    """Bytes of memory this OS process holds."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Deep(Green):
    """Answers from the bottom of a recursion."""

    def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        return Reply(_deep(*request))


def _deep(depth: int, wait: bool) -> int:
    if depth > 0:
        return 1 + _deep(depth - 1, wait)
    if wait:
        process.sleep(0.0001)
    return 0


class Idle:
    """Memory of servers that do nothing."""

    def measure(self, count: int, depth: int, wait: bool) -> float:
        """Bytes for each server, after each once ran a handler so deep (0: none ran)."""
        with Node(NAME) as node, node.attached():
            gen_server.stop(gen_server.start(Deep, 0))
            before = rss()
            pids = [gen_server.start(Deep, 0) for _ in range(count)]
            if depth:
                for pid in pids:
                    gen_server.call(pid, (depth, wait))
            return (rss() - before) / count


class Crowd:
    """A node with so many idle servers, on which others start and stop."""

    def __init__(self, running: int) -> None:
        self.stack = ExitStack()
        self.node = self.stack.enter_context(Node(NAME))
        with self.node.attached():
            for _ in range(running):
                gen_server.start(Green, 0)

    def start_stop(self, count: int) -> float:
        """Seconds for one start and stop, by a green process."""

        def body() -> None:
            start = time.perf_counter()
            for _ in range(count):
                gen_server.stop(gen_server.start_link(Green, 0))
            process.send(me, (time.perf_counter() - start) / count)

        with self.node.attached():
            me = self_pid()
            process.spawn(body, green=True)
            seconds: float = process.receive(float)
            return seconds

    def close(self) -> None:
        self.stack.close()


class GreenSupervisor(Supervisor, green=True):
    """A supervisor declared green."""

    def init(self, arg: Any) -> Any:
        return supervisor.init(arg, strategy="one_for_one")


def supervise(specs: list[ChildSpec], green: bool) -> Any:
    """A supervisor with these children."""
    if green:
        return supervisor.start_link(GreenSupervisor, specs)
    return supervisor.start_link(specs, strategy="one_for_one")


class Children:
    """Many children under one supervisor."""

    def measure(self, count: int, green: bool) -> tuple[float, float]:
        """Seconds to start and to stop them all."""
        specs = [ChildSpec(number, (Green.start_link, (0,))) for number in range(count)]
        with Node(NAME) as node, node.attached():
            began = time.perf_counter()
            pid = supervise(specs, green)
            up = time.perf_counter()
            assert supervisor.count_children(pid).active == count
            asked = time.perf_counter()
            supervisor.stop(pid)
            return up - began, time.perf_counter() - asked


class Dynamic:
    """Many children under one dynamic supervisor."""

    def measure(self, count: int, green: bool) -> tuple[float, float]:
        """Seconds for a green process to start them one by one, and to stop them all."""
        spec = ChildSpec("x", (Green.start_link, (0,)))

        def body() -> None:
            began = time.perf_counter()
            for _ in range(count):
                dynamic_supervisor.start_child(boss, spec)
            process.send(me, time.perf_counter() - began)

        with Node(NAME) as node, node.attached():
            me = self_pid()
            boss = dynamic_supervisor.start_link(green=green)
            process.spawn(body, green=True)
            up: float = process.receive(float)
            assert dynamic_supervisor.count_children(boss).active == count
            asked = time.perf_counter()
            dynamic_supervisor.stop(boss)
            return up, time.perf_counter() - asked


class Victim(GenServer[None]):
    """Tells when it started."""

    started: "list[float]" = []  # noqa: RUF012 - of the one node in this OS process
    again = threading.Event()

    def init(self, arg: Any) -> Any:
        self.started.append(time.monotonic())
        if len(self.started) > 1:
            self.again.set()
        return Ok(None)


class Held:
    """A user's green process keeps its scheduler; how late everything else gets."""

    def measure(self, seconds: float, compute: bool) -> tuple[float, float]:
        """Seconds that a restart took, and that the latest of some timers was late.

        It is held until both are known: on a busy machine a fixed time may be over first.
        """
        logging.disable(logging.CRITICAL)  # the report of the kill
        Victim.started.clear()
        Victim.again.clear()
        holding, known = threading.Event(), threading.Event()

        def hold() -> None:
            holding.set()
            if not compute:
                known.wait(PATIENCE)
            while not known.is_set():
                sum(range(100))

        with Node(NAME) as node, node.attached(), ExitStack() as stack:
            stack.callback(known.set)
            boss = supervisor.start_link([(Victim, None)], strategy="one_for_one")
            victim = supervisor.which_children(boss)[0].pid
            pid = process.spawn(hold, green=True)
            holding.wait(10)
            killed = time.monotonic()
            process.exit(victim, "kill")
            Victim.again.wait(10)
            late = _timers(seconds / 2)
            assert process.alive(pid), "the watchdog ended it before everything was known"
            return Victim.started[-1] - killed, late


def _timers(within: float) -> float:
    """How late the latest of a few timers fires."""
    me, steps, late = self_pid(), 10, 0.0
    for step in range(1, steps + 1):
        process.send_after(me, time.monotonic() + within * step / steps, within * step / steps)
    for _ in range(steps):
        due = process.receive(float)
        late = max(late, time.monotonic() - due)
    return late
