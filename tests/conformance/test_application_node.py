"""Applications (APP) and their node: what ends it, and how they end with it."""

from collections.abc import Iterator
from typing import Any

import pytest

from otpy import (
    Application,
    ApplicationError,
    GenServer,
    Node,
    NodeStopped,
    Ok,
    Pid,
    ProcessExit,
    application,
    gen_server,
    process,
    supervisor,
)
from otpy.runtime.simulated import Simulation
from otpy.testing import eventually
from otpy.testing.plugin import Reports
from tests.conformance.applications import Bare, Calls, load, names, refused, refuses

LOG: list[Any] = []


class Leaves(GenServer[Any]):
    """Says when it stops."""

    def init(self, arg: Any) -> Any:
        process.flag(trap_exit=True)
        return Ok(arg)

    def handle_cast(self, request: Any, state: Any) -> Any:
        request()

    def terminate(self, reason: Any, state: Any) -> None:
        LOG.append((state, reason))


class GreenLeaves(Leaves, green=True):
    """The same on the user scheduler."""


class Logged(Application):
    """Logs its end; its worker is registered under its name."""

    def start(self, type: str, args: Any, /) -> Any:
        return supervisor.start_link([_worker(Leaves, args)], strategy="one_for_one"), args

    def stop(self, state: Any, /) -> None:
        LOG.append((state, "stop"))


def _worker(cls: type[Leaves], name: str) -> dict[str, Any]:
    return {"id": name, "start": (_start_worker, (cls, name))}


def _start_worker(cls: type[Leaves], name: str) -> Pid:
    return gen_server.start_link(cls, name, name=name)


@pytest.fixture
def home() -> Iterator[Node]:
    """A node that the test may take down; it is a process of it."""
    LOG.clear()
    with Node("home@127.0.0.1", orphan_grace=1.0) as node, node.attached():
        yield node


def test_app_09_the_end_of_a_permanent_application_takes_the_node_down(
    home: Node, capture_reports: Reports
) -> None:
    """permanent: any exit does; the others stop in reverse order."""
    told: list[Any] = []
    home.after_stop(told.append)
    for name in ("one", "two"):
        load(name, (Logged, name))
        application.start(name)
    load("shop", (Bare, "shop"))
    application.start("shop", "permanent")
    process.send("shop", "normal")
    reason = ("application_terminated", "shop", "normal")
    assert home.wait(10) == reason
    assert told == [reason]
    assert home.state == "stopped"
    assert LOG == [("two", "shutdown"), ("two", "stop"), ("one", "shutdown"), ("one", "stop")]
    text = "Node home@127.0.0.1 stops: (application_terminated) shop: 'normal'"
    assert text in capture_reports.texts


def test_app_09_the_crash_of_a_transient_application_takes_the_node_down(home: Node) -> None:
    """transient abnormal exit brings the node down."""
    load("shop", (Bare, "shop"))
    application.start("shop", "transient")
    process.send("shop", "crash")
    assert home.wait(10) == ("application_terminated", "shop", "crash")


def test_app_09_a_permanent_application_that_does_not_start_takes_the_node_down(
    home: Node,
) -> None:
    """The caller hears why, too."""
    load("shop", (Calls, refuses))
    why = ("bad", (Calls, "start", ("normal", refuses)))
    with refused(why):
        application.start("shop", "permanent")
    assert home.wait(10) == ("application_start_failure", "shop", why)


def test_app_09_a_permanent_application_may_be_stopped(home: Node) -> None:
    """What is asked for takes nothing down."""
    load("shop", (Bare, "shop"))
    application.start("shop", "permanent")
    application.stop("shop")
    application.start("shop")
    assert home.wait(0) is None


def test_app_10_the_normal_end_of_a_transient_application_is_only_reported(
    home: Node, capture_reports: Reports
) -> None:
    """transient normal exit just reported."""
    load("shop", (Bare, "shop"))
    application.start("shop", "transient")
    process.send("shop", "normal")
    eventually(lambda: names() == [])
    load("other")
    application.start("other")  # the controller has dealt with it
    assert home.wait(0) is None
    assert [text for text in capture_reports.texts if "stops" in text] == []


