"""Names held as leases: what ``quorum=`` makes of a ``Global`` name.

The decisions are ``machines/lease.py`` and its neighbours; the process is ``_lease_server.py``.
The functions are reached as ``global_.lease``, ``global_.members`` and so on.
"""

import logging
from enum import Enum
from typing import Any, Final, Literal, Protocol

from otpy.behaviours import gen_server
from otpy.cluster._lease_contests import SERVER, Contest
from otpy.cluster._lease_folder import Folder
from otpy.cluster._lease_keeper import LeaseKeeper
from otpy.cluster._lease_store import Kept, LeaseStore
from otpy.distribution.codec import encode
from otpy.machines.lease import HOLDING
from otpy.machines.lease_holders import Holders
from otpy.runtime._current import check_may_wait, current
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument, CallExit, NotDistributed, NotRegistered, QuorumError
from otpy.terms.names import NODE_EXPECTED, At, Global, is_node_name
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import is_seconds

LOG = logging.getLogger("otpy.global")
LEASE_TIME = 5.0
LAST_WORDS = 1.0  # seconds that a node's stop waits for granters, of which one may be frozen
WHY = {
    "not_holder": "its holder has lost it meanwhile",
    "no_members": "it was given a number of nodes, not their names",
    "no_token": "fewer than a majority of its members have a state_dir",
    "busy": "another change of its members is under way",
}


class NoToken(Enum):
    """What a lease has in the place of a fencing token when there can be none.

    A token needs a quorum of node names, and a ``state_dir`` on a majority of them. An enum, so
    that it is the same object on every node that it is sent to.
    """

    NO_TOKEN = "no_token"

    def __repr__(self) -> str:
        return "NO_TOKEN"


NO_TOKEN: Final = NoToken.NO_TOKEN


class Lease:
    """A process's hold on a name. All of it is read where it stands; nothing waits."""

    __slots__ = ("_contest", "_node")

    def __init__(self, node: Node, contest: Contest) -> None:
        self._node = node
        self._contest = contest

    def __repr__(self) -> str:
        candidate = self._contest.candidate
        shown = "valid" if self.valid() else "over"
        return f"<Lease of {candidate.name!r} by {candidate.pid!r}, {shown}>"

    @property
    def name(self) -> Any:
        """The name."""
        return self._contest.candidate.name

    @property
    def pid(self) -> Pid:
        """Who holds it."""
        return self._contest.candidate.pid

    @property
    def until(self) -> float:
        """When it ends, by the clock that runs through a suspend (CLOCK_BOOTTIME), in seconds.

        Renewals move it; when the lease is lost or given back it is ``-inf``, for good.
        """
        return self._contest.candidate.until

    def valid(self) -> bool:
        """Whether no other process can hold the name at this instant.

        That is so until ``until``. Work that takes longer may end after it; what must not be done
        twice is given the ``token``.
        """
        candidate = self._contest.candidate
        while True:
            # The clock comes last: who is stopped between the two reads it when he goes on.
            until = candidate.until
            if self._node.clock.boottime() < until:
                return True
            if candidate.until == until:
                return False

    @property
    def token(self) -> int | NoToken:
        """The fencing token: greater than that of every holder before, and the same all the time.

        A store that refuses what comes with a lesser token than it has seen is safe from a holder
        that does not know yet that its lease is over. ``NO_TOKEN`` when there can be none.
        """
        token = self._contest.token
        return NO_TOKEN if token is None else token


def check_lease_time(seconds: Any) -> None:
    """Raise ``BadArgument`` unless leases can be so long."""
    if not is_seconds(seconds) or not 0 < seconds < float("inf"):
        raise BadArgument(f"lease_time={seconds!r}; expected a number of seconds above 0")


class PlainNames(Protocol):
    """What leases need to know of the names without a quorum."""

    def dead(self, pid: Pid) -> bool: ...
    def whereis_plain(self, name: Any) -> Pid | None: ...
    def monitor_plain(self, name: Any, pid: Pid, ref: Ref) -> None: ...


class Leases:
    """The leases of one node, as the name service knows them."""

    def __init__(
        self,
        node: Node,
        plain: PlainNames,
        lease_time: float,
        state_dir: Folder | None,
    ) -> None:
        self.node = node
        self.plain = plain.whereis_plain
        self.monitor_plain = plain.monitor_plain
        self.dead = plain.dead
        self.lease_time = lease_time
        self.store = None if state_dir is None else LeaseStore(state_dir, node.name)
        self.kept: Kept | None = None
        self.holders = Holders()
        self.contests: dict[tuple[Any, Pid], Contest] = {}
        self.asked = 0  # the greatest token that a former candidate of this node asked for

    def start(self) -> None:
        """Start the server. Raises ``NodeError`` and ``OSError`` for what is in ``state_dir``."""
        store = self.store
        if store is not None:
            self.node.after_stop(lambda _: store.close())
            try:
                self.kept = store.load()
            except BaseException:
                store.close()
                raise
        gen_server.start(LeaseKeeper, self)
        self.node.before_stop(self._give_back)

    def _give_back(self, _: Any, seconds: float) -> None:
        """End what this node holds, so that nobody has to wait until it has run out."""
        if not self.contests:
            return
        try:
            self.ask(self.node.name, ("stop",), min(seconds, LAST_WORDS))
        except CallExit as failed:
            LOG.warning("%s: who granted its leases may not know it: %s", self.node.name, failed)

    def whereis(self, name: Any) -> Pid | None:
        """The holder, if this node sees it; one of this node as long as its lease is valid."""
        for pid in self.holders.first(name):
            if self.dead(pid):
                continue
            if pid.node in self.node.peers:
                return pid
            contest = self.contests.get((name, pid))
            if contest is not None and Lease(self.node, contest).valid():
                return pid
        return None

    def names(self) -> list[Any]:
        """The names that have a holder."""
        return [name for name in list(self.holders.table) if self.whereis(name) is not None]

    def ask(self, node: str, request: tuple[Any, ...], timeout: float | None = None) -> Any:
        """The answer of a node's lease server."""
        return gen_server.call(At(SERVER, node), request, timeout)


