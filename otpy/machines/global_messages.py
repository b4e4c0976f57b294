"""What the machines of ``global_`` on two nodes say to each other, checked as it comes in.

| message                       | from, to            | says                                  |
|-------------------------------|---------------------|---------------------------------------|
| own, request, wanted          | asker, owner        | register this process of yours        |
| owned, request, ok, others    | owner, asker        | how that ended                        |
| ask, request, wanted          | owner, boss         | may I claim this name                 |
| grant, request, ok, others    | boss, owner         | yes, and nobody else for now; or no   |
| claim, request, wanted        | owner, everybody    | I claim this name                     |
| said, request, ok, others     | anybody, owner      | noted, or I know of another claim     |
| done, name, request           | owner, boss         | the name may be granted again         |
| free, name, pid               | anybody, owner      | withdraw this claim of yours          |
| gone, name, pid, reason       | owner, everybody    | I withdraw this claim                 |
| sync, claims                  | anybody, a new peer | all my claims                         |
| resolved, name, pid           | resolver, owner     | your claim lost                       |

``others`` are the claims because of which the answer is no.
"""

from typing import Any, NamedTuple

from otpy.terms.pid import Pid


class Wanted(NamedTuple):
    """What a registration asks for; ``dead`` are holders known to have ended."""

    name: Any
    pid: Pid
    resolver: str
    force: bool = False
    dead: tuple[Pid, ...] = ()


class Claim(NamedTuple):
    """One claim, as a node that comes up is told of it."""

    name: Any
    pid: Pid
    resolver: str


def read(message: Any) -> tuple[Any, ...] | None:
    """A message with its parts checked; None if it is not one of ours."""
    match message:
        case ("own" | "ask" | "claim" as kind, request, parts) if _hashable(request):
            wanted = _wanted(parts)
            return (kind, request, wanted) if wanted is not None else None
        case ("sync", tuple(claims)):
            return "sync", [Claim(*claim) for claim in claims if _is_claim(claim)]
        case (str(), key, *rest) if _hashable(key):
            usable = message[0] != "done" or _hashable(rest[0] if rest else None)
            return tuple(message) if usable else None
    return None


def _wanted(parts: Any) -> Wanted | None:
    match parts:
        case (name, Pid(), str(), bool(), tuple(dead)):
            usable = _hashable(name) and all(isinstance(pid, Pid) for pid in dead)
            return Wanted(*parts) if usable else None
    return None


def _is_claim(claim: Any) -> bool:
    match claim:
        case (name, Pid(), str()):
            return _hashable(name)
    return False


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
