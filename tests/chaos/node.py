"""One node of the chaos test: an OS process that sends, receives, and checks what it gets.

Lines out are JSON events. Lines in: ``cut NODE``, ``heal NODE``. It ends when its
stdin does, and is killed with whoever started it, be it stopped at the time.

``OTPY_CHAOS_BREAK`` breaks the mesh, for the negative control: ``stale`` delivers frames
of sessions that are over; ``lossy`` loses one message in 300, ``twice`` repeats one.
"""

import ctypes
import faulthandler
import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

from otpy import At, Node, NodeDown, NodeUp, ReceiveTimeout, process
from otpy.distribution.frames import unframe
from otpy.distribution.mesh import Mesh
from otpy.distribution.routing import Routing
from otpy.distribution.start import start_mesh
from tests.chaos.checker import AWARE, BLIND, Checker

SINK = "sink"
PERIOD = 0.01  # seconds between the bursts of a sender
BURST = 3  # messages
LARGE, LARGE_EVERY = bytes(100_000), 40  # some are large, so that a stall fills what there is
REPORT = 0.05  # seconds between reports
PR_SET_PDEATHSIG = 1
_out = threading.Lock()


def tell(event: str, **data: Any) -> None:
    """One line to whoever started us."""
    line = json.dumps({"event": event, **data})
    with _out:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def sink(node: Node) -> None:
    """Receive everything, check it, and tell what was wrong at once."""
    checker = Checker()
    told = 0
    due = node.clock.now()
    while True:
        try:
            match process.receive(timeout=max(0.0, due - node.clock.now())):
                case NodeUp(name):
                    checker.node_up(name)
                case NodeDown(name):
                    checker.node_down(name)
                case (str(name), int(life), str(who), int(epoch), int(number), bytes()):
                    checker.message(name, life, who, epoch, number)
                case other:
                    checker.violations.append(f"a message that nobody sent: {other!r}")
        except ReceiveTimeout:
            pass  # nothing came; a report is due
        for text in checker.violations[told:]:
            tell("violation", text=text)
        told = len(checker.violations)
        if node.clock.now() >= due:
            due = node.clock.now() + REPORT
            report(node, checker)


def report(node: Node, checker: Checker) -> None:
    """How far the checker is."""
    peers = {
        name: {
            "up": peer.up,
            "life": peer.session_life,
            "counts": {who: stream.count for who, stream in peer.streams.items()},
        }
        for name, peer in checker.peers.items()
    }
    nodes = node.router.nodes() if node.router is not None else []
    tell("report", peers=peers, nodes=nodes, total=checker.total, downs=checker.downs)


def send_blindly(node: Node, peer: str, life: int) -> None:
    """Send to ``peer``, be it there or not."""
    dest = At(SINK, peer)
    for number in itertools.count():
        ballast = b"" if number % LARGE_EVERY else LARGE
        process.send(dest, (node.name, life, BLIND, 0, number, ballast))
        if number % BURST == 0:
            process.sleep(PERIOD)


def send_aware(node: Node, peer: str, life: int) -> None:
    """Send to ``peer`` while it is up; every ``NodeUp`` begins an epoch."""
    dest = At(SINK, peer)
    up, epoch, number = False, 0, 0
    while True:
        try:
            # Looked at before every message: what is sent after NodeDown is no leftover.
            wait = None if not up else PERIOD if number and number % BURST == 0 else 0.0
            match process.receive(timeout=wait):
                case NodeUp(name) if name == peer:
                    up, epoch, number = True, epoch + 1, 0
                case NodeDown(name) if name == peer:
                    up = False
        except ReceiveTimeout:
            process.send(dest, (node.name, life, AWARE, epoch, number, b""))
            number += 1


def break_mesh(how: str) -> None:
    """Take a rule of the mesh away."""
    came_in, stream = Mesh.came_in, Routing.stream
    count = itertools.count(1)

    def stale(self: Mesh, rid: bytes, data: bytes) -> None:
        if data[:1] != b"D" or rid in self.by_rid:
            came_in(self, rid, data)
            return
        for one in unframe(data[1:]):
            self.node.inbound(one)

    def lossy(self: Routing, *message: Any) -> None:
        if next(count) % 300:
            stream(self, *message)

    def twice(self: Routing, *message: Any) -> None:
        stream(self, *message)
        if not next(count) % 300:
            stream(self, *message)

    if how == "stale":
        Mesh.came_in = stale  # type: ignore[method-assign]
    else:
        Routing.stream = {"lossy": lossy, "twice": twice}[how]  # type: ignore[method-assign, assignment]


def obey(mesh: Mesh) -> None:
    """Carry out what comes on stdin until it ends."""
    for line in sys.stdin:
        match line.split():
            case ["cut", peer]:
                mesh.cut(peer)
            case ["heal", peer]:
                mesh.heal(peer)


def main(name: str, peers: list[str], directory: str, ticktime: float) -> None:
    """Run the node until stdin ends."""
    life = time.monotonic_ns()
    tell("life", life=life)
    with Node(name) as node, node.attached():
        watching = [process.spawn(sink, node, name=SINK)]
        for peer in peers:
            process.spawn(send_blindly, node, peer, life)
            watching.append(process.spawn(send_aware, node, peer, life))
        for pid in watching:  # before there is a mesh
            node.node_watchers[pid] = {"visible": 1}
        cookie = os.environ["OTPY_CHAOS_COOKIE"]
        obey(start_mesh(node, cookie=cookie, directory=directory, net_ticktime=ticktime))


if __name__ == "__main__":
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if how := os.environ.get("OTPY_CHAOS_BREAK"):
        break_mesh(how)
    main(sys.argv[1], sys.argv[4:], sys.argv[2], float(sys.argv[3]))
