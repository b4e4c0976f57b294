"""A name as a lease: who asks for it, holds it, and gives it up in time.

Theory of operation. A *candidate* asks the granters of a quorum (``machines/lease_granter.py``)
to promise the name to its process. With a majority of promises the process holds the lease; it
asks again well before the end, and steps down when it could not renew.

*Two never hold at once.* The lease ends at ``sent + lease`` by the holder's clock, where a
majority was asked at ``sent`` or later; a granter's promise begins when the request arrives, which
is later, and lasts ``lease * (1 + EPSILON) / (1 - EPSILON)`` by its own clock. So while the lease
is valid each of its majority keeps the name from others, as long as no clock's rate is off by
EPSILON: the holder's may be that slow and the granter's that fast. Any two majorities have a
granter in common, which promised to one of them after what it promised to the other was over. Lost,
late, doubled and reordered messages make promises longer, never leases; a granter that restarts
lets the longest promise pass first.

*Tokens.* A granter promises a token only above all it gave before, so the common granter makes
the later holder's token the greater one, if it remembers it through a restart. The holder has a
token when a majority of its granters has a disk. Asking may take higher tokens while it holds
(a loser's may have stayed behind on a granter); the fencing token is the first.

*Members* change one at a time. Majorities of two versions that differ by one node meet, so
the proof above holds between neighbours as it does within one version, without the two phases of
a joint change, and whoever has heard of the change yet and whoever has not. Two things remain:

- A version has one successor. The holder proposes it with its token as the ballot of Paxos:
  promising a token was the first phase, which told it what granters had accepted before, and that
  it must propose first; accepted by a majority of the old members it is chosen.
- No version is skipped. The holder proposes only when a majority, with disks, has promised its
  token *under* the present version: from then on these refuse the version before that, and none of
  another's leases under it is left.

| state   | event                        | next                                             |
|---------|------------------------------|--------------------------------------------------|
| waiting | its time has come, Free      | asking: Ask all, with a new token                |
| asking  | a majority Granted           | holding: Won                                     |
| asking  | no majority any more, silence| waiting: Release all, a random wait              |
| asking  | Refused: stale members       | asking, the new ones                             |
| holding | a quarter of the lease       | Ask all again                                    |
| holding | a majority Granted again     | the lease ends later                             |
| holding | a tenth of it is left        | ended: Lost, Release all                         |
| any     | end                          | ended: Release all                               |
"""

from dataclasses import dataclass
from typing import Any

from otpy.machines.lease_granter import Send
from otpy.machines.lease_messages import (
    BEHIND,
    HELD,
    MISTAKES,
    STALE,
    Accepted,
    Ask,
    Free,
    Granted,
    Propose,
    Quorum,
    Refused,
    Release,
    ToCandidate,
)
from otpy.terms.pid import Pid

WAITING, ASKING, HOLDING, ENDED = "waiting", "asking", "holding", "ended"
RENEW = 1 / 4  # of a lease: between two requests of a holder, and the longest wait for answers
MARGIN = 1 / 10  # of a lease: left when the holder steps down
FIRST_WAIT, LAST_WAIT = 1 / 100, 1 / 5  # of a lease: random waits between two attempts, at most
OVER = float("-inf")


@dataclass(slots=True)
class Won:
    """The process holds the name. ``token`` is None when too few granters have a disk."""

    token: int | None


@dataclass(slots=True)
class Lost:
    """It holds the name no more: it could not renew."""


@dataclass(slots=True)
class Refusals:
    """An attempt has failed."""

    why: dict[str, str]  # by node; who is missing has not answered


@dataclass(slots=True)
class Mistake:
    """A granter refuses for a reason that waiting does not mend: its refusal says what it has."""

    node: str
    refused: Refused


@dataclass(slots=True)
class Changed:
    """The members are others from now on."""

    quorum: Quorum


Effects = list[Send | Won | Lost | Refusals | Mistake | Changed]


