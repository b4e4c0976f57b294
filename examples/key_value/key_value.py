"""Buckets of keys and values: each a process, found by its name in a registry.

The registry and the buckets stand and fall together: a bucket is linked with the registry
that knows it.
"""

from typing import Any

from otpy import (
    AlreadyStarted,
    CallResult,
    GenServer,
    InitResult,
    Ok,
    Pid,
    Reply,
    Supervisor,
    Via,
    dynamic_supervisor,
    gen_server,
    registry,
    supervisor,
)

Pairs = dict[str, Any]
REGISTRY = "KeyValue.Registry"
BUCKETS = "KeyValue.Buckets"


def via(name: str) -> Via:
    return Via(registry, (REGISTRY, name))


class Bucket(GenServer[Pairs], restart="temporary", green=True):
    @classmethod
    def start_link(cls, name: str) -> Pid:
        return gen_server.start_link(cls, {}, name=via(name))

    def init(self, arg: Pairs) -> InitResult[Pairs]:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Pairs) -> CallResult[Pairs]:
        match request:
            case ("get", key):
                return Reply(state.get(key))
            case ("put", key, value):
                return Reply(None, {**state, key: value})
            case ("delete", key):
                rest = {other: value for other, value in state.items() if other != key}
                return Reply(state.get(key), rest)
        raise ValueError(f"a bucket does not know {request!r}")


class KeyValue(Supervisor):
    """The whole application."""

    def init(self, arg: Any) -> Any:
        children = [
            (registry.Registry, {"keys": "unique", "name": REGISTRY}),
            dynamic_supervisor.child_spec(name=BUCKETS),
        ]
        return supervisor.init(children, strategy="one_for_all")


def create(name: str) -> Pid:
    """The bucket of that name; a new one unless it is there."""
    try:
        pid: Pid = dynamic_supervisor.start_child(BUCKETS, (Bucket, name))
        return pid
    except AlreadyStarted as there:
        return there.pid


def names() -> list[str]:
    """The names of all buckets."""
    key = registry.Var("key")
    return sorted(registry.select(REGISTRY, [((key, registry.ANY, registry.ANY), [], key)]))


def get(bucket: str, key: str) -> Any:
    return gen_server.call(via(bucket), ("get", key))


def put(bucket: str, key: str, value: Any) -> None:
    gen_server.call(via(bucket), ("put", key, value))


def delete(bucket: str, key: str) -> Any:
    """Remove a key; the value it had."""
    return gen_server.call(via(bucket), ("delete", key))
