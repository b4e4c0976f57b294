"""Applications (APP): how they start."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas make the reason of a call that a test gives them.

import logging
from typing import Any

import pytest

from otpy import (
    IGNORE,
    ApplicationError,
    Crash,
    GenServer,
    Pid,
    Stop,
    application,
    process,
    self_pid,
    supervisor,
    sys,
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
    refuses,
    told,
    top,
)
from tests.conformance.conftest import Runner, until


def test_app_01_a_dependency_that_does_not_run_is_named(run: Runner) -> None:
    """start with a missing dependency -> {error,{not_started,Dep}}."""

    def body() -> None:
        load("dep")
        load("shop", None, "dep")
        with refused(("not_started", "dep")):
            application.start("shop")
        application.start("dep")
        application.start("shop")
        assert names() == ["dep", "shop"]

    run(body)


def test_app_02_ensure_all_started_starts_dependencies_first(run: Runner) -> None:
    """ensure_all_started starts dependencies first, returns only newly started, [] if none."""

    def body() -> None:
        load("base")
        load("left", None, "base")
        load("right", None, "base")
        load("shop", None, "left", "right")
        application.start("base")
        assert application.ensure_all_started("shop") == ["left", "right", "shop"]
        assert names() == ["base", "left", "right", "shop"]
        assert application.ensure_all_started(["shop", "right"]) == []

    run(body)


def test_app_03_a_failed_ensure_all_started_leaves_what_ran_before(run: Runner) -> None:
    """ensure_all_started failure stops the ones it started, leaves others running."""

    def body() -> None:
        load("before")
        load("base", (Told, self_pid()), "before")
        load("broken", (Calls, refuses), "base")
        load("shop", None, "base", "broken")
        application.start("before")
        with refused(("broken", ("bad", (Calls, "start", ("normal", refuses))))):
            application.ensure_all_started("shop")
        assert names() == ["before"]
        assert told(4) == [("start", "normal"), "prep_stop", ("worker", "shutdown"), "stop"]

    run(body)


def test_app_03_a_dependency_that_is_not_there_starts_nothing(run: Runner) -> None:
    """The same for one that cannot be found, and for two that need each other."""

    def body() -> None:
        load("shop", None, "nowhere")
        with refused(("nowhere", ("no such application", "nowhere"))):
            application.ensure_all_started("shop")
        load("hen", None, "egg")
        load("egg", None, "hen")
        with refused(("hen", ("circular_dependency", ("hen", "egg", "hen")))):
            application.ensure_all_started("hen")
        assert names() == []

    run(body)


def test_app_04_a_second_start_is_refused(run: Runner) -> None:
    """start twice -> {error,{already_started,App}}; ensure_started ok."""

    def body() -> None:
        load("shop", (Told, self_pid()))
        application.ensure_started("shop")
        with refused(("already_started", "shop")):
            application.start("shop")
        application.ensure_started("shop")
        assert told(1) == [("start", "normal")]
        quiet()

    run(body)


def raises() -> None:
    raise ValueError("no stock")


def leaves() -> None:
    process.exit("away")


@pytest.mark.parametrize(
    ("begin", "why"),
    [
        (refuses, lambda call: ("bad", call)),
        (lambda: 42, lambda call: ("bad_return", (call, 42))),
        (lambda: IGNORE, lambda call: ("bad_return", (call, IGNORE))),
        (raises, lambda call: ("bad_return", (call, ("EXIT", Crash("ValueError", "no stock"))))),
        (leaves, lambda call: ("bad_return", (call, ("EXIT", "away")))),
    ],
    ids=["error", "value", "ignore", "raise", "exit"],
)
def test_app_07_a_start_that_fails_says_which_call_it_was(
    run: Runner, begin: Any, why: Any
) -> None:
    """start/2 {error,R} -> {error,{R,{Mod,start,[Type,Args]}}}; other value -> {bad_return,..};
    raise -> bad_return with EXIT.
    """

    def body() -> None:
        load("shop", (Calls, begin))
        with refused(why((Calls, "start", ("normal", begin)))):
            application.start("shop")
        assert names() == []

    run(body)


def test_app_11_a_tree_that_does_not_start_says_which_child(run: Runner) -> None:
    """supervisor tree failure surfaces as {shutdown,{failed_to_start_child,..}}."""

    class Broken(GenServer[Any]):
        def init(self, arg: Any) -> Any:
            return Stop("no_disk")

    def begin() -> Pid:
        return supervisor.start_link([(Broken, None)], strategy="one_for_one")

    def body() -> None:
        load("shop", (Calls, begin))
        why = ("shutdown", ("failed_to_start_child", Broken, "no_disk"))
        with refused((why, (Calls, "start", ("normal", begin)))):
            application.start("shop")

    run(body)


def test_app_12_two_starts_at_once_get_the_one_result(run: Runner) -> None:
    """concurrent starts of the same app both get the one result."""
    starts: list[str] = []

    def body() -> None:
        me = self_pid()

        def slow() -> Any:
            starts.append("start")
            process.send(me, ("in start", self_pid()))
            process.receive(str)
            return refuses()

        def starter() -> None:
            try:
                application.start("shop")
            except ApplicationError as failed:
                process.send(me, failed.reason)

        starts.clear()
        load("shop", (Calls, slow))
        for _ in range(2):
            process.spawn(starter, green=run.green)
        [(_, master)] = told(1)
        desk = process.whereis("application_controller")
        # Both have asked, and the controller, which answers one after the other, has read that.
        until(lambda: waiting_starters(desk) == 2)
        process.send(master, "go on")
        assert told(2) == [("bad", (Calls, "start", ("normal", slow)))] * 2
        assert starts == ["start"]

    run(body)


def waiting_starters(desk: Any) -> int:
    return sum(len(askers) for askers in sys.get_state(desk).starters.values())


def test_app_14_optional_applications_may_be_missing(run: Runner) -> None:
    """optional applications may be missing but are started first if present; start errors
    propagate.
    """

    def body() -> None:
        more = {"optional_applications": ("extra",)}
        load("shop", None, "base", "extra", **more)
        load("base")
        assert application.ensure_all_started("shop") == ["base", "shop"]
        application.stop("shop")
        load("extra", (Calls, top))
        with refused(("not_started", "extra")):
            application.start("shop")
        assert application.ensure_all_started("shop") == ["extra", "shop"]
        application.stop("shop")
        application.stop("extra")
        application.unload("extra")
        load("extra", (Calls, refuses))
        with refused(("extra", ("bad", (Calls, "start", ("normal", refuses))))):
            application.ensure_all_started("shop")

    run(body)


def test_app_20_start_phases_run_in_order_over_included_applications(run: Runner) -> None:
    """start phases run in order over included apps: those that have the phase, too."""

    class Part(Told):
        def start_phase(self, phase: str, type: str, args: Any, /) -> None:
            to, own = args
            process.send(to, (own, phase))

    def body() -> None:
        me = self_pid()
        load("part", (Part, me), start_phases=(("open", (me, "part")),))
        load(
            "shop",
            (Told, me),
            included_applications=("part",),
            start_phases=(("warm", me), ("open", me)),
        )
        application.start("shop")
        assert told(4) == [
            ("start", "normal"),
            ("start_phase", "warm", "normal"),
            ("start_phase", "open", "normal"),
            ("part", "open"),
        ]

    run(body)


def test_app_20_a_phase_that_fails_ends_the_start(run: Runner) -> None:
    """A phase that fails makes the start fail, and the tree is stopped."""

    class Fails(Told):
        def start_phase(self, phase: str, type: str, args: Any, /) -> None:
            refuses()

    def body() -> None:
        load("shop", (Fails, self_pid()), start_phases=("warm",))
        with refused(("bad", (Fails, "start_phase", ("warm", "normal", None)))):
            application.start("shop")
        assert told(2) == [("start", "normal"), ("worker", "shutdown")]
        quiet()

    run(body)


def test_log_14_starts_and_ends_of_applications_are_reported(
    run: Runner, capture_reports: Reports
) -> None:
    """'Application X started at NODE', 'Application X exited: :stopped'."""

    def body() -> str:
        load("shop", (Bare, "shop"))
        load("broken", (Calls, raises))
        application.start("shop")
        application.stop("shop")
        with pytest.raises(ApplicationError, match=r"raised: .ValueError. no stock"):
            application.start("broken")
        return self_pid().node

    capture_reports.setLevel(logging.INFO)
    home = run(body)
    texts = [text for text in capture_reports.texts if text.startswith("Application")][:3]
    assert texts[:2] == [
        f"Application shop started at {home}",
        "Application shop exited: 'stopped'",
    ]
    first = "tests.conformance.applications.Calls.start('normal', "
    assert texts[2].startswith(f"Application broken exited: {first}")
    assert "raised: (ValueError) no stock" in texts[2]
    reports = [one for one in capture_reports.reports if "application" in one][:2]
    assert reports == [
        {"label": "application_started", "application": "shop", "started_at": home},
        {
            "label": "application_exited",
            "application": "shop",
            "exited": "stopped",
            "type": "temporary",
        },
    ]
