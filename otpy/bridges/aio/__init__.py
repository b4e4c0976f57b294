"""What waits, for coroutines: the functions of the same names, to ``await``.

Those of ``gen_server``, ``process`` and ``node`` are here, those of the supervisors, of
``sys``, ``agent`` and ``task`` in ``aio.supervisor``, ``aio.task`` and so on. They work in async
processes and in any other task. One that is no process, and only calls, gets one for as long as
the call takes, on the node of its surroundings, the default node, or ``node=``. It becomes one
until it ends with whatever makes it somebody: ``self_pid()``, a link, a monitor, a send.
``async with aio.attached()`` makes it one for a block.
"""

from otpy.behaviours.gen_server import cast
from otpy.bridges.aio import (
    agent,
    dynamic_supervisor,
    erpc,
    gen_statem,
    partition_supervisor,
    registry,
    rpc,
    supervisor,
    sys,
    task,
    task_supervisor,
)
from otpy.bridges.aio._nodes import (
    connect,
    disconnect,
    ping,
    spawn,
    spawn_link,
    spawn_monitor,
    view,
)
from otpy.bridges.aio._processes import blocking, receive, sleep
from otpy.bridges.aio._servers import (
    call,
    enter_loop,
    multi_call,
    receive_response,
    start,
    start_link,
    start_monitor,
    stop,
    wait_response,
)
from otpy.bridges.aio._task import attached

__all__ = [
    "agent",
    "attached",
    "blocking",
    "call",
    "cast",
    "connect",
    "disconnect",
    "dynamic_supervisor",
    "enter_loop",
    "erpc",
    "gen_statem",
    "multi_call",
    "partition_supervisor",
    "ping",
    "receive",
    "receive_response",
    "registry",
    "rpc",
    "sleep",
    "spawn",
    "spawn_link",
    "spawn_monitor",
    "start",
    "start_link",
    "start_monitor",
    "stop",
    "supervisor",
    "sys",
    "task",
    "task_supervisor",
    "view",
    "wait_response",
]
