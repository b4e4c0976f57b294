"""One OS process of a cluster, from the test's side."""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from otpy.behaviours._remote import LOST, TIMEOUT, Outcome
from otpy.distribution.codec import decode, function_text
from otpy.runtime.arguments import check_function
from otpy.terms.errors import BadArgument
from otpy.testing._channel import Asker, Channel
from otpy.testing._fork_server import ForkServer

PROGRAM = "otpy.testing._cluster_node"
STARTING = 30.0  # seconds that a node may take to run
STOPPED = b"T"


class ClusterFailed(AssertionError):
    """The cluster did not become what it should; the text says what each node saw."""


class Program:
    """A forked node: its OS process, and the channel on which it is asked."""

    def __init__(self, forks: ForkServer, plan: dict[str, Any]) -> None:
        self.name: str = plan["name"]
        self.refused: list[str] = plan["refused"]
        self.forks = forks
        self.paused = False
        self.code: int | None = None  # of its end
        ours, theirs = socket.socketpair()
        with theirs:
            self.pid = forks.fork(PROGRAM, theirs, plan)
        try:
            self._handle: int | None = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._handle = None  # it has ended already
        self.channel = Channel(ours)
        self.asker = Asker(self.channel)
        self._owed: list[int] = []  # questions to a paused one

    @property
    def ended(self) -> bool:
        """Whether it has ended, also by itself."""
        if self.code is not None or self._handle is None or self.asker.ended:
            return True
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(0))

    def heard(self, what: str) -> None:
        """Wait until it says ``what`` of its start. Raises ``ClusterFailed``."""
        try:
            told = self.channel.receive(STARTING)
        except (EOFError, OSError):
            raise ClusterFailed(f"{self.name} ended while it started") from None
        if told is None:
            raise ClusterFailed(f"{self.name} did not start within {STARTING} s")
        if told[1] == "failed":
            crash = decode(told[2])
            raise ClusterFailed(f"{self.name} did not start: {crash}\n{crash.traceback_text}")
        if told[1] != what:
            raise ClusterFailed(f"{self.name} said {told[1]!r}; expected {what!r}")

    # Questions.

    def ask(self, *question: Any) -> int | None:
        """Send a question; its number, None if nobody is there to answer it."""
        try:
            return self.asker.ask(*question)
        except OSError:
            return None

    def answer(self, number: int | None, timeout: float | None) -> Outcome:
        """The outcome of what was asked. Raises ``DecodeError`` if it cannot be read here."""
        if number is None:
            return "error", LOST
        try:
            told = self.asker.answer(number, timeout)
        except EOFError:
            return "error", LOST
        if told is None:
            self.asker.forget(number)
            return "error", TIMEOUT
        how, data = told
        return how, decode(data)

    def refuse(self, names: list[str]) -> int | None:
        """Have it refuse exactly these; its answer is for ``answer``, a paused one's for later."""
        self.refused = names
        number = self.ask("refuse", names)
        if self.paused and number is not None:
            self._owed.append(number)
            return None
        return number

    # Signals.

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; to this process only, even if another has its pid by now."""
        if self._handle is not None:
            signal.pidfd_send_signal(self._handle, number)

    def pause(self) -> None:
        """Stop it, and return when it stands."""
        self.signal(signal.SIGSTOP)
        self.paused = True
        stat = Path(f"/proc/{self.pid}/stat")
        while stat.read_bytes().rpartition(b")")[2].split()[0] != STOPPED:
            os.sched_yield()

    def resume(self, timeout: float) -> None:
        """Let it go on, and do what it was told meanwhile. Raises ``ClusterFailed``."""
        self.signal(signal.SIGCONT)
        self.paused = False
        owed, self._owed = self._owed, []
        for number in owed:
            how, reason = self.answer(number, timeout)
            if how != "ok":
                raise ClusterFailed(f"{self.name} goes on, but not as it was told: {reason}")

    def stop(self, timeout: float) -> None:
        """Stop its node in order, and wait for its end. Raises ``ClusterFailed``."""
        self.ask("stop")
        assert self._handle is not None
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        if not poll.poll(timeout * 1000):
            raise ClusterFailed(f"{self.name} did not stop within {timeout} s")
        self.reap()

    def kill(self) -> None:
        """End it at once, stopped or not, if it has not ended, and wait for that."""
        self.signal(signal.SIGKILL)
        self.reap()

    def reap(self) -> None:
        """Wait for its end, so that its name is free."""
        if self.code is None:
            self.code = self.forks.reap(self.pid)
            self.channel.close()
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None


def named_module(module: ModuleType | str) -> tuple[str, str | None]:
    """The name and file of a module. Raises ``BadArgument`` if another process cannot load it."""
    name = module if isinstance(module, str) else module.__name__
    if name == "__main__":
        raise BadArgument(
            "what stands in __main__ cannot be loaded by a node; move it to a module, or run "
            "this one with python -m"
        )
    loaded = sys.modules.get(name)
    return name, getattr(loaded, "__file__", None)


def named(fn: Callable[..., Any]) -> tuple[str, str | None, str]:
    """The module and file of a function, and how it is called everywhere."""
    check_function("call", fn)
    text = function_text(fn)
    name, file = named_module(text.split(":")[0])
    if file is None:  # run with python -m, it is loaded here under another name
        file = getattr(sys.modules.get(fn.__module__), "__file__", None)
    return name, file, text
