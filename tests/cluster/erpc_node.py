"""``python -m tests.cluster.erpc_node``: a node in a program of its own, until its input ends."""

import sys

from otpy import start_node
from tests.cluster.conftest import COOKIE
from tests.conformance import remote

if __name__ == "__main__":
    name, directory = sys.argv[1:]
    with start_node(name, cookie=COOKIE, directory=directory):
        print(f"{name} knows {remote.__name__}", flush=True)
        sys.stdin.read()
