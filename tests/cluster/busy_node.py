"""``python -m tests.cluster.busy_node``: a node with a sink, in a program of its own."""

import sys

from otpy import start_node
from tests.cluster.conftest import COOKIE
from tests.cluster.test_busy_peer import open_sink

if __name__ == "__main__":
    name, directory = sys.argv[1:]
    with start_node(name, cookie=COOKIE, directory=directory, net_ticktime=60.0) as node:
        node.run(open_sink)
        print(name, flush=True)
        sys.stdin.read()
