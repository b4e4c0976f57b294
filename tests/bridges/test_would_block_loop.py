"""Calls that wait raise ``WouldBlockLoop`` on the thread of a running event loop.

Before anything is sent or done, and with the name of the function of ``aio`` to use.
"""

import asyncio
import inspect
import re
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import otpy
from otpy import (
    Down,
    GenServer,
    GenStatem,
    Global,
    Node,
    NoReply,
    Ok,
    ReceiveTimeout,
    Reply,
    WouldBlockLoop,
    aio,
    dynamic_supervisor,
    erpc,
    gen_server,
    gen_statem,
    global_,
    partition_supervisor,
    pg,
    process,
    registry,
    rpc,
    self_pid,
    supervisor,
    sys,
)
from otpy import node as nodes
from otpy.runtime._default import default_or_none, set_default_node
from otpy.testing import eventually

SERVER = "witness"
LOCK = ("lock", "me")


class Witness(GenServer[list[Any]], green=True):
    """Keeps all it is sent."""

    def init(self, arg: Any) -> Any:
        return Ok([])

    def handle_call(self, request: Any, from_: Any, state: list[Any]) -> Any:
        return Reply(state, [*state, request])

    def handle_info(self, message: Any, state: list[Any]) -> Any:
        return NoReply([*state, message])


class Machine(GenStatem[str, int], callback_mode="handle_event_function"):
    """Never started."""


def never() -> None:
    """What no test may get to run."""
    raise AssertionError("it ran")


async def innocent() -> None:
    """A coroutine to be awaited by nobody."""


def await_innocent() -> None:
    coro = innocent()
    try:
        process.await_coroutine(coro)
    finally:
        coro.close()


