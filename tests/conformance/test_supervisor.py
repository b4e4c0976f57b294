"""Supervisors (SUP) over green and thread children."""

from typing import Any, Literal

import pytest

from otpy import (
    IGNORE,
    AlreadyStarted,
    BadChildSpec,
    BadFlags,
    CallExit,
    ChildError,
    ChildSpec,
    Exit,
    Pid,
    StartError,
    Stop,
    Supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from tests.conformance.children import Child, GreenChild, down, pids, short, specs, start, told
from tests.conformance.conftest import Runner


def test_sup_01_children_start_in_order_and_stop_in_reverse(run: Runner) -> None:
    """Children start in spec order, stop in reverse; which_children lists newest first."""

    def body() -> None:
        boss = supervisor.start_link(specs(run), strategy="one_for_one")
        assert short(told(3)) == ["start a", "start b", "start c"]
        assert [row.id for row in supervisor.which_children(boss)] == ["c", "b", "a"]
        supervisor.stop(boss)
        assert short(told(3)) == ["stop c", "stop b", "stop a"]

    run(body)


def test_sup_02_init_ignore_gives_no_supervisor(run: Runner) -> None:
    """init ignore -> ignore."""

    class Lazy(Supervisor):
        def init(self, arg: Any) -> Any:
            return IGNORE

    def body() -> None:
        with pytest.raises(StartError, match="IGNORE"):
            supervisor.start_link(Lazy)

    run(body)


def test_sup_03_a_bad_init_is_named(run: Runner) -> None:
    """init bad value -> {error, {bad_return, {Mod, init, V}}}."""

    class Bad(Supervisor):
        def init(self, arg: Any) -> Any:
            return 7

    def body() -> None:
        process.flag(trap_exit=True)
        with pytest.raises(StartError) as failed:
            supervisor.start_link(Bad)
        assert failed.value.reason == ("bad_return", (Bad, "init", 7))

    run(body)


def test_sup_04_a_failing_child_stops_the_earlier_ones(run: Runner) -> None:
    """{shutdown, {failed_to_start_child, Id, Reason}}, earlier children stopped in reverse."""

    def body() -> None:
        process.flag(trap_exit=True)
        cls = GreenChild if run.green else Child
        me = self_pid()
        bad = supervisor.child_spec((cls, (me, "x", lambda: Stop("bad"))), id="x")
        with pytest.raises(StartError) as failed:
            supervisor.start_link([*specs(run, "ab"), bad], strategy="one_for_one")
        assert failed.value.reason == ("shutdown", ("failed_to_start_child", "x", "bad"))
        assert short(told(4)) == ["start a", "start b", "stop b", "stop a"]

    run(body)


def test_sup_06_an_ignoring_child_keeps_its_spec(run: Runner) -> None:
    """child ignore: spec kept with pid undefined; dropped for temporary (SUP-07: start_child)."""

    def body() -> None:
        cls = GreenChild if run.green else Child
        me = self_pid()
        arg = (me, "x", lambda: IGNORE)
        kept = supervisor.child_spec((cls, arg), id="kept")
        gone = supervisor.child_spec((cls, arg), id="gone", restart="temporary")
        boss = supervisor.start_link([kept, gone], strategy="one_for_one")
        assert pids(boss) == {"kept": None}
        late = supervisor.child_spec((cls, arg), id="late")
        assert supervisor.start_child(boss, late) is None
        supervisor.stop(boss)

    run(body)


def test_sup_09_defaults_of_a_spec() -> None:
    """permanent, shutdown 5 s (worker) or infinity (supervisor), type worker, modules [M],
    significant false."""
    spec = supervisor.child_spec((Child, 1))
    assert (spec.restart, spec.patience, spec.type, spec.significant) == (
        "permanent",
        5.0,
        "worker",
        False,
    )
    assert supervisor.child_spec(spec, type="supervisor").patience is None
    assert supervisor.child_spec(spec, id="own").code == (Child,)
    assert ChildSpec("own", (start_a_child, (1,))).code == (__name__,)
    assert ChildSpec("own", (start_a_child, ()), modules=("m",)).code == ("m",)


def start_a_child(arg: Any) -> Pid:
    return Child.start_link(arg)


def test_sup_10_defaults_of_the_flags() -> None:
    """max_restarts 3, max_seconds 5 (Elixir)."""
    flags = supervisor.init([], strategy="one_for_one")
    assert (flags.max_restarts, flags.max_seconds, flags.auto_shutdown) == (3, 5.0, "never")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start": 1}, "invalid_mfa"),
        ({"restart": "x"}, "invalid_restart_type"),
        ({"shutdown": -1}, "invalid_shutdown"),
        ({"type": "x"}, "invalid_child_type"),
        ({"modules": 1}, "invalid_modules"),
    ],
)
def test_sup_12_wrong_specs_are_named(change: dict[str, Any], reason: str) -> None:
    """Spec errors carry OTP's reason."""
    with pytest.raises(BadChildSpec) as wrong:
        supervisor.child_spec((Child, 1), **change)
    assert wrong.value.reason[0] == reason


