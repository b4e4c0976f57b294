"""TEST: processes that a test leaves running fail it."""

from collections.abc import Callable

import pytest

Outcomes = Callable[..., pytest.RunResult]

LEFT = {
    "thread": "process.spawn(body)",
    "green": "process.spawn(body, green=True)",
    "async": "process.spawn(later)",
}
BODIES = """
import asyncio
from otpy import aio

def body():
    process.receive()

async def later():
    await asyncio.sleep(0)
    await aio.receive()

"""


@pytest.mark.parametrize("kind", LEFT)
def test_test_08_a_process_that_nobody_ends_fails_the_test(kind: str, outcomes: Outcomes) -> None:
    test = f"def test_it(node):\n    {LEFT[kind]}\n"
    result = outcomes(BODIES + test, passed=1, errors=1)
    name = "later" if kind == "async" else "body"
    result.stdout.fnmatch_lines(
        [
            "processes still running after the test:",
            f"  <test@127.0.0.1.*>, started as *.{name}, waits at *.py:* in {name}",
            "start them with start_supervised or a link, *@pytest.mark.otpy_leaves_processes",
        ]
    )


def test_test_08_a_server_that_nobody_ends_fails_the_test(outcomes: Outcomes) -> None:
    result = outcomes(
        """
def test_it(node):
    for number in range(12):
        gen_server.start(Worker, number, name=f"left {number}")
""",
        passed=1,
        errors=1,
    )
    result.stdout.fnmatch_lines(
        [
            "  <test@127.0.0.1.*> registered as 'left 0', started as *.Worker.init, "
            "waits for messages",
            "  and 2 more",
        ]
    )


def test_test_08_what_ends_with_the_test_is_no_leftover(outcomes: Outcomes) -> None:
    outcomes(
        BODIES
        + """
from otpy import dynamic_supervisor, rpc, task

class Slow(Worker):
    def terminate(self, reason, state):
        process.sleep(0.05)

def linked_to_linked():
    process.spawn_link(body, green=True)
    process.receive()

def test_it(node, start_supervised, on_exit):
    process.spawn_link(body)
    process.spawn_link(later)
    process.spawn_link(linked_to_linked)
    gen_server.start_link(Slow, 1)
    boss = dynamic_supervisor.start_link()
    dynamic_supervisor.start_child(boss, (Slow, 1))
    start_supervised((Slow, 2))
    ended = process.spawn(body)
    on_exit(lambda: process.exit(ended, "kill"))
    process.spawn(lambda: None)
    assert task.await_(task.async_(lambda: 1)) == 1
    assert rpc.block_call(node.name, abs, -1) == 1  # its server is the node's own

async def main():
    await aio.supervisor.start_link([], strategy="one_for_one")

def test_a_loop_of_the_test_s(node):
    asyncio.run(aio.blocking(abs, -1))
    asyncio.run(main())
""",
        passed=2,
    )


def test_test_08_an_application_that_runs_ends_with_the_node(outcomes: Outcomes) -> None:
    outcomes(
        """
from otpy import Application, ApplicationSpec, application

class App(Application):
    def start(self, how, args):
        return supervisor.start_link([(Worker, "of the application")], strategy="one_for_one")

def test_it(node):
    application.load(ApplicationSpec("app", mod=(App, None)))
    application.start("app")
""",
        passed=1,
    )


@pytest.mark.parametrize("how", ["marker", "option"])
def test_test_08_a_test_may_be_allowed_to_leave_processes(how: str, outcomes: Outcomes) -> None:
    marked = "@pytest.mark.otpy_leaves_processes\n" if how == "marker" else ""
    options = () if how == "marker" else ("-o", "otpy_leaves_processes=true")
    test = "def test_it(node):\n    process.spawn(body)\n"
    outcomes(BODIES + marked + test, "--strict-markers", *options, passed=1)
