"""``aio``: requests that do not wait, ``enter_loop``, a cancelled ``erpc``, the rest of ``sys``."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    BadArgument,
    Down,
    GenServer,
    GenStatem,
    Node,
    NoReply,
    Ok,
    Pid,
    Reply,
    aio,
    erpc,
    gen_server,
    gen_statem,
    process,
    self_pid,
    sys,
)
from otpy.testing import aio as kit


class Echo(GenServer[Any], green=True):
    """Answers, or keeps who asked."""

    def init(self, arg: Any, /) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Any, /) -> Any:
        return NoReply(from_) if request == "keep" else Reply((request, state))


class AsyncEcho(Echo):
    """The same for coroutines."""

    async def handle_cast(self, request: Any, state: Any, /) -> Any:
        await asyncio.sleep(0)
        return NoReply((state, request))

    async def handle_continue(self, arg: Any, state: Any, /) -> Any:
        return NoReply((state, arg))


class NewEcho(Echo):
    """Another version."""

    def code_change(self, old_vsn: Any, state: Any, extra: Any, /) -> Any:
        return Ok((state, extra))


def left() -> Any:
    return process.info(self_pid(), "monitors", "messages")


NOTHING: dict[str, Any] = {"monitors": [], "messages": []}


@pytest.mark.otpy_leaves_processes
def test_a_task_waits_for_responses(node: Node) -> None:
    pid = gen_server.start(Echo, 0)

    async def body() -> None:
        async with aio.attached():
            request = gen_server.send_request(pid, "x")
            assert await aio.receive_response(request, 5) == ("reply", ("x", 0))
            reqids = gen_server.reqids_new()
            assert await aio.receive_response(reqids) == "no_request"
            gen_server.send_request(pid, "keep", "kept", reqids)
            assert await aio.wait_response(reqids, 0.001) == "timeout"
            gen_server.send_request(pid, "y", "asked", reqids)
            answer = await aio.wait_response(reqids, 5)
            assert answer[1] == "asked"
            assert await aio.receive_response(reqids, 0.001) == "timeout"
            assert left() == NOTHING
            asked_inside = gen_server.send_request(pid, "z")
        asked_outside = gen_server.send_request(pid, "x")
        with pytest.raises(BadArgument, match="another process"):
            await aio.receive_response(asked_inside, 5)
        late = await aio.receive_response(asked_outside, 5)
        assert (late[0], late[1][0]) == ("reply", "x")

    asyncio.run(body())


def test_an_async_process_becomes_a_server(node: Node) -> None:
    async def body(module: Any) -> None:
        await aio.enter_loop(module, 1, continue_="first")

    pid, ref = process.spawn(body, AsyncEcho, monitor=True)
    gen_server.cast(pid, "second")
    assert gen_server.call(pid, "x") == ("x", ((1, "first"), "second"))
    assert sys.get_status(pid)["module"] is AsyncEcho
    gen_server.stop(pid, "over")
    assert process.receive(timeout=5) == Down(ref, pid, "over")
    with pytest.raises(BadArgument, match="no process"):
        asyncio.run(body(Echo))


class Light(GenStatem[str, Any], callback_mode="handle_event_function", state_enter=True):
    """Answers with its state and data; those who ask in "red" wait for "green"."""

    def init(self, arg: Any, /) -> Any:
        return gen_statem.Ok("red", arg)

    def handle_event(self, event_type: Any, content: Any, state: str, data: Any, /) -> Any:
        match event_type:
            case gen_statem.Call() if state == "red":
                return gen_statem.KeepStateAndData(gen_statem.Postpone())
            case gen_statem.Call(from_):
                return gen_statem.KeepStateAndData(gen_statem.Reply(from_, (state, data)))
            case gen_statem.Enter():
                return gen_statem.KeepState((*data, f"enter {state}"))
            case _:
                return gen_statem.NextState("green")


class AsyncLight(Light):
    """The same for coroutines."""

    async def handle_event(self, event_type: Any, content: Any, state: str, data: Any, /) -> Any:
        await asyncio.sleep(0)
        return super().handle_event(event_type, content, state, data)


@pytest.mark.parametrize("module", [Light, AsyncLight])
def test_an_async_process_becomes_a_machine(node: Node, module: Any) -> None:
    async def body() -> None:
        actions = gen_statem.SetStateTimeout(0)
        await aio.gen_statem.enter_loop(module, "red", ("first",), actions=actions)

    pid, ref = process.spawn(body, monitor=True)
    assert gen_statem.call(pid, "x", 5) == ("green", ("first", "enter red", "enter green"))
    assert sys.get_status(pid)["module"] is module
    gen_statem.stop(pid, "over")
    assert process.receive(timeout=5) == Down(ref, pid, "over")
    with pytest.raises(BadArgument, match="no process"):
        asyncio.run(body())


class HandsOver(Light):
    """Goes on as a class of coroutines."""

    def handle_event(self, event_type: Any, content: Any, state: str, data: Any, /) -> Any:
        if content == "hand over":
            change = gen_statem.ChangeCallbackModule(AsyncLight)
            return gen_statem.NextState("green", data, change)
        return super().handle_event(event_type, content, state, data)


def test_an_async_process_that_became_a_machine_goes_on_as_one_of_coroutines(node: Node) -> None:
    async def body() -> None:
        await aio.gen_statem.enter_loop(HandsOver, "red", ())

    pid = process.spawn(body)
    gen_statem.cast(pid, "hand over")
    assert gen_statem.call(pid, "x", 5) == ("green", ("enter red", "enter green"))
    assert sys.get_status(pid)["module"] is AsyncLight
    gen_statem.stop(pid)


@pytest.mark.otpy_leaves_processes
def test_a_task_waits_for_responses_of_a_machine(node: Node) -> None:
    pid = gen_statem.start(Light, ())

    async def body() -> None:
        async with aio.attached():
            request = gen_statem.send_request(pid, "x")
            assert await aio.gen_statem.wait_response(request, 0.001) == "timeout"
            gen_statem.cast(pid, "go")
            answer = await aio.gen_statem.receive_response(request, 5)
            assert answer == ("reply", ("green", ("enter red", "enter green")))
            assert left() == NOTHING

    asyncio.run(body())


def for_ever(who: Pid) -> None:
    process.send(who, self_pid())
    process.sleep(float("inf"))


def unwatched(pid: Pid) -> bool:
    return process.info(pid, "monitored_by") == {"monitored_by": []}


def test_an_erpc_that_is_cancelled_leaves_nothing(node: Node) -> None:
    async def body() -> None:
        async with aio.attached() as me:
            for start in (
                lambda: aio.erpc.call(node.name, for_ever, me),
                lambda: aio.erpc.multicall([node.name], for_ever, me),
            ):
                waits = asyncio.ensure_future(as_part(start))
                pid = await aio.receive(Pid, timeout=5)
                waits.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waits
                await kit.eventually(lambda pid=pid: unwatched(pid))
                process.exit(pid, "kill")
            assert left() == NOTHING

    async def as_part(start: Any) -> None:
        await start()

    asyncio.run(body())
    assert erpc.call(node.name, self_pid, timeout=5) not in process.list_()


def test_a_task_that_is_one_process_takes_nothing_late_of_a_cancelled_call(node: Node) -> None:
    async def body() -> None:
        async with aio.attached() as me:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(aio.erpc.call(node.name, for_ever, me), 0.05)
            pid = await aio.receive(Pid, timeout=5)
            process.exit(pid, "kill")
            fence = process.monitor(pid)
            assert (await aio.receive(timeout=5)).ref == fence
            assert left() == NOTHING

    asyncio.run(body())


def tells(who: Pid, event: Any, _: Any) -> Any:
    process.send(who, event[0])
    return who


@pytest.mark.otpy_leaves_processes
def test_the_rest_of_sys(node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pid = gen_server.start(Echo, 0, name="echo")
    file = tmp_path / "events"

    async def body() -> None:
        async with aio.attached() as me:
            await aio.sys.trace(pid, True)
            await aio.sys.log_to_file(pid, str(file))
            await aio.sys.install(pid, ("id", tells, me))
            await aio.call(pid, "x")
            assert [await aio.receive(timeout=5) for _ in range(2)] == ["in", "out"]
            await aio.sys.remove(pid, "id")
            await aio.call(pid, "y")
            await aio.sys.no_debug(pid)
            await aio.call(pid, "z")
            assert left() == NOTHING
            await aio.sys.suspend(pid)
            await aio.sys.change_code(pid, NewEcho, "1", 2)
            await aio.sys.resume(pid)
            assert await aio.sys.get_state(pid) == (0, 2)
            with pytest.raises(BadArgument):
                await aio.sys.install(pid, tells)

    asyncio.run(body())
    assert capsys.readouterr().out == file.read_text()
    assert file.read_text().count("*DBG* echo") == 4
