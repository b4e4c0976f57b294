"""``start_node`` with strategies of discovery, and nodes that drain while they stop."""

import threading
from pathlib import Path
from typing import Any

from otpy import GenServer, Global, Node, Ok, Static, gen_server, node, process, start_node
from otpy.distribution.mesh import Mesh
from otpy.testing import eventually

COOKIE = "the cookie of these tests"
A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"


class Here(GenServer[int]):
    def init(self, arg: int, /) -> Ok[int]:
        return Ok(arg)


def mesh_of(running: Node) -> Mesh:
    assert isinstance(running.router, Mesh)
    return running.router


def at(running: Node) -> Static:
    return Static([(running.name, "127.0.0.1", mesh_of(running).port)])


def test_a_node_that_finds_the_others_by_a_list_knows_their_names_at_once() -> None:
    with start_node(A, cookie=COOKIE, discovery=[]) as a, a.attached():
        pid = gen_server.start(Here, 1, name=Global("here"))
        with start_node(B, cookie=COOKIE, discovery=[at(a)]) as b, b.attached():
            assert gen_server.whereis(Global("here")) == pid


def test_a_node_drains_from_the_beginning_of_its_stop(tmp_path: Path) -> None:
    begun, let = threading.Event(), threading.Event()

    def hook(reason: Any, seconds: float) -> None:
        begun.set()
        let.wait(10.0)

    options: dict[str, Any] = {"cookie": COOKIE, "directory": tmp_path}
    with start_node(B, **options) as b, start_node(A, **options) as a:
        a.before_stop(hook)
        stopping = threading.Thread(target=a.stop, kwargs={"timeout": 20.0})
        stopping.start()
        try:
            assert begun.wait(5.0)
            with start_node(C, sync_nodes_timeout=0.0, **options) as c:
                eventually(lambda: B in c.peers)
                with c.attached():
                    assert node.ping(A) == "pang"
                with b.attached():
                    assert node.ping(A) == "pong"  # what was up stays up
        finally:
            let.set()
            stopping.join()
        eventually(lambda: A not in b.peers)
        assert mesh_of(b).dialing.left[A].life == a.creation


def test_a_drained_node_goes_on_without_the_cluster(tmp_path: Path) -> None:
    with start_node(A, cookie=COOKIE, directory=tmp_path) as a, a.attached() as me:
        a.drain()
        process.send(me, "still here")
        assert process.receive(timeout=5.0) == "still here"
        with start_node(B, cookie=COOKIE, directory=tmp_path) as b, b.attached():
            assert node.ping(A) == "pang"


def test_a_node_without_a_mesh_may_drain() -> None:
    with Node() as alone:
        alone.drain()
