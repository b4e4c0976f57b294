"""Pods that come and go, found by a DNS server that the test runs, and by gossip on loopback."""

import json
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from examples.headless_service.pod import options, start
from otpy import Node, node
from otpy.testing import eventually
from tests.distribution.name_server import NAME, NameServer, reply

ROOT = Path(__file__).parents[2]
BROADCAST = "127.255.255.255"
ONE, TWO, THREE = ADDRESSES = ("127.0.0.71", "127.0.0.72", "127.0.0.73")


def name_of(address: str) -> str:
    return f"app@{address}"


class Pod:
    """One pod as an OS process; its log is a file."""

    def __init__(self, address: str, way: list[str], log: Path) -> None:
        self.name = name_of(address)
        self.log = log
        command = [sys.executable, "-m", "examples.headless_service.pod", self.name, *way]
        with log.open("w") as file:
            self.child = subprocess.Popen(command, cwd=ROOT, stderr=file)

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def met(self, *addresses: str) -> bool:
        """Whether it has found these when it started, or has seen them come."""
        log = self.log.read_text()
        began = re.search(r"runs, with (.*)", log)
        found = began[1].split(", ") if began else []
        names = map(name_of, addresses)
        return all(name in found or f"{name} has come" in log for name in names)

    def end(self, how: signal.Signals) -> int:
        """Send a signal, and wait for the end; the exit code."""
        self.child.send_signal(how)
        return self.child.wait(timeout=20)


@dataclass
class Service:
    """What a pod must be told to find the others, and who is listed; gossip needs no list."""

    way: list[str]
    listed: list[str] = field(default_factory=list[str])


Running = Callable[[Service, str], Pod]


def free_port(kind: socket.SocketKind, address: str) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def dns() -> Iterator[Service]:
    """A headless service: its name gives the addresses that are listed."""
    port = free_port(socket.SOCK_STREAM, ONE)
    listed: list[str] = []
    with NameServer(lambda query: reply(query, listed)) as server:
        where = ["--nameserver", "127.0.0.1", "--nameserver-port", str(server.port)]
        yield Service(["--dns", NAME, "--port", str(port), *where], listed)


@pytest.fixture
def gossip() -> Service:
    """The air of this machine."""
    port = free_port(socket.SOCK_DGRAM, BROADCAST)
    return Service(["--gossip", BROADCAST, "--gossip-port", str(port)])


@pytest.fixture(params=["dns", "gossip"])
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COOKIE", secrets.token_hex(16))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Running]:
    """Start a pod; it is listed from then on."""
    pods: list[Pod] = []

    def running(service: Service, address: str) -> Pod:
        if address not in service.listed:
            service.listed.append(address)
        pods.append(Pod(address, service.way, tmp_path / f"{len(pods)}.log"))
        return pods[-1]

    yield running
    for pod in pods:
        if pod.child.poll() is None:
            pod.end(signal.SIGKILL)
        print(f"----- {pod.name} -----\n{pod.log.read_text()}")  # shown if the test fails


def test_pods_find_each_other_and_come_and_go(service: Service, run: Running) -> None:
    one, two = run(service, ONE), run(service, TWO)
    eventually(lambda: one.met(TWO) and two.met(ONE), 20.0)
    three = run(service, THREE)
    eventually(lambda: three.met(ONE, TWO) and one.met(THREE) and two.met(THREE), 20.0)
    two.end(signal.SIGKILL)
    eventually(lambda: one.said(f"{two.name} has gone") and three.said(f"{two.name} has gone"))
    again = run(service, TWO)
    eventually(lambda: again.met(ONE, THREE) and one.said(f"{two.name} has come"), 20.0)


def test_nobody_connects_to_a_pod_that_was_told_to_stop_though_dns_still_names_it(
    dns: Service, run: Running
) -> None:
    port = int(dns.way[dns.way.index("--port") + 1])
    one, two, three = (run(dns, address) for address in ADDRESSES)
    eventually(lambda: one.met(TWO, THREE) and two.said(f"{two.name} is ready"), 20.0)
    assert two.end(signal.SIGTERM) == 0
    assert two.said(f"{two.name} drains")
    three.end(signal.SIGKILL)
    eventually(lambda: one.said(f"{two.name} has gone") and one.said(f"{three.name} has gone"))
    with (
        socket.create_server((TWO, port)) as at_two,
        socket.create_server((THREE, port)) as at_three,
    ):
        at_two.setblocking(False)
        at_three.settimeout(20.0)
        for _ in range(3):  # who was killed may be back: it is tried again and again
            at_three.accept()[0].close()
        with pytest.raises(BlockingIOError):
            at_two.accept()
    again = run(dns, TWO)  # a new pod of the old address is another one
    eventually(lambda: again.met(ONE) and one.said(f"{two.name} has come"), 20.0)


def sees(pod: Node) -> list[str]:
    found: list[str] = pod.run(node.list_)
    return found


def test_a_pod_that_drains_keeps_whom_it_has_and_gets_nobody_new(dns: Service) -> None:
    def pod(address: str) -> Node:
        dns.listed.append(address)
        return start(options().parse_args([name_of(address), *dns.way]))

    names = [name_of(address) for address in ADDRESSES]
    with pod(ONE) as one, pod(TWO) as two:
        eventually(lambda: sees(one) == [names[1]] and sees(two) == [names[0]])
        one.drain()
        with pod(THREE) as three:
            eventually(lambda: sees(three) == [names[1]] and names[2] in sees(two))
            assert not three.run(node.connect, names[0])
            assert sees(one) == [names[1]]


def test_the_manifest_starts_the_program_as_it_is_meant_to() -> None:
    text = Path(__file__).with_name("kubernetes.yaml").read_text()
    found = re.search(r"args: (\[.*\])", text)
    assert found is not None
    arguments: list[str] = json.loads(found[1].replace("$(POD_IP)", ONE))
    args = options().parse_args(arguments)
    assert (args.name, args.dns) == (name_of(ONE), "app")
    assert f"- port: {args.port}\n" in text
    assert "name: COOKIE" in text
