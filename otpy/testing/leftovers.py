"""Processes that a test leaves behind: those that nobody ends with the test."""

import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from otpy.behaviours._app_controller import NAME as APPLICATIONS
from otpy.behaviours._rex import NAME as REX
from otpy.runtime.node import Node
from otpy.runtime.record import Process
from otpy.runtime.reports import initial_call
from otpy.runtime.scheduler import GreenProcess
from otpy.runtime.stacks import frames_of, is_own, outwards
from otpy.runtime.tasks import TaskProcess
from otpy.runtime.threads import ThreadProcess

PATIENCE = 1.0  # seconds that processes which are about to end may take
STEP = 0.001
SHOWN = 10  # processes
NODES_OWN = (APPLICATIONS, REX)  # those a node starts when they are first needed
ADVICE = (
    "start them with start_supervised or a link, stop them, or allow it with "
    "@pytest.mark.otpy_leaves_processes"
)


class Processes:
    """The processes that the node had before the test began, all of them its own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._known: set[Any] = set()
        for proc in list(node.procs.values()):
            self._known.update((proc.pid, proc.name) if proc.name else (proc.pid,))

    def left_behind(self) -> list[str]:
        """Which processes of the test are alive, as one failure that tells where each is."""
        until = time.monotonic() + PATIENCE
        while found := [proc for proc in list(self._node.procs.values()) if self._is_left(proc)]:
            if time.monotonic() > until:
                return [_told(found)]
            time.sleep(STEP)
        return []

    def _is_left(self, proc: Process) -> bool:
        if (
            proc.pid in self._known
            or proc.kind == "asker"
            or proc.name in NODES_OWN
            or not proc.alive
        ):
            return False
        if any(one in NODES_OWN or one in self._known for one in proc.ancestors):
            return False  # of a running application, or the node's own: it ends with the node
        # A thread that became a process for a while is told itself, if it runs on.
        return not isinstance(proc, ThreadProcess) or proc.actor is not None


def _told(found: list[Process]) -> str:
    shown = "\n".join(f"  {_shown(proc)}" for proc in found[:SHOWN])
    more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"processes still running after the test:\n{shown}{more}\n{ADVICE}"


def _shown(proc: Process) -> str:
    name = f" registered as {proc.name!r}" if proc.name is not None else ""
    begun = initial_call(proc)
    beginning = f", started as {begun}" if begun is not None else ""
    return f"{proc.pid!r}{name}{beginning}, {_place(proc)}"


def _place(proc: Process) -> str:
    """Where it is: the innermost line of the user's own code."""
    own = next((frame for frame in _frames(proc) if is_own(frame, "")), None)
    doing = "waits" if proc.waiting else "runs"
    if own is None:
        return f"{doing} for messages" if proc.waiting else doing
    return f"{doing} at {own.f_code.co_filename}:{own.f_lineno} in {own.f_code.co_name}"


def _frames(proc: Process) -> Iterator[FrameType]:
    """The frames of its body, the innermost first, as far as they can be seen from here."""
    if isinstance(proc, ThreadProcess):
        yield from frames_of(proc.thread)
    elif isinstance(proc, TaskProcess):
        yield from _awaiting(proc)
    elif isinstance(proc, GreenProcess):
        body = proc.body
        yield from outwards(body.gr_frame if body is not None else None)


def _awaiting(proc: TaskProcess) -> list[FrameType]:
    frames: list[FrameType] = []
    coro: Any = proc.task.get_coro() if proc.task is not None else None
    while coro is not None:
        frame = getattr(coro, "cr_frame", None)
        if frame is not None:
            frames.insert(0, frame)
        coro = getattr(coro, "cr_await", None)
    return frames
