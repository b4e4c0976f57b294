"""Many children stopped at once: all are told, then each may take its own patience.

Nothing here looks at a message twice, so the time grows with the children and the
waiting messages, not with their product.
"""

from collections.abc import Iterable
from typing import Any

from otpy.machines.restart import Child
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.record import ANY, REPLY, Process
from otpy.terms.messages import Down, Exit
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import KILL, KILLED, NORMAL, SHUTDOWN, is_shutdown

AT_ONCE = 200  # children between two moments in which others may run


def stop_children(children: Iterable[Child]) -> list[tuple[Child, Any]]:
    """Stop them; returns when all are gone. Elixir's ``terminate_children``.

    The result has those that ended otherwise than asked, each with its reason.
    """
    stopping = _Stopping(current(), [child for child in children if not child.restarting])
    stopping.tell()
    stopping.wait()
    return stopping.odd


class _Stopping:
    def __init__(self, me: Process, children: list[Child]) -> None:
        self.me = me
        self.children = children
        self.pids: dict[Pid, Child] = {child.pid: child for child in children if child.pid}
        self.waiting: dict[Ref, Child] = {}
        self.faster: dict[Pid, Any] = {}  # why those ended that did before they were told
        self.odd: list[tuple[Child, Any]] = []
        self.seen = 0  # so many messages of the mailbox are none of ours

    def tell(self) -> None:
        """Monitor, unlink and tell each of them, as OTP does, one after the other."""
        self.seen = len(self.me.mailbox)
        alive = self.me.node.procs
        if not all(pid in alive for pid in self.pids):
            # Why it ended may stand anywhere in the mailbox, or be on its way from a thread.
            self.give_way()
            self.seen = 0
            self.look()
        for start in range(0, len(self.children), AT_ONCE):
            part = self.children[start : start + AT_ONCE]
            for child in part:
                assert child.pid is not None
                self.waiting[process.monitor(child.pid)] = child
                process.unlink(child.pid)
            # Who had ended just before: its exit has the reason, and came before this.
            self.look()
            for child in part:
                if child.pid not in self.faster:
                    process.exit(child.pid, SHUTDOWN if child.spec.patience != 0.0 else KILL)
            self.give_way()

    def wait(self) -> None:
        """Until all are gone; those whose patience runs out are killed."""
        now = self.me.node.clock.now
        began = now()
        late: dict[float, list[Ref]] = {}
        for ref, child in self.waiting.items():
            if child.spec.patience:
                late.setdefault(began + child.spec.patience, []).append(ref)
        deadlines = sorted(late)
        while True:
            self.look()
            if not self.waiting:
                return
            while deadlines and now() >= deadlines[0]:
                for ref in late[deadlines.pop(0)]:
                    if ref in self.waiting:
                        process.exit(self.waiting[ref].pid, KILL)
            if self.seen == len(self.me.mailbox):
                self.me.park(ANY, deadlines[0] if deadlines else None, self.seen)

    def look(self) -> None:
        """Take what is new of the children's ends out of the mailbox."""
        mailbox = self.me.mailbox
        with self.me.owned:
            new = [mailbox.pop() for _ in range(len(mailbox) - self.seen)]
            new.reverse()
            mailbox.extend(item for item in new if not self.is_ours(item))
            self.seen = len(mailbox)
        for number, item in enumerate(new, 1):
            if type(item) is Down and item.ref in self.waiting:
                self.gone(self.waiting.pop(item.ref), item.reason)
            elif type(item) is Exit and item.pid in self.pids:
                self.faster[item.pid] = item.reason
            if number % (AT_ONCE * 10) == 0:
                self.give_way()

    def is_ours(self, item: Any) -> bool:
        if type(item) is Down:
            return item.ref in self.waiting
        return type(item) is Exit and item.pid in self.pids

    def gone(self, child: Child, reason: Any) -> None:
        assert child.pid is not None
        reason = self.faster.get(child.pid, reason)
        if child.spec.patience == 0.0:
            expected = reason == KILLED
        elif reason == NORMAL:
            expected = child.restart != "permanent"
        else:
            expected = is_shutdown(reason)
        if not expected:
            self.odd.append((child, reason))

    def give_way(self) -> None:
        """Let other processes of this scheduler run."""
        self.me.park(REPLY, self.me.node.clock.now())
