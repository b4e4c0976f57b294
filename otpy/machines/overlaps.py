"""Overlapping partitions: which session a node ends so that all groups are fully connected.

Where the network is broken between some pairs only, b is connected to a and to c, and these
two cannot see each other. Names and locks know of no such thing: they hold in a group of nodes
of which each sees each. OTP 25 ends sessions until there are only such groups, and so does this.

Rules. A node looks at all pairs of its peers, and each peer tells it whom it *accounts for*: those
it is connected to, and those it keeps apart from. A pair of which neither accounts for the other is
broken. If it stays so for ``settle`` seconds, and both have given a sign of life since, the node
keeps apart from the one whose life began later, until nobody is left that sorts before that one and
misses it. So

- everyone who sees a broken pair parts with the same of the two, whatever it hears first;
- nobody parts because a node has died: from that comes no sign of life;
- a node that tells nothing takes no part: one that leaves, has this off, or does not connect by
  itself (``machines/auto_connect.py``), which may be apart from others by choice;
- keeping apart breaks no pair, so it makes nobody else part. The two that cannot see each other go
  on trying, and when they can, they account for each other, and all meet again.

| in                              | effect                                  |
|---------------------------------|-----------------------------------------|
| up, down of a session           | others may be let in again: ``Rejoin``  |
| told: whom a peer accounts for  | the same                                |
| check, when a pair stays broken | ``Part`` with the later of the two      |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from otpy.terms.pid import Creation

Pair = tuple[str, str]


@dataclass(slots=True)
class Part:
    """End the session with ``peer``, and refuse it until ``Rejoin``: it does not see ``unseen``."""

    peer: str
    unseen: str


@dataclass(slots=True)
class Rejoin:
    """Nothing is against ``peer`` any more: connect to it."""

    peer: str


@dataclass(slots=True)
class Peer:
    """A connected node; ``accounts`` is None until it has told us, and when it leaves."""

    life: Creation
    accounts: dict[str, None] | None = None


@dataclass(slots=True)
class Overlaps:
    """One node's part; ``settle`` is in seconds."""

    settle: float
    peers: dict[str, Peer] = field(default_factory=dict[str, Peer])
    broken: dict[Pair, float] = field(default_factory=dict[Pair, float])  # since when
    apart: dict[str, Creation] = field(default_factory=dict[str, Creation])  # whom we keep out

    def accounts(self) -> list[str]:
        """What to tell the peers: whom this node accounts for."""
        return sorted({*self.peers, *self.apart})

    # What happens.

    def up(self, life: Creation) -> list[Rejoin]:
        """A session began."""
        self.peers[life.node] = Peer(life)
        self.apart.pop(life.node, None)
        return self._rejoin()

    def down(self, peer: str) -> list[Rejoin]:
        """A session ended."""
        self.peers.pop(peer, None)
        return self._rejoin()

    def told(self, peer: str, accounts: Iterable[str] | None) -> list[Rejoin]:
        """A peer says whom it accounts for; None when it takes no part, or no longer."""
        if peer in self.peers:
            self.peers[peer].accounts = None if accounts is None else dict.fromkeys(accounts)
        return self._rejoin()

    def _rejoin(self) -> list[Rejoin]:
        """Let in whom nobody misses any more that sorts before it."""
        rejoined = [
            name
            for name, life in self.apart.items()
            if not any(
                peer.life < life and peer.accounts is not None and name not in peer.accounts
                for peer in self.peers.values()
            )
        ]
        for name in rejoined:
            del self.apart[name]
        return [Rejoin(name) for name in rejoined]

    # Looking.

    def check(self, now: float, heard: Mapping[str, float]) -> list[Part]:
        """Look at all pairs, and part where one has been broken for too long.

        ``heard``: when each peer gave its last sign of life. Called again and again.
        """
        self.broken = {pair: self.broken.get(pair, now) for pair in self._pairs()}
        parted: list[Part] = []
        for (first, second), since in self.broken.items():
            if first not in self.peers or second not in self.peers:
                continue  # parted with just now
            seen_until = min(heard.get(first, since), heard.get(second, since))
            if min(now, seen_until) >= since + self.settle:
                self.apart[second] = self.peers.pop(second).life
                parted.append(Part(second, first))
        return parted

    def _pairs(self) -> list[Pair]:
        """The broken pairs of peers; of each the one that sorts first comes first."""
        told = [(name, peer) for name, peer in self.peers.items() if peer.accounts is not None]
        told.sort(key=lambda item: item[1].life)
        return [
            (first, second)
            for place, (first, one) in enumerate(told)
            for second, other in told[place + 1 :]
            if second not in (one.accounts or ()) and first not in (other.accounts or ())
        ]
