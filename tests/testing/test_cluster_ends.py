"""What ends with the test, whatever ends it: every OS process of its clusters."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otpy.testing import Cluster
from otpy.testing._fork_server import ForkServer

PATIENCE = 20_000  # milliseconds
HOLDS = """
import os, signal, sys
from otpy.testing import Cluster
with Cluster(3) as c:
    if sys.argv[1:]:
        c.pause(sys.argv[1])
    heir = os.fork()  # it inherits every connection to the nodes and to their server
    if heir == 0:
        signal.pause()
    print(heir, *map(c.pid, c.nodes), c._forks.pid, flush=True)
    sys.stdin.read()
"""


def ended(handle: int) -> bool:
    """Whether the process behind the handle ends in time."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(PATIENCE))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("paused", [(), ("c",)], ids=["all run", "one paused"])
def test_nodes_end_with_a_killed_test_also_a_paused_one(
    number: int, paused: tuple[str, ...], tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", HOLDS, *paused],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to remove its folder
    )
    with program:
        assert program.stdout is not None
        heir, *pids = map(int, program.stdout.readline().split())
        handles = [os.pidfd_open(pid) for pid in pids]
        assert len(handles) == 4
        program.send_signal(number)
        assert program.wait(10) == -number
        try:
            assert [ended(handle) for handle in handles] == [True] * 4
        finally:
            os.kill(heir, signal.SIGKILL)
    for handle in handles:
        os.close(handle)


def test_nodes_end_when_the_server_that_forked_them_is_killed() -> None:
    forks = ForkServer()
    c = Cluster(2, forks=forks).open()
    handles = [os.pidfd_open(c.pid(name)) for name in c.nodes]
    c.pause("b")
    os.kill(forks.pid, signal.SIGKILL)
    assert [ended(handle) for handle in handles] == [True, True]
    with pytest.raises(OSError, match="fork server"):
        c.close()
    forks.close()
    for handle in handles:
        os.close(handle)


def test_the_fork_server_has_one_thread_so_that_it_may_fork() -> None:
    forks = ForkServer()
    try:
        assert len(list(Path(f"/proc/{forks.pid}/task").iterdir())) == 1
    finally:
        forks.close()


def test_a_server_that_cannot_start_says_so() -> None:
    with pytest.raises(OSError, match="has ended"):
        ForkServer(("false",))
