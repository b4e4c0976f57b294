"""A node of the demo whose leaders tell the test themselves that they lead.

The nodes' own ``whereis`` is what is tested, so it cannot be the witness: a worker that runs
``init`` leads, whatever any node's table says.
"""

import os
import sys
from typing import Any

from otpy import self_pid
from otpy.behaviours.results import Ok
from otpy.runtime._current import current
from otpy.tools import demo_node
from otpy.tools.leader_worker import LeaderWorker

Opts = dict[str, Any]
_init = LeaderWorker.init


def _witnessed(self: LeaderWorker, opts: Opts) -> Ok[Opts]:
    demo_node.tell(current().node, "leads", leader=repr(self_pid()))
    return _init(self, opts)


if __name__ == "__main__":
    LeaderWorker.init = _witnessed  # type: ignore[method-assign]
    demo_node.main(sys.argv[1], sys.argv[2], os.environ["OTPY_DEMO_COOKIE"])
