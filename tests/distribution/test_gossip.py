"""Nodes that find each other by UDP, on the broadcast address of loopback only."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otpy.distribution.cookie import gossip_key, secret_key
from otpy.distribution.discovery import Gossip, LocalDirectory
from otpy.machines import gossip
from otpy.terms.pid import Creation
from otpy.testing.waiting import eventually
from tests.distribution.conftest import Join, meshed

BROADCAST = "127.255.255.255"
A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"
COOKIE = "cookie of the tests"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((BROADCAST, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def air() -> Gossip:
    """What the nodes of a test speak on."""
    return Gossip(BROADCAST, free_port(), interval=0.1, expire_after=1.5)


@pytest.fixture
def ear(air: Gossip) -> Iterator[socket.socket]:
    """A stranger who hears and speaks there too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.bind((BROADCAST, air.port))
        made.settimeout(5.0)
        yield made


def test_nodes_that_hear_each_other_become_a_mesh(join: Join, air: Gossip) -> None:
    nodes = [join(name, discovery=[air]) for name in (A, B, C)]
    eventually(lambda: meshed(*nodes))


def test_nodes_of_two_cookies_share_the_air_and_nothing_else(join: Join, air: Gossip) -> None:
    ours = [join(name, discovery=[air]) for name in (A, B)]
    theirs = [
        join(f"{n}@127.0.0.1", cookie="the other cookie", discovery=[air]) for n in ("x", "y")
    ]
    eventually(lambda: meshed(*ours) and meshed(*theirs))
    assert all("x@" not in name and "y@" not in name for name in ours[0].router.peers)


def test_what_is_signed_is_not_signed_with_the_key_of_the_connections() -> None:
    assert gossip_key(COOKIE) != secret_key(COOKIE)
    assert gossip_key(COOKIE) == gossip_key(COOKIE) != gossip_key("another cookie")


def test_garbage_does_no_harm(join: Join, air: Gossip, ear: socket.socket) -> None:
    a = join(A, discovery=[air])
    packet = eventually(lambda: ear.recv(2000))
    there = (BROADCAST, air.port)
    for junk in (b"", b"\x00", os.urandom(1400), packet[:-1], packet + b"x", packet[:14] * 400):
        for _ in range(50):
            ear.sendto(junk, there)
    b = join(B, discovery=[air])
    eventually(lambda: meshed(a, b))
    assert sorted(a.router.peers) == [B]


def test_a_dead_node_is_forgotten_and_its_words_repeated_bring_it_nowhere(
    join: Join, air: Gossip, ear: socket.socket
) -> None:
    b = join(B, discovery=[air])
    said = ear.recv(2000)
    a = join(A, discovery=[air])
    eventually(lambda: meshed(a, b))
    b.router.crash()
    eventually(lambda: a.router.discovery.get(B) is None)
    ear.sendto(said, (BROADCAST, air.port))
    c = join(C, discovery=[air])  # who never heard the dead node believes it, and reaches nobody
    ear.sendto(said, (BROADCAST, air.port))
    eventually(lambda: c.router.discovery.get(B) is not None)
    eventually(lambda: meshed(a, c))
    eventually(lambda: c.router.discovery.get(B) is None)
    assert a.router.discovery.get(B) is None
    assert meshed(a, c)


def test_a_node_that_drains_is_found_no_more_at_once(join: Join, air: Gossip) -> None:
    slow = Gossip(BROADCAST, air.port, interval=20.0, expire_after=60.0)
    a, b = join(A, discovery=[slow]), join(B, discovery=[slow])
    eventually(lambda: meshed(a, b))
    b.router.drain()
    eventually(lambda: a.router.discovery.get(B) is None)
    assert meshed(a, b)


def test_a_newcomer_hears_those_that_are_there_in_its_first_look(join: Join, air: Gossip) -> None:
    slow = Gossip(BROADCAST, air.port, interval=20.0, expire_after=60.0)
    join(A, discovery=[slow])
    b = join(B, discovery=[slow])
    assert [entry.name for entry in b.router.discovery.first(5.0)] == [A]


@pytest.mark.parametrize("way", ["gossip", "directory"])
@pytest.mark.parametrize("count", [2, 20])
def test_nodes_that_join_at_once_become_a_full_mesh(
    join: Join, air: Gossip, tmp_path: Path, way: str, count: int
) -> None:
    strategy = air if way == "gossip" else LocalDirectory(tmp_path)
    with ThreadPoolExecutor(count) as pool:
        names = [f"n{number}@127.0.0.1" for number in range(count)]
        starting = [pool.submit(join, name, discovery=[strategy]) for name in names]
        nodes = [started.result() for started in starting]
    eventually(lambda: meshed(*nodes), 20.0)


def test_a_tick_with_nothing_to_do_is_cheap(air: Gossip) -> None:
    """Twenty nodes that are heard ten times a second cost less than a tenth of a core each."""
    key = gossip_key(COOKIE)
    listener = gossip.Gossip(key, Creation(1, A, 1), "127.0.0.1", 1, 10.0)
    others = [
        gossip.Gossip(key, Creation(1, f"n{n}@127.0.0.1", 1), "127.0.0.1", 1, 10.0)
        for n in range(20)
    ]
    packets = [other.say() for _ in range(10) for other in others]
    began = time.thread_time()
    for packet in packets:
        listener.hear(packet, 0.0)
    assert time.thread_time() - began < 0.1
    assert len(listener.entries(0.0)) == 20