def test_sup_12_missing_and_unknown_keys_and_twice_the_same_id_are_named() -> None:
    """missing_id, missing_start, duplicate_child_name; unknown keys are refused."""
    for spec, reason in (({"start": (print, ())}, "missing_id"), ({"id": 1}, "missing_start")):
        with pytest.raises(BadChildSpec) as wrong:
            supervisor.child_spec(spec)
        assert wrong.value.reason == reason
    with pytest.raises(BadChildSpec, match="restrat"):
        supervisor.child_spec({"id": 1, "start": (print, ()), "restrat": "permanent"})
    with pytest.raises(BadChildSpec, match="two children"):
        supervisor.init([(Child, 1), (Child, 2)], strategy="one_for_one")


@pytest.mark.parametrize(
    "flags",
    [
        {"strategy": "x"},
        {"strategy": "one_for_one", "max_restarts": -1},
        {"strategy": "one_for_one", "max_seconds": 0},
        {"strategy": "one_for_one", "max_seconds": float("inf")},
        {"strategy": "one_for_one", "auto_shutdown": "x"},
    ],
)
def test_sup_14_wrong_flags_are_named(flags: dict[str, Any]) -> None:
    """Flag errors {supervisor_data, ...}."""
    with pytest.raises(BadFlags) as wrong:
        supervisor.init([], **flags)
    assert wrong.value.reason[0] == "supervisor_data"


def test_sup_16_the_strategy_must_be_given() -> None:
    """Missing :strategy raises 'expected :strategy option to be given'."""
    with pytest.raises(BadFlags, match="expected strategy= to be given"):
        supervisor.init([])


def test_sup_17_a_child_that_is_none_is_refused_with_the_forms() -> None:
    """Child forms: Module, {Module, arg}, map, old 6-tuple; bad ones raise."""
    start = (Child.start_link, (1,))
    old: Any = ("old", start, "transient", 1.0, "worker", (Child,))
    assert supervisor.child_spec(old) == ChildSpec(*old)
    with pytest.raises(BadChildSpec, match="restart='never'"):
        supervisor.child_spec(("old", start, "never", 1.0, "worker", (Child,)))
    assert supervisor.child_spec(Child).start[1] == (None,)
    for bad in (7, "x", (Child, 1, 2), int):
        with pytest.raises(BadChildSpec, match="expected a class"):
            supervisor.child_spec(bad)


@pytest.mark.parametrize(
    ("restart", "reason", "restarted"),
    [
        ("permanent", "normal", True),
        ("permanent", "shutdown", True),
        ("permanent", "boom", True),
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("transient", ("shutdown", 1), False),
        ("transient", "boom", True),
        ("temporary", "boom", False),
    ],
)
def test_sup_19_restart_types(run: Runner, restart: str, reason: Any, restarted: bool) -> None:
    """permanent always, transient for abnormal reasons, temporary never (SUP-20, SUP-21)."""

    def body() -> None:
        boss = start(run, specs(run, "a", restart=restart))
        first = pids(boss)["a"]
        gen_server.cast(first, reason)
        assert short(told(1)) == ["stop a"]
        while pids(boss).get("a") == first:
            pass  # the supervisor has not been told yet; each look is a call
        if restarted:
            assert short(told(1)) == ["start a"]
        elif restart == "transient":
            assert pids(boss) == {"a": None}
        else:
            assert pids(boss) == {}
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["start b"]),
        ("rest_for_one", ["stop c", "start b", "start c"]),
        ("one_for_all", ["stop c", "stop a", "start a", "start b", "start c"]),
    ],
)
def test_sup_24_strategies(run: Runner, strategy: str, expected: list[str]) -> None:
    """one_for_one, one_for_all (SUP-25), rest_for_one (SUP-26): who is stopped and started."""

    def body() -> None:
        boss = start(run, specs(run), strategy)
        process.exit(pids(boss)["b"], "kill")
        assert short(told(len(expected))) == expected
        supervisor.stop(boss)

    run(body)


