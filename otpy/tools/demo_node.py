"""One node of the demo: an OS process that tells on stdout what it sees.

Each line out is JSON: ``{"at": seconds, "node": ..., "event": ..., ...}`` on the
machine's monotonic clock. Lines in: ``cut NODE``, ``heal NODE``, ``quit``. It ends
when its stdin does, so it never outlives whoever started it.
"""

import json
import os
import sys
import threading
import time
from typing import Any

from otpy.behaviours import supervisor
from otpy.cluster import global_
from otpy.cluster.start import start_node
from otpy.distribution.mesh import Mesh
from otpy.runtime.node import Node
from otpy.terms.names import Global
from otpy.terms.pid import Pid
from otpy.tools.leader_worker import LeaderWorker

SWITCH_INTERVAL = 0.0005
STEP = 0.0005
_out = threading.Lock()


def tell(node: Node, event: str, **data: Any) -> None:
    """One line to whoever started us."""
    line = json.dumps({"at": time.monotonic(), "node": node.name, "event": event, **data})
    with _out:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def watch(node: Node, done: threading.Event) -> None:
    """Tell whenever this node's view of the leader, or of the other nodes, changes."""
    name = Global(LeaderWorker).name
    seen: tuple[Pid | None, list[str]] | None = None
    with node.attached():
        while not done.is_set():
            router = node.router
            view = (global_.whereis_name(name), sorted(router.nodes()) if router else [])
            if view != seen:
                seen = view
                leader = view[0]
                pid = None if leader is None else repr(leader)
                home = None if leader is None else leader.node
                tell(node, "view", leader=home, pid=pid, nodes=view[1])
            done.wait(STEP)


def obey(node: Node, mesh: Mesh) -> None:
    """Carry out what comes on stdin until it ends."""
    for line in sys.stdin:
        match line.split():
            case ["cut", peer]:
                mesh.cut(peer)
            case ["heal", peer]:
                mesh.heal(peer)
            case ["quit"]:
                return
            case other:
                tell(node, "unknown_command", words=other)


def main(name: str, directory: str, cookie: str) -> None:
    """Run the node ``name`` until told to quit."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    done = threading.Event()
    with start_node(name, cookie=cookie, directory=directory) as node:
        watcher = threading.Thread(target=watch, args=(node, done), daemon=True)
        watcher.start()
        try:
            with node.attached():
                supervisor.start_link([(LeaderWorker, {})], strategy="one_for_one")
                tell(node, "up", pid=os.getpid())
                assert isinstance(node.router, Mesh)
                obey(node, node.router)
        finally:
            done.set()
            watcher.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], os.environ["OTPY_DEMO_COOKIE"])
