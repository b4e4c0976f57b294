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
from otpy.terms.values import is_hashable


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
        case ("own" | "ask" | "claim" as kind, request, parts) if is_hashable(request):
            wanted = wanted_of(parts)
            return (kind, request, wanted) if wanted is not None else None
        case ("sync", claims):
            checked = [_claim(claim) for claim in _items(claims)]
            return "sync", [claim for claim in checked if claim is not None]
        case ("owned" | "grant" | "said" as kind, request, bool(ok), others):
            pids = _pids(others)
            return (kind, request, ok, pids) if pids is not None and is_hashable(request) else None
        case ("done", name, request):
            return ("done", name, request) if is_hashable((name, request)) else None
        case ("free" | "resolved" as kind, name, Pid() as pid):
            return (kind, name, pid) if is_hashable(name) else None
        case ("gone", name, Pid() as pid, reason):
            return ("gone", name, pid, reason) if is_hashable(name) else None
        case _:
            return None


def _pids(value: Any) -> tuple[Pid, ...] | None:
    pids = [item for item in _items(value) if isinstance(item, Pid)]
    return tuple(pids) if isinstance(value, tuple) and pids == [*_items(value)] else None


def _items(value: Any) -> list[Any]:
    return [*value] if isinstance(value, tuple) else []


def wanted_of(parts: Any) -> Wanted | None:
    """The parts of a registration, checked; None if it is none."""
    match parts:
        case (name, Pid() as pid, str(resolver), bool(force), dead):
            pids = _pids(dead)
            if pids is not None and is_hashable(name):
                return Wanted(name, pid, resolver, force, pids)
        case _:
            pass
    return None


def _claim(claim: Any) -> Claim | None:
    match claim:
        case (name, Pid() as pid, str(resolver)) if is_hashable(name):
            return Claim(name, pid, resolver)
        case _:
            return None
