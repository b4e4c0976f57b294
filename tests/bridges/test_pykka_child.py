"""``pykka_child``: an ordinary Pykka actor under a supervisor."""

import threading
from typing import Any

import pykka
import pytest

from otpy import (
    BadArgument,
    CallExit,
    Crash,
    Down,
    Exit,
    GenServer,
    Node,
    Ok,
    Pid,
    ProcessExit,
    StartError,
    gen_server,
    process,
    pykka_child,
    self_pid,
    supervisor,
    sys,
)
from otpy.testing import eventually
from otpy.testing.plugin import Reports

WAIT = 5.0


class Greeter(pykka.ThreadingActor):
    """Tells its owner what becomes of it, by the process that its code is."""

    def __init__(self, owner: Pid, greeting: str = "hello") -> None:
        super().__init__()
        self.owner = owner
        self.greeting = greeting
        if greeting == "refuse":
            raise ValueError("refused")

    def on_start(self) -> None:
        process.send(self.owner, ("started", self.greeting))

    def on_stop(self) -> None:
        process.send(self.owner, "stopped")

    def on_receive(self, message: Any) -> Any:
        match message:
            case "fail":
                raise RuntimeError("no")
            case "exit":
                raise ProcessExit("left")
            case "stop":
                self.stop()
        process.send(self.owner, ("got", message))
        return f"{self.greeting} {message}"

    def greet(self, name: str) -> str:
        return f"{self.greeting} {name}"


def boss(**options: Any) -> Pid:
    """A supervisor of one greeter, which has started."""
    spec = supervisor.child_spec(pykka_child(Greeter, self_pid()), **options)
    sup = supervisor.start_link([spec], strategy="one_for_one")
    assert process.receive(timeout=WAIT) == ("started", "hello")
    return sup


def child(sup: Pid) -> Pid:
    [row] = supervisor.which_children(sup)
    assert isinstance(row.pid, Pid)
    return row.pid


def down(ref: Any) -> Any:
    return process.receive(Down, where=lambda item: item.ref == ref, timeout=WAIT).reason


def test_calls_casts_and_messages_reach_the_actor_in_order(node: Node) -> None:
    pid = child(boss())
    process.send(pid, 1)
    gen_server.cast(pid, 2)
    assert gen_server.call(pid, 3) == "hello 3"
    assert [process.receive(timeout=0) for _ in range(3)] == [("got", n) for n in (1, 2, 3)]


def test_calls_that_are_answered_leave_nothing(node: Node) -> None:
    pid = child(boss())
    for number in range(5):
        gen_server.call(pid, number)
    eventually(lambda: not node.procs[pid].deferred)


def test_its_reference_is_the_actor_s_own(node: Node) -> None:
    pid = child(boss())
    ref = process.actor_ref(pid)
    assert ref.actor_class is Greeter
    assert ref in pykka.ActorRegistry.get_by_class(Greeter)
    assert ref.proxy().greet("you").get(timeout=WAIT) == "hello you"


def test_an_actor_that_fails_is_started_again(node: Node, capture_reports: Reports) -> None:
    sup = boss()
    first = child(sup)
    watch = process.monitor(first)
    process.send(first, "fail")
    assert down(watch) == Crash("RuntimeError", "no")
    assert process.receive(tuple, timeout=WAIT) == ("started", "hello")
    second = eventually(lambda: child(sup))
    assert second != first
    assert gen_server.call(second, "you") == "hello you"
    assert any("RuntimeError" in text for text in capture_reports.texts)


def test_a_call_that_raises_says_so_and_the_actor_lives_on(node: Node) -> None:
    """As with ``ask``: Pykka hands the exception to who asked."""
    pid = child(boss())
    with pytest.raises(CallExit) as failed:
        gen_server.call(pid, "fail")
    assert failed.value.reason == Crash("RuntimeError", "no")
    assert gen_server.call(pid, "you") == "hello you"


@pytest.mark.parametrize("call", [False, True], ids=["message", "call"])
def test_an_exit_in_the_actor_s_code_ends_that_actor_only(
    node: Node, call: bool, capture_reports: Reports
) -> None:
    pid = child(boss(restart="temporary"))
    other = Greeter.start(self_pid(), "other")
    assert process.receive(timeout=WAIT) == ("started", "other")
    watch = process.monitor(pid)
    if call:
        with pytest.raises(CallExit) as ended:
            gen_server.call(pid, "exit")
        assert ended.value.reason == "left"
    else:
        process.send(pid, "exit")
    assert down(watch) == "left"
    assert other.ask("still", timeout=WAIT) == "other still"
    other.stop(timeout=WAIT)


