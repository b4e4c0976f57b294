"""Many children stopped at once: all are told, then each may take its own patience.

Nothing here looks at a message twice, so the time grows with the children and the
waiting messages, not with their product.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from otpy.machines.restart import Child
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.record import ANY, REPLY, Process
from otpy.terms.messages import Down, Exit
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import KILL, KILLED, NORMAL, SHUTDOWN, is_shutdown, is_word

AT_ONCE = 100  # children between two moments in which others may run


def stop_children(children: Iterable[Child]) -> list[tuple[Child, Any]]:
    """Stop them; returns when all are gone. Elixir's ``terminate_children``.

    The result has those that ended otherwise than asked, each with its reason.
    """
    stopping = _Stopping(current(), list(children))
    stopping.tell()
    stopping.wait()
    return stopping.odd


class _Stopping:
    def __init__(self, me: Process, children: list[Child]) -> None:
        self.me = me
        self.children = children
        self.pids: dict[Pid, Child] = {}
        self.waiting: dict[Ref, Child] = {}
        self.faster: dict[Pid, Any] = {}  # why those ended that did before they were told
        self.late: dict[float, list[Ref]] = {}  # who has so many seconds
        self.odd: list[tuple[Child, Any]] = []
        self.seen = 0  # so many messages of the mailbox are none of ours

    def parts(self, of: list[Any]) -> Iterator[list[Any]]:
        """Some at a time, and in between others may run."""
        for start in range(0, len(of), AT_ONCE):
            if start:
                self.give_way()
            yield of[start : start + AT_ONCE]

    def tell(self) -> None:
        """Monitor, unlink and tell each of them, as OTP does, one after the other."""
        self.find()
        for part in self.parts(self.children):
            for child in part:
                if not child.restarting:
                    ref = process.monitor(child.pid)
                    self.waiting[ref] = child
                    if child.spec.patience:
                        self.late.setdefault(child.spec.patience, []).append(ref)
                    process.unlink(child.pid)
                    process.exit(child.pid, KILL if child.spec.patience == 0.0 else SHUTDOWN)
            self.look()  # in parts too, so that none takes long

    def find(self) -> None:
        """See whether a child has ended already; only then its exit must be looked for."""
        waiting = len(self.me.mailbox)
        procs = self.me.node.procs
        dead = False
        for part in self.parts(self.children):
            for child in part:
                if not child.restarting:
                    self.pids[child.pid] = child
                    dead = dead or child.pid not in procs
        if dead:
            self.give_way()  # it may be on its way from another thread
        else:
            self.seen = waiting
        self.look()

    def wait(self) -> None:
        """Until all are gone; those whose patience runs out are killed."""
        now = self.me.node.clock.now
        began = now()
        patience = sorted(self.late)
        while True:
            self.look()
            if not self.waiting:
                return
            while patience and now() >= began + patience[0]:
                self.kill(self.late[patience.pop(0)])
            if not self.waiting:
                return  # a kill can be over before it returns
            if self.seen == len(self.me.mailbox):
                self.me.park(ANY, began + patience[0] if patience else None, self.seen)

    def kill(self, refs: list[Ref]) -> None:
        """Those that are still there have no time left."""
        for part in self.parts(refs):
            for ref in part:
                if ref in self.waiting:
                    process.exit(self.waiting[ref].pid, KILL)
            self.look()

    def look(self) -> None:
        """Take what is new of the children's ends out of the mailbox."""
        mailbox = self.me.mailbox
        with self.me.owned:
            new = [mailbox.pop() for _ in range(len(mailbox) - self.seen)]
            new.reverse()
            mailbox.extend(item for item in new if not self.is_ours(item))
            self.seen = len(mailbox)
        for item in new:
            if type(item) is Down and item.ref in self.waiting:
                self.gone(self.waiting.pop(item.ref), item.reason)
            elif type(item) is Exit and item.pid in self.pids:
                self.faster[item.pid] = item.reason

    def is_ours(self, item: Any) -> bool:
        if type(item) is Down:
            return item.ref in self.waiting
        return type(item) is Exit and item.pid in self.pids

    def gone(self, child: Child, reason: Any) -> None:
        assert child.pid is not None
        reason = self.faster.get(child.pid, reason)
        if child.spec.patience == 0.0:
            expected = is_word(reason, KILLED)
        elif is_word(reason, NORMAL):
            expected = child.restart != "permanent"
        else:
            expected = is_shutdown(reason)
        if not expected:
            self.odd.append((child, reason))

    def give_way(self) -> None:
        """Let other processes of this scheduler run."""
        self.me.park(REPLY, self.me.node.clock.now())
