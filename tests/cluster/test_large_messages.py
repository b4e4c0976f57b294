"""Messages of many megabytes between nodes: whole, in their order, and in nobody's way."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from otpy import At, GenServer, NoReply, NotSendable, Ok, Reply, gen_server, process, self_pid
from otpy.distribution import routing
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
LARGE = 20_000_000
PATIENCE = 20.0  # seconds that a machine with much else to do may take


@dataclasses.dataclass(frozen=True)
class Picture:
    name: str
    pixels: bytes
    layers: list[bytes | bytearray]


class Keeper(GenServer[list[Any]], green=True):
    """Keeps what it is sent, and gives back what it is asked with."""

    def init(self, arg: list[Any], /) -> Ok[list[Any]]:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: list[Any]) -> Reply[list[Any]]:
        return Reply(list(state) if request == "kept" else request)

    def handle_cast(self, request: Any, state: list[Any]) -> NoReply[list[Any]]:
        return NoReply([*state, request])

    def handle_info(self, message: Any, state: list[Any]) -> NoReply[list[Any]]:
        return NoReply([*state, message])


def keeper(cluster: Cluster, name: str = "keeper") -> At:
    with cluster.nodes["b"].attached():
        gen_server.start(Keeper, [], name=name)
    return At(name, "b@127.0.0.1")


VALUES: list[Callable[[], Any]] = [
    lambda: b"\x00\xff" * (LARGE // 2),
    lambda: bytearray(b"abc" * 100_000),
    lambda: "text " * 50_000,
    lambda: list(range(200_000)),
    lambda: Picture("sky", b"b" * 200_000, [b"l" * 70_000, bytearray(b"m" * 70_000), b"small"]),
    lambda: {"a": (b"x" * 65_536, b"y" * 65_535), b"k" * 70_000: None},
]


@pytest.mark.parametrize("value", VALUES)
def test_large_values_arrive_as_they_were(cluster: Cluster, value: Callable[[], Any]) -> None:
    cluster.start("ab")
    there, sent = keeper(cluster), value()
    with cluster.nodes["a"].attached():
        got = gen_server.call(there, sent, timeout=PATIENCE)
        assert (type(got), got) == (type(sent), sent)
        gen_server.cast(there, sent)
        process.send(there, sent)
        assert gen_server.call(there, "kept", timeout=PATIENCE) == [sent, sent]


def test_what_one_process_sends_keeps_its_order_around_a_large_message(cluster: Cluster) -> None:
    """signals between one pair of processes arrive in the order sent."""
    cluster.start("ab")
    there, large = keeper(cluster), b"L" * LARGE
    with cluster.nodes["a"].attached():
        for part in range(3):
            for number in range(50):
                gen_server.cast(there, (part, number))
            gen_server.cast(there, large)
        gen_server.cast(there, "end")
        kept = gen_server.call(there, "kept", timeout=PATIENCE)
    expected: list[Any] = []
    for part in range(3):
        expected += [*((part, number) for number in range(50)), large]
    assert kept == [*expected, "end"]


def test_a_down_does_not_overtake_the_large_message_of_the_dead(cluster: Cluster) -> None:
    """nothing from a process arrives after its Down."""
    cluster.start("ab")
    large = b"L" * LARGE
    with cluster.nodes["b"].attached():
        here = self_pid()

        def body() -> None:
            process.receive(str)
            process.send(here, large)

        with cluster.nodes["a"].attached():
            sender = process.spawn(body)
        ref = process.monitor(sender)
        process.send(sender, "go")
        assert process.receive(timeout=PATIENCE) == large
        assert process.receive(timeout=PATIENCE).ref == ref


def test_a_message_longer_than_the_longest_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start("ab")
    there = keeper(cluster)
    monkeypatch.setattr(routing, "MAX_MESSAGE", 1_000_000)
    with cluster.nodes["a"].attached():
        for send in (process.send, gen_server.cast, gen_server.call):
            with pytest.raises(NotSendable, match=r"20000\d\d bytes; at most 1000000"):
                send(there, b"x" * 2_000_001)
        assert gen_server.call(there, "still there") == "still there"


def test_a_session_that_ends_takes_the_rest_of_a_large_message_along(cluster: Cluster) -> None:
    cluster.start("ab")
    there = keeper(cluster)
    with cluster.nodes["a"].attached():
        gen_server.cast(there, b"L" * (5 * LARGE))
        cluster.partition("a", "b")
        cluster.heal("a", "b")
        gen_server.cast(there, "after")
        kept: list[Any] = gen_server.call(there, "kept", timeout=PATIENCE)
    assert kept[-1] == "after"
    assert [len(one) for one in kept[:-1]] in ([], [5 * LARGE])
