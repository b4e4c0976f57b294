"""``actor_ref``: a Pykka reference to a process, for each kind of process."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pykka
import pytest
from pykka.messages import ProxyCall

import otpy
from otpy import (
    BadArgument,
    CallExit,
    Crash,
    Down,
    Exit,
    GenServer,
    Node,
    NoReply,
    Ok,
    Pid,
    ProcessExit,
    Reply,
    Stop,
    WouldBlockLoop,
    aio,
    gen_server,
    process,
    supervisor,
)
from otpy.runtime import actor_refs
from otpy.testing.waiting import eventually

# Whoever has a reference needs no link.
pytestmark = pytest.mark.otpy_leaves_processes

WAIT = 5.0


class Thread(GenServer[Pid]):
    """Tells its parent what it hears."""

    def init(self, arg: Pid) -> Any:
        return Ok(arg)

    def handle_call(self, request: Any, from_: Any, state: Pid) -> Any:
        match request:
            case ProxyCall(("add",), (a,), {"to": b}):
                return Reply(a + b)
            case "raise":
                raise ValueError("asked to")
            case "later":
                process.send(state, ("from", from_))
                return NoReply()
            case "itself":
                ref = process.actor_ref(process.self_pid())
                try:
                    return Reply(ref.ask("never"))
                except (CallExit, WouldBlockLoop) as refused:
                    return Reply(type(refused))
            case "end":
                return Stop("orderly enough")
        return Reply(("called", request))

    def handle_info(self, message: Any, state: Pid) -> Any:
        process.send(state, ("info", message))

    def terminate(self, reason: Any, state: Pid) -> None:
        process.send(state, ("terminate", reason))


class Green(Thread, green=True):
    """The same, green."""


class Async(Thread):
    """The same, as a task."""

    async def handle_cast(self, request: Any, state: Pid) -> Any:
        return None


def wait_here() -> None:
    process.receive(where=lambda _: False)


async def wait_in_task() -> None:
    await aio.receive(where=lambda _: False)


SERVERS = pytest.mark.parametrize("kind", [Thread, Green, Async])
BODIES = pytest.mark.parametrize(
    ("body", "green"),
    [(wait_here, False), (wait_here, True), (wait_in_task, False)],
    ids=["thread", "green", "async"],
)


def started(kind: type[Thread]) -> tuple[Pid, "pykka.ActorRef[Any]"]:
    pid = gen_server.start(kind, process.self_pid())
    return pid, process.actor_ref(pid)


def heard(what: str) -> Any:
    return process.receive(tuple, where=lambda m: m[0] == what, timeout=WAIT)[1]


def outside(fn: Callable[[], Any]) -> Any:
    """What ``fn`` gives on a plain thread, which is no process."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(fn).result(timeout=WAIT)


@BODIES
def test_a_ref_is_made_on_first_use_and_is_the_same_one_again(
    body: Any, green: bool, node: Node
) -> None:
    pid = process.spawn(body, green=green)
    assert node.procs[pid].actor_ref is None
    ref = otpy.actor_ref(pid)
    assert isinstance(ref, pykka.ActorRef)
    assert process.actor_ref(pid) is ref
    assert outside(lambda: otpy.actor_ref(pid)) is ref
    assert pykka.ActorRegistry.get_all() == []
    assert repr(pid) in str(ref)


def test_two_threads_that_ask_at_once_get_one_ref(node: Node) -> None:
    pid = process.spawn(wait_here)
    meet = threading.Barrier(8)

    def ask() -> Any:
        meet.wait(WAIT)
        return process.actor_ref(pid)

    with ThreadPoolExecutor(8) as pool:
        refs = {id(found.result()) for found in [pool.submit(ask) for _ in range(8)]}
    assert len(refs) == 1


def test_a_ref_is_for_a_local_pid(node: Node) -> None:
    with pytest.raises(BadArgument, match="expected a Pid"):
        process.actor_ref("name")  # type: ignore[arg-type]
    with Node("other@127.0.0.1") as other, other.attached() as pid:
        assert process.actor_ref(pid).is_alive()
        assert process.actor_ref(pid, node=other).is_alive()
        with pytest.raises(BadArgument, match="not a process of other@"):
            process.actor_ref(node.new_pid())
    with pytest.raises(BadArgument, match="not a process of test@"):
        process.actor_ref(pid)


@SERVERS
def test_tell_is_a_message_and_keeps_the_order(kind: type[Thread], node: Node) -> None:
    _, ref = started(kind)

    def tell() -> Any:
        for number in range(20):
            ref.tell(number)
        return ref.ask("after", timeout=WAIT)

    assert outside(tell) == ("called", "after")
    assert [heard("info") for _ in range(20)] == list(range(20))