def test_an_actor_that_stops_itself_ends_with_normal(node: Node) -> None:
    sup = boss(restart="transient")
    watch = process.monitor(child(sup))
    process.send(child(sup), "stop")
    assert down(watch) == "normal"
    eventually(lambda: supervisor.count_children(sup).active == 0)


def test_the_supervisor_stops_the_actor_after_what_was_sent_before(node: Node) -> None:
    sup = boss()
    pid = child(sup)
    ref = process.actor_ref(pid)
    process.send(pid, 1)
    supervisor.stop(sup)
    assert [process.receive(timeout=WAIT) for _ in range(2)] == [("got", 1), "stopped"]
    assert not ref.is_alive()
    assert ref not in pykka.ActorRegistry.get_all()


class Stuck(pykka.ThreadingActor):
    """Does not come back from a message until it may."""

    may = threading.Event()

    def on_receive(self, message: Any) -> None:
        process.send(message, "stuck")
        self.may.wait(WAIT)


def test_an_actor_that_does_not_stop_in_time_is_left_behind(node: Node) -> None:
    Stuck.may.clear()
    spec = supervisor.child_spec(pykka_child(Stuck), shutdown=0.05)
    sup = supervisor.start_link([spec], strategy="one_for_one")
    pid = child(sup)
    ref = process.actor_ref(pid)
    watch = process.monitor(pid)
    process.send(pid, self_pid())
    assert process.receive(str, timeout=WAIT) == "stuck"
    supervisor.stop(sup)
    assert down(watch) == "killed"
    eventually(lambda: ref not in pykka.ActorRegistry.get_all())  # it stands there no longer
    Stuck.may.set()


def test_an_actor_whose_init_raises_does_not_start(node: Node) -> None:
    sup = supervisor.start_link([], strategy="one_for_one")
    with pytest.raises(StartError) as refused:
        supervisor.start_child(sup, pykka_child(Greeter, self_pid(), greeting="refuse"))
    assert refused.value.reason == Crash("ValueError", "refused")
    assert pykka.ActorRegistry.get_by_class(Greeter) == []


def test_only_a_threading_actor_can_be_a_child() -> None:
    with pytest.raises(BadArgument, match="expected a class of pykka"):
        pykka_child(dict)  # type: ignore[arg-type]


def test_sys_shows_the_actor_and_does_not_take_it_away(node: Node) -> None:
    pid = child(boss())
    actor = sys.get_state(pid)
    assert type(actor) is Greeter
    assert sys.get_status(pid)["state"] is actor
    sys.suspend(pid)
    with pytest.raises(CallExit) as refused:
        sys.change_code(pid, Other, None, None)
    assert refused.value.reason == ("not_supported", "Greeter")
    sys.resume(pid)
    sys.replace_state(pid, lambda _: "another")
    assert gen_server.call(pid, "there") == "hello there"


class Other(GenServer[Any]):
    """Knows no actors."""


class Member(pykka.ThreadingActor):
    """An actor whose code uses otpy; it does what it is sent, and keeps the rest."""

    def __init__(self, owner: Pid) -> None:
        super().__init__()
        self.owner = owner
        process.send(owner, ("init", self_pid()))
        self.actor_ref.tell("from __init__")

    def on_start(self) -> None:
        process.send(self.owner, ("on_start", self_pid()))

    def on_stop(self) -> None:
        process.send(self.owner, ("on_stop", self_pid()))

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message()
        process.send(self.owner, ("got", message))
        return None


def member(**options: Any) -> tuple[Pid, Pid]:
    """A supervisor and its member."""
    spec = supervisor.child_spec(pykka_child(Member, self_pid()), restart="temporary", **options)
    sup = supervisor.start_link([], strategy="one_for_one")
    pid = supervisor.start_child(sup, spec)
    assert told("init") == told("on_start") == pid
    assert told("got") == "from __init__"
    return sup, pid


def told(what: str) -> Any:
    return process.receive(tuple, where=lambda item: item[0] == what, timeout=WAIT)[1]


