"""Topics: whoever subscribes gets what is published, until it ends."""

from typing import Any

from otpy import (
    GenServer,
    InitResult,
    Next,
    NoReply,
    Ok,
    Pid,
    gen_server,
    process,
    registry,
    self_pid,
)

TOPICS = "PubSub"

# A partition for each core is what one takes on the BEAM; here one is as fast.
children = [(registry.Registry, {"keys": "duplicate", "name": TOPICS})]


def subscribe(topic: str, tag: Any = None) -> None:
    """Let the current process get what is published on the topic, as ``(topic, tag, message)``."""
    registry.register(TOPICS, topic, tag)


def unsubscribe(topic: str) -> None:
    registry.unregister(TOPICS, topic)


def publish(topic: str, message: Any) -> None:
    """Send to every subscriber but the publisher itself."""

    def send(entries: list[tuple[Pid, Any]]) -> None:
        for pid, tag in entries:
            if pid != self_pid():
                process.send(pid, (topic, tag, message))

    registry.dispatch(TOPICS, topic, send)


def subscribers(topic: str) -> list[Pid]:
    return [pid for pid, _ in registry.lookup(TOPICS, topic)]


class Inbox(GenServer[list[Any]], green=True):
    """Keeps what was published on its topics; a subscription ends with its process."""

    @classmethod
    def start_link(cls, topics: list[str]) -> Pid:
        return gen_server.start_link(cls, topics)

    def init(self, arg: list[str]) -> InitResult[list[Any]]:
        for topic in arg:
            subscribe(topic, "inbox")
        return Ok([])

    def handle_info(self, message: Any, state: list[Any]) -> Next[list[Any]]:
        match message:
            case (str() as topic, "inbox", text):
                return NoReply([*state, (topic, text)])
        return None
