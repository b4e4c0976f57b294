"""The mesh between two OS processes: round trip, and messages per second one way.

Run: ``python -m tests.benchmarks.mesh_raw [messages]``
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from otpy.distribution.start import start_mesh
from otpy.terms.pid import Pid
from otpy.terms.signals import Message, Signal
from tests.distribution.fakes import FakeNode

HERE, THERE = "here@127.0.0.1", "there@127.0.0.1"
COOKIE = "cookie of the benchmark"


class Answering(FakeNode):
    """Answers "ping", counts the rest and checks their order."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.count = 0
        self.in_order = True
        self.answer = threading.Event()
        self.value: Any = None

    def inbound(self, signal: Signal) -> None:
        assert isinstance(signal, Message)
        assert isinstance(signal.dest, Pid)
        body = signal.body
        if type(body) is int:
            self.in_order = self.in_order and body == self.count
            self.count += 1
        elif body == "ping":
            self.router.route(signal.sender.node, Message(signal.dest, signal.sender, "pong"))
        elif body == "count":
            answer = (self.count, self.in_order)
            self.router.route(signal.sender.node, Message(signal.dest, signal.sender, answer))
        else:
            self.value = body
            self.answer.set()

    def ask(self, dest: Pid, body: Any) -> Any:
        """Send and wait for the answer."""
        self.answer.clear()
        self.send(dest, body)
        assert self.answer.wait(60)
        return self.value


def main(messages: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        node = Answering(HERE)
        mesh = start_mesh(node, cookie=COOKIE, directory=folder)  # type: ignore[arg-type]  # a fake
        command = [sys.executable, "-m", "tests.benchmarks.mesh_raw", "--child", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
            while not mesh.nodes():
                mesh.connect(THERE, 1.0)
            there = FakeNode(THERE).pid()
            trips: list[float] = []
            for _ in range(3000):
                began = time.perf_counter()
                node.ask(there, "ping")
                trips.append(time.perf_counter() - began)
            trips.sort()
            print(f"round trip: median {statistics.median(trips) * 1e6:.0f} us, ", end="")
            print(f"99% {trips[-len(trips) // 100] * 1e6:.0f} us")
            began = time.perf_counter()
            for number in range(messages):
                node.send(there, number)
            sent = time.perf_counter() - began
            count, in_order = node.ask(there, "count")
            took = time.perf_counter() - began
            print(f"one way: {messages / took:,.0f}/s arrived, {messages / sent:,.0f}/s handed in")
            print(f"lost {messages - count}, in order: {in_order}")
            child.communicate()
        mesh.stop()


def child(folder: str) -> None:
    """The other process."""
    start_mesh(Answering(THERE), cookie=COOKIE, directory=folder)  # type: ignore[arg-type]  # a fake
    sys.stdin.read()


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(sys.argv[-1])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