@BODIES
def test_tell_reaches_the_mailbox_of_a_plain_process(body: Any, green: bool, node: Node) -> None:
    pid = process.spawn(body, green=green)
    ref = process.actor_ref(pid)
    ref.tell("hello")
    assert eventually(lambda: process.info(pid, "messages")) == {"messages": ["hello"]}
    assert not ref.actor_inbox.empty()
    with pytest.raises(TypeError, match="only <test@"):
        ref.actor_inbox.get()


@SERVERS
def test_ask_is_a_call(kind: type[Thread], node: Node) -> None:
    _, ref = started(kind)
    assert ref.ask("x", timeout=WAIT) == ("called", "x")
    future = ref.ask("y", block=False)
    assert future.map(lambda answer: answer[1]).get(timeout=WAIT) == "y"
    assert future.get() == ("called", "y")
    assert outside(lambda: ref.ask("z", timeout=WAIT)) == ("called", "z")


@SERVERS
@pytest.mark.parametrize("green", [False, True])
def test_ask_from_a_process_parks_it_only(kind: type[Thread], green: bool, node: Node) -> None:
    """A green process that blocked its scheduler would wait for ever for a green server."""
    _, ref = started(kind)
    me = process.self_pid()
    process.spawn(lambda: process.send(me, ("got", ref.ask("x", timeout=WAIT))), green=green)
    assert heard("got") == ("called", "x")


@SERVERS
def test_ask_times_out_and_the_late_answer_still_comes(kind: type[Thread], node: Node) -> None:
    _, ref = started(kind)
    future = ref.ask("later", block=False)
    from_ = heard("from")
    with pytest.raises(pykka.Timeout):
        future.get(timeout=0.001)
    with pytest.raises(pykka.Timeout):
        outside(lambda: future.get(timeout=0.001))
    gen_server.reply(from_, "at last")
    assert future.get(timeout=WAIT) == "at last"
    with pytest.raises(pykka.Timeout):
        ref.ask("later", timeout=0.001)
    assert ref.ask("x", timeout=WAIT) == ("called", "x")


@SERVERS
def test_ask_raises_what_ended_the_server(kind: type[Thread], node: Node) -> None:
    pid, ref = started(kind)
    process.monitor(pid)
    with pytest.raises(CallExit) as ended:
        ref.ask("raise", timeout=WAIT)
    assert ended.value.reason == Crash("ValueError", "asked to")
    assert process.receive(Down, timeout=WAIT).reason == Crash("ValueError", "asked to")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("x", timeout=WAIT)


@SERVERS
def test_ask_of_a_server_that_ends_is_a_dead_actor(kind: type[Thread], node: Node) -> None:
    _, ref = started(kind)
    with pytest.raises(pykka.ActorDeadError) as dead:
        ref.ask("end", timeout=WAIT)
    assert isinstance(dead.value.__cause__, CallExit)
    assert dead.value.__cause__.reason == "orderly enough"


@BODIES
def test_a_killed_process_is_a_dead_actor(body: Any, green: bool, node: Node) -> None:
    pid = process.spawn(body, green=green)
    ref = process.actor_ref(pid)
    future = ref.ask("unanswered", block=False)
    assert ref.is_alive()
    process.exit(pid, "kill")
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=WAIT)
    assert not ref.is_alive()
    assert ref.actor_stopped.wait(WAIT)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("x")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("x")
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()
    again = process.actor_ref(pid)
    assert not again.is_alive()
    assert again.stop() is False


@SERVERS
def test_a_server_that_asks_itself_is_told(kind: type[Thread], node: Node) -> None:
    _, ref = started(kind)
    refused = ref.ask("itself", timeout=WAIT)
    assert refused is (WouldBlockLoop if kind is Async else CallExit)


@SERVERS
def test_stop_ends_a_server_after_what_was_sent_before(kind: type[Thread], node: Node) -> None:
    pid, ref = started(kind)
    process.monitor(pid)
    ref.tell("before")
    assert ref.stop(timeout=WAIT) is True
    assert heard("info") == "before"
    assert heard("terminate") == "normal"
    assert process.receive(Down, timeout=WAIT).reason == "normal"
    assert not ref.is_alive()
    assert ref.stop() is False
    assert ref.stop(block=False).get(timeout=WAIT) is False


@BODIES
def test_stop_ends_a_plain_process_with_normal(body: Any, green: bool, node: Node) -> None:
    pid, ref_ = process.spawn_monitor(body, green=green)
    ref = process.actor_ref(pid)
    both = [ref.stop(block=False), ref.stop(block=False)]
    assert both[0].get(timeout=WAIT) is True
    both[1].get(timeout=WAIT)
    down = process.receive(Down, timeout=WAIT)
    assert (down.ref, down.reason) == (ref_, "normal")
    assert ref.stop() is False


def test_stop_times_out_on_a_process_that_traps_it(node: Node) -> None:
    me = process.self_pid()

    def traps() -> None:
        process.flag(trap_exit=True)
        process.send(me, ("ready", None))
        process.send(me, ("exit", process.receive(Exit)))
        process.receive(Exit)

    pid = process.spawn(traps)
    heard("ready")
    ref = process.actor_ref(pid)
    with pytest.raises(pykka.Timeout):
        ref.stop(timeout=0.001)
    assert heard("exit") == Exit(pid, "normal")
    assert ref.stop(timeout=WAIT) is True


