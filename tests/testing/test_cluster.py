"""The test kit's cluster of OS processes: what is asked of it, and what is done to it."""

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    Crash,
    GenServer,
    Global,
    NoReply,
    NotSendable,
    Ok,
    Pid,
    ProcessExit,
    RemoteError,
    RemoteTimeout,
    Reply,
    Supervisor,
    gen_server,
    global_,
    node,
    process,
    supervisor,
)
from otpy.distribution.mesh import Mesh
from otpy.runtime._current import current
from otpy.testing import Cluster, ClusterFailed, eventually

Make = Callable[..., Cluster]
A, B, C = "a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"


@dataclass(frozen=True)
class Note:
    """What nodes send each other."""

    text: str


class Keeper(GenServer[list[Any]]):
    """Keeps what it gets, and writes to a file that it stops."""

    def init(self, arg: str | None, /) -> Ok[list[Any]]:
        process.flag(trap_exit=True)
        self.file = arg
        return Ok([])

    def handle_call(self, request: Any, _from: Any, state: list[Any], /) -> Any:
        return Reply(state, state)

    def handle_info(self, message: Any, state: list[Any], /) -> Any:
        return NoReply([*state, message])

    def terminate(self, reason: Any, _state: list[Any], /) -> None:
        if self.file is not None:
            Path(self.file).write_text(str(reason))


class Leader(Keeper):
    @classmethod
    def start_link(cls, arg: Any = None, /) -> Any:
        return gen_server.start_link(cls, arg, name=Global(cls))


class Meeting(Keeper):
    """Starts when it has started on the other node, too."""

    def init(self, arg: Any, /) -> Ok[list[Any]]:
        global_.register_name(process.self_pid().node, process.self_pid())
        eventually(lambda: len(global_.registered_names()) == arg, timeout=5.0)
        return super().init(None)


class Pair(Supervisor):
    def init(self, arg: Any, /) -> Any:
        return supervisor.init([(Keeper, arg)], strategy="one_for_one")


def kept() -> list[Any]:
    kept: list[Any] = gen_server.call("keeper", "what")
    return kept


def where_it_leads() -> str:
    """The node of the leader; "" while there is none."""
    pid = gen_server.whereis(Global(Leader))
    return pid.node if isinstance(pid, Pid) else ""


def fails(text: str) -> None:
    raise LookupError(text)


def exits() -> None:
    raise ProcessExit("enough")


def unsendable() -> object:
    return object()


def for_ever() -> None:
    process.receive()


async def later(value: int) -> int:
    return value + 1


def enter(name: str) -> None:
    process.register(process.self_pid(), name)
    process.receive()


def let_go(name: str) -> None:
    process.send(name, "go")


def registered(name: str) -> bool:
    return process.whereis(name) is not None


def environment(name: str) -> str | None:
    return os.environ.get(name)


def say(text: str) -> None:
    print(text, flush=True)


def start_keeper() -> None:
    pid = gen_server.start(Keeper, None)
    process.register(pid, "keeper")


def note(to: str, text: str) -> None:
    process.send(At("keeper", to), Note(text))


# What is asked.


def test_the_nodes_are_os_processes_that_see_each_other(cluster: Make) -> None:
    c = cluster(3)
    assert c.nodes == [A, B, C]
    assert [c.call(name, os.getpid) for name in "abc"] == [c.pid(name) for name in c.nodes]
    assert len({os.getpid(), *map(c.pid, c.nodes)}) == 4
    assert [c.call(name, node.list_) for name in "abc"] == [[B, C], [A, C], [A, B]]


def test_two_clusters_know_nothing_of_each_other(cluster: Make) -> None:
    one, other = cluster(2), cluster(2)
    assert one.call("a", node.list_) == other.call("a", node.list_) == [B]
    assert one.pid("b") != other.pid("b")
    one.kill("b")
    assert other.call("b", os.getpid) == other.pid("b")


def test_what_a_function_raises_comes_back_as_from_erpc(cluster: Make) -> None:
    c = cluster(1)
    with pytest.raises(RemoteError) as raised:
        c.call("a", fails, "oops")
    assert raised.value.reason == Crash("LookupError", "oops")
    assert "raise LookupError(text)" in raised.value.reason.traceback_text
    with pytest.raises(RemoteError) as exited:
        c.call("a", exits)
    assert exited.value.reason == ("exception", "enough")
    with pytest.raises(RemoteError) as kept_back:
        c.call("a", unsendable)
    assert kept_back.value.reason[0] == "not_sendable"
    with pytest.raises(NotSendable, match="move it to a module"):
        c.call("a", lambda: 1)
    with pytest.raises(NotSendable, match=r"args\[0\]"):
        c.call("a", say, object())


