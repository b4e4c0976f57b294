"""``otpy demo``: three nodes, one leader; kill it, bring it back, split, heal."""

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

HOST = "127.0.0.1"
PATIENCE = 20.0  # seconds to wait for any one step
SIGNS = {"leader": "●", "standby": "○", "dead": "✕", "waiting": "·"}
COLOURS = {
    "leader": "\x1b[1;32m",
    "standby": "\x1b[36m",
    "dead": "\x1b[1;31m",
    "waiting": "\x1b[2m",
}


class DemoFailed(Exception):
    """The cluster did not do what the demo shows."""


class Ended(Exception):
    """A signal ends the demo before it is over."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Unread(Exception):
    """Nobody reads what the demo prints."""


@dataclass
class Member:
    """One OS process of the demo and what it last told."""

    name: str
    child: "subprocess.Popen[str]"
    leader: str | None = None
    pid: str | None = None
    nodes: list[str] = field(default_factory=list[str])
    changed: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether the OS process runs."""
        return self.child.poll() is None

    @property
    def state(self) -> str:
        """What the timeline shows of it."""
        if not self.alive:
            return "dead"
        if self.leader is None:
            return "waiting"
        return "leader" if self.leader == self.name else "standby"


class Timeline:
    """Prints one line an event, with a column for each node."""

    def __init__(self, plain: bool, out: TextIO) -> None:
        self.plain = plain
        self.out = out
        self.start = time.monotonic()

    def show(self, members: "dict[str, Member]", text: str) -> None:
        """One line."""
        at = time.monotonic() - self.start
        cells = [self._cell(name, member.state) for name, member in members.items()]
        self.write(f"{at:8.3f} s  {'  '.join(cells)}  {text}")

    def write(self, line: str) -> None:
        """A line as it is. Raises ``Unread``."""
        try:
            self.out.write(line + "\n")
            self.out.flush()
        except OSError as error:
            raise Unread(str(error)) from None

    def _cell(self, name: str, state: str) -> str:
        short = name.split("@")[0]
        if self.plain:
            return f"{short}:{state:<7}"
        return f"{COLOURS[state]}{short} {SIGNS[state]} {state:<7}\x1b[0m"


