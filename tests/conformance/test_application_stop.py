"""Applications (APP): how they stop, and what ends with them."""

from typing import Any

from otpy import (
    Application,
    Down,
    GenServer,
    Ok,
    Pid,
    application,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.testing.plugin import Reports
from tests.conformance.applications import (
    Bare,
    Calls,
    Told,
    load,
    names,
    quiet,
    refused,
    told,
    top,
)
from tests.conformance.conftest import Runner, until


def end(name: str, reason: Any) -> None:
    """The top process called ``name`` ends; returns when its application has."""
    ref = process.monitor(name)
    process.send(name, reason)
    process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
    until(lambda: name not in names())


def test_app_05_what_does_not_run_is_not_stopped_and_what_runs_not_unloaded(run: Runner) -> None:
    """stop not running -> {error,{not_started,App}}; unload running -> {error,{running,App}}."""

    def body() -> None:
        load("shop", (Calls, top))
        with refused(("not_started", "shop")):
            application.stop("shop")
        application.start("shop")
        with refused(("running", "shop")):
            application.unload("shop")
        application.stop("shop")
        with refused(("not_started", "shop")):
            application.stop("shop")
        application.unload("shop")
        with refused(("not_loaded", "shop")):
            application.unload("shop")

    run(body)


def test_app_08_prep_stop_then_the_tree_then_stop(run: Runner) -> None:
    """stop order: prep_stop(State), tree shutdown, stop(State)."""

    def body() -> None:
        load("shop", (Told, self_pid()))
        application.start("shop")
        application.stop("shop")
        assert told(4) == [("start", "normal"), "prep_stop", ("worker", "shutdown"), "stop"]
        quiet()
        assert names() == []

    run(body)


class Changes(Told):
    """prep_stop changes the state."""

    def prep_stop(self, state: Any, /) -> Any:
        return state, "changed"

    def stop(self, state: Any, /) -> None:
        process.send(state[0], state[1])


class Raises(Told):
    """prep_stop and stop raise."""

    def prep_stop(self, state: Any, /) -> Any:
        raise ValueError("prep_stop")

    def stop(self, state: Any, /) -> None:
        process.send(state, "stop")
        raise ValueError("stop")


def test_app_08_stop_gets_the_state_that_prep_stop_returns(run: Runner) -> None:
    """The state of prep_stop goes to stop; neither can keep the application from stopping."""

    def body() -> None:
        load("changes", (Changes, self_pid()))
        load("raises", (Raises, self_pid()))
        for name, last in (("changes", "changed"), ("raises", "stop")):
            application.start(name)
            application.stop(name)
            assert told(3) == [("start", "normal"), ("worker", "shutdown"), last]
        assert names() == []

    run(body)


def test_app_09_the_crash_of_a_temporary_application_is_only_reported(
    run: Runner, capture_reports: Reports
) -> None:
    """temporary: crash only reported."""

    def body() -> None:
        load("shop", (Bare, "shop"))
        application.start("shop")
        end("shop", "crash")

    run(body)
    [ended] = [text for text in capture_reports.texts if "exited" in text][:1]
    assert ended == "Application shop exited: 'crash'"


def test_app_13_a_dependency_that_crashed_is_not_running(run: Runner) -> None:
    """start of dependant when dependency crashed -> {not_running,Dep}; it may start again."""

    def body() -> None:
        load("dep", (Bare, "dep"))
        load("shop", None, "dep")
        application.start("dep")
        end("dep", "crash")
        with refused(("not_running", "dep")):
            application.start("shop")
        application.start("dep")
        application.start("shop")
        end("dep", "normal")
        application.stop("dep")  # it is forgotten
        with refused(("not_started", "dep")):
            application.stop("dep")

    run(body)


def test_app_21_what_an_application_started_ends_with_it(run: Runner) -> None:
    """stopping kills leftover processes of the application."""

    def body() -> None:
        me = self_pid()

        def lasts() -> None:
            process.flag(trap_exit=True)
            process.receive(where=lambda _: False)

        def begin() -> Pid:
            process.send(me, process.spawn(lasts, green=run.green))
            return top()

        load("shop", (Calls, begin))
        application.start("shop")
        [left] = told(1)
        process.monitor(left)
        application.stop("shop")
        assert process.receive(Down, timeout=5).reason == "killed"

    run(body)


class Stubborn(GenServer[Any]):
    """Does not stop."""

    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        return gen_server.start_link(cls, arg)

    def init(self, arg: Any) -> Any:
        process.flag(trap_exit=True)
        return Ok(arg)

    def terminate(self, reason: Any, state: Any) -> None:
        process.send(state, ("stubborn", self_pid()))
        process.receive(where=lambda _: False)


def test_app_22_what_does_not_stop_in_time_is_killed(run: Runner, capture_reports: Reports) -> None:
    """app stop during child deadlock must not hang; shutdown_timeout."""

    def body() -> None:
        me = self_pid()
        child = supervisor.child_spec((Stubborn, me), shutdown="infinity")
        load("shop", (Calls, lambda: supervisor.start_link([child], strategy="one_for_one")))
        application.start("shop")
        application.stop("shop", timeout=0.05)
        [(_, pid)] = told(1)
        assert names() == []
        until(lambda: not process.alive(pid))

    run(body)
    assert "application shop did not stop in time; what is left is killed" in capture_reports.texts


class Loops(GenServer[None], green=True):
    """Crashes as soon as it has started."""

    def init(self, arg: Any, /) -> Ok[None]:
        return Ok(None, continue_="crash")

    def handle_continue(self, arg: Any, state: None, /) -> Any:
        raise RuntimeError("again")


def test_app_22_a_restart_loop_does_not_hold_a_stop_up(
    run: Runner, capture_reports: Reports
) -> None:
    """app stop during child restart loop must not hang."""

    def loop() -> Pid:
        return supervisor.start_link(
            [(Loops, None)], strategy="one_for_one", max_restarts=1_000_000
        )

    def body() -> None:
        load("shop", (Calls, loop))
        application.start("shop")
        until(lambda: len(capture_reports.records) > 10)
        application.stop("shop", timeout=5)
        assert names() == []

    run(body)
    assert "application shop did not stop in time" not in "".join(capture_reports.texts)


def test_app_22_callbacks_may_start_and_stop_other_applications(run: Runner) -> None:
    """Neither a start nor the end of a child deadlocks with the controller."""

    class Both(Application):
        def start(self, type: str, args: Any, /) -> Any:
            application.start("other")
            assert application.get_env("other", "x") == 1
            return top()

        def stop(self, state: Any, /) -> None:
            application.stop("other")

    def body() -> None:
        load("other", (Calls, top), env={"x": 1})
        load("shop", (Both, None))
        application.start("shop")
        assert names() == ["other", "shop"]
        application.stop("shop")
        assert names() == []

    run(body)
