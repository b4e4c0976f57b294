"""Processes of other nodes of whose end this node has been told."""

import threading
from collections.abc import Callable

from otpy.runtime.node import Node
from otpy.terms.pid import Pid

MASKS = 4096  # deaths remembered besides those of processes that still stand in the table


class Deaths:
    """What a table of pids must not give any more, though its own protocol has yet to say so.

    A pid is remembered as long as the table has it (``held``). One that the table does not
    have yet, or no more, is remembered among the last ``MASKS``.
    """

    def __init__(self, held: Callable[[Pid], bool]) -> None:
        self.held = held
        self.masks: dict[Pid, None] = {}  # the longest masked first
        self.lock = threading.Lock()

    def mask(self, pid: Pid) -> None:
        """A process of another node has ended. Called on the I/O thread."""
        with self.lock:
            self.masks.pop(pid, None)
            self.masks[pid] = None
            for _ in range(2):  # one in, two out: it shrinks back
                if len(self.masks) <= MASKS:
                    return
                oldest = next(iter(self.masks))
                del self.masks[oldest]
                if self.held(oldest):
                    self.masks[oldest] = None

    def include(self, node: Node, pid: Pid) -> bool:
        """Whether ``node`` knows that a process has ended, also one of its own."""
        if node.is_here(pid):
            return pid not in node.procs
        if pid in self.masks:
            return True
        life = node.peers.get(pid.node)
        return life is not None and (life.bits != pid.bits or life.started != pid.started)
