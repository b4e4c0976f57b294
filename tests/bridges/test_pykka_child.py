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
    GenServer,
    Node,
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