class Demo:
    """The cluster and its story."""

    def __init__(self, directory: str, timeline: Timeline) -> None:
        self.directory = directory
        self.timeline = timeline
        self.cookie = secrets.token_hex(32)
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.members: dict[str, Member] = {}

    def start(self, short: str) -> None:
        """Start a node."""
        name = f"{short}@{HOST}"
        child = subprocess.Popen(
            [sys.executable, "-m", "otpy.tools.demo_node", name, self.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OTPY_DEMO_COOKIE": self.cookie},
            process_group=0,  # Ctrl-C is for the demo, which then ends its nodes
        )
        self.members[name] = Member(name, child)
        threading.Thread(target=self._read, args=(child,), daemon=True).start()

    def _read(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.events.put({**json.loads(line), "os_pid": child.pid})
        self.events.put({"event": "gone", "os_pid": child.pid})

    def tell(self, name: str, command: str) -> None:
        """A command for a node."""
        stdin = self.members[name].child.stdin
        assert stdin is not None
        try:
            stdin.write(command + "\n")
            stdin.flush()
        except OSError as error:
            raise DemoFailed(f"{name} has ended and cannot {command}: {error}") from None

    def until(self, condition: Callable[[], bool], what: str) -> float:
        """Take events until ``condition``; the latest instant of the events that made it true."""
        limit = time.monotonic() + PATIENCE
        at = time.monotonic()
        while not condition():
            left = limit - time.monotonic()
            try:
                event = self.events.get(timeout=max(0.0, left))
            except queue.Empty:
                views = {
                    name: (m.state, m.child.poll(), m.leader, m.nodes)
                    for name, m in self.members.items()
                }
                raise DemoFailed(f"waited {PATIENCE} s for: {what}; last seen: {views}") from None
            at = max(at, self._take(event) or at)  # they come through one pipe a node
        return at

    def _take(self, event: dict[str, Any]) -> float | None:
        for member in self.members.values():
            if member.child.pid == event["os_pid"]:
                if event["event"] == "view":
                    member.leader, member.pid = event["leader"], event["pid"]
                    member.nodes = event["nodes"]
                    member.changed = event["at"]
                elif event["event"] == "gone":
                    member.child.wait()
        at: float | None = event.get("at")
        return at

    def leaders(self, names: list[str]) -> set[str | None]:
        """The pids that these nodes take for the leader."""
        return {self.members[name].pid for name in names}

    def agreed(self, names: list[str]) -> bool:
        """Whether they all see one leader, and it is among them."""
        found = self.leaders(names)
        return len(found) == 1 and None not in found and self.members[names[0]].leader in names

    def story(self) -> None:
        """The demo's five acts."""
        show = self.timeline.show
        for short in "abc":
            self.start(short)
        everyone = list(self.members)
        self.until(lambda: self._meshed(everyone) and self.agreed(everyone), "one leader")
        show(self.members, "three nodes, the same child list: one leader, two standbys")
        first = str(self.members[everyone[0]].leader)
        survivors = [name for name in everyone if name != first]
        self._kill(first, survivors)
        self.start(first.split("@")[0])
        self.members = {name: self.members[name] for name in everyone}
        self.until(lambda: self._meshed(everyone) and self.agreed(everyone), "the node is back")
        show(self.members, f"{first} came back, as a standby")
        self._split_and_heal(everyone)

    def _meshed(self, names: list[str]) -> bool:
        return all(len(self.members[name].nodes) == len(names) - 1 for name in names)

    def _kill(self, victim: str, survivors: list[str]) -> None:
        before = time.monotonic()
        self.members[victim].child.send_signal(signal.SIGKILL)
        self.timeline.show(self.members, f"kill -9 {victim}")
        old = self.leaders(survivors)
        done = self.until(
            lambda: self.agreed(survivors) and self.leaders(survivors) != old, "a new leader"
        )
        self.members[victim].child.wait()
        new = self.members[survivors[0]].leader
        took = (done - before) * 1000
        self.timeline.show(
            self.members, f"{new} took over; both survivors see it after {took:.1f} ms"
        )

    def _split_and_heal(self, everyone: list[str]) -> None:
        a, b, c = everyone
        show = self.timeline.show
        for one, other in ((a, c), (b, c), (c, a), (c, b)):
            self.tell(one, f"cut {other}")
        self.until(lambda: self.agreed([a, b]) and self.agreed([c]), "a leader on either side")
        show(self.members, "the network is split, {a, b | c}: a leader on either side")
        before = time.monotonic()
        for one, other in ((a, c), (b, c), (c, a), (c, b)):
            self.tell(one, f"heal {other}")
        done = self.until(
            lambda: self._meshed(everyone) and self.agreed(everyone), "one leader after the heal"
        )
        took = (done - before) * 1000
        leader = self.members[a].leader
        show(self.members, f"healed: {leader} stays, the other stands by; {took:.1f} ms")

    def stay(self) -> None:
        """Leave the cluster up and show what happens to it, until no node is left."""
        self.timeline.show(self.members, "the cluster stays up; Ctrl-C ends it")
        for name, member in self.members.items():
            self.timeline.write(f"  kill -9 {member.child.pid} ends {name}")
        self.timeline.write(
            f'  start_node("me@{HOST}", cookie="{self.cookie}", directory="{self.directory}") joins'
        )
        before = self._shown()
        while any(member.alive for member in self.members.values()):
            self._take(self.events.get())
            now = self._shown()
            if now != before:
                before = now
                leaders = sorted({name for name, (state, _) in now.items() if state == "leader"})
                self.timeline.show(self.members, f"leader: {', '.join(leaders) or 'none'}")

    def _shown(self) -> dict[str, tuple[str, str | None]]:
        return {name: (member.state, member.leader) for name, member in self.members.items()}

    def close(self) -> None:
        """End every node; none is left behind."""
        for member in self.members.values():
            if member.alive and member.child.stdin is not None:
                try:
                    member.child.stdin.close()
                except OSError:
                    pass  # it ended just now, with a command unread
        for member in self.members.values():
            try:
                member.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                member.child.kill()
                member.child.wait()


@contextmanager
def _ended_by_signals() -> Generator[None, None, None]:
    """SIGTERM and SIGHUP raise ``Ended`` meanwhile, so that what was begun is ended too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: object) -> None:
        raise Ended(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(*, keep: bool = False, plain: bool = False) -> int:
    """Play the demo; the exit code.

    0 when everything happened as it should, also when Ctrl-C ends what ``keep`` left up;
    1 when it did not, or when nobody reads the output; 128 and the signal's number when
    a signal ended it before.
    """
    out: TextIO | None = sys.stdout
    if out is None:  # so it is in a process that was started without one
        sys.stderr.write("otpy demo: standard output is closed\n")
        return 1
    timeline = Timeline(plain or not out.isatty(), out)
    with (
        _ended_by_signals(),
        tempfile.TemporaryDirectory(prefix="otpy-demo-", ignore_cleanup_errors=True) as directory,
    ):
        return _play(Demo(directory, timeline), keep)


def _play(demo: Demo, keep: bool) -> int:
    played = False
    try:
        demo.story()
        played = True
        if keep:
            demo.stay()
    except DemoFailed as failed:
        sys.stderr.write(f"otpy demo: {failed}\n")
        return 1
    except Unread as unread:
        sys.stderr.write(f"otpy demo: cannot write: {unread}\n")
        # Python flushes what is still in the buffer once more at its end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return 1
    except Ended as ended:
        return ended.exit_code
    except KeyboardInterrupt:
        return 0 if played else 128 + signal.SIGINT
    finally:
        demo.close()
    return 0
