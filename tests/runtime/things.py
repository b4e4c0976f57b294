"""Things that are owned, and processes that own them and end."""

import socket
from collections.abc import Callable
from typing import Any

from otpy import Down, Pid, process


class Thing:
    """Calls a function when it is closed."""

    def __init__(self, close: Callable[[], Any]) -> None:
        self.close = close


def waiting(*things: Thing | socket.socket, told: Pid) -> Callable[[], None]:
    """A body that owns things and waits."""

    def run() -> None:
        for thing in things:
            process.own(thing)
        process.send(told, "owned")
        process.receive(int)

    return run


def killed(body: Callable[[], Any], green: bool = False) -> Pid:
    """A process that has said "owned" and then was killed; its end has been told."""
    pid, _ = process.spawn_monitor(body, green=green)
    assert process.receive(str, timeout=5) == "owned"
    process.exit(pid, "kill")
    assert process.receive(Down, timeout=5).reason == "killed"
    return pid
