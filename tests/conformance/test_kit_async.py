"""TEST: tests and fixtures that are coroutines, of pytest-asyncio and of anyio."""

import asyncio
import inspect
from collections.abc import Callable

import pytest

from otpy import Node, WouldBlockLoop
from otpy.testing import aio as kit
from otpy.testing import assert_receive, catch_exit, eventually, refute_receive

Outcomes = Callable[..., pytest.RunResult]

HEAD = {
    "asyncio": """
import pytest_asyncio
fixture = pytest_asyncio.fixture
pytestmark = pytest.mark.asyncio
""",
    "anyio": """
fixture = pytest.fixture
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"
""",
}
COMMON = """
import asyncio
from otpy import BadArgument, CallExit, ChildError, NotAName, aio
from otpy.testing import aio as kit
"""


@pytest.fixture(params=HEAD)
def run(request: pytest.FixtureRequest, outcomes: Outcomes) -> Outcomes:
    """Runs a test file whose coroutines this plugin runs."""

    def run(body: str, *options: str, **expected: int) -> pytest.RunResult:
        return outcomes(COMMON + HEAD[request.param] + body, *options, **expected)

    return run


def test_test_01_a_coroutine_receives_what_is_sent_to_the_test(run: Outcomes) -> None:
    run(
        """
async def test_messages(node):
    me = self_pid()
    with pytest.raises(AssertionError, match="no matching message"):
        await kit.assert_receive("late", timeout=0)
    process.send_after(me, "late", 0.01)
    assert await kit.assert_receive("late", timeout=5) == "late"
    process.send(me, ("pair", 1))
    assert kit.assert_received(tuple) == ("pair", 1)
    with pytest.raises(AssertionError, match="The process mailbox is empty"):
        await kit.assert_receive("late", timeout=0.001)

async def test_down(node):
    pid = process.spawn(lambda: None)
    ref = process.monitor(pid)
    down = await kit.assert_receive(Down, where=lambda down: down.ref == ref, timeout=5)
    assert (down.pid, down.reason in ("normal", "noproc")) == (pid, True)

async def test_a_down_that_aio_takes(start_supervised):
    pid = await start_supervised((Worker, 1), restart="temporary")
    process.monitor(pid)
    await aio.stop(pid)
    assert (await aio.receive(Down, timeout=5)).pid == pid
""",
        passed=3,
    )


def test_test_04_a_coroutine_refutes_a_message(run: Outcomes) -> None:
    run(
        """
async def test_it(node):
    await kit.refute_receive(timeout=0.005, where=lambda message: True)
    process.send_after(self_pid(), ("late", 1), 0.005)
    with pytest.raises(AssertionError, match="Unexpectedly received message .'late', 1."):
        await kit.refute_receive(tuple, timeout=5)
    with pytest.raises(AssertionError, match="^no$"):
        process.send(self_pid(), 1)
        await kit.refute_receive(int, message="no")
""",
        passed=1,
    )


def test_test_05_a_coroutine_starts_and_stops_supervised_children(run: Outcomes) -> None:
    run(
        """
async def test_it(start_supervised, stop_supervised, on_exit):
    on_exit(lambda: LOG.append("on_exit"))
    pid = await start_supervised((Worker, "a"), id="a")
    assert await aio.call(pid, "hello") == "hello"
    await start_supervised((Worker, "b"), id="b")
    await start_supervised((Worker, "c"), id="c")
    await stop_supervised("b")
    assert LOG == [("b", "shutdown")]
    with pytest.raises(ChildError, match="not_found"):
        await stop_supervised("b")
    with pytest.raises(Exception, match="there already"):
        await start_supervised((Worker, "a"), id="a")

@pytest.fixture
def before(start_supervised):
    return start_supervised((Worker, 1))

async def test_a_plain_fixture(before):
    assert await aio.call(before, "hello") == "hello"

def test_after():
    assert LOG[:4] == [("b", "shutdown"), ("c", "shutdown"), ("a", "shutdown"), "on_exit"]
""".replace("def test_after", "async def test_after"),
        passed=3,
    )


def test_test_05_an_await_that_was_forgotten_is_named(run: Outcomes) -> None:
    run(
        """
async def test_it(start_supervised):
    started = start_supervised((Worker, 1))
    with pytest.raises(NotAName, match="coroutine; a name is .*; await it to get its result"):
        await aio.call(started, "hello")
    with pytest.raises(NotAName, match="await it to get its result"):
        process.monitor(started)
    with pytest.raises(BadArgument, match="expected a Pid; await it to get its result"):
        process.link(started)
    assert await aio.call(await started, "hello") == "hello"
""",
        passed=1,
    )


def test_test_14_a_coroutine_is_linked_to_what_it_starts_linked(run: Outcomes) -> None:
    run(
        """
async def test_it(start_link_supervised):
    process.flag(trap_exit=True)
    linked = await start_link_supervised((Worker, 1), restart="temporary")
    assert process.info(self_pid(), "links")["links"] == [linked]
    process.exit(linked, "kill")
    assert await kit.assert_receive(Exit, timeout=5) == Exit(linked, "killed")
""",
        passed=1,
    )