def test_a_supervisor_can_be_stopped_by_its_ref(node: Node) -> None:
    boss = supervisor.start_link([], strategy="one_for_one")
    assert process.actor_ref(boss).stop(timeout=WAIT) is True


@SERVERS
def test_actor_stopped_can_be_waited_for(kind: type[Thread], node: Node) -> None:
    pid, ref = started(kind)
    assert not ref.actor_stopped.wait(0.001)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ref.actor_stopped.wait, WAIT)
        process.exit(pid, "kill")
        assert waiting.result()


@SERVERS
def test_a_proxied_call_is_a_call_with_a_proxy_call(kind: type[Thread], node: Node) -> None:
    _, ref = started(kind)
    proxy = ref.proxy()
    assert proxy.add(1, to=2).get(timeout=WAIT) == 3
    proxy.add.defer(1, to=2)
    assert heard("info") == ProxyCall(("add",), (1,), {"to": 2})
    assert pykka.get_all([proxy.add(n, to=n) for n in range(3)]) == [0, 2, 4]


def test_what_a_proxy_cannot_do_it_says(node: Node) -> None:
    _, ref = started(Thread)
    proxy = ref.proxy()
    with pytest.raises(AttributeError, match=r"call it: proxy.total\(\)"):
        proxy.total.get()
    with pytest.raises(AttributeError, match="cannot set 'total'"):
        proxy.total = 1
    assert not hasattr(proxy, "_private")
    with pytest.raises(BadArgument, match="only a GenServer"):
        process.actor_ref(process.spawn(wait_here)).proxy()


def test_in_a_coroutine_an_answer_is_awaited(node: Node) -> None:
    _, ref = started(Async)
    me = process.self_pid()

    async def asks() -> None:
        with pytest.raises(WouldBlockLoop):
            ref.ask("x")
        with pytest.raises(WouldBlockLoop):
            ref.ask("x", block=False).get()
        process.send(me, ("got", await ref.ask("x", block=False)))
        with pytest.raises(CallExit):
            await ref.ask("raise", block=False)
        process.send(me, ("got", "the end"))

    process.spawn(asks)
    assert heard("got") == ("called", "x")
    assert heard("got") == "the end"


class Friend(pykka.ThreadingActor):
    """An ordinary Pykka actor that has a ref of ours."""

    def __init__(self, ref: "pykka.ActorRef[Any]") -> None:
        super().__init__()
        self._ref = ref

    def on_receive(self, message: Any) -> Any:
        return self._ref.ask(message, timeout=WAIT)


@SERVERS
def test_a_pykka_actor_that_asks_the_dead_lives_on(kind: type[Thread], node: Node) -> None:
    pid, ref = started(kind)
    before = len(process.list_())
    friend = Friend.start(ref)
    try:
        assert friend.ask("x", timeout=WAIT) == ("called", "x")
        assert len(process.list_()) == before  # no implicit process, nothing left of the call
        process.exit(pid, "kill")
        assert ref.actor_stopped.wait(WAIT)
        with pytest.raises(pykka.ActorDeadError):
            friend.ask("x", timeout=WAIT)
        assert friend.is_alive()
        assert pykka.ActorRegistry.get_all() == [friend]
    finally:
        friend.stop()


def test_a_ref_in_a_dead_body_of_ours_ends_it(node: Node) -> None:
    _, ref = started(Thread)
    go = threading.Event()
    ended = threading.Event()

    def body() -> None:
        go.wait(WAIT)
        try:
            ref.tell("from beyond")
        except ProcessExit:
            ended.set()
            raise

    pid = process.spawn(body)
    process.exit(pid, "kill")
    go.set()
    assert ended.wait(WAIT)
    assert ref.ask("x", timeout=WAIT) == ("called", "x")
    assert process.info(process.self_pid(), "messages") == {"messages": []}


def test_a_ref_stands_in_the_registry_when_asked(node: Node) -> None:
    _, ref = started(Green)
    pykka.ActorRegistry.register(ref)
    try:
        assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is ref
        pykka.ActorRegistry.broadcast("all")
        assert heard("info") == "all"
        assert pykka.ActorRegistry.stop_all(timeout=WAIT) == [True]
    finally:
        pykka.ActorRegistry.unregister(ref)


def test_the_node_that_stops_answers_who_waits(node: Node) -> None:
    with Node("other@127.0.0.1") as other, other.attached() as me:
        pid = gen_server.start(Green, me)
        ref = process.actor_ref(pid)
        future = ref.ask("later", block=False)
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=WAIT)
    assert not ref.is_alive()
    assert actor_refs.sender() is node.procs[process.self_pid()]
