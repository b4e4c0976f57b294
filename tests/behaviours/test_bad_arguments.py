"""What users get wrong in an argument: one clear error where the function was called."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are there to be given what no type allows.

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    Agent,
    BadArgument,
    BadChildSpec,
    BadFlags,
    GenServer,
    GenStatem,
    NotAName,
    ReceiveTimeout,
    Supervisor,
    Task,
    Via,
    agent,
    aio,
    application,
    dynamic_supervisor,
    erpc,
    gen_server,
    global_,
    hours,
    minutes,
    process,
    registry,
    rpc,
    seconds,
    self_pid,
    supervisor,
    task,
    task_supervisor,
    timer,
)
from otpy.testing import catch_exit, eventually
from tests.conformance.servers import Server


class Empty(Supervisor):
    """Has no children."""

    def init(self, arg: Any) -> Any:
        return supervisor.init([], strategy="one_for_one")


BESIDE: list[dict[str, Any]] = [
    {"strategy": "one_for_all"},
    {"max_restarts": "x"},
    {"max_restarts": 4},
    {"max_seconds": 6.0},
    {"auto_shutdown": "any_significant"},
    {"strategy": "one_for_all", "max_restarts": "x"},
]


@pytest.mark.parametrize("flags", BESIDE)
def test_flags_beside_a_class_are_refused(node: Any, flags: dict[str, Any]) -> None:
    with pytest.raises(BadFlags, match=r"Empty\.init gives the flags; .*none beside") as refused:
        supervisor.start_link(Empty, **flags)
    assert refused.value.reason == ("flags_of_a_class", Empty)
    for name, value in flags.items():
        assert f"{name}={value!r}" in str(refused.value)


@pytest.mark.asyncio
async def test_flags_beside_a_class_are_refused_in_a_coroutine_too(node: Any) -> None:
    with pytest.raises(BadFlags, match=r"Empty\.init gives the flags"):
        await aio.supervisor.start_link(Empty, strategy="one_for_all")


def nothing(*_: Any) -> None:
    """Do nothing."""


X: Any = "x"
N: Any = 3
L: Any = []
NONE: Any = None
PAIR: Any = (int, str)
INTS: Any = list[int]
FLAG = "='x'; expected True or False"

PROCESSES: dict[str, tuple[Callable[[], Any], str]] = {
    "receive": (lambda: process.receive(N), "receive: 3; expected the type of a message"),
    "receive of two": (lambda: process.receive(int, N), "receive: 3; expected the type"),
    "receive at once": (lambda: process.receive(N, timeout=0), "receive: 3; expected the type"),
    "receive where": (
        lambda: process.receive(where=X),
        "receive: where='x'; expected a function of a message",
    ),
    "blocking": (lambda: process.blocking(N), "process.blocking(3): expected a function"),
    "await_coroutine": (
        lambda: process.await_coroutine(N),
        "process.await_coroutine(3): expected a coroutine",
    ),
    "cancel_timer": (lambda: process.cancel_timer(N), "cancel_timer(3): expected a Ref"),
    "read_timer": (lambda: process.read_timer(X), "read_timer('x'): expected a Ref"),
    "unalias": (lambda: process.unalias(N), "unalias(3): expected a Ref"),
    "spawn_request": (
        lambda: process.spawn_request(nothing, reply=L),
        "reply=[]; expected one of yes, no",
    ),
    "spawn green": (lambda: process.spawn(nothing, green=X), "green" + FLAG),
    "spawn link": (lambda: process.spawn(nothing, link=X), "link" + FLAG),
    "spawn monitor": (lambda: process.spawn(nothing, monitor=X), "monitor" + FLAG),
    "spawn_link": (lambda: process.spawn_link(nothing, green=X), "green" + FLAG),
    "spawn_request green": (lambda: process.spawn_request(nothing, green=X), "green" + FLAG),
    "actor_ref": (
        lambda: process.actor_ref(self_pid(), node=N),
        "actor_ref: node=3; expected a Node",
    ),
    "put": (lambda: process.put(L, 1), "process.put: key=[]; expected a value that has a hash"),
    "get": (lambda: process.get(L), "process.get: key=[]; expected a value that has a hash"),
    "delete": (lambda: process.delete([L]), "process.delete: key=[[]]; expected a value that"),
    "seconds": (lambda: seconds(X), "seconds('x'): expected a number"),
    "minutes": (lambda: minutes(X), "minutes('x'): expected a number"),
    "hours": (lambda: hours(L), "hours([]): expected a number"),
    "hms": (lambda: timer.hms(X, 1, 1), "hours('x'): expected a number"),
    "eventually": (lambda: eventually(N), "eventually(3): expected a function"),
    "eventually within": (lambda: eventually(nothing, timeout=-1), "timeout=-1; expected seconds"),
    "catch_exit": (lambda: catch_exit(N), "catch_exit(3): expected a function"),
}
NODES = "nodes=3; expected a list of nodes' names"
ELSEWHERE: dict[str, tuple[Callable[[], Any], str]] = {
    "abcast": (lambda: gen_server.abcast("x", 1, nodes=N), NODES),
    "abcast to a str": (
        lambda: gen_server.abcast("x", 1, nodes=X),
        "nodes='x'; expected a list of nodes' names",
    ),
    "multi_call": (lambda: gen_server.multi_call("x", 1, nodes=N), NODES),
    "erpc.multicall": (lambda: erpc.multicall(N, nothing), NODES),
    "erpc.multicast": (lambda: erpc.multicast(N, nothing), NODES),
    "rpc.multicall": (lambda: rpc.multicall(N, nothing), NODES),
    "eval_everywhere": (lambda: rpc.eval_everywhere(N, nothing), NODES),
    "global_.start": (lambda: global_.start(N), "global_.start: node=3; expected a Node"),
}
REGISTRY: dict[str, tuple[Callable[[], Any], str]] = {
    "update_value": (
        lambda: registry.update_value("reg", "key", N),
        "registry.update_value(3): expected a function",
    ),
    "keys": (lambda: registry.keys("reg", L), "registry.keys: []; expected a Pid"),
    "keys of a str": (lambda: registry.keys("reg", X), "registry.keys: 'x'; expected a Pid"),
    "values": (lambda: registry.values("reg", "key", L), "registry.values: []; expected a Pid"),
    "unregister_name": (
        lambda: registry.unregister_name(None),  # type: ignore[arg-type]
        "Via(registry, None): expected (name, key)",
    ),
    "dispatch": (lambda: registry.dispatch("reg", "key", nothing, parallel=X), "parallel" + FLAG),
}
BEHAVIOURS: dict[str, tuple[Callable[[], Any], str]] = {
    "supervisor.start_link": (
        lambda: supervisor.start_link(None, strategy="one_for_one"),  # type: ignore[arg-type]
        "children=None; expected a list of children",
    ),
    "one child": (
        lambda: supervisor.init({"id": 1, "start": 2}, strategy="one_for_one"),  # type: ignore[arg-type]
        "expected a list of children",
    ),
    "supervisor green": (
        lambda: supervisor.start_link([], strategy="one_for_one", green=X),
        "green" + FLAG,
    ),
    "dynamic green": (lambda: dynamic_supervisor.start_link(green=X), "green" + FLAG),
    "tasks green": (lambda: task_supervisor.start_link(green=X), "green" + FLAG),
    "agent green": (lambda: agent.start(nothing, green=X), "green" + FLAG),
    "task green": (lambda: task.async_(nothing, green=X), "green" + FLAG),
    "child green": (lambda: task_supervisor.start_child("x", nothing, green=X), "green" + FLAG),
    "stream green": (lambda: task.async_stream([1], nothing, green=X), "green" + FLAG),
    "await_many": (lambda: task.await_many(N), "3: expected a list of tasks"),
    "yield_many": (lambda: task.yield_many(N), "3: expected a list of tasks"),
    "children": (
        lambda: task_supervisor.children(gen_server.start_link(Server, 1)),
        "is no task supervisor",
    ),
    "put_env": (lambda: application.put_env("a", "b", 1, persistent=X), "persistent" + FLAG),
    "put_all_env": (lambda: application.put_all_env({}, persistent=X), "persistent" + FLAG),
    "delete_env": (lambda: application.delete_env("a", "b", persistent=X), "persistent" + FLAG),
}
CASES = {**PROCESSES, **ELSEWHERE, **REGISTRY, **BEHAVIOURS}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_and_named(node: Any, case: str) -> None:
    registry.start_link(keys="unique", name="reg")
    registry.register("reg", "key", 1)
    ask, text = CASES[case]
    with pytest.raises(BadArgument) as refused:
        ask()
    assert text in str(refused.value)


LATER: dict[str, tuple[Callable[[], Any], str]] = {
    "blocking": (lambda: aio.blocking(N), "aio.blocking(3): expected a function"),
    "call": (lambda: aio.call("x", 1, node=N), "node=3; expected a Node"),
    "start_link": (lambda: aio.start_link(GenServer, 1, node=N), "node=3; expected a Node"),
    "multi_call": (lambda: aio.multi_call("x", 1, nodes=N), NODES),
    "erpc.multicall": (lambda: aio.erpc.multicall(N, nothing), NODES),
    "rpc.multicall": (lambda: aio.rpc.multicall(N, nothing), NODES),
    "await_many": (lambda: aio.task.await_many(N), "3: expected a list of tasks"),
    "agent green": (lambda: aio.agent.start(nothing, green=X), "green" + FLAG),
    "receive": (lambda: aio.receive(X), "receive: 'x'; expected the type of a message"),
    "receive of two": (lambda: aio.receive(int, N), "receive: 3; expected the type"),
    "receive of none": (lambda: aio.receive(NONE), "receive: None; expected the type"),
    "receive of a tuple": (lambda: aio.receive(PAIR), "expected the type of a message"),
    "receive of a list": (lambda: aio.receive(INTS), "receive: list[int]; expected the type"),
    "receive where": (lambda: aio.receive(where=N), "where=3; expected a function of a message"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", LATER)
async def test_it_is_refused_in_a_coroutine_too(node: Any, case: str) -> None:
    ask, text = LATER[case]
    with pytest.raises(BadArgument) as refused:
        async with asyncio.timeout(5), aio.attached():
            await ask()
    assert text in str(refused.value)


def test_a_message_that_has_come_is_no_excuse_for_what_is_no_type(node: Any) -> None:
    process.send(self_pid(), "message")
    with pytest.raises(BadArgument, match="receive: 3"):
        process.receive(N)
    with pytest.raises(BadArgument, match="where='x'"):
        process.receive(where=X)
    with pytest.raises(TypeError, match="its own"):
        process.receive(where=raises_type_error)
    assert process.receive(timeout=0) == "message"


def raises_type_error(_: Any) -> bool:
    raise TypeError("its own")


def test_a_union_of_types_can_be_received(node: Any) -> None:
    wanted: Any = int | bytes
    with pytest.raises(TimeoutError, match=r"int \| bytes"):
        process.receive(wanted, timeout=0)
    process.send(self_pid(), b"x")
    assert process.receive(wanted, timeout=0) == b"x"


@pytest.mark.asyncio
async def test_a_coroutine_too_is_told_what_did_not_come(node: Any) -> None:
    for types, told in (((int, str), "(int, str)"), ((), "(any message)")):
        with pytest.raises(ReceiveTimeout) as late:
            await aio.receive(*types, timeout=0)
        assert str(late.value) == f"no matching message {told} within 0 seconds"


ADDRESSED: dict[str, Callable[[Any], Any]] = {
    "call": lambda to: gen_server.call(to, 1),
    "cast": lambda to: gen_server.cast(to, 1),
    "whereis": gen_server.whereis,
    "stop": gen_server.stop,
    "send": lambda to: process.send(to, 1),
    "monitor": process.monitor,
    "start": lambda to: gen_server.start(Server, 1, name=to),
    "supervisor": lambda to: supervisor.start_link([], strategy="one_for_one", name=to),
    "enter_loop": lambda to: gen_server.enter_loop(Server, 1, name=to),
    "send_after": lambda to: timer.send_after(1, to, 1),
    "send_interval": lambda to: timer.send_interval(1, to, 1),
}


@pytest.mark.parametrize("module", ["x", int, None])
@pytest.mark.parametrize("use", ADDRESSED)
def test_what_is_no_registry_can_be_no_address(node: Any, use: str, module: Any) -> None:
    with pytest.raises(NotAName, match="expected a registry, with register_name"):
        ADDRESSED[use](Via(module, "key"))


def test_what_a_registry_raises_comes_up(node: Any) -> None:
    with pytest.raises(AttributeError, match="its own"):
        gen_server.call(Via(RaisesOne, "key"), 1)


class RaisesOne:
    """A registry with a mistake."""

    @staticmethod
    def register_name(key: Any, pid: Any) -> bool:
        return False

    @staticmethod
    def whereis_name(key: Any) -> Any:
        raise AttributeError("its own")


@pytest.mark.parametrize("base", [GenServer, GenStatem, Supervisor, Agent, Task])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"restart": "foo"}, "restart='foo'; expected one of permanent"),
        ({"shutdown": -1}, "shutdown=-1; expected seconds"),
        ({"significant": "yes"}, "significant='yes'; expected True or False"),
        ({"id": [1]}, r"id=\[1\]; expected a value that has a hash"),
    ],
)
def test_an_option_of_a_class_is_refused_at_its_definition(
    base: type, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(BadChildSpec, match=f"class Wrong: {text}"):
        type("Wrong", (base,), {}, **options)


@pytest.mark.parametrize("base", [GenServer, GenStatem, Supervisor, Agent, Task])
def test_so_is_a_flag_of_a_class(base: type) -> None:
    with pytest.raises(BadArgument, match="class Wrong: green='no'; expected True or False"):
        type("Wrong", (base,), {}, green="no")
    with pytest.raises(BadArgument, match="class Wrong: state_enter='x'; expected True or False"):
        type("Wrong", (GenStatem,), {}, state_enter="x")
