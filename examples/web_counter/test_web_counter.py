"""The application under a real uvicorn, in an OS process of its own."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy.testing import eventually

ROOT = Path(__file__).parents[2]
SERVER = [sys.executable, "-m", "uvicorn", "examples.web_counter.app:app", "--port", "0"]


class Server:
    """A uvicorn and what it logs."""

    def __init__(self) -> None:
        self.child = subprocess.Popen(SERVER, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        self.address = self._until(r"running on (http://\S+)")[1]

    def _until(self, pattern: str) -> "re.Match[str]":
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.log.append(line.rstrip())
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError("\n".join(self.log))

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as answer:
            return json.load(answer)

    def get_or_none(self, path: str) -> Any:
        try:
            return self.get(path)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return None

    def end(self, how: signal.Signals = signal.SIGKILL) -> list[str]:
        """Send a signal and wait; the rest of the log."""
        self.child.send_signal(how)
        assert self.child.stderr is not None
        rest = [line.rstrip() for line in self.child.stderr]
        self.child.wait(timeout=20)
        return rest


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    if made.child.poll() is None:
        made.end()


def test_handlers_call_into_the_tree_and_a_crash_is_mended(server: Server) -> None:
    assert [server.get("/next") for _ in range(3)] == [1, 2, 3]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        server.get("/crash")
    # Started again, from its first state; until then the answer is 503.
    assert eventually(lambda: server.get_or_none("/next")) == 1
    assert server.get("/entries") == 4  # the journal lived on


def test_sigterm_stops_the_tree_in_reverse_order(server: Server) -> None:
    assert server.get("/next") == 1
    rest = server.end(signal.SIGTERM)
    closed = [line for line in rest if "closed" in line]
    assert [line.split(":", 1)[1].strip() for line in closed] == [
        "counter closed at 1: shutdown",
        "journal closed with 1 entries: shutdown",
    ]
    assert server.child.returncode in (0, -signal.SIGTERM)
