"""Who a task is: ``self_pid()``, sends, monitors and ``aio.receive`` are of one process."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from otpy import BadArgument, Down, Node, Pid, ProcessExit, aio, gen_server, process, self_pid
from otpy.runtime._current import HERE
from otpy.runtime._default import set_default_node
from otpy.testing import eventually

Main = Callable[[], Coroutine[Any, Any, Any]]
WAIT = 5.0


@pytest.fixture(params=["a plain thread", "a process's thread"])
def run(request: pytest.FixtureRequest, node: Node) -> Iterator[Callable[[Main], Any]]:
    """Runs a coroutine function as a task that is no process, on a thread of that kind."""
    here = HERE.proc
    if request.param == "a plain thread":
        HERE.proc = None
    yield lambda main: asyncio.run(main())
    HERE.proc = here


def test_a_task_receives_what_is_sent_to_its_self_pid(run: Callable[[Main], Any]) -> None:
    async def main() -> None:
        process.send(self_pid(), "hi")
        assert await aio.receive(timeout=WAIT) == "hi"

    run(main)


def test_a_task_hears_of_the_end_of_what_it_monitors(run: Callable[[Main], Any]) -> None:
    async def main() -> None:
        pid = process.spawn(lambda: None)
        ref = process.monitor(pid)
        down = await aio.receive(Down, timeout=WAIT)
        assert (down.ref, down.pid) == (ref, pid)

    run(main)


def test_a_task_is_the_same_process_whatever_it_does(run: Callable[[Main], Any]) -> None:
    async def main() -> None:
        me = self_pid()
        pid, _ = process.spawn_monitor(process.receive)
        await aio.supervisor.start_link([], strategy="one_for_one")
        assert self_pid() == me
        async with aio.attached() as same:
            assert same == me
        process.send(pid, "end")
        assert (await aio.receive(Down, timeout=WAIT)).pid == pid
        assert contextvars.copy_context().run(self_pid) == me

    run(main)


def test_each_plain_task_is_a_process_of_its_own_which_ends_with_it(
    run: Callable[[Main], Any], node: Node
) -> None:
    before = set(node.procs)

    async def worker() -> Pid:
        process.send(self_pid(), "mine")
        assert await aio.receive(timeout=WAIT) == "mine"
        return self_pid()

    async def main() -> list[Pid]:
        return [self_pid(), *await asyncio.gather(worker(), worker())]

    pids: list[Pid] = run(main)
    assert len(set(pids)) == 3
    assert set(node.procs) == before


def test_a_task_that_is_not_known_to_anybody_cannot_receive(run: Callable[[Main], Any]) -> None:
    """As ``asyncio.wait_for`` makes one of what it waits for."""

    async def main() -> None:
        with pytest.raises(BadArgument, match=r"no process yet.*aio\.attached\(\)"):
            await aio.receive(timeout=0.001)
        process.send(self_pid(), "hi")
        with pytest.raises(BadArgument, match=r"no process yet.*aio\.attached\(\)"):
            await asyncio.create_task(aio.receive(timeout=0.001))
        assert await aio.receive(timeout=WAIT) == "hi"

    run(main)


def test_a_task_of_an_async_process_acts_for_it_and_cannot_receive(node: Node) -> None:
    async def helper(boss: Pid) -> None:
        assert self_pid() == boss
        with pytest.raises(BadArgument, match=r"acts for .*aio\.attached\(\)"):
            await aio.receive(timeout=0.001)
        async with aio.attached() as me:
            assert me != boss
            process.send(me, "hi")
            assert await aio.receive(timeout=WAIT) == "hi"

    async def body() -> None:
        await asyncio.create_task(helper(self_pid()))

    _, ref = process.spawn(body, monitor=True)
    down = process.receive(Down, where=lambda down: down.ref == ref, timeout=WAIT)
    assert down.reason == "normal", down.reason


def test_a_thread_that_a_coroutine_has_attached_receives_itself(node: Node) -> None:
    async def main() -> None:
        with node.attached() as me:
            assert self_pid() == me
            with pytest.raises(BadArgument, match=r"acts for .*aio\.attached\(\)"):
                await aio.receive(timeout=0.001)

    asyncio.run(main())


def test_a_task_on_the_thread_of_a_process_that_has_ended_is_told(node: Node) -> None:
    """Its code is that process's code."""
    parent = self_pid()
    entered: list[Pid] = []
    reasons: list[Any] = []

    async def main() -> None:
        entered.append(self_pid())
        while True:
            process.alive(parent)
            await asyncio.sleep(0)

    def body() -> None:
        try:
            asyncio.run(main())
        except ProcessExit as exit_:
            reasons.append(exit_.reason)
            raise

    pid = process.spawn(body)
    eventually(lambda: entered)
    process.exit(pid, "over")
    eventually(lambda: pid not in node.procs and pid not in node.orphans)
    assert reasons == ["over"]


def test_work_on_a_thread_of_a_plain_task_may_wait(run: Callable[[Main], Any], node: Node) -> None:
    """Whether the task happens to be a process already makes no difference to it."""

    async def main() -> None:
        assert self_pid() in node.procs
        sent = await asyncio.to_thread(lambda: process.send(self_pid(), "hi"))
        assert sent == "hi"
        assert await asyncio.to_thread(process.receive, timeout=WAIT) == "hi"

    run(main)


def test_a_task_is_on_the_node_of_the_task_that_started_it(node: Node) -> None:
    async def child() -> str:
        return self_pid().node

    async def main() -> str:
        await aio.supervisor.start_link([], strategy="one_for_one", node=other)
        return await asyncio.create_task(child())

    HERE.proc, here = None, HERE.proc
    try:
        with Node("other@127.0.0.1") as other:
            assert asyncio.run(main()) == other.name
            set_default_node(node)
            assert asyncio.run(child()) == node.name
    finally:
        HERE.proc = here


def test_attached_to_another_node_is_a_process_of_that_one(run: Callable[[Main], Any]) -> None:
    async def main() -> None:
        me = self_pid()
        with Node("other@127.0.0.1") as other:
            async with aio.attached(other) as there:
                assert there.node == other.name
                assert self_pid() == there
            assert self_pid() == me

    run(main)


def test_an_answer_comes_to_the_task_that_asked(run: Callable[[Main], Any]) -> None:
    from tests.bridges.test_aio import Counter

    async def main() -> None:
        pid = await aio.start(Counter, 1)
        request = gen_server.send_request(pid, "x")
        assert await aio.receive_response(request, WAIT) == ("reply", ("x", 1))
        await aio.stop(pid)

    run(main)