class Server(gen_server.GenServer[Any], green=True):
    """Any server."""

    def init(self, arg: Any, /) -> Any:
        return Ok(arg)


def test_all_code_of_the_actor_runs_as_the_child(node: Node) -> None:
    sup, pid = member()
    ref = process.actor_ref(pid)
    assert gen_server.call(pid, self_pid) == pid
    assert ref.ask(self_pid, timeout=WAIT) == pid
    assert supervisor.which_children(sup)[0].pid == pid
    supervisor.stop(sup)
    assert told("on_stop") == pid


def test_what_is_sent_to_the_pid_and_downs_reach_on_receive(node: Node) -> None:
    _, pid = member()
    other = process.spawn(process.receive)
    ref = gen_server.call(pid, lambda: process.monitor(other))
    gen_server.call(pid, lambda: process.send(self_pid(), "to myself"))
    gen_server.call(pid, lambda: process.send_after(self_pid(), "later", 0.0))
    assert {told("got"), told("got")} == {"to myself", "later"}
    process.send(other, "end")
    assert told("got") == Down(ref, other, "normal")


def test_the_actor_s_code_may_receive(node: Node) -> None:
    _, pid = member()

    def asks() -> Any:
        answers = process.spawn(process.send, self_pid(), ("answer", 42))
        assert answers != self_pid()
        return process.receive(tuple, timeout=WAIT)

    assert process.actor_ref(pid).ask(asks, timeout=WAIT) == ("answer", 42)


def test_what_the_actor_is_linked_to_ends_with_it(node: Node) -> None:
    _, pid = member()
    server = gen_server.call(pid, lambda: gen_server.start_link(Server, None))
    watch = process.monitor(server)
    process.send(pid, lambda: 1 / 0)
    assert down(watch).type == "ZeroDivisionError"


def test_the_actor_ends_with_what_it_is_linked_to(node: Node) -> None:
    _, pid = member()
    server = gen_server.call(pid, lambda: gen_server.start_link(Server, None))
    watch = process.monitor(pid)
    process.exit(server, "over")
    assert down(watch) == "over"


def test_an_actor_that_traps_exits_is_told_of_them(node: Node) -> None:
    sup, pid = member()

    def trap() -> Pid:
        assert process.flag(trap_exit=True) is False
        return gen_server.start_link(Server, None)

    server = gen_server.call(pid, trap)
    process.exit(server, "over")
    assert told("got") == Exit(server, "over")
    supervisor.stop(sup)  # whose exit is never for ``on_receive``
    assert told("on_stop") == pid
    assert process.info(self_pid(), "messages") == {"messages": []}


def test_who_asks_an_actor_that_ends_first_is_told(node: Node) -> None:
    _, pid = member()
    ref = process.actor_ref(pid)
    entered, go = threading.Event(), threading.Event()

    def holds() -> None:
        entered.set()
        go.wait(WAIT)

    ref.tell(holds)
    assert entered.wait(WAIT)
    answer, stopped = ref.ask(self_pid, block=False), ref.stop(block=False)
    process.exit(pid, "kill")
    with pytest.raises(pykka.ActorDeadError):
        answer.get(timeout=WAIT)
    assert stopped.get(timeout=WAIT) in (None, True)
    go.set()
    assert not ref.is_alive()


def test_an_exit_of_an_actor_that_is_asked_is_an_actor_dead_error(node: Node) -> None:
    _, pid = member()
    watch = process.monitor(pid)
    with pytest.raises(pykka.ActorDeadError):
        process.actor_ref(pid).ask(lambda: process.exit("shutdown"), timeout=WAIT)
    assert down(watch) == "shutdown"
    assert told("on_stop") == pid


def test_an_exception_of_an_actor_that_is_asked_is_its_own(node: Node) -> None:
    _, pid = member()
    with pytest.raises(ZeroDivisionError):
        process.actor_ref(pid).ask(lambda: 1 / 0, timeout=WAIT)
    assert gen_server.call(pid, self_pid) == pid


def test_a_suspended_actor_waits_as_any_server(node: Node) -> None:
    _, pid = member()
    sys.suspend(pid)
    process.send(pid, "held")
    process.actor_ref(pid).tell("held, too")
    assert process.info(pid, "message_queue_len") == {"message_queue_len": 2}
    sys.resume(pid)
    assert [told("got"), told("got")] == ["held", "held, too"]