class Candidate:
    """One process that wants, or holds, one name. ``until`` is when its lease ends.

    ``now`` is the node's clock, the granter's too; ``chance`` is from 0 to 1. Call ``tick`` at
    ``wake``, and whenever in doubt. ``highest`` is the greatest token that an earlier candidate of
    the node asked for: with a token of its own, nothing meant for that one can concern this one.
    """

    def __init__(
        self,
        node: str,
        name: Any,
        pid: Pid,
        quorum: Quorum,
        lease: float,
        peers: tuple[str, ...] = (),
        highest: int = 0,
    ) -> None:
        self.node = node
        self.name = name
        self.pid = pid
        self.quorum = quorum
        self.lease = lease
        self.peers = dict.fromkeys(peers)
        self.state = WAITING
        self.wake = OVER
        self.until = OVER
        self.token = 0  # asked for now
        self.first = 0  # asked for when it won
        self.fenced = False  # whether that one is a fencing token
        self.highest = highest  # heard of
        self.asked = OVER
        self.granted: dict[str, Granted] = {}
        self.refused: dict[str, Refused] = {}
        self.backoff = FIRST_WAIT
        self.places: list[str] = []  # asked last
        self.wish: tuple[str, ...] | None = None  # members that were asked for
        self.proposal: tuple[str, ...] | None = None  # members proposed with this token
        self.accepted: dict[str, None] = {}
        self.mistaken: dict[tuple[str, str], None] = {}

    # Events.

    def node_up(self, peer: str, now: float, chance: float) -> None:
        """A node came up: now there may be a majority."""
        self.peers[peer] = None
        self._soon(now, chance)

    def node_down(self, peer: str) -> None:
        """A node went down. What it granted stands."""
        self.peers.pop(peer, None)

    def tick(self, now: float, chance: float) -> Effects:
        """What is due."""
        if now < self.wake:
            return []
        match self.state:
            case "waiting":
                return self._attempt(now)
            case "asking":
                return self._give_up(now, chance)
            case "holding":
                return self._lose() if self._over(now) else self._renew(now)
            case _:
                return []

    def message(self, sender: str, message: ToCandidate, now: float, chance: float) -> Effects:
        """The answer of a granter."""
        if self.state == ENDED:
            return []
        if self.state == HOLDING and self._over(now):
            return self._lose()  # also if this would renew it: the end has been seen by others
        match message:
            case Granted():
                return self._granted(sender, message, now, chance)
            case Refused():
                return self._refused(sender, message, now, chance)
            case Accepted():
                return self._accepted(sender, message, now)
            case Free():
                self._soon(now, chance)
                return self._once_more(sender, now)

    def end(self) -> Effects:
        """The process has ended, or wants the name no more."""
        return self._stop() if self.state != ENDED else []

    def change(self, members: tuple[str, ...], now: float) -> Effects | str:
        """Let these be the members; ``Changed`` follows when they are, or why they cannot be.

        "not_holder"; "no_members" of a quorum that has a size only; "not_one": they differ by
        more than one node, or by none; "busy" with another change; "no_token", see ``Won``.
        """
        if self.state != HOLDING or self._over(now):
            return "not_holder"
        if not self.quorum.members:
            return "no_members"
        if not self.quorum.one_apart(members):
            return "not_one"
        if self.proposal is not None or self.wish is not None:
            return "busy"
        if not self.fenced:
            return "no_token"
        self.wish = members  # proposed now, or when a majority has answered under these members
        return self._decide()

    # An attempt.

    def _granters(self) -> list[str]:
        return [*self.quorum.members] or [self.node, *self.peers]

    def _reachable(self) -> list[str]:
        places = self._granters()
        return [place for place in places if place == self.node or place in self.peers]

    def _soon(self, now: float, chance: float) -> None:
        if self.state == WAITING:
            self.wake = min(self.wake, now + self.backoff * self.lease * chance)

    def _attempt(self, now: float) -> Effects:
        if len(self._reachable()) < self.quorum.majority:
            self.wake = now + self.lease * RENEW
            return [Refusals({})]
        self.highest = self.token = self.first = max(self.highest, self.token) + 1
        self.state = ASKING
        self.granted, self.refused = {}, {}
        effects = self._ask(now)
        self.wake = now + self.lease * RENEW
        return effects

    def _ask(self, now: float) -> Effects:
        self.asked = now
        ask = Ask(self.name, self.pid, self.token, self.quorum, self.lease, now)
        self.places = self._reachable()
        return [Send(place, ask) for place in self.places]

    def _give_up(self, now: float, chance: float) -> Effects:
        """No majority will answer: free what was granted, for another may need it."""
        silent = len(self.places) - len(self.granted) - len(self.refused)
        missing = self.quorum.majority - len(self.granted) - silent  # of those that refused
        waits = sorted(refused.wait for refused in self.refused.values())
        wait = waits[missing - 1] if 0 < missing <= len(waits) else 0.0
        if not self.granted:
            self.backoff = FIRST_WAIT
        elif silent:
            self.backoff = LAST_WAIT  # it took so long that all who split the vote end it at once
        else:
            self.backoff = min(LAST_WAIT, self.backoff * 2)
        self.wake = now + min(wait, 2 * self.lease) + self.backoff * self.lease * chance
        self.state = WAITING
        why = Refusals({place: refused.why for place, refused in self.refused.items()})
        return [why, *self._release()]

    def _once_more(self, sender: str, now: float) -> Effects:
        """A granter may have what it refused to this very attempt.

        Else two candidates, each of which has what the other lacks, wait for the same silent
        granter, give up one after the other, and meet again.
        """
        refused = self.refused.get(sender)
        if self.state != ASKING or refused is None or refused.why != HELD:
            return []
        del self.refused[sender]
        ask = Ask(self.name, self.pid, self.token, self.quorum, self.lease, now)
        return [Send(sender, ask)]

    def _release(self) -> Effects:
        release = Release(self.name, self.pid, self.token)
        places = dict.fromkeys(self.places + self._granters())
        return [Send(place, release) for place in places if place not in self.refused]

    # Answers.

    def _granted(self, sender: str, granted: Granted, now: float, chance: float) -> Effects:
        before = self.granted.get(sender)
        if (
            self.state == WAITING
            or granted.pid != self.pid
            or not self.first <= granted.token <= self.token
            or granted.version != self.quorum.version
            or sender not in self.places
            or granted.sent > now
            or (before is not None and before.sent > granted.sent)
        ):
            return []
        self.granted[sender] = granted
        if len(self.granted) < self.quorum.majority:
            return []
        sent = sorted((one.sent for one in self.granted.values()), reverse=True)
        self.until = max(self.until, sent[self.quorum.majority - 1] + self.lease)
        if self.state == ASKING:
            return self._win(now, chance)
        self._rest()
        return self._decide()

    def _win(self, now: float, chance: float) -> Effects:
        if self._over(now):
            self.until = OVER
            return self._give_up(now, chance)
        self.state = HOLDING
        self.refused = {}
        self._rest()
        self.backoff = FIRST_WAIT
        self.fenced = self._stands()
        return [Won(self.token if self.fenced else None), *self._decide()]

    def _refused(self, sender: str, refused: Refused, now: float, chance: float) -> Effects:
        self.highest = max(self.highest, refused.highest)
        if refused.pid != self.pid or refused.token != self.token or self.state == WAITING:
            return []
        if refused.why == STALE and refused.quorum.version > self.quorum.version:
            return self._adopt(refused.quorum, now)
        effects = self._mistake(sender, refused)
        if self.state == ASKING and sender not in self.granted:
            self.refused[sender] = refused
            if len(self.places) - len(self.refused) < self.quorum.majority:
                effects += self._give_up(now, chance)
        elif self.state == HOLDING and refused.why == BEHIND:
            self.token = self.highest = self.highest + 1  # with the next renewal
            self.proposal, self.accepted = None, {}
        return effects

    def _mistake(self, sender: str, refused: Refused) -> Effects:
        key = sender, refused.why
        if refused.why not in MISTAKES or key in self.mistaken:
            return []
        self.mistaken[key] = None
        return [Mistake(sender, refused)]

    # Holding.

    def _over(self, now: float) -> bool:
        return now >= self.until - self.lease * MARGIN

    def _rest(self) -> None:
        self.wake = min(self.asked + self.lease * RENEW, self.until - self.lease * MARGIN)

    def _renew(self, now: float) -> Effects:
        effects = self._ask(now)
        self._rest()
        return [*effects, *self._propose()]

    def _lose(self) -> Effects:
        return [Lost(), *self._stop()]

    def _stop(self) -> Effects:
        self.until = OVER  # before anybody may hear that the promises are over
        asked, self.state = self.state != WAITING, ENDED
        self.wake = -OVER
        return self._release() if asked else []

    # Other members.

    def _stands(self) -> bool:
        """Whether a majority with disks has promised this very token under these members."""
        able = [one for one in self.granted.values() if one.durable and one.token == self.token]
        return bool(self.quorum.members) and len(able) >= self.quorum.majority

    def _decide(self) -> Effects:
        """What to propose with this token, once: what was accepted last before it, or our wish."""
        if self.proposal is not None or not self._stands():
            return []
        pending = [one.pending for one in self.granted.values() if one.pending is not None]
        if pending:
            self.proposal = max(pending).members
        else:
            self.proposal = self.wish
        return self._propose()

    def _propose(self) -> Effects:
        if self.proposal is None:
            return []
        propose = Propose(self.name, self.pid, self.token, self.quorum.version, self.proposal)
        return [Send(place, propose) for place in self._granters()]

    def _accepted(self, sender: str, accepted: Accepted, now: float) -> Effects:
        mine = (self.pid, self.token, self.quorum.version)
        if (accepted.pid, accepted.token, accepted.version) != mine or self.proposal is None:
            return []
        if sender in self.quorum.members:
            self.accepted[sender] = None
        if len(self.accepted) < self.quorum.majority:
            return []
        return self._adopt(self.quorum.next(self.proposal), now)

    def _adopt(self, quorum: Quorum, now: float) -> Effects:
        """A later version was chosen. What was granted under the old one counts no more."""
        self.quorum = quorum
        self.granted, self.accepted = {}, {}
        self.proposal = self.wish = None
        again = self._attempt(now) if self.state == ASKING else self._renew(now)
        return [Changed(quorum), *again]
