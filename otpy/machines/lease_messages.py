"""What granters and candidates of a lease say to each other, checked as it comes in.

| message  | from, to             | says                                                        |
|----------|----------------------|-------------------------------------------------------------|
| Ask      | candidate, granter   | promise the name to this process, or renew the promise      |
| Granted  | granter, candidate   | promised; and the change of the members it has accepted     |
| Refused  | granter, candidate   | not, and why; another try may do after ``wait`` seconds     |
| Release  | candidate, granter   | the promise is needed no more                               |
| Free     | granter, a node      | a name that was refused to you may be had now               |
| Propose  | holder, granter      | let these be the members of the next version                |
| Accepted | granter, holder      | that stands on my disk                                      |

An instant (``sent``) is one of the candidate's clock and only travels back to it; no node
compares its clock with another's.
"""

from typing import Any, NamedTuple

from otpy.terms.pid import Pid
from otpy.terms.values import is_hashable, is_seconds, is_tuple, is_whole

HELD, BEHIND, STALE, OTHER_QUORUM, OTHER_LEASE, CROWDED, NO_MEMBER = (
    "held",  # promised to another, or this node has started a moment ago
    "behind",  # a greater token was promised
    "stale",  # the members have changed since
    "other_quorum",  # this node was told of other members, or of another number of them
    "other_lease",  # this node's leases have another length
    "crowded",  # more nodes than the quorum's size run
    "no_member",  # this node is none of the members
)
MISTAKES = (OTHER_QUORUM, OTHER_LEASE, CROWDED, NO_MEMBER)  # waiting does not mend these


class Quorum(NamedTuple):
    """Who grants a name: ``members``, or with none whichever ``size`` nodes there are."""

    version: int
    size: int
    members: tuple[str, ...] = ()

    @classmethod
    def of(cls, configured: tuple[str, ...] | int) -> "Quorum":
        """The first version, as the name was configured."""
        if isinstance(configured, int):
            return cls(0, configured)
        return cls(0, len(configured), tuple(sorted(configured)))

    @property
    def majority(self) -> int:
        """So many granters have one in common with any other so many."""
        return self.size // 2 + 1

    def next(self, members: tuple[str, ...]) -> "Quorum":
        """The version after this one, with these members."""
        return Quorum(self.version + 1, len(members), members)

    def one_apart(self, members: tuple[str, ...]) -> bool:
        """Whether these members differ by one node, so that the majorities still meet."""
        return len(set(self.members) ^ set(members)) == 1 and bool(members and self.members)


class Pending(NamedTuple):
    """The members that a granter has accepted for the next version, and for which token."""

    token: int
    members: tuple[str, ...]


class Ask(NamedTuple):
    """``token`` is the candidate's; ``sent`` is when it asked."""

    name: Any
    pid: Pid
    token: int
    quorum: Quorum
    lease: float
    sent: float


class Granted(NamedTuple):
    """``durable``: the granter knows the token after a restart."""

    name: Any
    pid: Pid
    token: int
    version: int
    sent: float
    durable: bool
    pending: Pending | None


class Refused(NamedTuple):
    """``highest`` is the greatest token promised; ``quorum`` is what the granter knows.

    ``lease`` is how long its leases are, in seconds, and ``nodes`` how many it sees, with itself.
    """

    name: Any
    pid: Pid
    token: int
    why: str
    highest: int
    wait: float
    quorum: Quorum
    lease: float
    nodes: int


class Release(NamedTuple):
    """All promises to ``pid`` up to ``token`` are over."""

    name: Any
    pid: Pid
    token: int


class Free(NamedTuple):
    """Try again."""

    name: Any


class Propose(NamedTuple):
    """The version after ``version`` shall have these members."""

    name: Any
    pid: Pid
    token: int
    version: int
    members: tuple[str, ...]


class Accepted(NamedTuple):
    """The answer to ``Propose``."""

    name: Any
    pid: Pid
    token: int
    version: int


ToGranter = Ask | Release | Propose
ToCandidate = Granted | Refused | Free | Accepted


def read(message: Any) -> ToGranter | ToCandidate | None:
    """A message with its parts checked; None if it is not one of ours."""
    if not isinstance(message, Ask | Granted | Refused | Release | Free | Propose | Accepted):
        return None
    if not is_hashable(message.name):
        return None
    good = all(_good(field, value) for field, value in message._asdict().items())
    return message if good else None


def _good(field: str, value: Any) -> bool:
    match field:
        case "pid":
            return isinstance(value, Pid)
        case "token" | "highest" | "version":
            return is_whole(value, 0)
        case "nodes":
            return is_whole(value, 1)
        case "sent" | "wait" | "lease":
            return is_seconds(value)
        case "durable":
            return isinstance(value, bool)
        case "why":
            return isinstance(value, str)
        case "members":
            return _are_members(value)
        case "quorum":
            return _is_quorum(value)
        case "pending":
            return value is None or _is_pending(value)
        case _:
            return True


def _is_quorum(value: Any) -> bool:
    return (
        isinstance(value, Quorum)
        and is_whole(value.version, 0)
        and is_whole(value.size, 1)
        and (value.members == () or _are_members(value.members))
        and len(value.members) in (0, value.size)
    )


def _is_pending(value: Any) -> bool:
    return isinstance(value, Pending) and is_whole(value.token, 0) and _are_members(value.members)


def _are_members(value: Any) -> bool:
    if not is_tuple(value) or not all(isinstance(node, str) for node in value):
        return False
    return 0 < len(value) == len(set(value))