def test_app_09_in_a_simulation_the_node_stops_too() -> None:
    """The same where there is one thread and no other time."""

    def body() -> None:
        load("one", (Logged, "one"))
        application.start("one")
        load("shop", (Bare, "shop"))
        application.start("shop", "permanent")
        process.send("shop", "crash")
        process.receive(where=lambda _: False)

    for seed in range(3):
        LOG.clear()
        world = Simulation(seed)
        with pytest.raises(ProcessExit):
            world.run(body)
        assert world.nodes["a@sim"].state == "stopped"
        assert LOG == [("one", "shutdown"), ("one", "stop")]


def test_app_22_a_node_that_stops_kills_what_does_not_stop_in_time(
    home: Node, capture_reports: Reports
) -> None:
    """shutdown_timeout: the budget of Node.stop."""

    class Hangs(Application):
        def start(self, type: str, args: Any, /) -> Any:
            return _start_worker(Leaves, "hangs")

        def prep_stop(self, state: Any, /) -> None:
            process.receive(where=lambda _: False)

    load("hangs", (Hangs, None))
    application.start("hangs")
    home.stop(0.1)
    assert home.state == "stopped"
    told = "application hangs did not stop in time; what is left is killed"
    assert told in capture_reports.texts


def test_app_23_what_is_to_happen_before_a_stop_is_told_the_reason(home: Node) -> None:
    """shutdown_func called on node stop with reason; before the applications stop."""
    load("one", (Logged, "one"))
    application.start("one")
    home.before_stop(lambda reason, seconds: LOG.append((reason, seconds > 0, names())))
    home.stop(5.0, "because")
    assert LOG == [("because", True, ["one"]), ("one", "shutdown"), ("one", "stop")]


def test_app_08_a_node_stops_its_applications_the_latest_first(home: Node) -> None:
    for name in ("one", "two"):
        load(name, (Logged, name))
        application.start(name)
    home.stop()
    assert LOG == [("two", "shutdown"), ("two", "stop"), ("one", "shutdown"), ("one", "stop")]
    with pytest.raises((NodeStopped, ProcessExit)):
        application.start("one")


@pytest.mark.parametrize("cls", [Leaves, GreenLeaves])
def test_app_22_a_process_of_an_application_may_stop_the_node(
    home: Node, cls: type[Leaves]
) -> None:
    load("one", (Logged, "one"))
    application.start("one")

    def top() -> Pid:
        return supervisor.start_link([_worker(cls, "two")], strategy="one_for_one")

    load("two", (Calls, top))
    application.start("two")
    gen_server.cast("two", lambda: home.stop(2.0))
    assert home.wait(20) == "normal"
    assert home.state == "stopped"
    assert LOG[-2:] == [("one", "shutdown"), ("one", "stop")]


def test_app_23_what_breaks_before_and_after_a_stop_is_logged_and_no_more(
    home: Node, capture_reports: Reports
) -> None:
    def breaks(*_: Any) -> None:
        raise ValueError("broken")

    home.before_stop(breaks)
    home.after_stop(breaks)
    home.after_stop(LOG.append)
    home.stop()
    assert LOG == ["normal"]
    assert [text.split(" raised ")[1] for text in capture_reports.texts] == [
        "before the stop",
        "after the stop",
    ]


def test_app_22_nothing_starts_while_the_node_stops(home: Node) -> None:
    class Starts(Application):
        def start(self, type: str, args: Any, /) -> Any:
            return _start_worker(Leaves, "starts")

        def stop(self, state: Any, /) -> None:
            try:
                application.start("late")
            except ApplicationError as failed:
                LOG.append(failed.reason)

    load("late")
    load("starts", (Starts, None))
    application.start("starts")
    home.stop()
    assert LOG == [("starts", "shutdown"), "shutting_down"]
