"""The servers that otpy runs for others are ended by nothing that they are sent."""

from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    ApplicationSpec,
    At,
    BadArgument,
    BadChildSpec,
    CallExit,
    ChildSpec,
    Exit,
    Pid,
    aio,
    application,
    dynamic_supervisor,
    gen_server,
    partition_supervisor,
    process,
    registry,
    rpc,
    supervisor,
    sys,
    task_supervisor,
)
from otpy.behaviours._app_controller import controller
from otpy.behaviours._app_tables import tables
from otpy.cluster._global_server import SERVER as NAMES
from otpy.cluster._lease_contests import SERVER as LEASES
from otpy.terms.messages import Down, NodeDown, NodeUp
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.applications import Told
from tests.conformance.children import Child, pids
from tests.conformance.remote import Unsendable

__all__ = ["cluster"]
B = "b@127.0.0.1"


class Odd:
    """Its hash and its comparisons raise."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


def nothing() -> None:
    """Start no process."""


def with_something(*args: Any) -> tuple[Pid, Any]:
    """Start a process, and give something of it that no other node can have."""
    return process.spawn_link(process.sleep, float("inf"), green=True), Unsendable()


def calls(key: Any) -> list[Any]:
    """What a server may be asked with such a key, and what no server knows."""
    pid = process.self_pid()
    return [
        *((what, key) for what in ("terminate_child", "restart_child", "delete_child")),
        *((what, key) for what in ("get_childspec", "unregister", "members", "resize", "x")),
        *((what, (key, key)) for what in ("lock", "unlock")),
        ("start_child", key),
        ("start_child", ChildSpec(key, (nothing, ()))),
        ("start_child", ChildSpec("x", (nothing, ()), restart=key)),
        ("start_child", ChildSpec("x", (nothing, ()), shutdown=key)),
        ("start_child", ChildSpec("x", key)),
        ("start", key, "temporary"),
        ("start", "shop", key),
        ("stop", key, None),
        ("stop", "shop", [key]),  # with None, its time-out, it would be a request like any other
        ("stop_all", key),
        ("register", (key, pid, "", False, ())),
        ("register", key, pid, 3, None),
        ("register", "x", pid, key, None),
        ("change", key, "add", "x@y"),
        (key, key),
        (key,),
        key,
    ]


def messages(key: Any) -> list[Any]:
    """The same, of messages and casts."""
    ref = process.make_ref()
    pid = process.self_pid()
    return [
        *((what, key) for what in ("$retry", "$forget", "x", "resolver_deadline", "lease_due")),
        *((what, "x@y", key) for what in ("global", "lease")),
        ("$kill", key, key),
        ("$kill", "shop", key),
        ("started", "shop", key),
        ("started", key, key),
        ("monitor", key, pid, ref),
        Exit(key, "x"),
        Down(key, key, "x"),
        NodeUp(key),
        NodeDown(key),
        (key, key),
        (key,),
        key,
    ]


def assail(server: Any, keys: list[Any]) -> None:
    """Send it all of that, and wait until it has handled it."""
    for key in keys:
        for request in calls(key):
            gen_server.send_request(server, request)
        for message in messages(key):
            gen_server.cast(server, message)
            process.send(server, message)
    sys.statistics(server, "get", None)


def child() -> ChildSpec:
    return supervisor.child_spec((Child, (process.self_pid(), "a")), id="a")


def a_dynamic() -> Pid:
    boss = dynamic_supervisor.start_link()
    dynamic_supervisor.start_child(boss, child())
    return boss


def a_registry() -> Pid:
    boss = registry.start_link(keys="unique", name="reg")
    registry.register("reg", "key", "value")
    return boss


def a_keeper() -> Any:
    a_registry()
    return process.whereis("reg.PIDPartition0")


def a_controller() -> Any:
    application.load(ApplicationSpec("shop", mod=(Told, process.self_pid())))
    application.start("shop")
    return process.whereis(controller())


def a_master() -> Any:
    a_controller()
    return tables().running["shop"]


def rex() -> Any:
    rpc.block_call(process.self_pid().node, nothing)
    return process.whereis("rex")


SERVERS: dict[str, Callable[[], Any]] = {
    "supervisor": lambda: supervisor.start_link([child()], strategy="one_for_one"),
    "green": lambda: supervisor.start_link([child()], strategy="one_for_one", green=True),
    "dynamic": a_dynamic,
    "tasks": task_supervisor.start_link,
    "partitions": lambda: partition_supervisor.start_link(
        child_spec=child(), name="parts", partitions=2
    ),
    "registry": a_registry,
    "keeper": a_keeper,
    "controller": a_controller,
    "master": a_master,
    "rex": rex,
}


@pytest.mark.parametrize("kind", SERVERS)
def test_what_is_no_request_and_no_key_ends_no_server(node: Any, kind: str) -> None:
    process.flag(trap_exit=True)
    server = SERVERS[kind]()
    before = sys.get_state(server)
    linked = process.info(server, "links")
    assail(server, [[1], {}, Odd(), (1, [2]), 10**400, -1, None, "stray"])
    assert process.alive(server)
    assert process.info(server, "links") == linked
    assert sys.get_state(server) is before


@pytest.mark.parametrize("server", [NAMES, LEASES, "boss", "dynamic"])
def test_nor_does_what_another_node_sends(cluster: Cluster, server: str) -> None:
    cluster.start("ab")
    with cluster.nodes["b"].attached():
        boss = supervisor.start_link([child()], strategy="one_for_one", name="boss")
        for pid in (boss, dynamic_supervisor.start_link(name="dynamic")):
            process.unlink(pid)
        before, ran = process.whereis(server), pids(boss)
    with cluster.nodes["a"].attached():
        assail(At(server, B), [[1], {}, (1, [2]), -1, None, "stray"])
    with cluster.nodes["b"].attached():
        assert process.whereis(server) == before
        assert pids(boss)["a"] == ran["a"]


def test_what_cannot_go_to_the_asker_is_refused(cluster: Cluster) -> None:
    cluster.start("ab")
    with cluster.nodes["b"].attached():
        boss = supervisor.start_link(
            [ChildSpec("a", (with_something, (Unsendable(),)))], strategy="one_for_one", name="boss"
        )
        process.unlink(boss)
        ran = pids(boss)
    with cluster.nodes["a"].attached():
        with pytest.raises(CallExit, match="not_sendable"):
            supervisor.get_childspec(At("boss", B), "a")
        with pytest.raises(CallExit, match="not_sendable"):
            supervisor.start_child(At("boss", B), ChildSpec("b", (with_something, ())))
    with cluster.nodes["b"].attached():
        assert pids(boss)["a"] == ran["a"]


def test_a_call_that_no_server_knows_is_refused_and_told(node: Any, capture_reports: Any) -> None:
    boss = SERVERS["supervisor"]()
    with pytest.raises(CallExit) as refused:
        gen_server.call(boss, ("resize", 3))
    assert refused.value.reason == ("unknown_call", ("resize", 3))
    assert capture_reports.texts[-1] == (
        f"Supervisor {boss!r} received unexpected call: ('resize', 3)"
    )


# What the functions refuse before anything is sent.


ADMIN: list[Callable[[Any], Any]] = [
    lambda key: supervisor.terminate_child("boss", key),
    lambda key: supervisor.restart_child("boss", key),
    lambda key: supervisor.delete_child("boss", key),
    lambda key: supervisor.get_childspec("boss", key),
    lambda key: supervisor.start_child("boss", ChildSpec(key, (nothing, ()))),
    lambda key: supervisor.start_link([ChildSpec(key, (nothing, ()))], strategy="one_for_one"),
    lambda key: supervisor.init([ChildSpec(key, (nothing, ()))], strategy="one_for_one"),
]
LATER: list[Callable[[Any], Any]] = [
    lambda key: aio.supervisor.terminate_child("boss", key),
    lambda key: aio.supervisor.restart_child("boss", key),
    lambda key: aio.supervisor.delete_child("boss", key),
    lambda key: aio.supervisor.get_childspec("boss", key),
    lambda key: aio.supervisor.start_child("boss", ChildSpec(key, (nothing, ()))),
    lambda key: aio.supervisor.start_link([ChildSpec(key, (nothing, ()))], strategy="one_for_one"),
]


@pytest.mark.parametrize("key", [[1], (1, [2])])
@pytest.mark.parametrize("ask", range(len(ADMIN)))
def test_an_id_without_a_hash_is_refused_in_the_caller(node: Any, ask: int, key: Any) -> None:
    supervisor.start_link([child()], strategy="one_for_one", name="boss")
    with pytest.raises(BadArgument, match=r"\[[12]\].*; expected a value that has a hash"):
        ADMIN[ask](key)
    assert supervisor.count_children("boss").active == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("ask", range(len(LATER)))
async def test_in_a_coroutine_too(node: Any, ask: int) -> None:
    await aio.supervisor.start_link([], strategy="one_for_one", name="boss")
    with pytest.raises(BadArgument, match=r"\[1\]; expected a value that has a hash"):
        await LATER[ask]([1])
    assert process.whereis("boss")


def test_of_a_supervised_child_of_a_test_too(
    start_supervised: Callable[..., Any], stop_supervised: Callable[[Any], None]
) -> None:
    pid = start_supervised(child())
    with pytest.raises(BadArgument, match="expected a value that has a hash"):
        stop_supervised([1])
    assert process.alive(pid)


@pytest.mark.parametrize("shutdown", [10**400, float("nan"), -1, "soon"])
def test_a_shutdown_that_no_clock_can_count_is_refused(shutdown: Any) -> None:
    with pytest.raises(BadChildSpec, match="expected seconds, 'brutal_kill' or 'infinity'"):
        supervisor.child_spec(ChildSpec("x", (nothing, ())), shutdown=shutdown)
