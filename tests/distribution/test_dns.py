"""Nodes found by DNS, against a resolver that the test runs: it lies, drops and rotates."""

import itertools
import logging
import socket
import sys
from typing import Any

import dns.message
import pytest
from dns.exception import DNSException

from otpy import NodeError
from otpy.distribution.discovery import Dns, Here, Opened, Static
from otpy.machines.discovery import Entry
from otpy.runtime.ports import SystemClock
from otpy.terms.pid import Creation
from otpy.testing.waiting import eventually
from tests.distribution.conftest import Join, meshed
from tests.distribution.fakes import FakeNode
from tests.distribution.name_server import NAME, NameServer, no_such_name, reply

with socket.create_server(("127.0.0.20", 0)) as probe:
    PORT: int = probe.getsockname()[1]  # one for all, as in a service: each has its own address
Query = dns.message.QueryMessage


def service(server: NameServer, **more: Any) -> Dns:
    more = {"interval": 0.05, "timeout": 0.3, **more}
    return Dns(NAME, PORT, nameserver="127.0.0.1", nameserver_port=server.port, **more)


def opened(config: Dns, name: str = "app@127.0.0.1", clock: Any = None) -> Opened:
    here = Here(Entry(name, "127.0.0.1", PORT), Creation(1, name, 1), "x", clock or SystemClock())
    return config.open(here)


def names(found: list[Entry]) -> list[str]:
    return sorted(entry.name for entry in found)


class Hand:
    """A clock that the test moves."""

    time = 0.0

    def now(self) -> float:
        return self.time

    wall = now


def test_each_address_of_either_kind_is_a_node() -> None:
    with NameServer(lambda query: reply(query, ["127.0.0.5", "127.0.0.6", "fd00::1"])) as server:
        found = opened(service(server)).found()
    assert found == [
        Entry("app@127.0.0.5", "127.0.0.5", PORT),
        Entry("app@127.0.0.6", "127.0.0.6", PORT),
        Entry("app@fd00::1", "fd00::1", PORT),
    ]


def test_a_basename_may_be_another_than_the_nodes_own() -> None:
    with NameServer(lambda query: reply(query, ["127.0.0.5"])) as server:
        assert names(opened(service(server, basename="db")).found()) == ["db@127.0.0.5"]


def test_the_name_is_looked_up_once_in_an_interval() -> None:
    clock = Hand()
    with NameServer(lambda query: reply(query, ["127.0.0.5"])) as server:
        finder = opened(service(server, interval=5.0), clock=clock)
        for clock.time in (0.0, 1.0, 4.9):
            assert names(finder.found()) == ["app@127.0.0.5"]
        assert server.asked == 2  # A and AAAA
        clock.time = 5.0
        finder.found()
        assert server.asked == 4


def test_a_look_up_that_failed_fails_until_the_next_so_it_is_told_of_once() -> None:
    clock, works = Hand(), False

    def answer(query: Query) -> dns.message.Message:
        return reply(query, ["127.0.0.5"]) if works else no_such_name(query)

    with NameServer(answer) as server:
        finder = opened(service(server, interval=5.0), clock=clock)
        for clock.time in (0.0, 1.0, 4.9):
            with pytest.raises(DNSException):
                finder.found()
        works = True
        clock.time = 5.0
        assert names(finder.found()) == ["app@127.0.0.5"]


def test_an_answer_for_another_name_is_none() -> None:
    with NameServer(lambda query: reply(query, ["127.0.0.5"], "other.default.svc.")) as server:
        assert opened(service(server)).found() == []


def test_an_answer_to_another_question_is_not_taken() -> None:
    def answer(query: Query) -> dns.message.Message:
        other = dns.message.make_query("other.default.svc.", "A", id=query.id)
        return reply(other, ["127.0.0.5"], "other.default.svc.")

    with NameServer(answer) as server, pytest.raises(DNSException):
        opened(service(server)).found()


def test_one_kind_of_address_that_is_never_answered_does_not_cost_the_other() -> None:
    def answer(query: Query) -> dns.message.Message | None:
        return reply(query, ["127.0.0.5"]) if query.question[0].rdtype == 1 else None

    with NameServer(answer) as server:
        assert names(opened(service(server)).found()) == ["app@127.0.0.5"]


def test_without_dnspython_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.resolver", None)
    with pytest.raises(NodeError, match=r"pip install 'otpy-actors\[dns\]'"):
        Dns(NAME, PORT)


def start(join: Join, server: NameServer, *numbers: int) -> list[FakeNode]:
    return [
        join(f"app@127.0.0.{number}", port=PORT, discovery=[service(server)]) for number in numbers
    ]


def test_the_nodes_of_a_service_become_a_mesh_though_some_of_its_addresses_are_none(
    join: Join,
) -> None:
    foreign = join("app@127.0.0.24", port=PORT, cookie="the cookie of others", discovery=[])
    other = join("other@127.0.0.25", port=PORT, discovery=[])  # a pod of another service
    addresses = [f"127.0.0.{number}" for number in (21, 22, 23, 24, 25, 26)]
    with NameServer(lambda query: reply(query, addresses)) as server:
        nodes = start(join, server, 21, 22, 23)
        eventually(lambda: meshed(*nodes))
        asked = server.asked
        eventually(lambda: server.asked > asked + 10)
        assert meshed(*nodes)
    assert foreign.router.nodes() == other.router.nodes() == []


def test_answers_that_rotate_make_a_whole_mesh_and_end_no_session(join: Join) -> None:
    count = itertools.count()

    def answer(query: Query) -> dns.message.Message:
        return reply(query, [f"127.0.0.{31 + next(count) % 4}"])  # one of four at a time

    with NameServer(answer) as server:
        nodes = start(join, server, 31, 32, 33, 34)
        eventually(lambda: meshed(*nodes))
        asked = server.asked
        eventually(lambda: server.asked > asked + 40)
        assert all(node.got("down") == [] for node in nodes)
        assert meshed(*nodes)


@pytest.mark.parametrize(("fate", "number"), [("dropped", 41), ("no such name", 43)])
def test_a_resolver_that_fails_costs_no_session_and_is_told_of_once(
    join: Join, fate: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="otpy.discovery")
    good = True

    def answer(query: Query) -> dns.message.Message | None:
        if good:
            return reply(query, [f"127.0.0.{number}", f"127.0.0.{number + 1}"])
        return None if fate == "dropped" else no_such_name(query)

    with NameServer(answer) as server:
        a = join(f"app@127.0.0.{number}", port=PORT, discovery=[service(server)])
        b = join(f"app@127.0.0.{number + 1}", port=PORT, discovery=[])
        eventually(lambda: meshed(a, b))
        good = False
        asked = server.asked
        eventually(lambda: server.asked > asked + 4)
        assert meshed(a, b)
        assert b.router.disconnect(a.name)
        eventually(lambda: len(a.got("up")) == 2)  # what it found last stays
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 1
        assert f"Dns('app.default.svc.', {PORT}) fails" in told[0]


def test_a_look_up_that_hangs_holds_up_neither_messages_nor_the_end_of_a_node(join: Join) -> None:
    with NameServer(lambda query: None) as server:
        b = join("b@127.0.0.1", discovery=[])
        known = Static([(b.name, "127.0.0.1", b.router.port)])
        a = join("a@127.0.0.1", discovery=[known, service(server, timeout=0.8)])
        eventually(lambda: server.asked)
        a.router.join(b.name, f"tcp://127.0.0.1:{b.router.port}")
        eventually(lambda: meshed(a, b), 0.7)
        a.send(b.pid(), "through")
        assert eventually(b.got) == ["through"]
