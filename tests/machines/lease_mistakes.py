"""The machines of leases with one mistake each, for tests that must find them."""

from typing import Any

from otpy.machines.lease import OVER, Candidate, Effects
from otpy.machines.lease_granter import EPSILON, Drop, Granter, Promise, Record, Send, Write
from otpy.machines.lease_granter import Effects as Granting
from otpy.machines.lease_messages import (
    BEHIND,
    HELD,
    Accepted,
    Ask,
    Granted,
    Pending,
    Propose,
    Release,
    ToCandidate,
)


class GrantsAtOnceAfterARestart(Granter):
    def __init__(
        self,
        node: str,
        lease: float,
        now: float,
        durable: bool = False,
        records: tuple[Record, ...] = (),
        floor: int = 0,
    ) -> None:
        super().__init__(node, lease, now, durable, records, floor)
        self.sat_out = now
        for promise in self.promises.values():
            promise.until = now


class PromisesNoLongerThanTheLease(Granter):
    def length(self, lease: float) -> float:
        return lease


class TrustsTheHoldersClock(Granter):
    """Longer than the lease only by what the own clock may be fast."""

    def length(self, lease: float) -> float:
        return lease * (1 + EPSILON)


class DropsTheToken(Granter):
    def _drop(self, now: float) -> Granting:
        effects = super()._drop(now)
        self.floor = 0
        return [Drop(one.names, 0) if isinstance(one, Drop) else one for one in effects]


class DropsWhatIsNotOver(Granter):
    def _over(self, promise: Promise, now: float) -> bool:
        return True


class DropsOtherMembers(Granter):
    def _over(self, promise: Promise, now: float) -> bool:
        return now >= promise.until


class CountsFromReceipt(Candidate):
    def message(self, sender: str, message: ToCandidate, now: float, chance: float) -> Effects:
        if isinstance(message, Granted):
            message = message._replace(sent=now)
        return super().message(sender, message, now, chance)


class CountsAnotherEpoch(Candidate):
    """What was granted to an attempt that it gave up counts for the next one."""

    def _attempt(self, now: float) -> Effects:
        effects = super()._attempt(now)
        self.first = 0
        return effects


class KeepsTheLeaseItReleases(Candidate):
    def _stop(self) -> Effects:
        until = self.until
        effects = super()._stop()
        self.until = until
        return effects


class AsksOnlyOnce(Candidate):
    """A granter that has what it refused a moment ago is not asked again."""

    def _once_more(self, sender: str, now: float) -> Effects:
        return []


class NeedsAHalfOnly(Candidate):
    def _granted(self, sender: str, granted: Granted, now: float, chance: float) -> Effects:
        effects = super()._granted(sender, granted, now, chance)
        if self.state == "asking" and len(self.granted) * 2 >= self.quorum.size:
            self.until = granted.sent + self.lease
            return self._win(now, chance)
        return effects


class ForgetsWhoIsOutOfReach(Granter):
    def node_down(self, peer: str) -> None:
        super().node_down(peer)
        for promise in self.promises.values():
            if promise.pid is not None and promise.pid.node == peer:
                promise.until = OVER


class TakesAnyRelease(Granter):
    def _release(self, release: Release, now: float) -> Granting:
        promise = self.promises.get(release.name)
        if promise is not None and promise.pid == release.pid:
            release = release._replace(token=max(release.token, promise.token))
        return super()._release(release, now)


class GivesATokenTwice(Granter):
    def _denied(self, promise: Promise, ask: Ask, now: float) -> str | None:
        if ask.pid != promise.pid and now < promise.until:
            return HELD
        return BEHIND if ask.token < promise.token else None


class WritesNothing(Granter):
    def _written(self, name: Any, promise: Promise) -> Granting:
        return []


class ChangesByAMinority(Candidate):
    """The first to accept makes it so, and the holder is the first."""

    def _stands(self) -> bool:
        return bool(self.quorum.members) and self.state == "holding"

    def _accepted(self, sender: str, accepted: Accepted, now: float) -> Effects:
        if self.proposal is not None and accepted.version == self.quorum.version:
            return self._adopt(self.quorum.next(self.proposal), now)
        return []


class ChangesAnyNumber(Candidate):
    """Several members at once, by the majority of the old ones alone."""

    def change(self, members: tuple[str, ...], now: float) -> Effects | str:
        if self.state == "holding" and self.proposal is None and self._stands() and members:
            self.wish = members
            return self._decide()
        return super().change(members, now)


class AcceptsAnyNumber(Granter):
    def _propose(self, sender: str, propose: Propose) -> Granting:
        promise = self.promises.get(propose.name)
        if promise is None or (promise.pid, promise.token) != (propose.pid, propose.token):
            return []
        promise.pending = Pending(propose.token, propose.members)
        accepted = Accepted(propose.name, propose.pid, propose.token, propose.version)
        return [*self._written(propose.name, promise), Send(sender, accepted)]


class ProposesItsOwnWish(Candidate):
    """Whatever another may have had chosen before."""

    def _decide(self) -> Effects:
        self.granted = {
            node: granted._replace(pending=None) for node, granted in self.granted.items()
        }
        return super()._decide()


class ProposesWhatIsOlder(Candidate):
    """Of two accepted changes, that of the lesser token."""

    def _decide(self) -> Effects:
        found = [one.pending for one in self.granted.values() if one.pending is not None]
        self.granted = {
            node: granted._replace(pending=min(found) if granted.pending is not None else None)
            for node, granted in self.granted.items()
        }
        return super()._decide()


class ForgetsWhatItAccepted(Granter):
    """In a restart."""

    def _written(self, name: Any, promise: Promise) -> Granting:
        return [
            Write(one.record._replace(pending=None)) if isinstance(one, Write) else one
            for one in super()._written(name, promise)
        ]


class AcceptsWithoutWriting(Granter):
    def _propose(self, sender: str, propose: Propose) -> Granting:
        effects = super()._propose(sender, propose)
        return [one for one in effects if isinstance(one, Send)]
