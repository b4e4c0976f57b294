"""Mistakes in the machine of the cluster's names that every search for them must find."""

from typing import Any

from otpy import Pid
from otpy.machines import global_ as g
from otpy.machines.global_messages import Wanted


class ForgetsNodeDown(g.Names):
    def node_down(self, peer: str) -> g.Effects:
        self.peers.pop(peer, None)
        return []


class NeverRefuses(g.Names):
    def _others(self, wanted: Wanted) -> g.Pids:
        return ()

    def _take(self, wanted: Wanted) -> g.Effects:
        self._put(wanted.name, wanted.pid, wanted.resolver)
        return []


class TellsNobodyOfDeaths(g.Names):
    def pid_down(self, pid: Pid, reason: Any) -> g.Effects:
        return [e for e in super().pid_down(pid, reason) if not isinstance(e, g.Send)]


class NeverYields(g.Names):
    def _conflict(self, name: Any, pid: Pid) -> g.Effects:
        return []


class TellsNoWatcher(g.Names):
    def _drop(self, name: Any, pid: Pid, reason: Any) -> g.Effects:
        return [e for e in super()._drop(name, pid, reason) if not isinstance(e, g.Freed)]
