"""A reply that cannot leave the node: the server ends with it, and the caller hears why at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import CallExit, Crash, GenServer, Node, NoReply, Ok, Reply, Stop, gen_server
from otpy.cluster.start import start_node
from otpy.distribution.mesh import Mesh
from otpy.testing.plugin import Reports

A, B = "a@127.0.0.1", "b@127.0.0.1"
ENDED: list[Any] = []


class Server(GenServer[None]):
    def init(self, arg: Any) -> Any:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Any:
        match request:
            case "reply":
                return Reply(object())
            case "reply with a timeout":
                return Reply(object(), timeout=5.0)
            case "reply by hand":
                gen_server.reply(from_, object())
                return NoReply()
            case _:
                return Stop("normal", reply=object())

    def terminate(self, reason: Any, state: None) -> None:
        ENDED.append(reason)


class GreenServer(Server, green=True):
    pass


class AsyncServer(Server):
    async def handle_cast(self, request: Any, state: None) -> None:
        pass


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    options: dict[str, Any] = {"cookie": "cookie of the tests", "directory": tmp_path}
    with start_node(A, **options) as a, start_node(B, **options) as b:
        assert isinstance(a.router, Mesh)
        assert a.router.connect(B)
        yield a, b


@pytest.mark.parametrize("kind", [Server, GreenServer, AsyncServer])
@pytest.mark.parametrize("how", ["reply", "reply with a timeout", "reply by hand", "stop"])
@pytest.mark.timeout(30)
def test_the_caller_of_a_server_whose_reply_cannot_be_sent_hears_why(
    nodes: tuple[Node, Node], kind: type[Server], how: str, capture_reports: Reports
) -> None:
    a, b = nodes
    ENDED.clear()
    with b.attached():
        server = gen_server.start(kind, None)
    with a.attached(), pytest.raises(CallExit) as ended:
        gen_server.call(server, how, timeout=None)
    assert isinstance(ended.value.reason, Crash)
    assert ended.value.reason.type == "otpy.terms.errors.NotSendable"
    assert len(ENDED) == 1
    assert any("cannot be sent to another node" in text for text in capture_reports.texts)
