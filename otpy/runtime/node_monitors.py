"""Who hears once when a node goes down: OTP's ``monitor_node``.

A monitor is of the session that is up when it is set. One that is set after its end is of the next
attempt to connect, although those of the session may not have heard of its end yet.
"""

import threading

from otpy.terms.pid import Pid


class NodeMonitors:
    """Each monitor has a number, so that an attempt to connect ends its own and no other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table: dict[str, dict[Pid, list[int]]] = {}
        self.ended: dict[str, dict[Pid, list[int]]] = {}  # of a session that is over

    def add(self, peer: str, pid: Pid, number: int) -> None:
        """One more monitor of ``peer`` for ``pid``."""
        with self.lock:
            self.table.setdefault(peer, {}).setdefault(pid, []).append(number)

    def drop(self, peer: str, pid: Pid, number: int | None = None) -> bool:
        """Take one monitor away, the latest without ``number``; whether it was there."""
        with self.lock:
            holders = self.table.get(peer, {})
            held = holders.get(pid, [])
            if not held or (number is not None and number not in held):
                return False
            held.remove(held[-1] if number is None else number)
            if not held:
                del holders[pid]
            if not holders:
                del self.table[peer]
            return True

    def end(self, peer: str) -> None:
        """The session with a node is over: what is added from now on is not of it."""
        with self.lock:
            self.ended[peer] = self.table.pop(peer, {})

    def take(self, peer: str) -> list[tuple[Pid, int]]:
        """Take away the monitors of the session that is over: who had them, and how many."""
        with self.lock:
            return [(pid, len(held)) for pid, held in self.ended.pop(peer, {}).items()]

    def forget(self, pid: Pid) -> None:
        """A process died."""
        with self.lock:
            for peer in [peer for peer, holders in self.table.items() if pid in holders]:
                del self.table[peer][pid]
                if not self.table[peer]:
                    del self.table[peer]
