"""Who holds which leases, as one node has been told.

| event                    | effect                                                           |
|--------------------------|------------------------------------------------------------------|
| held                     | who holds the name now, with the token it asked for              |
| gone                     | it holds it no more; watchers are told if nobody else does       |
| node down                | the same for all that it holds                                   |
| monitor                  | the watcher is told at once if nobody holds the name             |

Of names that are free the reasons are remembered for the last ``REASONS``.

Whether a lease is valid only its holder knows. Of two that are said to hold a name, one has not
heard yet that its time is over: the one with the lesser token.
"""

from dataclasses import dataclass
from typing import Any

from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOCONNECTION, NOPROC

REASONS = 1024
Watcher = tuple[Pid, Ref]


@dataclass(slots=True)
class Freed:
    """A name has no holder any more; the watchers to tell."""

    name: Any
    reason: Any
    watchers: list[Watcher]


class Holders:
    """The table of one node."""

    def __init__(self) -> None:
        self.table: dict[Any, dict[Pid, int]] = {}
        self.last: dict[Any, Any] = {}  # why the last holder of a free name is gone
        self.watchers: dict[Any, list[Watcher]] = {}

    def held(self, name: Any, pid: Pid, token: int) -> None:
        """A process holds the name."""
        self.last.pop(name, None)
        self.table.setdefault(name, {})[pid] = token

    def gone(self, name: Any, pid: Pid, reason: Any) -> list[Freed]:
        """It holds it no more."""
        pids = self.table.get(name)
        if pids is None or pids.pop(pid, None) is None or pids:
            return []
        del self.table[name]
        self.last[name] = reason
        if len(self.last) > REASONS:
            del self.last[next(iter(self.last))]
        watchers = self.watchers.pop(name, [])
        return [Freed(name, reason, watchers)] if watchers else []

    def node_down(self, peer: str) -> list[Freed]:
        """A node is out of reach."""
        lost = self.of(peer)
        return [freed for name, pid in lost for freed in self.gone(name, pid, NOCONNECTION)]

    def monitor(self, name: Any, pid: Pid, ref: Ref) -> list[Freed]:
        """Tell ``pid`` when nobody holds the name."""
        if name not in self.table:
            return [Freed(name, self.why(name), [(pid, ref)])]
        self.watchers.setdefault(name, []).append((pid, ref))
        return []

    def pid_down(self, pid: Pid) -> None:
        """A watcher has ended."""
        for name, watchers in list(self.watchers.items()):
            watchers[:] = [watcher for watcher in watchers if watcher[0] != pid]
            if not watchers:
                del self.watchers[name]

    def watching(self) -> list[Pid]:
        """Who watches any name, each once."""
        found = [pid for watchers in self.watchers.values() for pid, _ in watchers]
        return list(dict.fromkeys(found))

    def of(self, node: str) -> list[tuple[Any, Pid]]:
        """What processes of a node are said to hold."""
        return [
            (name, pid) for name, pids in self.table.items() for pid in pids if pid.node == node
        ]

    def why(self, name: Any) -> Any:
        """Why the last holder is gone."""
        return self.last.get(name, NOPROC)

    def first(self, name: Any) -> list[Pid]:
        """Who is said to hold the name, the present one first."""
        # A copy, in one step: other threads read this.
        held = [(token, pid) for pid, token in list(self.table.get(name, {}).items())]
        return [pid for _, pid in sorted(held, reverse=True)]
