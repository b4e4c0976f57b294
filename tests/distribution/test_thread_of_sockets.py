"""The cluster's servers run on the thread that serves the sockets, and send by themselves."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import At, GenServer, Node, Ok, Pid, gen_server, global_, process, self_pid, start_node
from otpy.distribution.frames import unframe
from otpy.distribution.mesh import Mesh
from otpy.distribution.outbox import Outbox
from otpy.distribution.routing import Routing
from otpy.distribution.zeromq import POLLIN, Wire
from otpy.runtime._current import current
from otpy.runtime.scheduler import Scheduler
from otpy.terms.signals import Message
from otpy.testing import eventually

A, B = "a@127.0.0.1", "b@127.0.0.1"
COOKIE = "cookie of the tests"


class Holder(GenServer[None], kernel=True):
    """Holds the kernel scheduler while it starts: what nobody should write."""

    def init(self, arg: tuple[threading.Event, threading.Event]) -> Ok[None]:
        begun, over = arg
        begun.set()
        over.wait(10)
        return Ok(None)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """Two nodes that know each other."""
    with (
        start_node(A, cookie=COOKIE, directory=tmp_path) as a,
        start_node(B, cookie=COOKIE, directory=tmp_path) as b,
    ):
        eventually(lambda: A in b.peers and B in a.peers)
        yield a, b


def hold(begun: threading.Event, over: threading.Event) -> None:
    """Hold the scheduler of this process."""
    begun.set()
    over.wait(10)


def test_a_name_is_registered_while_every_scheduler_is_held(pair: tuple[Node, Node]) -> None:
    a, b = pair
    over = threading.Event()
    for node in pair:
        user, kernel = threading.Event(), threading.Event()
        with node.attached():
            process.spawn(hold, user, over, green=True)
            process.spawn(gen_server.start, Holder, (kernel, over))
        assert user.wait(5)
        assert kernel.wait(5)
    with a.attached():
        assert global_.register_name("n", self_pid())
        assert global_.whereis_name("n") == self_pid()
        with b.attached():
            assert global_.whereis_name("n") is not None
    over.set()


def test_the_servers_outlive_the_mesh(pair: tuple[Node, Node]) -> None:
    a, b = pair
    assert b.router is not None
    b.router.stop()
    eventually(lambda: B not in a.peers)
    with b.attached():
        assert global_.register_name("n", self_pid())  # alone, and by the same thread
        assert global_.whereis_name("n") == self_pid()


def test_sockets_that_were_not_closed_in_time_are_closed_in_the_end(
    pair: tuple[Node, Node],
) -> None:
    a, _ = pair
    begun, over = threading.Event(), threading.Event()
    a.cluster.post(None, lambda: hold(begun, over))
    assert begun.wait(5)
    assert isinstance(a.router, Mesh)
    wire: Any = a.router.wire
    wire.stop(timeout=0.0)
    assert not wire.context.closed
    a.cluster.stopping = True  # before it looks at anything else
    over.set()
    assert a.cluster.stop(5)
    assert wire.context.closed


def test_sockets_are_served_though_a_server_has_always_more_to_do(pair: tuple[Node, Node]) -> None:
    a, b = pair
    arrived = threading.Event()

    def busy() -> None:
        while not arrived.is_set():
            current().give_way()

    def listen() -> None:
        process.register(self_pid(), "listener")
        listening.set()
        process.receive(str)
        arrived.set()

    listening = threading.Event()
    with b.attached():
        process.spawn(listen)
    assert listening.wait(5)
    b.make("cluster", busy).start()
    with a.attached():
        process.send(At("listener", B), "hello")
    assert arrived.wait(5)


# What comes in without a pause.


class Steps:
    """A clock that goes on by a millisecond whenever it is read."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 0.001
        return self.time

    wall = boottime = now


class Heard:
    """A mesh that counts."""

    def __init__(self) -> None:
        self.frames = self.ended = 0

    def came_in(self, rid: bytes, data: bytes) -> None:
        self.frames += 1

    def came_back(self, link: Any, data: bytes) -> None: ...

    def closed(self, link: Any, refused: bool) -> None:
        self.ended += 1


class Endless:
    """A ROUTER whose peers never pause."""

    def getsockopt(self, option: int) -> int:
        return POLLIN

    def recv_multipart(self, flags: int) -> list[bytes]:
        return [b"who", b"what"]


class Open:
    """A connection that nobody has closed."""

    open = True