class LeasedNames:
    """The name service of ``Global(name, quorum=...)``: registers by a lease, else as without."""

    scope: Literal["node", "cluster"] = "cluster"
    when_nobody = "no_quorum"  # why a start fails that found no holder, and no majority either

    def __init__(self, names: Any, leases: Leases, quorum: tuple[str, ...] | int) -> None:
        self.names = names
        self.leases = leases
        self.quorum = quorum

    def _register(self, name: Any, pid: Pid, ref: Ref | None) -> bool:
        here = self.leases.node.name
        if not self.leases.node.is_here(pid):
            raise BadArgument(f"{pid!r} cannot hold a lease of {here}; expected a process of it")
        encode(name, "name")
        request = ("register", name, pid, self.quorum, ref)
        return bool(self.leases.ask(here, request))

    def register_name(self, name: Any, pid: Pid) -> bool:
        """True when the process holds the lease.

        False when another holds it, or when none was to be had in twice ``lease_time``.
        """
        return self.names.whereis_name(name) is None and self._register(name, pid, None)

    def register_or_monitor(self, name: Any, pid: Pid, ref: Ref) -> bool:
        """``register_name``, but ``NameFree(ref)`` comes when the lease is there to be taken."""
        return self._register(name, pid, ref)

    def unregister_name(self, name: Any) -> None:
        """Give the lease back."""
        self.names.unregister_name(name)

    def whereis_name(self, name: Any) -> Pid | None:
        """The holder."""
        found: Pid | None = self.names.whereis_name(name)
        return found

    def send(self, name: Any, message: Any) -> Pid:
        """Send to the holder; ``NotRegistered`` when there is none."""
        found: Pid = self.names.send(name, message)
        return found

    def monitor_name(self, name: Any, pid: Pid, ref: Ref) -> None:
        """Send ``NameFree(ref, name, reason)`` to ``pid`` when nobody holds it."""
        self.names.monitor_name(name, pid, ref)

    def leased(self, quorum: tuple[str, ...] | int) -> "LeasedNames":
        """The service for another quorum."""
        return LeasedNames(self.names, self.leases, quorum)


def _leases() -> Leases:
    node = current().node
    found = getattr(node.name_services.get("global"), "leases", None)
    if not isinstance(found, Leases):
        raise NotDistributed(f"{node.name} has no global names; call global_.start(node) first")
    return found


def lease(name: Any) -> Lease:
    """The lease that a process of this node holds on the name; its ``init`` may ask already.

    Keep it: it tells for ever whether it is still valid. Raises ``NotRegistered`` when no process
    of this node holds the name as a lease, ``NotAName``, ``NotDistributed``.
    """
    key, leases = Global(name).name, _leases()
    for (held, _), contest in list(leases.contests.items()):
        if held == key and contest.candidate.state == HOLDING:
            return Lease(leases.node, contest)
    raise NotRegistered(f"no process of {leases.node.name} holds a lease of {key!r}")


def members(name: Any) -> list[str]:
    """The nodes that grant a leased name now; [] of a quorum that is a number.

    Asks its holder. Raises ``NotRegistered`` when there is none in reach.
    """
    check_may_wait("global_.members")
    key = Global(name).name
    found = _ask_holder(key, ("members", key), None)
    if found is None:
        raise NotRegistered(f"nobody holds a lease of {key!r}")
    return [*found]


def add_member(name: Any, node: str) -> None:
    """Let one more node grant a leased name; the majority counts it from now on.

    Its present members decide, by their majority, each of which must have a ``state_dir``. One
    change at a time; the nodes keep it, whatever ``quorum=`` says where the name is registered.
    Raises ``QuorumError``, ``NotRegistered``, ``BadArgument`` for a member, ``CallTimeout`` when
    no majority answers: then it may still come about.
    """
    check_may_wait("global_.add_member")
    _change(name, "add", node)


def remove_member(name: Any, node: str) -> None:
    """Let a node grant a leased name no more. Raises as ``add_member``."""
    check_may_wait("global_.remove_member")
    _change(name, "remove", node)


def _change(name: Any, action: str, node: str) -> None:
    if not is_node_name(node):
        raise BadArgument(f"{action}_member(..., {node!r}); expected {NODE_EXPECTED}")
    key = Global(name).name
    said = _ask_holder(key, ("change", key, action, node), 2 * _leases().lease_time)
    if said == "not_one":
        raise BadArgument(
            f"{action}_member({key!r}, {node!r}): expected a node that is "
            + ("no member yet" if action == "add" else "a member, and not the only one")
        )
    if said != "changed":
        raise QuorumError(said, f"the members of {key!r} cannot change: {WHY[said]}")


def _ask_holder(key: Any, request: tuple[Any, ...], timeout: float | None) -> Any:
    leases = _leases()
    holder = leases.whereis(key)
    if holder is None:
        raise NotRegistered(f"nobody holds a lease of {key!r}")
    try:
        return leases.ask(holder.node, request, timeout)
    except CallExit as error:
        if isinstance(error, TimeoutError):
            raise
        raise NotRegistered(f"the holder of {key!r} has gone: {error.reason}") from error
