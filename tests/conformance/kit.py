"""``outcomes``: what becomes of a test file that uses the kit."""

from collections.abc import Callable

import pytest

import otpy

# A run in this OS process takes away the modules that it is the first to load; one that is
# loaded again has other classes.
for name in dir(otpy):
    getattr(otpy, name)

SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")  # unset, it warns
HEAD = """
import pytest
from otpy import (
    Crash, Down, Exit, GenServer, NoReply, Ok, Reply, gen_server, process, self_pid, supervisor,
)
from otpy.testing import (
    assert_receive, assert_received, capture_log, catch_exit, eventually, refute_receive,
    refute_received, with_log,
)

LOG = []


class Worker(GenServer):
    @classmethod
    def start_link(cls, arg):
        return gen_server.start_link(cls, arg)

    def init(self, arg):
        process.flag(trap_exit=True)
        return Ok(arg)

    def handle_call(self, request, from_, state):
        return Reply(request)

    def terminate(self, reason, state):
        LOG.append((state, reason))
"""


@pytest.fixture
def outcomes(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run a test file, with what every such file imports, and expect some outcomes."""

    def run(body: str, *options: str, **expected: int) -> pytest.RunResult:
        pytester.makepyfile(HEAD + body)
        # In this OS process and thread, which has no node of its own here.
        result = pytester.runpytest_inprocess(
            "-p", "no:randomly", "-p", "no:xdist", *SCOPE, *options
        )
        result.assert_outcomes(**expected)
        return result

    return run
