"""``aio``: what waits, for coroutines, in async processes and in any other task."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    BadArgument,
    BadFlags,
    CallExit,
    CallTimeout,
    ChildError,
    Down,
    Exit,
    GenServer,
    Global,
    Ignored,
    Node,
    NoReply,
    NotDistributed,
    Ok,
    Pid,
    ProcessExit,
    ReceiveTimeout,
    Reply,
    StartError,
    Stop,
    aio,
    gen_server,
    global_,
    process,
    self_pid,
    supervisor,
)
from otpy.behaviours.results import IGNORE
from otpy.runtime.pool import Pool
from otpy.testing import eventually
from tests.cluster.conftest import Cluster, cluster

__all__ = ["cluster"]
B, NOWHERE = "b@127.0.0.1", "nowhere@127.0.0.1"
Body = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=["process", "task"])
def run(request: pytest.FixtureRequest) -> Callable[[Body], None]:
    """Runs a coroutine function: as an async process, or as a task that is no process."""

    def as_process(body: Body) -> None:
        _, ref = process.spawn(body, monitor=True)
        reason = process.receive(Down, where=lambda down: down.ref == ref, timeout=20).reason
        assert reason == "normal", reason

    return as_process if request.param == "process" else lambda body: asyncio.run(body())


class Counter(GenServer[int], green=True):
    """``arg`` says what ``init`` does."""

    def init(self, arg: Any) -> Any:
        match arg:
            case "ignore":
                return IGNORE
            case "stop":
                return Stop("no")
            case "hang":
                process.sleep(float("inf"))
            case _:
                return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: int) -> Any:
        match request:
            case "hang":
                return NoReply()
            case "end":
                return Stop("ended", state)
            case _:
                return Reply((request, state))

    def handle_cast(self, request: Any, state: int) -> Any:
        return Stop("ended", state)


def test_calls_stops_and_sys(node: Node, run: Callable[[Body], None]) -> None:
    async def body() -> None:
        pid = await aio.start(Counter, 1, name="counter")
        assert await aio.call("counter", "x") == ("x", 1)
        assert await aio.sys.get_state(pid) == 1
        assert await aio.sys.replace_state(pid, lambda state: state + 1) == 2
        await aio.sys.suspend(pid)
        assert (await aio.sys.get_status(pid))["status"] == "suspended"
        await aio.sys.resume(pid)
        await aio.sys.statistics(pid, True)
        await aio.sys.log(pid, 5)
        assert await aio.call(pid, "x") == ("x", 2)
        assert await aio.sys.statistics(pid, "get") == {"messages_in": 1, "messages_out": 1}
        assert len(await aio.sys.log(pid, "get")) == 2  # in, out
        with pytest.raises(CallTimeout) as late:
            await aio.call(pid, "hang", timeout=0.01)
        assert late.value.request == ("gen_server", "call", (pid, "hang", 0.01))
        assert await aio.multi_call("counter", "x") == ([(pid.node, ("x", 2))], [])
        await aio.stop(pid)
        with pytest.raises(CallExit) as gone:
            await aio.sys.get_state(pid)
        assert (gone.value.reason, gone.value.request[0]) == ("noproc", "sys")
        with pytest.raises(CallExit) as gone:
            await aio.stop(pid, "over")
        assert gone.value.request == ("gen_server", "stop", (pid, "over", None))
        pid = await aio.start(Counter, 1)
        await aio.sys.terminate(pid, "over")
        assert pid not in node.procs

    run(body)


def test_starts_that_fail(node: Node, run: Callable[[Body], None]) -> None:
    async def body() -> None:
        async with aio.attached():
            process.flag(trap_exit=True)
            pid = await aio.start(Counter, 1, name="counter")
            with pytest.raises(AlreadyStarted) as taken:
                await aio.start_link(Counter, 1, name="counter")
            assert taken.value.pid == pid
            with pytest.raises(Ignored):
                await aio.start_link(Counter, "ignore")
            with pytest.raises(StartError) as failed:
                await aio.start_link(Counter, "stop")
            assert failed.value.reason == "no"
            with pytest.raises(StartError) as failed:
                await aio.start_link(Counter, "hang", timeout=0.01)
            assert failed.value.reason == "timeout"
            with pytest.raises(BadArgument, match="not a GenServer"):
                await aio.start(dict, 1)  # type: ignore[arg-type]
            assert process.info(self_pid(), "links", "messages") == {"links": [], "messages": []}
            await aio.stop(pid)

    before = set(node.procs)
    run(body)
    eventually(lambda: set(node.procs) == before)


def test_what_a_task_is_linked_to_ends_with_the_task(node: Node) -> None:
    started: list[Pid] = []

    async def body() -> None:
        started.append(await aio.start_link(Counter, 1))
        started.append(await aio.supervisor.start_link([], strategy="one_for_one"))
        pid, ref = await aio.start_monitor(Counter, 1)
        assert await aio.call(started[1], ("which_children",)) == []
        process.exit(pid, "over")
        assert await aio.receive(timeout=5) == Down(ref, pid, "over")
        assert await aio.call(started[0], "x") == ("x", 1)

    asyncio.run(body())
    # The task ended with "normal", which ends who traps exits: as in OTP.
    eventually(lambda: started[1] not in node.procs)
    assert started[0] in node.procs
    gen_server.stop(started[0])


def test_a_task_hears_of_the_end_of_what_it_is_linked_to(node: Node) -> None:
    async def trapping() -> None:
        pid = await aio.start_link(Counter, 1)
        process.flag(trap_exit=True)
        with pytest.raises(CallExit):
            await aio.call(pid, "end")
        assert await aio.receive(timeout=5) == Exit(pid, "ended")

    async def plain() -> None:
        pid = await aio.start_link(Counter, 1)
        gen_server.cast(pid, "end")
        with pytest.raises(ProcessExit) as ended:
            await aio.receive()
        assert ended.value.reason == "ended"

    asyncio.run(trapping())
    asyncio.run(plain())


def test_attached_makes_a_task_one_process_for_a_block(node: Node) -> None:
    async def body() -> None:
        async with aio.attached() as pid:
            assert self_pid() == pid
            async with aio.attached() as same:
                assert same == pid
            process.send(pid, "to myself")
            assert await aio.receive(timeout=5) == "to myself"
            with pytest.raises(ReceiveTimeout):
                await aio.receive(timeout=0.001)

            async def child() -> Pid:
                async with aio.attached() as other:
                    return other

            assert await asyncio.create_task(child()) not in (pid, None)
            assert pid in node.procs
        assert pid not in node.procs
        with Node("other@127.0.0.1") as other:
            async with aio.attached(other) as pid:
                assert pid.node == other.name

    asyncio.run(body())


def test_supervisors(node: Node, run: Callable[[Body], None]) -> None:
    async def body() -> None:
        boss = await aio.supervisor.start_link([(Counter, 1)], strategy="one_for_one", name="boss")
        [row] = await aio.supervisor.which_children("boss")
        assert row.id is Counter
        assert (await aio.supervisor.count_children(boss)).active == 1
        pid = await aio.supervisor.start_child(boss, {"id": 2, "start": (Counter.start_link, (2,))})
        assert await aio.call(pid, "x") == ("x", 2)
        assert (await aio.supervisor.get_childspec(boss, 2)).id == 2
        with pytest.raises(ChildError, match="running"):
            await aio.supervisor.delete_child(boss, 2)
        await aio.supervisor.terminate_child(boss, 2)
        assert await aio.supervisor.restart_child(boss, 2) != pid
        await aio.supervisor.terminate_child(boss, 2)
        await aio.supervisor.delete_child(boss, 2)
        with pytest.raises(BadFlags):
            await aio.supervisor.start_link([])
        await aio.supervisor.stop(boss)
        assert boss not in node.procs

    run(body)


def tells(parent: Pid) -> None:
    process.send(parent, ("hello from", self_pid().node))
    process.sleep(float("inf"))


def test_other_nodes(cluster: Cluster, run: Callable[[Body], None]) -> None:
    cluster.start("ab")

    async def body() -> None:
        assert [await aio.ping(name) for name in (B, "a@127.0.0.1", NOWHERE)] == [
            "pong",
            "pong",
            "pang",
        ]
        assert await aio.connect(B) is True
        assert await aio.connect(NOWHERE) is False
        async with aio.attached() as me:
            process.flag(trap_exit=True)
            for name in (B, "a@127.0.0.1"):
                pid = await aio.spawn(name, tells, me)
                assert await aio.receive(timeout=5) == ("hello from", name)
                process.exit(pid, "kill")
                pid = await aio.spawn_link(name, tells, me, green=True)
                assert await aio.receive(timeout=5) == ("hello from", name)
                process.exit(pid, "over")
                assert await aio.receive(timeout=5) == Exit(pid, "over")
                pid, ref = await aio.spawn_monitor(name, tells, me)
                assert await aio.receive(timeout=5) == ("hello from", name)
                process.exit(pid, "over")
                assert await aio.receive(timeout=5) == Down(ref, pid, "over")
            pid = await aio.spawn_link(NOWHERE, tells, me)
            assert await aio.receive(timeout=5) == Exit(pid, "noconnection")
        assert await aio.disconnect(B) is True
        assert await aio.disconnect(NOWHERE) is False

    with cluster.nodes["a"].attached():
        run(body)


def test_a_node_without_a_mesh(node: Node, run: Callable[[Body], None]) -> None:
    async def body() -> None:
        assert await aio.ping(B) == "pang"
        for function in (aio.connect, aio.disconnect):
            with pytest.raises(NotDistributed):
                await function(B)

    run(body)


def test_blocking_runs_what_waits_as_a_process_of_its_own(
    node: Node, run: Callable[[Body], None]
) -> None:
    def fails() -> None:
        raise ValueError("no")

    async def body() -> None:
        async with aio.attached() as me:
            assert await aio.blocking(global_.register_name, "x", me)
            assert global_.whereis_name("x") == me
            other = await aio.blocking(self_pid)
            assert (other.node, other != me) == (node.name, True)
            assert other not in node.procs
            with pytest.raises(ValueError, match="no"):
                await aio.blocking(fails)
            assert await aio.blocking(global_.trans, ("lock", 1), lambda: "done") == "done"

    run(body)


def test_a_wait_that_is_cancelled_leaves_nothing(node: Node) -> None:
    async def body() -> None:
        async with aio.attached() as me:
            pid = await aio.start(Counter, 1)
            go = threading.Event()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await aio.call(pid, "hang", None)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await aio.blocking(go.wait)
            go.set()
            # The late answer has been given:
            assert isinstance(node.pool, Pool)
            while node.pool._idle != 1:  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0.001)
            # It does not keep the next wait from waiting, which would stop the loop.
            asyncio.get_running_loop().call_soon(process.send, me, "hello")
            assert await aio.receive(timeout=2) == "hello"
            assert await aio.call(pid, "x") == ("x", 1)
            assert node.procs[pid].deferred == {}
            await aio.stop(pid)

    asyncio.run(body())


class Leader(GenServer[str]):
    """A server on the event loop with a name of the cluster."""

    @classmethod
    def start_link(cls, arg: Any) -> Pid:
        return gen_server.start_link(cls, arg, name=Global("leader"))

    async def init(self, arg: str) -> Any:
        await aio.sleep(0)
        return Ok(arg)

    async def handle_call(self, request: Any, from_: Any, state: str) -> Any:
        return Reply(state)


def test_an_async_server_has_a_global_name(node: Node) -> None:
    pid = Leader.start_link("one")
    assert gen_server.call(Global("leader"), "x") == "one"
    with pytest.raises(AlreadyStarted) as taken:
        Leader.start_link("two")
    assert taken.value.pid == pid
    gen_server.stop(pid)


def test_an_async_server_stands_by_and_takes_over(node: Node) -> None:
    first, second = (
        supervisor.start_link([(Leader, name)], strategy="one_for_one") for name in ("one", "two")
    )
    [leads] = supervisor.which_children(first)
    [waits] = supervisor.which_children(second)
    assert (leads.standby, waits.standby) == (None, leads.pid)
    assert gen_server.call(Global("leader"), "x") == "one"
    supervisor.stop(first)
    eventually(lambda: gen_server.whereis(Global("leader")) == waits.pid)
    assert gen_server.call(waits.pid, "x") == "two"
    supervisor.stop(second)
