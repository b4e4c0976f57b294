"""Strategies that find nodes, with a mesh that dials what they find."""

import logging
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from otpy import BadArgument, NodeError, discovery
from otpy.distribution.discovery import Entry, LocalDirectory, Static
from otpy.distribution.memory import Network
from otpy.distribution.start import start_mesh
from otpy.machines import discovery as machine
from otpy.terms.errors import NodeNameTaken, WeakCookie
from otpy.testing.waiting import eventually
from tests.distribution.conftest import Join, meshed
from tests.distribution.fakes import FakeNode

A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"


def listed(*nodes: FakeNode) -> Static:
    return Static([f"{node.name}:{node.router.port}" for node in nodes])


class Said:
    """A strategy that says what the test has it say, or raises it."""

    def __init__(self, *says: Any) -> None:
        self.says: Any = list(says)
        self.asked = 0

    def found(self) -> list[Entry]:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        found: list[Entry] = self.says
        return found

    def asked_again(self) -> None:
        """Wait until a question that began after this call has been answered."""
        before = self.asked
        eventually(lambda: self.asked >= before + 3)


def entry_of(node: FakeNode) -> Entry:
    return Entry(node.name, "127.0.0.1", node.router.port)


def test_a_fixed_list_makes_a_mesh_of_nodes_that_only_know_the_first(join: Join) -> None:
    a = join(A, discovery=[])
    others = [join(f"n{number}@127.0.0.1", discovery=[listed(a)]) for number in range(4)]
    eventually(lambda: meshed(a, *others))


def test_a_node_that_finds_nobody_is_reached_again_when_it_is_started_anew(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "LOOK_AGAIN", 0.5)
    seed = join(A, discovery=[])
    b = join(B, discovery=[listed(seed)])
    eventually(lambda: meshed(seed, b))
    port = seed.router.port
    seed.router.stop()
    eventually(lambda: b.got("down"))
    again = join(A, bits=1, port=port, discovery=[])
    eventually(lambda: meshed(again, b))


def test_strategies_are_put_together(join: Join, tmp_path: Path) -> None:
    a, b = join(A), join(B, discovery=[])
    c = join(C, discovery=[LocalDirectory(tmp_path), listed(b)])
    eventually(lambda: meshed(a, b, c))


def test_what_is_no_longer_found_stays_connected_and_is_not_dialed_again(join: Join) -> None:
    a = join(A, discovery=[])
    said = Said(entry_of(a))
    b = join(B, discovery=[said])
    eventually(lambda: meshed(a, b))
    said.says = []
    said.asked_again()
    assert meshed(a, b)
    assert a.router.disconnect(B)
    eventually(lambda: b.got("down"))
    said.asked_again()
    assert b.router.nodes() == []
    assert b.router.peers[A].link is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (OSError("no such luck"), "OSError: no such luck"),
        ("a text", "BadArgument: found() gave 'a text'; expected a list of Entry"),
        ([("a", 1)], "BadArgument: found() gave [('a', 1)]: ('a', 1) is no Entry"),
        ([Entry("a", "127.0.0.1", 1)], "'a' is no node's name"),
    ],
)
def test_a_strategy_that_fails_keeps_what_it_found_and_is_told_of_once(
    join: Join, bad: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    a = join(A, discovery=[])
    said, other = Said(entry_of(a)), Said()
    b = join(B, discovery=[said, other])
    eventually(lambda: meshed(a, b))
    said.says = bad
    said.asked_again()
    other.asked_again()  # it is asked all the same
    lines = [record.getMessage() for record in caplog.records if record.name == "otpy.discovery"]
    assert len(lines) == 1
    assert lines[0].startswith(f"{B}: ")
    assert f"what it found last stays ({A})" in lines[0]
    assert why in lines[0]
    assert b.router.disconnect(A)
    eventually(lambda: len(b.got("up")) == 2)


def test_a_strategy_that_works_again_and_fails_again_is_told_of_again(
    join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    said = Said()
    join(A, discovery=[said])
    saying: list[Any] = [OSError("one"), [], OSError("two")]
    for says in saying:
        said.says = says
        said.asked_again()
    told = [r.getMessage()[-3:] for r in caplog.records if r.name == "otpy.discovery"]
    assert told == ["one", "two"]


def test_a_strategy_that_waits_does_not_hold_up_the_mesh(join: Join) -> None:
    let = threading.Event()

    class Slow:
        def found(self) -> list[Entry]:
            let.wait()
            return []

    a, b = join(A, discovery=[Slow()]), join(B, discovery=[])
    try:
        a.router.join(B, f"tcp://127.0.0.1:{b.router.port}")
        eventually(lambda: meshed(a, b))
        a.send(b.pid(), "through")
        assert eventually(b.got) == ["through"]
    finally:
        let.set()


def test_who_answers_at_a_wrong_address_is_not_taken_for_the_node(
    join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="otpy.mesh")
    a, c = join(A, discovery=[]), join(C, discovery=[])
    foreign = join("d@127.0.0.1", cookie="the cookie of other people", discovery=[])
    with socket.create_server(("127.0.0.1", 0)) as mute:
        lies = [
            Entry("b@127.0.0.1", "127.0.0.1", c.router.port),
            Entry("d@127.0.0.1", "127.0.0.1", foreign.router.port),
            Entry("e@127.0.0.1", "127.0.0.1", mute.getsockname()[1]),
            Entry("f@127.0.0.1", "127.0.0.1", 1),
        ]
        said = Said(*lies, entry_of(a))
        b = join("g@127.0.0.1", discovery=[said])
        eventually(lambda: b.router.nodes() == [A])
        eventually(lambda: f"this is {C}, not {B}" in caplog.text)
        eventually(lambda: "wrong cookie?" in caplog.text)
        said.asked_again()
        assert b.router.nodes() == [A]


def test_two_directories_hold_the_name_and_a_second_node_gives_back_the_first(
    join: Join, tmp_path: Path
) -> None:
    one, two = LocalDirectory(tmp_path / "1"), LocalDirectory(tmp_path / "2")
    a = join(A, discovery=[two])
    with pytest.raises(NodeNameTaken):
        join(A, bits=1, discovery=[one, two])
    a.router.stop()
    again = join(A, bits=1, discovery=[one, two])
    assert again.router.discovery.get(A) == again.router.discovery.first(5.0)[0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (5, "discovery=5; expected a list of strategies"),
        (["a"], "discovery=['a']; expected Static(...), Dns(...)"),
        ([Static], "discovery=[<class"),
    ],
)
def test_what_is_no_strategy_is_refused(given: Any, why: str) -> None:
    with pytest.raises(BadArgument, match=re.escape(why)):
        start_mesh(FakeNode(A), cookie="x", discovery=given)  # type: ignore[arg-type]  # a fake


def test_a_directory_or_a_network_beside_a_discovery_is_refused(tmp_path: Path) -> None:
    more: dict[str, Any]
    for more in ({"directory": tmp_path}, {"network": Network()}):
        with pytest.raises(BadArgument, match=f"discovery= and {next(iter(more))}="):
            start_mesh(FakeNode(A), discovery=[], **more)  # type: ignore[arg-type]  # a fake


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Static("a@h:1"), "expected a list of 'name@host:port'"),
        (lambda: Static(["a@h"]), "is no node's name|is no port|is no host"),
        (lambda: Static(["a@h:x"]), "0 is no port"),
        (lambda: Static([("a@h", "", 1)]), "'' is no host"),
        (lambda: LocalDirectory(5), "expected a str, a Path or None"),  # type: ignore[arg-type]
        (lambda: discovery.Gossip("not an address"), "expected an IPv4 address"),
        (lambda: discovery.Gossip(port=0), "port=0; expected an int from 1 to 65535"),
        (lambda: discovery.Gossip(ttl=256), "ttl=256; expected an int from 0 to 255"),
        (lambda: discovery.Gossip(interval=5, expire_after=5), "shorter than what is heard"),
        (lambda: discovery.Dns("", 1), "expected a DNS name"),
        (lambda: discovery.Dns("n", 0), "port=0; expected"),
        (lambda: discovery.Dns("n", 1, basename="a@b"), "basename='a@b'; expected"),
        (lambda: discovery.Dns("n", 1, interval=-1), "interval=-1; expected seconds"),
        (lambda: discovery.Dns("n", 1, timeout=0), "timeout=0; expected seconds, above 0"),
        (lambda: discovery.Dns("n", 1, nameserver="dns"), "nameserver='dns'; expected an IP"),
    ],
)
def test_what_a_strategy_cannot_take_is_refused_where_it_is_made(make: Any, why: str) -> None:
    with pytest.raises(BadArgument, match=why):
        make()


