"""A session per user: a process that is started on first use and ends when it is idle.

A session is found by its user in a registry. It may end at any instant, also when somebody has
just found it: who calls it then is told so, and asks the next one. A session that ends, be it idle
or crashed, is not started again before somebody needs it.
"""

from typing import Any

from otpy import (
    AlreadyStarted,
    CallExit,
    CallResult,
    From,
    GenServer,
    InitResult,
    Next,
    NoReply,
    Ok,
    Pid,
    Reply,
    Stop,
    Supervisor,
    Timeout,
    Via,
    dynamic_supervisor,
    gen_server,
    minutes,
    registry,
    supervisor,
)

Values = dict[str, Any]
REGISTRY = "Sessions.Registry"
SUPERVISOR = "Sessions.Supervisor"
IDLE = minutes(30)

# A call ends so if there is no session, or if it was idle and ended before it saw the request.
GONE = ("noproc", "normal")


def via(user: str) -> Via:
    return Via(registry, (REGISTRY, user))


class Session(GenServer[Values], restart="temporary", green=True):
    @classmethod
    def start_link(cls, user: str, /) -> Pid:
        return gen_server.start_link(cls, user, name=via(user))

    def init(self, user: str) -> InitResult[Values]:
        return Ok({}, timeout=IDLE)

    def handle_call(self, request: Any, from_: From, values: Values) -> CallResult[Values]:
        match request:
            case ("get", key):
                return Reply(values.get(key), timeout=IDLE)
            case ("put", key, value):
                return Reply(None, {**values, key: value}, timeout=IDLE)
        raise ValueError(f"a session does not know {request!r}")

    def handle_info(self, message: Any, values: Values) -> Next[Values]:
        match message:
            case Timeout():
                return Stop("normal")
            case _:
                super().handle_info(message, values)
                return NoReply(timeout=IDLE)


class Sessions(Supervisor):
    """The whole application."""

    def init(self, arg: None) -> Any:
        children = [
            (registry.Registry, {"keys": "unique", "name": REGISTRY}),
            dynamic_supervisor.child_spec(name=SUPERVISOR),
        ]
        return supervisor.init(children, strategy="one_for_all")


def call(user: str, request: Any) -> Any:
    """Ask the user's session; a new one unless it is there. A request is handled once at most."""
    while True:
        try:
            return gen_server.call(via(user), request)
        except CallExit as ended:
            if ended.reason not in GONE:
                raise
        session(user)


# What users of the sessions call.


def session(user: str) -> Pid:
    """The user's session; a new one unless it is there."""
    try:
        pid: Pid = dynamic_supervisor.start_child(SUPERVISOR, (Session, user))
        return pid
    except AlreadyStarted as there:
        return there.pid


def get(user: str, key: str, /) -> Any:
    """The value that the user's session has, or None."""
    return call(user, ("get", key))


def put(user: str, key: str, value: Any, /) -> None:
    """Keep a value for as long as the session lives."""
    call(user, ("put", key, value))


def log_out(user: str) -> None:
    """End the user's session if there is one."""
    try:
        gen_server.stop(via(user))
    except CallExit as ended:
        if ended.reason != "noproc":
            raise


def users() -> list[str]:
    """Who has a session."""
    key = registry.Var("key")
    return sorted(registry.select(REGISTRY, [((key, registry.ANY, registry.ANY), [], key)]))
