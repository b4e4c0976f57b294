"""Starts three nodes and harms them: cuts, stalls and kills, all drawn from one seed."""

import contextlib
import heapq
import itertools
import json
import os
import queue
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.checker import AWARE, BLIND

ROOT = Path(__file__).parents[2]
NAMES = [f"{short}@127.0.0.1" for short in "abc"]
TICKTIME = 1.0
PATIENCE = 30.0  # seconds that the cluster may take to be whole
MOST_SAID = 200  # lines of a node's stderr that are shown when a test fails
FLOWING = 50  # messages of each sender in the session that runs
# What is done, how often in 7 seconds, and for how long: shorter and longer than ``TICKTIME``.
HARM: list[tuple[str, int, float, float]] = [
    ("cut", 4, 0.05, 0.6),
    ("cut one side", 4, 0.05, 0.6),
    ("short stall", 3, 0.1, 0.6),
    ("long stall", 2, 1.4, 2.0),
    ("kill", 3, 0.0, 0.4),
]


@dataclass
class Life:
    """One OS process of a node and what it last told."""

    name: str
    child: "subprocess.Popen[str]"
    errors: Path
    life: int = 0
    killed: bool = False
    last: dict[str, Any] = field(default_factory=dict[str, Any])


class ChaosFailed(Exception):
    """The cluster did not become whole again, or a node died by itself."""


