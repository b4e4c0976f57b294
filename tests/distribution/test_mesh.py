"""The mesh over ZeroMQ, between fake nodes that write down what they are told."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from otpy.distribution.directory import Directory
from otpy.machines.discovery import Entry
from otpy.machines.session import PROTOCOL
from otpy.terms.errors import AddressInUse, NodeNameTaken, NotSendable
from otpy.terms.pid import Pid, Ref
from otpy.terms.signals import DownSignal, ExitSignal, Signal, SpawnedSignal
from otpy.testing.waiting import eventually
from tests.distribution.conftest import Join, meshed
from tests.distribution.fakes import FakeNode

A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"


def test_three_nodes_become_a_full_mesh(join: Join) -> None:
    nodes = [join(name) for name in (A, B, C)]
    eventually(lambda: meshed(*nodes))


def test_a_node_is_up_before_its_first_signal(join: Join) -> None:
    a, b = join(A), join(B)
    for number in range(100):
        a.send(b.pid(), number)
    eventually(lambda: len(b.got()) == 100)
    assert b.log[0] == ("up", A)
    assert b.got() == list(range(100))


def test_signals_sent_while_the_session_comes_up_keep_their_order(join: Join) -> None:
    a, b = join(A), join(B)
    sent = 0
    while not a.router.nodes() or sent < 2000:
        a.send(b.pid(), sent)
        sent += 1
    eventually(lambda: len(b.got()) + len(a.got("unreachable")) == sent)
    assert b.got() == list(range(sent))


def test_many_threads_lose_nothing_and_keep_each_their_order(join: Join) -> None:
    a, b = join(A), join(B)
    assert a.router.connect(B, 5.0)

    def talk(who: int) -> None:
        for number in range(2000):
            a.send(b.pid(), (who, number))

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(b.got()) == 8000)
    for who in range(4):
        assert [n for w, n in b.got() if w == who] == list(range(2000))


def test_an_unknown_node_is_unreachable(join: Join) -> None:
    a = join(A)
    a.send(FakeNode(B).pid(), "lost")
    assert eventually(lambda: a.got("unreachable")) == ["lost"]
    assert not a.router.connect(B, 0.2)


def test_what_cannot_be_sent_is_refused_in_the_senders_call(join: Join) -> None:
    a = join(A)
    with pytest.raises(NotSendable):
        a.send(FakeNode(B).pid(), object())


def test_a_message_is_a_snapshot_of_the_moment_it_was_sent(join: Join) -> None:
    a, b = join(A), join(B)
    body = [1]
    a.send(b.pid(), body)
    body.append(2)
    assert eventually(b.got) == [[1]]


def test_a_stopped_node_is_down_after_its_last_signal_and_nothing_follows(join: Join) -> None:
    a, b = join(A), join(B)
    assert a.router.connect(B, 5.0)
    a.send(b.pid(), "last")
    eventually(b.got)
    a.router.stop()
    eventually(lambda: b.got("down"))
    assert [kind for kind, _ in b.log] == ["up", "inbound", "down"]


def test_a_restarted_node_is_a_new_one(join: Join) -> None:
    a, b = join(A), join(B)
    eventually(lambda: meshed(a, b))
    a.router.stop()
    again = join(A, bits=1)
    eventually(lambda: meshed(again, b))
    again.send(b.pid(), "hello")
    eventually(b.got)
    assert [kind for kind, _ in b.log] == ["up", "down", "up", "inbound"]


def test_disconnect_ends_the_session_on_both_sides_once(join: Join) -> None:
    a, b = join(A), join(B)
    eventually(lambda: meshed(a, b))
    assert a.router.disconnect(B)
    eventually(lambda: a.got("down") and b.got("down"))
    assert not a.router.disconnect("nobody@127.0.0.1")
    eventually(lambda: meshed(a, b))


def test_a_cut_holds_until_it_is_healed(join: Join) -> None:
    a, b, c = nodes = [join(name) for name in (A, B, C)]
    eventually(lambda: meshed(*nodes))
    a.router.cut(B)
    b.router.cut(A)
    eventually(lambda: a.router.nodes() == [C] == b.router.nodes())
    a.send(b.pid(), "across")
    assert eventually(lambda: a.got("unreachable")) == ["across"]
    a.router.heal(B)
    b.router.heal(A)
    eventually(lambda: meshed(*nodes))
    assert not c.got("down")


def test_members_are_learned_from_a_peer(join: Join, tmp_path: Path) -> None:
    a, b = join(A), join(B)
    eventually(lambda: meshed(a, b))
    c = join(C, directory=tmp_path / "elsewhere")
    c.router.join(A, f"tcp://127.0.0.1:{a.router.port}")
    eventually(lambda: meshed(a, b, c))


def test_a_wrong_cookie_is_refused_and_said_once(
    join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="otpy.mesh"):
        a, b = join(A), join(B, cookie="another cookie altogether")
        eventually(lambda: sum("wrong cookie?" in r.message for r in caplog.records) == 2)
        assert not a.router.connect(B, 0.3)
    assert sum("wrong cookie?" in record.message for record in caplog.records) == 2
    assert a.log == b.log == []


def test_a_node_told_a_senseless_address_goes_on(join: Join) -> None:
    a, b = join(A), join(B)
    a.router.join(C, "nonsense")
    a.send(FakeNode(C).pid(), "lost")
    assert eventually(lambda: a.got("unreachable")) == ["lost"]
    a.send(b.pid(), "still here")
    assert eventually(b.got) == ["still here"]


def test_a_port_in_use_is_said_so(join: Join) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressInUse):
        join(A, port=taken.getsockname()[1])


def test_a_name_in_use_is_refused(join: Join) -> None:
    join(A)
    with pytest.raises(NodeNameTaken):
        join(A)


def test_a_strangers_bytes_do_no_harm(join: Join) -> None:
    a, b = join(A), join(B)
    strangers = [socket.create_connection(("127.0.0.1", b.router.port)) for _ in range(20)]
    for number, stranger in enumerate(strangers):
        stranger.sendall(bytes([number, 255, 0, 7]) * 500)
    a.send(b.pid(), "still here")
    assert eventually(b.got) == ["still here"]
    for stranger in strangers:
        stranger.close()
    a.send(b.pid(), "and after")
    assert eventually(lambda: b.got()[1:]) == ["and after"]


class Shut(msgspec.Struct):
    """Cannot be made any more, once it is shut: bytes of it cannot be read."""

    shut: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if Shut.shut:
            raise ValueError("shut")


REF = Ref(1000, B, 0, 1, 1)
WITH_REASON: dict[str, Callable[[Pid, Any], Signal]] = {
    "exit": lambda to, why: ExitSignal(to, to, why, True),
    "down": lambda to, why: DownSignal(to, REF, why),
    "spawned": lambda to, why: SpawnedSignal(to, REF, None, why),
}


@pytest.mark.parametrize("kind", WITH_REASON)
def test_a_reason_that_cannot_be_read_comes_in_as_unreadable(
    join: Join, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = join(A), join(B)
    sent = WITH_REASON[kind](b.pid(), Shut())
    monkeypatch.setattr(Shut, "shut", True)
    a.router.route(B, sent)
    [told] = eventually(b.got)
    why = ("unreadable", "malformed message: ValueError: shut")
    assert told == msgspec.structs.replace(sent, reason=why)


CHILD = """
import sys
from otpy.distribution.start import start_mesh
from tests.distribution.fakes import FakeNode
node = FakeNode("b@127.0.0.1")
start_mesh(node, cookie="cookie of the tests", directory=sys.argv[1])
sys.stdin.read()
"""


def test_a_killed_process_is_seen_through_its_closed_connection(join: Join, tmp_path: Path) -> None:
    a = join(A)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdin=subprocess.PIPE
    ) as child:
        eventually(lambda: a.router.nodes() == [B], 10.0)
        child.send_signal(signal.SIGKILL)
        began = time.monotonic()
        eventually(lambda: a.got("down"))
        assert time.monotonic() - began < 1.0  # ticks would take ten


NEWER = """
import sys
from otpy.distribution import hello
from otpy.distribution.start import start_mesh
from tests.distribution.fakes import FakeNode
hello.PROTOCOL += 1
node = FakeNode("c@127.0.0.1")
start_mesh(node, cookie="cookie of the tests", directory=sys.argv[1])
sys.stdin.readline()
print(node.log, node.router.nodes())
"""


def test_a_node_of_another_protocol_is_refused_and_said_so_on_both_sides(
    join: Join, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="otpy.mesh")
    a, b = join(A), join(B)
    ours, theirs = PROTOCOL, PROTOCOL + 1
    with subprocess.Popen(
        [sys.executable, "-c", NEWER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as newer:
        assert newer.stderr is not None
        # Each side refuses the other's hello, and hears why its own was refused.
        said = sorted(newer.stderr.readline().strip().split(" at tcp:")[0] for _ in range(4))
        assert said == [f"{C} -> {A}", f"{C} -> {B}"] + [
            f"{C} refused {name}: {C} speaks protocol {theirs}, {name} speaks {ours}"
            for name in (A, B)
        ]
        heard = [
            f"{name} refused {C}: {name} speaks protocol {ours}, {C} speaks {theirs}"
            for name in (A, B)
        ]
        why = f"refused: {C} speaks protocol {theirs}, {A} speaks {ours}"
        eventually(lambda: all(caplog.text.count(line) == 1 for line in [*heard, why]))
        assert not a.router.connect(C, 0.3)  # it tries again and again, and says no more
        assert all(caplog.text.count(line) == 1 for line in [*heard, why])
        a.send(b.pid(), "still here")
        assert eventually(b.got) == ["still here"]
        rest, errors = newer.communicate("go\n", timeout=10)
    assert (rest, errors) == ("[] []\n", "")
    assert a.log == [("up", B)]


def test_one_who_waits_for_a_node_has_all_the_patience(
    join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otpy.distribution.mesh.PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        Directory(tmp_path).add(Entry(C, "127.0.0.1", deaf.getsockname()[1], os.getpid()))
        a = join(A)
        told: dict[str, float] = {}

        def wait(who: str) -> None:
            def hear(_connected: bool) -> None:
                told[who] = time.monotonic()

            a.router.reach(C, hear)

        wait("first")
        second = threading.Timer(0.2, wait, ("second",))
        second.start()
        eventually(lambda: len(told) == 2)
        assert told["second"] - told["first"] > 0.1


def test_one_who_waits_for_a_node_that_has_gone_is_told_soon(join: Join) -> None:
    a, b = join(A), join(B)
    eventually(lambda: meshed(a, b))
    b.router.stop()
    eventually(lambda: a.got("down"))
    began = time.monotonic()
    assert not a.router.connect(B, 4.0)
    assert time.monotonic() - began < 3.0
