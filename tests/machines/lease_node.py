"""One node of the network in ``leases.py``."""

from dataclasses import dataclass, field
from typing import Any

from otpy.machines.lease import Candidate
from otpy.machines.lease_granter import Granter, Record
from otpy.terms.pid import Pid


@dataclass
class Node:
    """One node: its machines, its disk and its clock."""

    name: str
    disk: dict[Any, Record] = field(default_factory=dict[Any, Record])
    floor: int = 0  # on the disk
    granter: Granter | None = None  # None while it is down
    candidates: dict[Pid, Candidate] = field(default_factory=dict[Pid, Candidate])
    ended: list[Candidate] = field(default_factory=list[Candidate])
    paused: bool = False
    inbox: list[Any] = field(default_factory=list[Any])
    rate: float = 1.0
    start: float = 0.0
    asked: int = 0  # the greatest token an earlier candidate asked for, in this life
    timer: float = float("inf")

    def clock(self, now: float) -> float:
        """What it reads at a true instant."""
        return self.start + now * self.rate

    def instant(self, reading: float) -> float:
        """When it reads that."""
        return (reading - self.start) / self.rate
