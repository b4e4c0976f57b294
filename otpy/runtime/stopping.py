"""How a node ends: what runs before its processes are killed, and who is told afterwards.

Rules. Hooks run once, the latest first, while the processes still run, on a thread of
their own that no scheduler waits for. All of them together have the time that
``Node.stop`` was given; then the node goes on without them. Of several calls of
``Node.stop`` the first stops the node and the others wait for that.
"""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.runtime._current import HERE, current_or_none, running_loop
from otpy.runtime.record import REPLY

if TYPE_CHECKING:
    from otpy.runtime.node import Node

LOG = logging.getLogger("otpy.node")
Before = Callable[[Any, float], None]
After = Callable[[Any], None]


class Stopping:
    """The end of one node."""

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.reason: Any = None
        self.before: list[Before] = []
        self.after: list[After] = []
        self._begun = False
        self._ended = threading.Event()

    def begin(self, reason: Any, timeout: float) -> bool:
        """Run what comes before; False if an earlier call stops the node, or has stopped it."""
        me = current_or_none()
        inside = me is not None and me.node is self.node
        node = self.node
        hooks = node.state == "running" and bool(self.before)
        if hooks and me is not None and inside and me.sched is not None and not node.simulated:
            self.halt(reason, timeout)  # a scheduler must not wait for what it has to run
            while True:
                me.park(REPLY, None)
        with node.lock:
            first = not self._begun
            self._begun = True
        if not first:
            if not inside and running_loop() is None and HERE.sched is None:
                self._ended.wait()
            return False
        self.reason = reason
        node.drain()
        if hooks:
            self._prepare(reason, timeout)
        return True

    def _prepare(self, reason: Any, timeout: float) -> None:
        node = self.node
        if node.simulated:
            # From outside nobody would drive them.
            if HERE.sched is not None:
                self._run_hooks(reason, timeout)
            return

        def work() -> None:
            with node.attached():
                self._run_hooks(reason, timeout)

        thread = threading.Thread(target=work, name=f"otpy-stop-{node.name}", daemon=True)
        thread.start()
        thread.join(timeout + 1.0)  # a hook that keeps to its time has some left to return
        if thread.is_alive():
            LOG.error("%s: what comes before its stop did not end within %s s", node.name, timeout)

    def _run_hooks(self, reason: Any, timeout: float) -> None:
        clock = self.node.clock
        until = clock.now() + timeout
        for hook in reversed(list(self.before)):
            try:
                hook(reason, max(0.0, until - clock.now()))
            except Exception:  # a broken hook must not keep the node from stopping
                LOG.exception("%s: %r raised before the stop", self.node.name, hook)

    def halt(self, reason: Any, timeout: float) -> None:
        """Stop the node from elsewhere, and return at once."""
        node = self.node
        if node.simulated:
            node.make("kernel", node.stop, (timeout, reason)).start()
            return
        threading.Thread(
            target=node.stop, args=(timeout, reason), name=f"otpy-halt-{node.name}", daemon=True
        ).start()

    def end(self) -> None:
        """The node has stopped: tell whoever waits for that."""
        for told in self.after:
            try:
                told(self.reason)
            except Exception:  # the others must hear of it, too
                LOG.exception("%s: %r raised after the stop", self.node.name, told)
        self._ended.set()

    def wait(self, timeout: float | None) -> Any:
        """The reason of the end, when it has come; None if it does not in time."""
        return self.reason if self._ended.wait(timeout) else None