def test_who_sends_without_a_pause_keeps_nobody_else_from_being_heard() -> None:
    clock, heard = Steps(), Heard()
    wire = Wire(bytes(range(32)), Scheduler("of a test", clock), clock, heard, 10.0)
    wire.router, router = Endless(), wire.router
    try:
        assert not wire.read_router()
        assert 1 < heard.frames < 10
        wire._lost(Open(), False, clock.now() + 0.05)  # type: ignore[arg-type]  # pyright: ignore[reportPrivateUsage]
        rounds = 0
        while not heard.ended:
            wire._work()  # pyright: ignore[reportPrivateUsage]  # in which alarms, ticks and other connections have their turn
            rounds += 1
        assert 2 < rounds < 20
        assert heard.ended == 1
    finally:
        wire.router = router
        wire.close_all()


# Who sends.


class Link:
    """A link that takes everything, frame by frame."""

    def __init__(self, lock: threading.Lock) -> None:
        self.outbox = Outbox(lock)
        self.frames: list[list[Any]] = []
        self.sent_by: list[str] = []

    def release(self) -> None:
        """It is up from the beginning."""


class Sent:
    """A transport that notes which thread sent what."""

    def __init__(self) -> None:
        self.pushed: list[Link] = []

    def send(self, link: Link) -> None:
        data = link.outbox.frame()
        if data is not None:
            link.frames.append([signal.body for signal in unframe(data[1:])])  # type: ignore[union-attr]
            link.sent_by.append(threading.current_thread().name)

    def push(self, link: Link) -> None:
        self.pushed.append(link)


class Broken(Sent):
    """One that cannot send."""

    def send(self, link: Link) -> None:
        raise RuntimeError("it cannot")


def run(node: Node, kind: str, work: Callable[[], None]) -> None:
    """Run it in a process of that kind, and wait for what it leaves to be done afterwards."""
    done = threading.Event()

    def body() -> None:
        work()
        node.schedulers[kind].post(None, done.set)  # looked at after the dispatch

    node.make(kind, body).start()
    assert done.wait(5)


def routed(node: Node, wire: Sent) -> tuple[Link, Callable[[Any], None]]:
    """A link to B, and what sends a message over it."""
    routing = Routing(node, wire, lambda *_: None, lambda _: None)  # type: ignore[arg-type]  # parts
    link = Link(routing.lock)
    routing.began(B, link, [])  # type: ignore[arg-type]  # likewise
    nobody = Pid(1, A, 2, 3)

    def send(body: Any) -> None:
        routing.route(B, Message(nobody, At("there", B), body))

    return link, send


def sent_by(node: Node, wire: Sent, kind: str) -> Link:
    """Send four messages within one dispatch; nothing but the first goes out before its end."""
    link, send = routed(node, wire)
    seen: list[int] = []

    def work() -> None:
        for number in range(4):
            send(number)
            seen.append(len(link.frames))

    run(node, kind, work)
    assert seen == [1, 1, 1, 1]
    assert link.frames == [[0], [1, 2, 3]]
    assert set(link.sent_by) == {node.schedulers[kind].name}
    return link


def test_the_first_signal_of_a_dispatch_goes_at_once_and_the_others_after_it() -> None:
    with Node(A) as node:
        wire = Sent()
        sent_by(node, wire, "cluster")
        assert wire.pushed == []


def test_a_supervisor_may_run_a_users_init_so_another_thread_sends_what_follows() -> None:
    with Node(A) as node:
        wire = Sent()
        link = sent_by(node, wire, "kernel")
        assert wire.pushed == [link, link, link]


def test_what_is_sent_between_dispatches_does_not_wait_for_one() -> None:
    with Node(A) as node:
        wire = Sent()
        link, send = routed(node, wire)
        node.cluster.begin()
        node.cluster.post(None, lambda: [send(1), send(2)])
        eventually(lambda: link.frames == [[1], [2]])


def test_a_users_process_leaves_it_to_the_thread_of_the_sockets() -> None:
    with Node(A) as node:
        wire = Sent()
        link, send = routed(node, wire)
        run(node, "green", lambda: send(1))
        assert link.frames == []
        assert wire.pushed == [link]


def test_a_link_that_breaks_does_not_end_the_scheduler(caplog: pytest.LogCaptureFixture) -> None:
    with Node(A) as node:
        link, send = routed(node, Broken())

        def work() -> None:
            with pytest.raises(RuntimeError):
                send(1)
            send(2)

        run(node, "kernel", work)
        run(node, "kernel", lambda: None)
        (record,) = [one for one in caplog.records if one.name == "otpy.scheduler"]
        assert record.levelno == logging.ERROR
        assert "what was put off failed" in record.getMessage()
        assert link.outbox.items