def test_a_static_list_takes_texts_tuples_and_entries() -> None:
    static = Static(["a@h:1", ("b@name", "10.0.0.2", 2), Entry(C, "10.0.0.3", 3), "d@fd00::1:4"])
    assert [(entry.name, entry.address) for entry in static.found()] == [
        ("a@h", "tcp://h:1"),
        ("b@name", "tcp://10.0.0.2:2"),
        (C, "tcp://10.0.0.3:3"),
        ("d@fd00::1", "tcp://[fd00::1]:4"),
    ]


def test_gossip_beyond_loopback_needs_a_strong_cookie(join: Join) -> None:
    with pytest.raises(WeakCookie):
        join(A, cookie="short", discovery=[discovery.Gossip("255.255.255.255")])


def test_an_address_that_cannot_be_listened_at_is_said_so(join: Join) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.255.255.255", 0))
        port = taken.getsockname()[1]
        why = rf"Gossip\('127.255.255.255', {port}\) cannot be used here: .* in use"
        with pytest.raises(NodeError, match=why):
            join(A, discovery=[discovery.Gossip("127.255.255.255", port)])
    join(A, bits=1, discovery=[discovery.Gossip("127.255.255.255", port)])


def test_a_node_that_was_told_of_and_is_nowhere_is_not_dialed_for_ever(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otpy.distribution.peer.TOLD", 0.5)
    a = join(A, discovery=[])
    c = join(C, discovery=[listed(a)])
    eventually(lambda: meshed(a, c))
    b = join(B, discovery=[listed(a)])  # a tells it of c
    eventually(lambda: meshed(a, b, c))
    peer, connect = b.router.peers[C], b.router.wire.connect
    tried: list[str] = []

    def connecting(address: str, *rest: Any) -> Any:
        tried.append(address)
        return connect(address, *rest)

    monkeypatch.setattr(b.router.wire, "connect", connecting)
    c.router.crash()
    eventually(lambda: a.got("down") and b.got("down"))
    eventually(lambda: peer.address in tried)
    eventually(lambda: peer.link is None and not peer.trying)  # and gives up


def test_nodes_that_were_parted_for_long_are_told_of_each_other_anew(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otpy.distribution.peer.TOLD", 0.0)
    monkeypatch.setattr("otpy.distribution.membership.TELL", 0.2)
    a = join(A, discovery=[])
    b, c = (join(name, discovery=[listed(a)]) for name in (B, C))
    eventually(lambda: meshed(a, b, c))
    assert b.router.disconnect(C)
    eventually(lambda: len(b.got("up")) == len(c.got("up")) == 3)
    assert meshed(a, b, c)
