"""So many requests for each key within a sliding window.

A request that was allowed holds one place of its key until the window has passed over it: a
timer of the limiter's process gives the place back. No clock is read, and a key that nobody
uses takes no memory.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from otpy import (
    CallResult,
    From,
    GenServer,
    Next,
    NoReply,
    Ok,
    Pid,
    Reply,
    Request,
    TimerFired,
    gen_server,
    process,
    self_pid,
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``requests`` for one key in any window of ``seconds``."""

    name: str
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Take(Request[bool]):
    """May one more request for ``key`` go on now?"""

    key: str


@dataclass(slots=True)
class Held:
    """The limit, and the places each key holds."""

    limit: Limit
    places: Counter[str]


class RateLimiter(GenServer[Held], green=True):
    @classmethod
    def start_link(cls, limit: Limit, /) -> Pid:
        return gen_server.start_link(cls, limit, name=limit.name)

    def init(self, arg: Limit) -> Ok[Held]:
        return Ok(Held(arg, Counter()))

    def handle_call(self, request: Any, from_: From, state: Held) -> CallResult[Held]:
        match request:
            case Take(key) if state.places[key] < state.limit.requests:
                state.places[key] += 1
                process.start_timer(self_pid(), key, state.limit.seconds)
                return Reply(True)
            case Take():
                return Reply(False)
            case _:
                raise ValueError(f"a rate limiter knows Take only, not {request!r}")

    def handle_info(self, message: Any, state: Held) -> Next[Held]:
        match message:
            case TimerFired(_, key) if state.places[key] > 1:
                state.places[key] -= 1
            case TimerFired(_, key):
                del state.places[key]
        return NoReply(state)


def allow(limiter: str, key: str) -> bool:
    """Whether one more request for ``key`` may go on; if so, it counts."""
    return gen_server.call(limiter, Take(key))
