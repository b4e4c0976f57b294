"""Context variables belong to a process, not to the greenlet that happens to run it."""

from contextvars import ContextVar
from typing import Any

from otpy import GenServer, Node, Ok, Reply, gen_server

MARK: ContextVar[str] = ContextVar("mark", default="unset")


class Marked(GenServer[None], green=True):
    def init(self, arg: Any) -> Any:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Any:
        before = MARK.get()
        MARK.set(request)
        return Reply(before)


def test_a_green_process_keeps_its_context_and_sees_no_other(node: Node) -> None:
    one, two = gen_server.start(Marked, None), gen_server.start(Marked, None)
    assert gen_server.call(one, "of one") == "unset"
    assert gen_server.call(two, "of two") == "unset"
    assert gen_server.call(one, "again") == "of one"
    assert gen_server.call(two, "again") == "of two"
    for pid in (one, two):
        gen_server.stop(pid)