def test_functions_run_on_threads_green_and_as_tasks(cluster: Make) -> None:
    c = cluster(1)
    assert c.call("a", later, 1) == 2
    assert c.call("a", max, 1, 2, green=True) == 2
    assert c.multicall(["a", "a"], fails, "x") == [("error", Crash("LookupError", "x"))] * 2


def test_calls_of_several_threads_do_not_wait_for_each_other(cluster: Make) -> None:
    c = cluster(1)
    waiting = [threading.Thread(target=c.call, args=("a", enter, name)) for name in ("p", "q")]
    for thread in waiting:
        thread.start()
    for name in ("p", "q"):
        eventually(lambda name=name: c.call("a", registered, name))  # type: ignore[misc]
        c.call("a", let_go, name)
    for thread in waiting:
        thread.join(10)
        assert not thread.is_alive()


def test_a_call_of_a_node_that_ends_or_has_ended_says_noconnection(cluster: Make) -> None:
    c = cluster(2)
    for _ in range(2):
        with pytest.raises(RemoteError) as lost:
            c.call("a", os._exit, 7)
        assert lost.value.reason == ("erpc", "noconnection")
    with pytest.raises(BadArgument, match=f"{A} does not run"):
        c.pid("a")
    c.restart("a")
    assert c.call("a", node.list_) == [B]
    with pytest.raises(RemoteTimeout):
        c.call("a", for_ever, timeout=0.01)
    assert c.call("a", later, 1) == 2


