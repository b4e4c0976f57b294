"""``sys`` with what makes no sense: the caller hears of it, and the process goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    CallExit,
    GenStatem,
    Pid,
    agent,
    aio,
    dynamic_supervisor,
    gen_server,
    gen_statem,
    process,
    supervisor,
    sys,
)
from otpy.testing.plugin import Reports
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.remote import Unsendable
from tests.conformance.servers import GreenServer, Server, async_server, telling

__all__ = ["cluster"]


class Lamp(GenStatem[str, int]):
    """Is on or off."""

    callback_mode = "handle_event_function"

    def init(self, arg: Any) -> Any:
        return gen_statem.Ok("on", arg)

    def handle_event(self, type: Any, content: Any, state: str, data: int) -> Any:
        return gen_statem.KeepStateAndData()


class Broken:
    """Can be neither compared nor shown."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __repr__(self) -> str:
        raise RuntimeError("not to be shown")

    __hash__ = None  # type: ignore[assignment]


SERVERS: dict[str, Callable[[], Pid]] = {
    "thread": lambda: gen_server.start_link(Server, 1),
    "green": lambda: gen_server.start_link(GreenServer, 1),
    "async": lambda: gen_server.start_link(async_server(), 1),
    "statem": lambda: gen_statem.start_link(Lamp, 1),
    "agent": lambda: agent.start_link(lambda: 1),
    "supervisor": lambda: supervisor.start_link([], strategy="one_for_one"),
    "dynamic": dynamic_supervisor.start_link,
}
CALLED = ("sys", "x", ())
NO_COUNT: list[Any] = [-1, "foo", None, [], float("nan"), 1.5, (True, 3), "GET"]
NO_FLAG: list[Any] = ["off", "foo", None, [], 1]
NO_PATH: list[Any] = [True, None, [], "", 5]
DEBUG: list[tuple[str, Any]] = [
    *(("log", keep) for keep in NO_COUNT),
    *(("statistics", flag) for flag in NO_FLAG),
    *(("trace", flag) for flag in (*NO_FLAG, "get")),
    *(("log_to_file", path) for path in NO_PATH),
    *(("install", what) for what in (None, 5, (), (1, 2), (1, 2, 3), "abc")),
]
OTHERS: list[tuple[str, Any]] = [
    *(("change_code", what) for what in (None, 5, (), (1, 2, 3), (Server, 1))),
    ("no such thing", 5),
]


@pytest.mark.parametrize("kind", SERVERS)
def test_every_malformed_system_message_is_answered(node: Any, kind: str) -> None:
    pid = SERVERS[kind]()
    state = sys.get_state(pid)
    for suspended in (False, True):
        if suspended:
            sys.suspend(pid)
        for what, request in [*DEBUG, *OTHERS]:
            with pytest.raises(CallExit) as refused:
                gen_server.system(pid, what, request, 5.0, CALLED)
            expected = "unknown_debug" if (what, request) in DEBUG else "unknown_system_msg"
            assert refused.value.reason[0] == expected, (what, request)
        with pytest.raises(CallExit) as refused:
            gen_server.system(pid, "replace_state", "no function", 5.0, CALLED)
        assert refused.value.reason[0] == "callback_failed"
    sys.resume(pid)
    assert sys.get_state(pid) == state
    assert sys.statistics(pid, "get") == "no_statistics"
    assert sys.log(pid, "get") == []


@pytest.mark.parametrize("keep", NO_COUNT)
def test_what_cannot_be_kept_is_refused_in_the_caller(keep: Any) -> None:
    with pytest.raises(BadArgument, match="expected how many events to keep"):
        sys.log("nobody", keep)


@pytest.mark.parametrize("flag", NO_FLAG)
def test_what_is_no_flag_is_refused_in_the_caller(flag: Any) -> None:
    with pytest.raises(BadArgument, match="expected True, False or 'get'"):
        sys.statistics("nobody", flag)
    with pytest.raises(BadArgument, match="expected True or False"):
        sys.trace("nobody", flag)


def test_what_is_no_function_is_refused_in_the_caller() -> None:
    wrong: Any = "no function"
    with pytest.raises(BadArgument, match=r"'no function'.*expected a function"):
        sys.replace_state("nobody", wrong)