CALLS: dict[str, Callable[[], Any]] = {
    "gen_server.call": lambda: gen_server.call(SERVER, "x"),
    "gen_server.call by a global name": lambda: gen_server.call(Global(SERVER), "x"),
    "gen_server.stop": lambda: gen_server.stop(SERVER),
    "gen_server.start": lambda: gen_server.start(Witness, 0),
    "gen_server.start_link": lambda: gen_server.start_link(Witness, 0),
    "gen_server.start_link by the class": lambda: Witness.start_link(0),
    "gen_server.start_monitor": lambda: gen_server.start_monitor(Witness, 0),
    "gen_server.multi_call": lambda: gen_server.multi_call(SERVER, "x"),
    "gen_statem.call": lambda: gen_statem.call(SERVER, "x"),
    "gen_statem.stop": lambda: gen_statem.stop(SERVER),
    "gen_statem.start": lambda: gen_statem.start(Machine, 0),
    "gen_statem.start_link": lambda: gen_statem.start_link(Machine, 0),
    "gen_statem.start_link by the class": lambda: Machine.start_link(0),
    "gen_statem.start_monitor": lambda: gen_statem.start_monitor(Machine, 0),
    "gen_statem.receive_response": lambda: gen_statem.receive_response(gen_statem.reqids_new()),
    "gen_statem.wait_response": lambda: gen_statem.wait_response(gen_statem.reqids_new()),
    "gen_statem.enter_loop": lambda: gen_statem.enter_loop(Machine, "a", 0),
    "gen_server.receive_response": lambda: gen_server.receive_response(gen_server.reqids_new()),
    "gen_server.wait_response": lambda: gen_server.wait_response(gen_server.reqids_new()),
    "gen_server.enter_loop": lambda: gen_server.enter_loop(Witness, []),
    "process.receive": lambda: process.receive(timeout=5),
    "process.receive for ever": lambda: process.receive(),
    "process.sleep": lambda: process.sleep(0.01),
    "process.blocking": lambda: process.blocking(never),
    "process.await_coroutine": await_innocent,
    "sys.get_state": lambda: sys.get_state(SERVER),
    "sys.replace_state": lambda: sys.replace_state(SERVER, lambda _: ["changed"]),
    "sys.suspend": lambda: sys.suspend(SERVER),
    "sys.resume": lambda: sys.resume(SERVER),
    "sys.get_status": lambda: sys.get_status(SERVER),
    "sys.statistics": lambda: sys.statistics(SERVER, True),
    "sys.log": lambda: sys.log(SERVER, 10),
    "sys.terminate": lambda: sys.terminate(SERVER, "x"),
    "sys.trace": lambda: sys.trace(SERVER, True),
    "sys.log_to_file": lambda: sys.log_to_file(SERVER, "never"),
    "sys.install": lambda: sys.install(SERVER, (never, 0)),
    "sys.remove": lambda: sys.remove(SERVER, never),
    "sys.no_debug": lambda: sys.no_debug(SERVER),
    "sys.change_code": lambda: sys.change_code(SERVER, Witness, 1, 2),
    "supervisor.start_link": lambda: supervisor.start_link([], strategy="one_for_one"),
    "supervisor.which_children": lambda: supervisor.which_children(SERVER),
    "supervisor.count_children": lambda: supervisor.count_children(SERVER),
    "supervisor.start_child": lambda: supervisor.start_child(SERVER, (Witness, 0)),
    "supervisor.terminate_child": lambda: supervisor.terminate_child(SERVER, "x"),
    "supervisor.restart_child": lambda: supervisor.restart_child(SERVER, "x"),
    "supervisor.delete_child": lambda: supervisor.delete_child(SERVER, "x"),
    "supervisor.get_childspec": lambda: supervisor.get_childspec(SERVER, "x"),
    "supervisor.get_callback_module": lambda: supervisor.get_callback_module(SERVER),
    "supervisor.stop": lambda: supervisor.stop(SERVER),
    "dynamic_supervisor.start_link": lambda: dynamic_supervisor.start_link(),
    "dynamic_supervisor.which_children": lambda: dynamic_supervisor.which_children(SERVER),
    "dynamic_supervisor.count_children": lambda: dynamic_supervisor.count_children(SERVER),
    "dynamic_supervisor.start_child": lambda: dynamic_supervisor.start_child(SERVER, (Witness, 0)),
    "dynamic_supervisor.terminate_child": lambda: dynamic_supervisor.terminate_child(
        SERVER, self_pid()
    ),
    "dynamic_supervisor.stop": lambda: dynamic_supervisor.stop(SERVER),
    "partition_supervisor.start_link": lambda: partition_supervisor.start_link(
        child_spec=Witness, name="parts"
    ),
    "partition_supervisor.which_children": lambda: partition_supervisor.which_children(SERVER),
    "partition_supervisor.count_children": lambda: partition_supervisor.count_children(SERVER),
    "partition_supervisor.resize": lambda: partition_supervisor.resize(SERVER, 1),
    "partition_supervisor.stop": lambda: partition_supervisor.stop(SERVER),
    "registry.start_link": lambda: registry.start_link(keys="unique", name="x"),
    "registry.dispatch": lambda: registry.dispatch(SERVER, "x", print, parallel=True),
    "node.ping": lambda: nodes.ping("b@127.0.0.1"),
    "node.connect": lambda: nodes.connect("b@127.0.0.1"),
    "node.disconnect": lambda: nodes.disconnect("b@127.0.0.1"),
    "node.spawn": lambda: nodes.spawn("test@127.0.0.1", never),
    "node.spawn_link": lambda: nodes.spawn_link("test@127.0.0.1", never),
    "node.spawn_monitor": lambda: nodes.spawn_monitor("test@127.0.0.1", never),
    "erpc.call": lambda: erpc.call("test@127.0.0.1", never),
    "erpc.multicall": lambda: erpc.multicall(["test@127.0.0.1"], never),
    "erpc.receive_response": lambda: erpc.receive_response(erpc.reqids_new()),
    "erpc.wait_response": lambda: erpc.wait_response(erpc.reqids_new()),
    "rpc.call": lambda: rpc.call("test@127.0.0.1", never),
    "rpc.block_call": lambda: rpc.block_call("test@127.0.0.1", never),
    "rpc.multicall": lambda: rpc.multicall(["test@127.0.0.1"], never),
    "global_.register_name": lambda: global_.register_name("x", self_pid()),
    "global_.re_register_name": lambda: global_.re_register_name("x", self_pid()),
    "global_.unregister_name": lambda: global_.unregister_name(SERVER),
    "global_.set_lock": lambda: global_.set_lock(LOCK),
    "global_.del_lock": lambda: global_.del_lock(LOCK),
    "global_.trans": lambda: global_.trans(LOCK, never),
    "global_.sync": lambda: global_.sync(),
    "global_.start": lambda: global_.start(Node("other@127.0.0.1")),
    "pg.start": lambda: pg.start(),
    "pg.start_link": lambda: pg.start_link(),
    "pg.join": lambda: pg.join("g", self_pid()),
    "pg.leave": lambda: pg.leave("g", self_pid()),
}


def check_refused(what: str) -> None:
    """The call raises, and the message leads to a function that exists."""
    name = what.split(" ")[0]
    with pytest.raises(WouldBlockLoop) as refused:
        CALLS[what]()
    text = str(refused.value)
    assert text.startswith(f"{name} would block the event loop")
    if name == "process.await_coroutine":
        assert text.endswith("use await and the coroutine itself")
        return
    named = re.search(r"use await (aio(?:\.\w+)+)\((?:(global_|pg)\.(\w+), )?\.\.\.\)$", text)
    assert named, text
    target: Any = otpy
    for part in named[1].split("."):
        target = getattr(target, part)
    assert inspect.iscoroutinefunction(target)
    if name.startswith(("global_", "pg")):
        assert named[1] == "aio.blocking"
        assert callable(getattr(getattr(otpy, named[2]), named[3]))
    else:
        assert named[1].split(".")[-1] == name.split(".")[1]


async def by_a_coroutine(what: str) -> None:
    check_refused(what)


def in_an_async_process(what: str) -> None:
    _watch(by_a_coroutine, what)