def test_sup_27_temporary_siblings_are_not_restarted(run: Runner) -> None:
    """Temporary siblings lose their spec; transient ones are restarted (SUP-28)."""

    def body() -> None:
        children = [
            *specs(run, "a"),
            *specs(run, "b", restart="temporary"),
            *specs(run, "c", restart="transient"),
        ]
        boss = start(run, children, "one_for_all")
        process.exit(pids(boss)["a"], "kill")
        assert short(told(4)) == ["stop c", "stop b", "start a", "start c"]
        assert sorted(pids(boss)) == ["a", "c"]
        supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize("limit", [0, 2])
def test_sup_32_too_many_restarts_end_the_supervisor(run: Runner, limit: int) -> None:
    """More than max_restarts in max_seconds -> exits shutdown (SUP-33: 0)."""

    def body() -> None:
        process.flag(trap_exit=True)
        boss = start(run, specs(run, "ab"), max_restarts=limit)
        for _ in range(limit):
            process.exit(pids(boss)["a"], "kill")
            assert short(told(1)) == ["start a"]
        process.exit(pids(boss)["a"], "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert short(told(1)) == ["stop b"]

    run(body)


def test_sup_35_failed_restarts_are_retried_and_count(run: Runner) -> None:
    """Failed restart attempts count toward intensity."""

    def body() -> None:
        process.flag(trap_exit=True)
        cls = GreenChild if run.green else Child
        me = self_pid()
        starts: list[int] = []

        def gate() -> Any:
            starts.append(1)
            return None if len(starts) == 1 else Stop("no")

        child = supervisor.child_spec((cls, (me, "x", gate)), id="x")
        boss = start(run, [child], max_restarts=3)
        process.exit(pids(boss)["x"], "kill")
        assert process.receive(Exit, timeout=5) == Exit(boss, "shutdown")
        assert len(starts) == 4

    run(body)


def test_sup_40_a_deadline_ends_in_a_kill(run: Runner) -> None:
    """exit(child, shutdown), wait, then kill -> DOWN killed; brutal_kill at once (SUP-41)."""

    class Stubborn(Child, green=run.green):
        def terminate(self, reason: Any, state: Any) -> None:
            process.receive(where=lambda _: False)

    def body() -> None:
        ways: tuple[float | Literal["brutal_kill"], ...] = (0.01, "brutal_kill")
        for shutdown in ways:
            child = supervisor.child_spec((Stubborn, (self_pid(), "x")), shutdown=shutdown)
            boss = start(run, [child])
            ref = process.monitor(next(iter(pids(boss).values())))
            supervisor.stop(boss)
            assert down(ref) == "killed"

    run(body)


def test_sup_47_a_child_that_unlinked_itself_does_not_hang_the_supervisor(run: Runner) -> None:
    """A child that unlinked itself is stopped all the same."""

    def body() -> None:
        me = self_pid()

        def unlinked() -> Pid:
            def child() -> None:
                process.receive()

            return process.spawn(child, green=run.green)

        boss = supervisor.start_link(
            [ChildSpec(id="x", start=(unlinked, ()))], strategy="one_for_one"
        )
        ref = process.monitor(pids(boss)["x"])
        supervisor.stop(boss)
        assert down(ref) == "shutdown"
        assert me

    run(body)


def test_sup_48_the_parents_exit_stops_it_in_order(run: Runner) -> None:
    """Parent EXIT with any reason -> orderly stop; strangers are ignored (SUP-49)."""

    def body() -> None:
        me = self_pid()

        def parent() -> None:
            boss = supervisor.start_link(specs_of(me, run), strategy="one_for_one")
            process.send(me, ("boss", boss))
            process.exit(process.receive(str))

        dad = process.spawn(parent, green=run.green)
        events = told(3)
        boss = events[2][1]
        ref = process.monitor(boss)
        process.exit(boss, "stranger")
        assert supervisor.count_children(boss).active == 2
        process.send(dad, "over")
        assert down(ref) == "over"
        assert short(told(2)) == ["stop b", "stop a"]

    run(body)


def specs_of(to: Any, run: Runner) -> list[ChildSpec]:
    cls = GreenChild if run.green else Child
    return [supervisor.child_spec((cls, (to, name)), id=name) for name in "ab"]


def test_sup_51_stop_has_a_reason(run: Runner) -> None:
    """Supervisor.stop(s, reason): children get shutdown, it exits with reason."""

    def body() -> None:
        process.flag(trap_exit=True)
        boss = start(run, specs(run, "a"))
        supervisor.stop(boss, "why")
        assert told(1) == [("stop", "a", "shutdown")]
        assert process.receive(Exit, timeout=5) == Exit(boss, "why")

    run(body)


def test_sup_52_admin_functions(run: Runner) -> None:
    """start_child; terminate_child (SUP-53), restart_child (SUP-54), delete_child (SUP-55)
    and get_childspec (SUP-59)."""

    def body() -> None:
        boss = start(run, specs(run, "a"))
        first = pids(boss)["a"]
        with pytest.raises(AlreadyStarted) as taken:
            supervisor.start_child(boss, specs(run, "a")[0])
        assert taken.value.pid == first
        for refused, args in (
            (supervisor.delete_child, (boss, "a")),
            (supervisor.restart_child, (boss, "a")),
        ):
            with pytest.raises(ChildError) as error:
                refused(*args)
            assert error.value.reason == "running"
        supervisor.terminate_child(boss, "a")
        supervisor.terminate_child(boss, "a")
        assert short(told(1)) == ["stop a"]
        with pytest.raises(ChildError, match="already_present"):
            supervisor.start_child(boss, specs(run, "a")[0])
        assert supervisor.restart_child(boss, "a") != first
        assert supervisor.get_childspec(boss, "a").id == "a"
        with pytest.raises(ChildError, match="not_found"):  # a pid is no id
            supervisor.terminate_child(boss, pids(boss)["a"])
        supervisor.terminate_child(boss, "a")
        supervisor.delete_child(boss, "a")
        for unknown in (
            supervisor.terminate_child,
            supervisor.restart_child,
            supervisor.delete_child,
            supervisor.get_childspec,
        ):
            with pytest.raises(ChildError, match="not_found"):
                unknown(boss, "a")
        supervisor.stop(boss)

    run(body)


def test_sup_58_count_children(run: Runner) -> None:
    """specs, active, supervisors, workers."""

    def body() -> None:
        inner = ChildSpec(
            id="inner",
            start=(lambda: supervisor.start_link([], strategy="one_for_one"), ()),
            type="supervisor",
        )
        boss = supervisor.start_link([*specs(run, "ab"), inner], strategy="one_for_one")
        told(2)
        supervisor.terminate_child(boss, "a")
        assert supervisor.count_children(boss) == (3, 2, 1, 2)
        supervisor.stop(boss)

    run(body)


def test_sup_60_a_missing_supervisor_is_noproc(run: Runner) -> None:
    """API on a missing supervisor exits noproc."""

    def body() -> None:
        with pytest.raises(CallExit) as ended:
            supervisor.which_children("nobody")
        assert ended.value.reason == "noproc"

    run(body)


@pytest.mark.parametrize(
    ("auto", "stops", "ends"),
    [
        ("any_significant", "a", True),
        ("all_significant", "a", False),
        ("all_significant", "ab", True),
    ],
)
def test_sup_65_significant_children_end_the_supervisor(
    run: Runner, auto: str, stops: str, ends: bool
) -> None:
    """any_significant and all_significant (SUP-66); terminate_child does not count (SUP-67)."""

    def body() -> None:
        process.flag(trap_exit=True)
        children = specs(run, "ab", restart="transient", significant=True)
        boss = start(run, children, auto_shutdown=auto)
        ref = process.monitor(boss)
        for name in stops:
            gen_server.cast(pids(boss)[name], "normal")
            told(1)
        if ends:
            assert down(ref) == "shutdown"
        else:
            supervisor.terminate_child(boss, "b")
            assert supervisor.count_children(boss).specs == 2
            supervisor.stop(boss)

    run(body)


def test_sup_68_significant_needs_the_right_company() -> None:
    """significant with permanent or with auto_shutdown never -> bad_combination."""
    child = supervisor.child_spec((Child, 1), significant=True)
    for auto in ("never", "any_significant"):
        with pytest.raises(BadChildSpec) as wrong:
            supervisor.init([child], strategy="one_for_one", auto_shutdown=auto)
        assert wrong.value.reason[0] == "bad_combination"
