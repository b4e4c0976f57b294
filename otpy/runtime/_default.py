"""The default node: the one allowed global. Plain threads get an implicit process on it."""

import threading
from typing import TYPE_CHECKING

from otpy.runtime._current import HERE, IN_TASK, current_or_none, running_task
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument

if TYPE_CHECKING:
    from otpy.runtime.record import Process
    from otpy.runtime.threads import ThreadProcess

_lock = threading.Lock()
_node: Node | None = None


class _Guard:
    """Ends the implicit process when its thread ends: thread-locals are dropped then."""

    def __init__(self, proc: "ThreadProcess") -> None:
        self.proc = proc

    def __del__(self) -> None:
        if not self.proc.node.elsewhere:
            self.proc.end("normal")


class _Kept(threading.local):
    guard: _Guard | None = None


_kept = _Kept()


def keep(guard: _Guard | None) -> _Guard | None:
    """Exchange this thread's implicit process for another, or none; gives the one it had."""
    before, _kept.guard = _kept.guard, guard
    return before


def default_node() -> Node:
    """The default node, started on first use."""
    global _node
    with _lock:
        if _node is None or _node.state == "stopped":
            _node = Node()
            _node.start()
        return _node


def near_node() -> Node:
    """The node of whoever runs here, or whose event loop does; else the default node.

    A plain task is on the node of the task that started it. Makes no process.
    """
    proc = current_or_none()
    if proc is not None:
        return proc.node
    if HERE.node is not None:
        return HERE.node
    starter = IN_TASK.get()
    if starter is not None and running_task() is not None and starter.node.state == "running":
        return starter.node
    return default_node()


def check_node(what: str, node: object) -> None:
    """Raise ``BadArgument`` unless it is a node of this program, for the function ``what``."""
    if not isinstance(node, Node):
        raise BadArgument(f"{what}: node={node!r}; expected a Node")


def default_or_none() -> Node | None:
    """The default node if there is one; ``default_node`` would start one."""
    return _node


def set_default_node(node: Node | None) -> None:
    """Make another node the default one, or none."""
    global _node
    with _lock:
        _node = node


def implicit_process() -> "Process":
    """The implicit process of the running task, else of this thread.

    A thread's raises ``ProcessExit`` once after it was killed; then there is a new one.
    """
    if running_task() is not None:
        from otpy.runtime.tasks import become_process

        return become_process(near_node())
    guard = _kept.guard
    if guard is not None:
        proc = guard.proc
        if proc.alive:
            proc.node.check()
            return proc
        _kept.guard = None
        if proc.node.state == "running":
            proc.raise_dead()
    node = HERE.node or default_node()
    node.check()
    proc = node.implicit()
    _kept.guard = _Guard(proc)
    return proc
