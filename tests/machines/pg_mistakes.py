"""The machine of process groups with one mistake each, for tests that must find them."""

from typing import Any

from otpy.machines import pg
from otpy.machines.pg_messages import Entry, Key
from otpy.terms.pid import Pid


class ForgetsNoPeer(pg.Groups):
    """Members of a node that is down stay."""

    def peer_down(self, pid: Pid) -> pg.Effects:
        self.peers.pop(pid.node, None)
        return []


class TellsNobodyOfDeaths(pg.Groups):
    def pid_down(self, pid: Pid) -> pg.Effects:
        return [e for e in super().pid_down(pid) if not isinstance(e, pg.Send)]


class CountsOnce(pg.Groups):
    """A process that joined twice is gone after its first leave."""

    def leave(self, key: Key, pids: Any) -> tuple[bool, pg.Effects]:
        twice = [pid for pid in pids for _ in range(self.local.get(pid, {}).get(key, 1))]
        return super().leave(key, twice)


class KeepsTheStale(pg.Groups):
    """What no piece names stays."""

    def _synced(self, peer: pg.Peer, first: bool, last: bool, entries: list[Entry]) -> pg.Effects:
        effects = super()._synced(peer, first, False, entries)
        if last:
            peer.stale = None
        return effects


class AddsPieces(pg.Groups):
    """A piece adds to what is known, which a join on the way has told already."""

    def _replace(self, peer: pg.Peer, key: Key, numbers: list[int]) -> pg.Effects:
        if peer.stale is not None:
            peer.stale.pop(key, None)
        return self._joined(peer, key, numbers) if numbers else super()._replace(peer, key, [])


class TellsTooLate(pg.Groups):
    """A peer hears of joins and leaves only after the last piece."""

    def _broadcast(self, message: tuple[Any, ...]) -> pg.Effects:
        ready = [peer.pid for peer in self.peers.values() if peer.told and not peer.unsent]
        return [pg.Send(pid, message) for pid in ready]


class StopsAfterOnePiece(pg.Groups):
    def more(self, pid: Pid) -> pg.Effects:
        return []


class DoesNotAskBack(pg.Groups):
    """Whoever discovers us is not discovered; our own word may have come too early."""

    def _discovered(self, pid: Pid) -> pg.Effects:
        return [
            effect
            for effect in super()._discovered(pid)
            if not (isinstance(effect, pg.Send) and effect.message[0] == "discover")
        ]


class KeepsTheOlderScope(pg.Groups):
    """The scope of a node was started anew; its earlier members stay until the Down."""

    def _discovered(self, pid: Pid) -> pg.Effects:
        peer = self.peers.get(pid.node)
        if peer is not None and peer.pid != pid:
            peer.pid = pid
        return super()._discovered(pid)


class ForgetsMonitorsOfGroups(pg.Groups):
    def _tell(self, joined: bool, key: Key, pids: Any) -> pg.Effects:
        return super()._tell(joined, key, pids) if self.of_scope else []


class KeepsDeadMonitors(pg.Groups):
    def pid_down(self, pid: Pid) -> pg.Effects:
        return super().pid_down(pid) if pid in self.local else []


MISTAKES = (
    ForgetsNoPeer,
    TellsNobodyOfDeaths,
    CountsOnce,
    KeepsTheStale,
    AddsPieces,
    TellsTooLate,
    StopsAfterOnePiece,
    DoesNotAskBack,
    KeepsTheOlderScope,
    ForgetsMonitorsOfGroups,
    KeepsDeadMonitors,
)
