"""A node of the rows about cluster-wide names, in an OS process of its own (``worker.py``)."""

import time
from contextlib import ExitStack
from typing import Any

from otpy import Pid, cluster_ready, global_, process, self_pid, start_node

COOKIE = "the cookie of the benchmarks"
PATIENCE = 60.0  # seconds until the cluster must be there


class NamesNode:
    """A node that is not started yet; what takes long before that is done."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.folder = folder
        self.stack = ExitStack()
        self.rounds = 0

    def ready(self) -> bool:
        """All modules are loaded."""
        return True

    def join(self, count: int) -> float:
        """Start, and return the instant at which this node has met so many, itself included."""
        options: dict[str, Any] = {"cookie": COOKIE, "directory": self.folder}
        self.node = self.stack.enter_context(
            start_node(self.name, names_per_minute=None, **options)
        )
        with self.node.attached():
            cluster_ready(count, PATIENCE)
        return time.monotonic()

    def register(self, green: bool, count: int) -> list[float]:
        """Register so many processes one after the other; when that began, and when it ended."""
        with self.node.attached():
            pids = [process.spawn(process.sleep, float("inf"), green=True) for _ in range(count)]
            self.rounds += 1
            taken = self._registered(pids) if not green else self._on_green(pids)
            for number, pid in enumerate(pids):
                global_.unregister_name((self.name, self.rounds, number))
                process.exit(pid, "kill")
        return taken

    def _on_green(self, pids: list[Pid]) -> list[float]:
        me = self_pid()
        process.spawn_link(lambda: process.send(me, self._registered(pids)), green=True)
        taken: list[float] = process.receive(list)
        return taken

    def _registered(self, pids: list[Pid]) -> list[float]:
        began = time.monotonic()
        for number, pid in enumerate(pids):
            assert global_.register_name((self.name, self.rounds, number), pid)
        return [began, time.monotonic()]

    def close(self) -> None:
        """Stop the node."""
        self.stack.close()
