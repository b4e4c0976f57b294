"""``aio.dynamic_supervisor`` and ``aio.partition_supervisor``."""

import asyncio
from typing import Any

import pytest

from otpy import (
    BadArgument,
    BadFlags,
    ChildError,
    ChildSpec,
    GenServer,
    Node,
    Ok,
    Pid,
    Reply,
    Via,
    aio,
    dynamic_supervisor,
    gen_server,
    partition_supervisor,
)


class Worker(GenServer[Any], green=True):
    @classmethod
    def start_link(cls, *args: Any) -> Pid:
        return gen_server.start_link(cls, args)

    def init(self, arg: Any) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return Reply((request, state))


def test_dynamic_supervisors(node: Node) -> None:
    async def body() -> None:
        boss = await aio.dynamic_supervisor.start_link(name="boss", max_children=1)
        pid = await aio.dynamic_supervisor.start_child("boss", (Worker, 1))
        assert await aio.call(pid, "x") == ("x", (1,))
        assert [row.pid for row in await aio.dynamic_supervisor.which_children(boss)] == [pid]
        with pytest.raises(ChildError, match="max_children"):
            await aio.dynamic_supervisor.start_child(boss, (Worker, 2))
        with pytest.raises(BadArgument, match="expected the Pid"):
            await aio.dynamic_supervisor.terminate_child(boss, "x")  # type: ignore[arg-type]
        await aio.dynamic_supervisor.terminate_child(boss, pid)
        assert await aio.dynamic_supervisor.count_children(boss) == (0, 0, 0, 0)
        info = ChildSpec("x", (lambda: (Worker.start_link(3), "info"), ()))
        started, told = await aio.dynamic_supervisor.start_child(boss, info)
        assert told == "info"
        await aio.dynamic_supervisor.stop(boss)
        assert boss not in node.procs
        assert started not in node.procs
        with pytest.raises(BadFlags):
            await aio.dynamic_supervisor.start_link(max_children=-1)

    asyncio.run(body())


def test_partition_supervisors(node: Node) -> None:
    async def body() -> None:
        boss = await aio.partition_supervisor.start_link(
            child_spec=(Worker, 1), name="parts", partitions=2
        )
        assert partition_supervisor.partitions("parts") == 2
        address = Via(partition_supervisor, ("parts", 3))
        assert await aio.call(address, "x") == ("x", (1,))
        rows = await aio.partition_supervisor.which_children("parts")
        assert [row.id for row in rows] == [1, 0]
        assert (await aio.partition_supervisor.count_children("parts")).active == 2
        assert await aio.partition_supervisor.resize("parts", 1) == 2
        assert await aio.partition_supervisor.resize("parts", 2) == 1
        with pytest.raises(BadArgument, match="started with 2"):
            await aio.partition_supervisor.resize("parts", 3)
        await aio.partition_supervisor.stop("parts")
        assert boss not in node.procs

    asyncio.run(body())


def test_an_address_leads_to_a_dynamic_supervisor(node: Node) -> None:
    async def body() -> None:
        await aio.partition_supervisor.start_link(
            child_spec=dynamic_supervisor.DynamicSupervisor, name="jobs", partitions=2
        )
        address = Via(partition_supervisor, ("jobs", "user"))
        pid = await aio.dynamic_supervisor.start_child(address, (Worker, 1))
        [row] = await aio.dynamic_supervisor.which_children(address)
        assert row.pid == pid
        await aio.partition_supervisor.stop("jobs")
        assert pid not in node.procs

    asyncio.run(body())