class Chaos:
    """A cluster and what is done to it. Use as a context manager: no process is left."""

    def __init__(self, folder: Path, seed: int, break_mesh: str = "") -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.break_mesh = break_mesh
        self.cookie = secrets.token_hex(32)
        self.events: queue.SimpleQueue[tuple[Life, dict[str, Any] | None]] = queue.SimpleQueue()
        self.nodes: dict[str, Life] = {}
        self.over: list[Life] = []
        self.violations: list[str] = []
        self.agenda: list[tuple[float, int, str, Callable[[], None]]] = []
        self.order = itertools.count()
        self.done: Counter[str] = Counter()
        self.log: list[str] = []
        self.began = time.monotonic()

    def __enter__(self) -> "Chaos":
        return self

    def __exit__(self, *_: object) -> None:
        for life in self.nodes.values():
            if life.child.poll() is None:
                life.child.kill()
            life.child.wait()

    # Nodes.

    def start(self, name: str) -> None:
        """Start a node's OS process."""
        errors = self.folder / f"{name}-{len(self.over)}.stderr"
        peers = [other for other in NAMES if other != name]
        command = [sys.executable, "-m", "tests.chaos.node", name, str(self.folder / "nodes")]
        with errors.open("w") as stderr:
            child = subprocess.Popen(
                [*command, str(TICKTIME), *peers],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
                env={
                    **os.environ,
                    "OTPY_CHAOS_COOKIE": self.cookie,
                    "OTPY_CHAOS_BREAK": self.break_mesh,
                },
            )
        life = self.nodes[name] = Life(name, child, errors)
        threading.Thread(target=self._read, args=(life,), daemon=True).start()

    def _read(self, life: Life) -> None:
        assert life.child.stdout is not None
        for line in life.child.stdout:
            # A process that is killed may leave half a line.
            with contextlib.suppress(json.JSONDecodeError):
                self.events.put((life, json.loads(line)))
        self.events.put((life, None))

    def tell(self, name: str, command: str) -> None:
        """A command for a node; one that is dead does not hear it."""
        stdin = self.nodes[name].child.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):
            stdin.write(command + "\n")
            stdin.flush()

    # Events.

    def until(self, instant: float, condition: Callable[[], bool] | None = None) -> bool:
        """Take events until ``condition``, at most until ``instant``; whether it came true."""
        while condition is None or not condition():
            left = instant - time.monotonic()
            if left <= 0:
                return False
            with contextlib.suppress(queue.Empty):
                self._take(*self.events.get(timeout=left))
        return True

    def _take(self, life: Life, event: dict[str, Any] | None) -> None:
        if event is None:
            code = life.child.wait()
            if not life.killed:
                raise ChaosFailed(
                    f"{life.name} died by itself, exit code {code}; its stderr:\n"
                    f"{_ends_of(life.errors.read_text())}"
                )
        elif event["event"] == "violation":
            self.violations.append(f"{self._at()} {life.name} of {event['text']}")
        else:
            life.life = event.get("life", life.life)
            life.last = event

    def _at(self) -> str:
        return f"{time.monotonic() - self.began:7.3f}"

    def whole(self) -> bool:
        """Whether every node sees every other and gets the messages of all its senders."""
        return all(
            self._flows(life, other)
            for life in self.nodes.values()
            for other in self.nodes.values()
            if other is not life
        )

    def _flows(self, here: Life, there: Life) -> bool:
        peer = here.last.get("peers", {}).get(there.name)
        if peer is None or there.name not in here.last["nodes"]:
            return False
        counts = [peer["counts"].get(who, 0) for who in (BLIND, AWARE)]
        of_now = peer["up"] and peer["life"] == there.life != 0
        return bool(of_now) and min(counts) >= FLOWING

    def totals(self, what: str) -> int:
        """A figure of the reports, added up over all lives of all nodes."""
        return sum(life.last.get(what, 0) for life in [*self.over, *self.nodes.values()])

    # Harm.

    def play(self, seconds: float, until_violated: bool = False) -> None:
        """Start the cluster, harm it for about ``seconds``, and wait until it is whole again."""
        stop = (lambda: bool(self.violations)) if until_violated else None
        for name in NAMES:
            self.start(name)
        self._become_whole("at first")
        self._plan(seconds)
        while self.agenda:
            instant, _, text, do = heapq.heappop(self.agenda)
            if self.until(instant, stop):
                return
            self.log.append(f"{self._at()} {text}")
            do()
        if not (until_violated and self.violations):
            self._become_whole("in the end")

    def _become_whole(self, when: str) -> None:
        limit = time.monotonic() + PATIENCE
        for _ in range(2):  # twice: a report may have been on its way since before
            for life in self.nodes.values():
                life.last = {}
            if not self.until(limit, self.whole):
                raise ChaosFailed(f"not whole {when}: {self.story()}")

    def story(self) -> str:
        """Everything that was done and seen, to print when a test fails."""
        views = [f"{life.name} {life.child.poll()} {life.last}" for life in self.nodes.values()]
        said = [
            f"{file.name}: {line}"
            for file in sorted(self.folder.glob("*.stderr"))
            for line in file.read_text().splitlines()[-MOST_SAID:]
        ]
        return "\n".join(["", *said, *self.log, *views, *self.violations])

    def _plan(self, seconds: float) -> None:
        for kind, times, least, most in HARM:
            for _ in range(round(times * seconds / 7)):
                lasts = self.random.uniform(least, most)
                at = self.random.uniform(0.0, max(0.0, seconds - lasts))
                one, other = self.random.sample(NAMES, 2)
                self.done[kind] += 1
                self._harm(kind, one, other, at, lasts)

    def _harm(self, kind: str, one: str, other: str, at: float, lasts: float) -> None:
        match kind:
            case "kill":
                self._later(at, f"kill {one}", lambda: self._kill(one, lasts))
            case "short stall" | "long stall":
                text = f"{kind} of {one} for {lasts:.3f} s"
                self._later(at, text, lambda: self._stall(one, lasts))
            case "cut":
                self._cut(one, other, at, lasts)
                self._cut(other, one, at, lasts)
            case _:
                self._cut(one, other, at, lasts)

    def _later(self, seconds: float, text: str, do: Callable[[], None]) -> None:
        order = next(self.order)
        heapq.heappush(self.agenda, (time.monotonic() + seconds, order, text, do))

    def _cut(self, one: str, other: str, at: float, lasts: float) -> None:
        self._later(at, f"{one} cuts {other}", lambda: self.tell(one, f"cut {other}"))
        self._later(at + lasts, f"{one} heals {other}", lambda: self.tell(one, f"heal {other}"))

    def _stall(self, name: str, seconds: float) -> None:
        child = self.nodes[name].child
        child.send_signal(signal.SIGSTOP)
        self._later(seconds, f"{name} goes on", lambda: child.send_signal(signal.SIGCONT))

    def _kill(self, name: str, seconds: float) -> None:
        life = self.nodes[name]
        if life.killed:
            return  # it is dead already and comes back soon
        life.killed = True
        life.child.kill()
        life.child.wait()  # a zombie would hold its name
        self.over.append(life)
        self._later(seconds, f"{name} comes back", lambda: self.start(name))


def _ends_of(text: str) -> str:
    """How it began, which names an abort, and how it ended."""
    return text if len(text) <= 8000 else f"{text[:4000]}\n...\n{text[-4000:]}"
