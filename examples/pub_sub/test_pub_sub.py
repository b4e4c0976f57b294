"""The tests of publish and subscribe, as their author writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.pub_sub.pub_sub import (
    Inbox,
    children,
    publish,
    subscribe,
    subscribers,
    unsubscribe,
)
from otpy import Node, ReceiveTimeout, gen_server, process, self_pid, supervisor, sys


@pytest.fixture(autouse=True)
def topics(node: Node) -> None:
    supervisor.start_link(children, strategy="one_for_one")


@pytest.fixture
def inbox(start_supervised: Callable[..., Any]) -> Callable[[str, list[str]], Any]:
    def start(name: str, topics: list[str]) -> Any:
        return start_supervised(supervisor.child_spec((Inbox, topics), id=name))

    return start


def test_every_subscriber_gets_what_is_published(inbox: Any) -> None:
    both, news = inbox("both", ["news", "sport"]), inbox("news", ["news"])
    publish("news", "hello")
    publish("sport", "goal")
    publish("weather", "rain")
    assert sys.get_state(both) == [("news", "hello"), ("sport", "goal")]
    assert sys.get_state(news) == [("news", "hello")]


def test_the_publisher_does_not_get_its_own(inbox: Any) -> None:
    subscribe("news")
    other = inbox("other", ["news"])
    publish("news", "hello")
    assert sys.get_state(other) == [("news", "hello")]
    with pytest.raises(ReceiveTimeout):
        process.receive(timeout=0)


def test_who_subscribes_twice_gets_it_twice_until_it_unsubscribes() -> None:
    def publisher() -> None:
        publish("news", "hello")

    def told() -> list[Any]:
        _, ref = process.spawn_monitor(publisher, green=True)
        found: list[Any] = []
        while not hasattr(message := process.receive(timeout=5), "ref"):
            found.append(message)
        assert message.ref == ref
        return found

    subscribe("news", 1)
    subscribe("news", 2)
    assert told() == [("news", 1, "hello"), ("news", 2, "hello")]
    unsubscribe("news")
    assert told() == []


def test_a_subscription_ends_with_its_process(inbox: Any) -> None:
    pid = inbox("one", ["news"])
    assert subscribers("news") == [pid]
    gen_server.stop(pid, "shutdown")
    assert pid not in subscribers("news")
    assert self_pid() not in subscribers("news")
