"""A node that drains: it dials nobody, lets nobody in, and is left alone afterwards."""

from typing import Any

import pytest

from otpy.distribution.discovery import Entry, Static
from otpy.machines import discovery as machine
from otpy.testing.waiting import eventually
from tests.distribution.conftest import Join, meshed
from tests.distribution.fakes import FakeNode

A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"


class Watched(Static):
    """A list that counts how often it was asked."""

    asked = 0

    def found(self) -> list[Entry]:
        self.asked += 1
        return super().found()


def counted(node: FakeNode) -> list[str]:
    """The addresses that a node dials from now on."""
    wire, dialed = node.router.wire, list[str]()
    connect = wire.connect

    def connecting(address: str, lock: Any) -> Any:
        dialed.append(address)
        return connect(address, lock)

    wire.connect = connecting
    return dialed


def test_sessions_stay_up_while_a_node_drains_and_none_is_added(join: Join) -> None:
    a, b = join(A), join(B)
    eventually(lambda: meshed(a, b))
    a.router.drain()
    c = join(C)
    eventually(lambda: b.router.nodes() == [A, C])
    assert not c.router.connect(A, 1.0)
    assert not a.router.connect(C, 1.0)
    a.send(b.pid(), "still here")
    assert eventually(b.got) == ["still here"]
    a.send(c.pid(), "lost")
    assert eventually(lambda: a.got("unreachable")) == ["lost"]
    dialed = counted(a)
    a.router.join(C, f"tcp://127.0.0.1:{c.router.port}")
    assert not a.router.disconnect(C)  # that is done after the join
    assert dialed == []
    assert a.router.nodes() == [B]


def test_a_node_that_drained_is_not_dialed_until_it_is_started_anew(
    join: Join,
) -> None:
    a = join(A, discovery=[])
    watched = Watched([(A, "127.0.0.1", a.router.port)])
    b = join(B, discovery=[watched])
    eventually(lambda: meshed(a, b))
    dialed = counted(b)
    a.router.stop()
    eventually(lambda: b.got("down"))
    assert [left.life for left in b.router.dialing.left.values()] == [a.creation]
    asked = watched.asked
    eventually(lambda: watched.asked > asked + 3)
    assert dialed == []
    b.send(a.pid(), "lost")
    assert eventually(lambda: b.got("unreachable")) == ["lost"]
    found_by = Static([(B, "127.0.0.1", b.router.port)])
    again = join(A, bits=1, discovery=[found_by])
    eventually(lambda: meshed(again, b))
    assert b.router.dialing.left == {}


def test_a_draining_node_that_is_looked_at_says_goodbye_again(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "LOOK_AGAIN", 0.3)
    a = join(A, discovery=[])
    a.router.drain()
    b = join(B, discovery=[Static([(A, "127.0.0.1", a.router.port)])])
    first = eventually(lambda: b.router.dialing.left.get(A)).again
    eventually(lambda: b.router.dialing.left[A].again > first + 0.6)
    assert a.router.nodes() == b.router.nodes() == []


def test_a_node_that_was_cut_off_without_a_word_is_dialed_again(join: Join) -> None:
    a = join(A, discovery=[])
    b = join(B, discovery=[Static([(A, "127.0.0.1", a.router.port)])])
    eventually(lambda: meshed(a, b))
    a.router.crash()
    eventually(lambda: b.got("down"))
    assert b.router.dialing.left == {}
    again = join(A, bits=1, port=a.router.port, discovery=[])
    eventually(lambda: meshed(again, b))
