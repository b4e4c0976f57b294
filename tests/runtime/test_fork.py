"""A forked child: its parent's node is not its own, whatever the child was forked from."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from otpy import GenServer, Node, NodeForked, Ok, Reply, gen_server, process, supervisor


class Server(GenServer[int], green=True):
    def init(self, arg):
        return Ok(arg)

    def handle_call(self, request, from_, state):
        return Reply(state)


def own_node():
    with Node("child@127.0.0.1") as node, node.attached():
        return gen_server.call(gen_server.start_link(Server, 7), "get")


def fork():
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    signal.alarm(20)
    told = []
    for call in CALLS:
        try:
            told.append(repr(call()))
        except NodeForked as forked:
            told.append("NodeForked" if "parent@127.0.0.1" in str(forked) else str(forked))
    print(*told, own_node(), node.stop(), flush=True)
    os._exit(0)


CALLS = [
    process.self_pid,
    lambda: gen_server.call(server, "get"),
    lambda: gen_server.cast(server, "x"),
    lambda: process.send(server, "x"),
    lambda: process.spawn(print),
    lambda: supervisor.start_link([], strategy="one_for_one"),
]
with Node("parent@127.0.0.1") as node, node.attached():
    server = gen_server.start(Server, 5)
    if sys.argv[1] == "attached":
        status = fork()
    else:
        me = process.self_pid()
        process.spawn(lambda: process.send(me, fork()), green=sys.argv[1] == "green")
        status = process.receive(int)
    assert gen_server.call(server, "get") == 5
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("kind", ["attached", "thread", "green"])
def test_every_call_of_a_forked_child_raises_until_it_has_a_node_of_its_own(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, kind],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("NodeForked " * 6 + "7 []\n", 0), done.stderr
