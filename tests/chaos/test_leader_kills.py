"""Sixty times kill -9 of the leader: one leader again, soon, and the same for both survivors.

Every leader tells the test itself that it leads (``witnessed_node.py``), and the test knows which
processes it has killed: so it counts leaders without asking a node.
"""

import io
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy.tools.demo import HOST, Demo, DemoFailed, Member, Timeline

KILLS = int(os.environ.get("OTPY_CHAOS_KILLS", "60"))
NODE = ["-X", "faulthandler", "-m", "tests.chaos.witnessed_node"]
NAMES = [f"{short}@{HOST}" for short in "abc"]


class Kills(Demo):
    """The demo's cluster, whose leader is killed again and again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / "nodes"), Timeline(True, io.StringIO()))
        self.folder = folder
        self.started = 0
        self.errors: dict[int, Path] = {}
        self.claims: list[tuple[int, str]] = []  # OS process and pid of all that ever led
        self.killed: set[int] = set()

    def start(self, short: str) -> None:
        """Start a node as the demo does, and keep what it says on stderr."""
        self.started += 1
        errors = self.folder / f"{self.started}-{short}.stderr"
        name = f"{short}@{HOST}"
        with errors.open("w") as stderr:
            child = subprocess.Popen(
                [sys.executable, *NODE, name, self.directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "OTPY_DEMO_COOKIE": self.cookie},
            )
        self.errors[child.pid] = errors
        self.members[name] = Member(name, child)
        threading.Thread(target=self._read, args=(child,), daemon=True).start()

    def _take(self, event: dict[str, Any]) -> float | None:
        if event["event"] == "leads":
            self.claims.append((event["os_pid"], event["leader"]))
            at_work = [claim for claim in self.claims if claim[0] not in self.killed]
            assert len(at_work) == 1, f"leaders at one time: {at_work}"
        return super()._take(event)

    def leader_by_itself(self) -> set[str]:
        """Who says of itself that it leads and has not been killed."""
        return {pid for os_pid, pid in self.claims if os_pid not in self.killed}

    def whole(self) -> bool:
        """Whether all three see each other and one leader; a death by itself fails at once."""
        for name, member in self.members.items():
            if not member.alive:
                said = self.errors[member.child.pid].read_text()[-4000:]
                raise DemoFailed(f"{name} died by itself, code {member.child.poll()}:\n{said}")
        return self._meshed(NAMES) and self.agreed(NAMES)

    def kill_leader(self) -> float:
        """Kill the leader; the seconds until both survivors see the same new one."""
        victim = str(self.members[NAMES[0]].leader)
        survivors = [name for name in NAMES if name != victim]
        old = self.leaders(survivors)
        before = time.monotonic()
        self.killed.add(self.members[victim].child.pid)
        self.members[victim].child.kill()
        at = self.until(
            lambda: self.agreed(survivors) and self.leaders(survivors) != old, "a new leader"
        )
        self.until(lambda: self.leader_by_itself() == self.leaders(survivors), "it leads indeed")
        self.members[victim].child.wait()
        new = self.leaders(survivors)
        self.start(victim.split("@")[0])
        self.until(self.whole, f"{victim} is back")
        assert self.leaders(NAMES) == new, "the node that came back took the lead"
        return at - before


@pytest.fixture
def kills(tmp_path: Path) -> Iterator[Kills]:
    made = Kills(tmp_path)
    yield made
    made.close()


def test_sixty_kills_of_the_leader(
    kills: Kills, record_property: Callable[[str, object], None]
) -> None:
    # The first one alone: nodes that start at one instant have not met yet, and each has a leader.
    kills.start("a")
    kills.until(lambda: kills.agreed(NAMES[:1]), "a leader")
    for short in "bc":
        kills.start(short)
    kills.until(kills.whole, "one leader")
    times = sorted(kills.kill_leader() for _ in range(KILLS))
    assert len(kills.claims) == KILLS + 1, "some leader began that nobody had need of"
    median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    figures = {"median": median, "p95": p95, "least": times[0], "most": times[-1]}
    for name, value in figures.items():
        record_property(name, value)
        print(f"takeover after kill -9, {name} of {KILLS}: {value * 1000:.1f} ms")
    assert median <= 0.2
    assert p95 <= 0.6
