"""Meeting the nodes that run already, before a new one does anything.

A node that starts its children before it knows the others finds every name free, and leads
beside the leader until the two meet.
"""

import threading
import time
from functools import partial

from otpy.behaviours import gen_server
from otpy.cluster._global_server import SERVER
from otpy.distribution.mesh import Mesh
from otpy.runtime.node import Node
from otpy.terms.errors import CallExit
from otpy.terms.names import At


def meet(node: Node, mesh: Mesh, seconds: float) -> None:
    """Connect to the nodes that are found and learn their names, in at most so many seconds."""
    deadline = time.monotonic() + seconds
    met = _reach(mesh, deadline)
    if met:
        # A thread of its own: a call may not wait on the thread of an event loop.
        work = threading.Thread(target=_learn, args=(node, met, deadline), daemon=True)
        work.start()
        work.join()


def _reach(mesh: Mesh, deadline: float) -> list[str]:
    answers: list[tuple[str, bool]] = []
    found = mesh.discovery.first(max(0.0, deadline - time.monotonic()))
    entries = [entry for entry in found if entry.name != mesh.node.name]
    told = threading.Semaphore(0)

    def done(name: str, connected: bool) -> None:
        answers.append((name, connected))
        told.release()

    for entry in entries:
        mesh.reach(entry.name, partial(done, entry.name))
    for _ in entries:
        if not told.acquire(timeout=max(0.0, deadline - time.monotonic())):
            break
    return sorted(name for name, connected in answers if connected)


def _learn(node: Node, met: list[str], deadline: float) -> None:
    with node.attached():
        # Their names are on their way here once they have answered, and here once we have.
        for name in [*met, node.name]:
            try:
                left = max(0.0, deadline - time.monotonic())
                gen_server.call(At(SERVER, name), ("sync",), timeout=left)
            except CallExit:
                continue  # it has gone, has no names, or takes too long: we do not wait for it