async def by_a_child_task(what: str) -> None:
    await asyncio.create_task(by_a_coroutine(what))


def in_a_task_of_an_async_process(what: str) -> None:
    _watch(by_a_child_task, what)


def _watch(body: Callable[[str], Coroutine[Any, Any, None]], what: str) -> None:
    _, ref = process.spawn(body, what, monitor=True)
    down = process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
    assert down.reason == "normal", down.reason


class Async(GenServer[None]):
    """An async server whose other callbacks are not."""

    async def handle_cast(self, request: Any, state: None) -> Any:
        return NoReply()

    def init(self, arg: Any) -> Any:
        return Ok(None)

    def handle_call(self, request: Any, from_: Any, state: None) -> Any:
        check_refused(request)
        return Reply("refused")


def in_a_plain_callback_of_an_async_server(what: str) -> None:
    server = gen_server.start(Async, None)
    assert gen_server.call(server, what) == "refused"
    gen_server.stop(server)


def in_a_coroutine_on_the_thread_of_a_process(what: str) -> None:
    asyncio.run(by_a_coroutine(what))


def in_a_coroutine_of_a_program_without_processes(what: str) -> None:
    errors: list[BaseException] = []

    def program() -> None:
        try:
            asyncio.run(by_a_coroutine(what))
        except BaseException as error:  # noqa: BLE001 - raised again in the test itself
            errors.append(error)

    thread = threading.Thread(target=program)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


PLACES: list[Callable[[str], None]] = [
    in_an_async_process,
    in_a_task_of_an_async_process,
    in_a_plain_callback_of_an_async_server,
    in_a_coroutine_on_the_thread_of_a_process,
    in_a_coroutine_of_a_program_without_processes,
]


@pytest.fixture
def witness(node: Node) -> Any:
    """A server that keeps all it is sent, by a local and by a global name."""
    pid = gen_server.start_link(Witness, 0, name=SERVER)
    assert global_.register_name(SERVER, pid)
    return pid


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("what", CALLS)
def test_a_call_that_waits_is_refused_before_anything_is_done(
    node: Node, witness: Any, what: str, place: Callable[[str], None]
) -> None:
    before = dict.fromkeys(node.procs)
    place(what)
    # Not even a process for the thread was made, and nobody else's end or start is left.
    eventually(lambda: dict.fromkeys(node.procs) == before)
    assert sys.get_status(witness)["status"] == "running"
    assert gen_server.call(witness, "all") == []
    assert global_.registered_names() == [SERVER]


def test_what_does_not_wait_is_not_refused(node: Node, witness: Any) -> None:
    async def body() -> None:
        gen_server.cast("nobody", "x")
        process.send(witness, "sent")
        process.monitor(witness)
        assert process.info(witness, "registered_name") == {"registered_name": SERVER}
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)
        nodes.monitor_nodes(True)
        nodes.monitor(node.name, True)
        process.spawn(lambda: None)
        assert gen_server.whereis(SERVER) == gen_server.whereis(Global(SERVER)) == witness

    _, ref = process.spawn(body, monitor=True)
    assert process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason == "normal"
    asyncio.run(body())
    assert gen_server.call(witness, "all") == ["sent", "sent"]


def test_a_pykka_future_is_not_waited_for(node: Node, witness: Any) -> None:
    async def body() -> None:
        ref = process.actor_ref(witness)
        with pytest.raises(WouldBlockLoop, match="block=False"):
            ref.ask("x")
        with pytest.raises(WouldBlockLoop, match="block=False"):
            ref.ask("x", block=False).get()
        assert await ref.ask("x", block=False) == ["x"]

    asyncio.run(body())


def test_info_of_a_green_process_does_not_wait_for_its_scheduler(node: Node, witness: Any) -> None:
    stuck, go = threading.Event(), threading.Event()
    me = self_pid()

    def hold_the_scheduler() -> None:
        stuck.set()
        process.send(me, go.wait(5))

    async def body() -> None:
        assert process.info(witness, "status") == {"status": "waiting"}
        go.set()

    process.spawn(hold_the_scheduler, green=True)
    assert stuck.wait(5)
    asyncio.run(body())
    assert process.receive(timeout=10) is True


def test_a_thread_that_works_for_an_async_process_is_told_so(node: Node, witness: Any) -> None:
    async def body() -> None:
        with pytest.raises(WouldBlockLoop, match=r"cannot wait here.*aio\.blocking\(fn"):
            await asyncio.to_thread(gen_server.call, SERVER, "x")
        assert await aio.blocking(gen_server.call, SERVER, "x") == []

    _, ref = process.spawn(body, monitor=True)
    assert process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason == "normal"
    assert gen_server.call(witness, "all") == ["x"]


def test_the_refusal_is_as_fine_without_any_node() -> None:
    """A coroutine of a program that has no node does not get one by the attempt."""

    set_default_node(None)
    for what in ("gen_server.call", "process.receive", "node.ping", "supervisor.start_link"):
        in_a_coroutine_of_a_program_without_processes(what)
    assert default_or_none() is None