def test_test_08_what_a_coroutine_is_linked_to_stops_with_shutdown(run: Outcomes) -> None:
    run(
        """
async def test_it(node):
    await aio.start_link(Worker, "linked")

async def test_after():
    assert LOG == [("linked", "shutdown")]
""",
        passed=2,
    )


def test_test_15_a_coroutine_killed_through_a_link_reports_the_exit(run: Outcomes) -> None:
    result = run(
        """
async def test_it(node):
    process.spawn_link(lambda: process.exit("boom"))
    await aio.receive()
""",
        failed=1,
    )
    result.stdout.fnmatch_lines(["*EXIT from <test@127.0.0.1.*>* (stop) 'boom'"])


def test_test_18_a_coroutine_catches_an_exit(run: Outcomes) -> None:
    run(
        """
async def leaves():
    process.exit("over")

async def nothing():
    pass

async def test_it(node):
    assert await kit.catch_exit(leaves()) == "over"
    pid = await aio.start(Worker, 1)
    await aio.stop(pid)
    reason = await kit.catch_exit(aio.call(pid, "x"))
    assert reason == ("noproc", ("gen_server", "call", (pid, "x", 5.0)))
    with pytest.raises(AssertionError, match="^Expected to catch exit, got nothing$"):
        await kit.catch_exit(nothing())
    with pytest.raises(ValueError, match="expected what can be awaited"):
        await kit.catch_exit(lambda: None)
""",
        passed=1,
    )


def test_test_01_a_coroutine_waits_for_what_becomes_true(run: Outcomes) -> None:
    run(
        """
async def test_it(node):
    pid = process.spawn(lambda: process.exit("over"))
    await kit.eventually(lambda: not process.alive(pid))
    pid = await aio.start(Worker, 1)

    async def looks():
        assert await aio.call(pid, "hello") == "hello"
        return "seen"

    assert await kit.eventually(looks) == "seen"
    await aio.stop(pid)
    with pytest.raises(AssertionError, match="never true within 0.01 seconds: 0"):
        await kit.eventually(lambda: 0, timeout=0.01)
""",
        passed=1,
    )


def test_test_12_fixtures_and_the_test_are_one_process(run: Outcomes) -> None:
    """Whichever task runs them, and what a fixture has started lives as long as the test."""
    run(
        """
@fixture
async def pids(node, start_supervised):
    worker = await start_supervised((Worker, 1))
    linked = await aio.start_link(Worker, "linked")
    process.send(self_pid(), "from the fixture")
    yield self_pid(), worker, linked
    LOG.append(("the fixture's end", self_pid()))
    await aio.call(linked, "still there")

@fixture
async def tells(node):
    process.send(self_pid(), "from the other")
    return self_pid()

class TestOfAClass:
    @fixture
    async def own(self, node):
        return self, self_pid()

    async def test_it(self, pids, tells, own):
        me, worker, linked = pids
        assert self_pid() == me == tells == own[1]
        assert own[0] is self
        assert kit.assert_received("from the fixture")
        assert kit.assert_received("from the other")
        assert await aio.call(worker, "hello") == "hello"
        LOG.append(me)

async def test_after():
    me, *rest = LOG
    assert rest == [("the fixture's end", me), ("linked", "shutdown"), (1, "shutdown")]
""",
        passed=2,
    )


def test_test_12_a_task_of_the_test_acts_for_it_and_cannot_receive(run: Outcomes) -> None:
    run(
        """
async def test_it(node, start_supervised):
    me = self_pid()

    async def child():
        assert self_pid() == me
        with pytest.raises(BadArgument, match="aio.attached"):
            await kit.assert_receive("x")
        async with aio.attached() as other:
            with pytest.raises(BadArgument, match="from the test process"):
                start_supervised((Worker, 1))
            return other

    assert await asyncio.create_task(child()) != me
    pids = [await aio.start(Worker, number) for number in range(3)]
    assert await asyncio.gather(*(aio.call(pid, pid) for pid in pids)) == pids
    for pid in pids:
        await aio.stop(pid)
""",
        passed=1,
    )


def test_test_12_fixtures_without_a_test_s_process_are_left_alone(run: Outcomes) -> None:
    run(
        """
@fixture
async def value():
    yield asyncio.current_task()

async def test_it(value):
    assert value is not None
""",
        passed=1,
    )


REFUSED: dict[str, Callable[[], object]] = {
    "assert_receive": lambda: assert_receive("x"),
    "refute_receive": lambda: refute_receive("x"),
    "eventually": lambda: eventually(lambda: True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_test_01_what_waits_names_what_a_coroutine_awaits(name: str, node: Node) -> None:
    async def body() -> None:
        told = rf"^testing\.{name} would block .* use await otpy\.testing\.aio\.{name}\(\.\.\.\)$"
        with pytest.raises(WouldBlockLoop, match=told):
            REFUSED[name]()

    asyncio.run(body())
    assert inspect.iscoroutinefunction(getattr(kit, name))


def test_test_18_catch_exit_says_how_a_coroutine_catches_one(node: Node) -> None:
    async def body() -> None:
        """Awaited by nobody."""

    with pytest.raises(ValueError, match=r"use await otpy\.testing\.aio\.catch_exit\(\.\.\.\)"):
        catch_exit(body)