@pytest.mark.asyncio
async def test_in_a_coroutine_too(node: Any) -> None:
    wrong: Any = "foo"
    for ask, text in (
        (aio.sys.log, "expected how many events"),
        (aio.sys.statistics, "expected True, False or 'get'"),
        (aio.sys.trace, "expected True or False"),
        (aio.sys.replace_state, "expected a function"),
    ):
        with pytest.raises(BadArgument, match=text):
            await ask("nobody", wrong)


def test_a_file_that_cannot_be_is_told(node: Any) -> None:
    pid = SERVERS["green"]()
    for path in ("/nowhere/at/all", "nul\0"):
        with pytest.raises(CallExit) as refused:
            sys.log_to_file(pid, path)
        assert refused.value.reason[0] == "open_file"
    assert sys.get_state(pid) == 1


def test_what_can_be_neither_compared_nor_shown_ends_no_process(
    node: Any, tmp_path: Any, capture_reports: Reports
) -> None:
    pid = gen_server.start_link(GreenServer, telling())  # it does not log what it is sent
    broken = Broken()

    def function(state: Any, event: Any, who: Any) -> Any:
        return broken

    sys.install(pid, (broken, function, 0))
    with pytest.raises(CallExit, match="not to be compared"):
        sys.install(pid, ("other", function, 0))
    with pytest.raises(CallExit, match="not to be compared"):
        sys.remove(pid, "other")
    sys.log(pid, 3)
    sys.trace(pid, True)
    sys.log_to_file(pid, str(tmp_path / "events"))
    process.send(pid, broken)
    with pytest.raises(CallExit, match="not to be shown"):
        sys.log(pid, "print")
    assert sys.log(pid, "get")[0][1] is broken
    told = [record.getMessage() for record in capture_reports.records if record.name == "otpy.sys"]
    assert told == [f"{pid} is traced no more", f"{pid} writes its events to no file any more"]
    assert process.alive(pid)


def test_a_state_that_cannot_be_sent_is_told_and_kept(cluster: Cluster) -> None:
    cluster.start("ab")
    with cluster.nodes["b"].attached():
        pid = gen_server.start(GreenServer, Unsendable(), name="keeper")
    with cluster.nodes["a"].attached():
        there = At("keeper", "b@127.0.0.1")
        for look in (sys.get_state, sys.get_status):
            with pytest.raises(CallExit) as refused:
                look(there)
            assert refused.value.reason[0] == "not_sendable"
        assert sys.statistics(there, "get") == "no_statistics"
    with cluster.nodes["b"].attached():
        assert process.whereis("keeper") == pid


# What errors say was called.


def debug(state: Any, event: Any, who: Any) -> Any:
    return state


ASKED: list[tuple[str, tuple[Any, ...]]] = [
    *((what, ()) for what in ("get_state", "suspend", "resume", "get_status", "no_debug")),
    *((what, (debug,)) for what in ("replace_state", "remove")),
    ("statistics", (True,)),
    ("log", (3,)),
    ("trace", (True,)),
    ("log_to_file", ("x",)),
    ("install", ((debug, 0),)),
    ("change_code", (Server, 1, 2)),
    ("terminate", ("boom",)),
]


@pytest.mark.parametrize("what", ASKED)
def test_an_exit_names_the_function_and_what_it_was_given(node: Any, what: Any) -> None:
    name, args = what
    silent = process.spawn(process.sleep, 60.0)
    for server, timeout, reason in (
        ("nope", 0.5, "noproc"),
        (silent, 0, "timeout"),
        (process.self_pid(), 0.5, "calling_self"),
    ):
        with pytest.raises(CallExit) as ended:
            getattr(sys, name)(server, *args, timeout=timeout)
        assert ended.value.reason == reason
        assert ended.value.request == ("sys", name, (server, *args, timeout))
    process.exit(silent, "kill")


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ASKED)
async def test_and_in_a_coroutine(node: Any, what: Any) -> None:
    name, args = what
    silent = process.spawn(process.sleep, 60.0)
    for server, timeout, reason in (("nope", 0.5, "noproc"), (silent, 0, "timeout")):
        with pytest.raises(CallExit) as ended:
            await getattr(aio.sys, name)(server, *args, timeout=timeout)
        assert ended.value.reason == reason
        assert ended.value.request == ("sys", name, (server, *args, timeout))
    process.exit(silent, "kill")