def test_the_nodes_have_the_environment_and_the_folder_of_the_test(
    cluster: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTPY_TEST", "here")
    monkeypatch.chdir(tmp_path)
    c = cluster(1)
    assert c.call("a", environment, "OTPY_TEST") == "here"
    assert c.call("a", os.getcwd) == str(tmp_path)


def test_nodes_send_each_other_what_the_test_defines(cluster: Make) -> None:
    c = cluster(2)
    c.call("b", start_keeper)
    c.call("a", note, B, "hello")
    c.wait_for(lambda: c.call("b", kept) == [Note("hello")])


# What is started and stopped.


def test_a_supervisor_lives_as_long_as_its_node_and_stops_in_order(
    cluster: Make, tmp_path: Path
) -> None:
    c = cluster(1)
    files = [str(tmp_path / name) for name in ("list", "class")]
    one = c.start("a", [(Keeper, files[0])])
    c.start("a", Pair, arg=files[1])
    assert c.call("a", process.alive, one)
    c.stop("a")
    assert [Path(file).read_text() for file in files] == ["shutdown", "shutdown"]
    with pytest.raises(RemoteError, match="noconnection"):
        c.call("a", os.getpid)


def test_a_supervisor_that_does_not_start_says_why(cluster: Make) -> None:
    with pytest.raises(RemoteError, match="two children have the id"):
        cluster(1).start("a", [(Keeper, 1), (Keeper, 2)])


def test_trees_that_wait_for_each_other_are_started_at_once(cluster: Make) -> None:
    c = cluster(3)
    assert [pid.node for pid in c.start_all([(Meeting, 3)])] == [A, B, C]
    assert [pid.node for pid in c.start_all([(Keeper, None)], ["c", "b"])] == [C, B]
    c.kill("a")
    with pytest.raises(RemoteError, match="noconnection"):
        c.start_all([(Keeper, None)])


def test_a_leader_moves_when_its_node_is_killed(cluster: Make) -> None:
    c = cluster(3)
    for name in c.nodes:
        c.start(name, [Leader])
    first = c.wait_for(lambda: c.call("a", where_it_leads))
    c.kill(first)
    rest = [name for name in c.nodes if name != first]
    c.wait_for(lambda: c.call(rest[0], where_it_leads) in rest)
    second = c.call(rest[0], where_it_leads)
    c.restart(first)
    c.wait_for(lambda: c.call(first, where_it_leads) == second)


# The network.


def test_a_partition_parts_both_sides_and_a_heal_joins_them(cluster: Make) -> None:
    c = cluster(3)
    c.partition({"a"}, {"b", "c"})
    assert [c.call(name, node.list_) for name in "abc"] == [[], [C], [B]]
    c.partition({"b"}, {"c"})
    assert [c.call(name, node.list_) for name in "abc"] == [[], [], []]
    assert not c.call("b", node.connect, C)
    c.heal()
    assert [c.call(name, node.list_) for name in "abc"] == [[B, C], [A, C], [A, B]]


def test_a_node_that_starts_during_a_partition_is_on_its_side(cluster: Make) -> None:
    c = cluster(3)
    c.partition({"a", "b"}, {"c"})
    c.kill("a")
    c.restart("a", "c")
    assert [c.call(name, node.list_) for name in "abc"] == [[B], [A], []]
    c.heal()
    assert [c.call(name, node.list_) for name in "abc"] == [[B, C], [A, C], [A, B]]


def test_one_direction_is_enough_to_part_two_nodes(cluster: Make) -> None:
    c = cluster(3, prevent_overlapping_partitions=False)
    c.cut("a", "b")
    assert [c.call(name, node.list_) for name in "abc"] == [[C], [C], [A, B]]
    c.heal()
    assert c.call("a", node.list_) == [B, C]


def test_a_paused_node_does_nothing_and_is_bound_by_a_partition_when_it_goes_on(
    cluster: Make,
) -> None:
    c = cluster(3, prevent_overlapping_partitions=False)
    c.pause("a")
    with pytest.raises(RemoteTimeout):
        c.call("a", os.getpid, timeout=0.05)
    c.partition({"a"}, {"b"})
    assert c.call("b", node.list_) == [C]
    c.resume("a")
    assert c.call("a", node.list_) == [C]
    c.pause("a")
    c.heal()
    c.resume("a")
    c.whole()
    assert c.call("a", node.list_) == [B, C]


def test_a_paused_node_can_be_killed_and_comes_back(cluster: Make) -> None:
    c = cluster(2)
    before = c.pid("a")
    c.pause("a")
    c.kill("a")
    c.restart("a")
    assert c.pid("a") != before
    assert c.call("b", node.list_) == [A]


def test_nodes_that_do_not_find_each_other_are_told_with_what_they_see(cluster: Make) -> None:
    c = cluster(2)
    c.call("a", refuse_for_ever, B)
    with pytest.raises(ClusterFailed, match=rf"{A} sees \[\]; expected \['{B}'\]"):
        c.whole(timeout=0.05)


def refuse_for_ever(name: str) -> None:
    mesh = current().node.router
    assert isinstance(mesh, Mesh)
    mesh.cut(name)
    eventually(lambda: name not in mesh.nodes())


# Around it.


def test_logs_hold_all_lives_of_a_node(cluster: Make) -> None:
    c = cluster(1)
    c.call("a", say, "first life")
    c.kill("a")
    c.restart("a")
    c.call("a", say, "second life")
    assert "first life\n" in c.logs("a")
    assert c.logs("a").index("first life") < c.logs("a").index("second life")


def test_a_cluster_alone_leaves_neither_process_nor_file() -> None:
    with Cluster(2, modules=[__name__]) as c:
        pids, folder = [c.pid(name) for name in c.nodes], c.folder
        c.pause("b")
    assert not folder.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(RemoteError, match="noconnection"):
        c.call("a", os.getpid)


def test_an_error_in_a_cluster_carries_the_logs() -> None:
    with pytest.raises(ZeroDivisionError) as failed, Cluster(1) as c:  # noqa: PT012 - what is told
        c.call("a", say, "this was said")
        _ = 1 / 0
    assert "this was said" in failed.value.__notes__[0]


def test_names_go_on_after_z() -> None:
    names = [name.split("@")[0] for name in Cluster(54).nodes]
    assert (names[0], names[25], names[26], names[53]) == ("a", "z", "a1", "b2")


@pytest.mark.parametrize(
    ("text", "make"),
    [
        ("Cluster\\(0\\)", lambda: Cluster(0)),
        ("network='wifi'", lambda: Cluster(network="wifi")),  # type: ignore[arg-type]
        ("node='d'; expected one of a@127.0.0.1", lambda: Cluster(1).pid("d")),
        ("a@127.0.0.1 does not run", lambda: Cluster(1).kill("a")),
        (
            "lease=...\\): expected one of the options auto_connect",
            lambda: Cluster(lease=1.0),
        ),
        ("expected two sides", lambda: Cluster().partition({"a"})),
        ("no node twice", lambda: Cluster().partition({"a"}, {"a", "b"})),
        ("expected a side", lambda: Cluster().partition("a", "b")),
        ("expected two nodes", lambda: Cluster().cut("a", "a")),
        ("expected several", lambda: Cluster().multicall("a", say)),
        ("__main__ cannot be loaded", lambda: Cluster(modules=["__main__"])),
    ],
)
def test_arguments_are_checked(text: str, make: Callable[[], object]) -> None:
    with pytest.raises(BadArgument, match=text):
        make()


def test_a_coroutine_may_use_a_cluster(cluster: Make) -> None:
    async def body() -> str:
        c = cluster(2)
        c.wait_for(lambda: c.call("a", node.list_) == [B])
        found: str = c.call("a", node.self_)
        return found

    assert asyncio.run(body()) == A
