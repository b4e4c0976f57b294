"""Dynamic supervisors (DSUP): starting and stopping children, and what may be asked."""

from collections.abc import Callable
from typing import Any

import pytest

from otpy import (
    IGNORE,
    AlreadyStarted,
    BadArgument,
    BadChildSpec,
    BadFlags,
    CallExit,
    ChildError,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    Exit,
    Pid,
    StartError,
    Stop,
    Via,
    dynamic_supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
)
from otpy.testing.plugin import Reports
from tests.conformance.children import Child, Door, GreenChild, down, gated, short, specs, told
from tests.conformance.conftest import Runner
from tests.conformance.servers import Book, kind
from tests.conformance.waiting import nothing_more, wait


def start(**options: Any) -> Pid:
    return dynamic_supervisor.start_link(**options)


def running(boss: Any) -> list[Any]:
    return [row.pid for row in dynamic_supervisor.which_children(boss)]


def test_dsup_01_start_child_gives_what_the_start_function_gives(run: Runner) -> None:
    """start_child returns {:ok,pid}, {:ok,pid,info}, :ignore, {:error,R}; unknown value V ->
    {:error,V}."""

    def body() -> None:
        def begin() -> Pid:
            return process.spawn_link(wait, green=run.green)

        def child(result: Callable[[], Any]) -> ChildSpec:
            return ChildSpec("x", (result, ()))

        boss = start()
        plain = dynamic_supervisor.start_child(boss, child(begin))
        with_info = dynamic_supervisor.start_child(boss, child(lambda: (begin(), "info")))
        assert isinstance(plain, Pid)
        assert with_info[1] == "info"
        assert dynamic_supervisor.start_child(boss, child(lambda: IGNORE)) is None
        with pytest.raises(StartError) as failed:
            dynamic_supervisor.start_child(boss, gated(run, "x", lambda: Stop("found")))
        assert failed.value.reason == "found"
        with pytest.raises(StartError) as failed:
            dynamic_supervisor.start_child(boss, child(lambda: "unknown"))
        assert failed.value.reason == "unknown"
        assert sorted(running(boss)) == sorted([plain, with_info[0]])
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_01_a_taken_name_tells_who_has_it(run: Runner) -> None:
    """start_child gives {:error, {:already_started, pid}}."""

    def body() -> None:
        boss = start()
        named = ChildSpec("x", (named_server, (kind(run),)))
        first = dynamic_supervisor.start_child(boss, named)
        with pytest.raises(AlreadyStarted) as refused:
            dynamic_supervisor.start_child(boss, named)
        assert refused.value.pid == first
        assert running(boss) == [first]
        dynamic_supervisor.stop(boss)

    run(body)


def named_server(module: Any) -> Pid:
    return gen_server.start_link(module, 0, name="the one")


def test_dsup_02_a_start_function_that_raises_or_exits(run: Runner) -> None:
    """start raising -> {:error,{exception,stack}}; exit(r) -> r; the supervisor goes on."""

    def body() -> None:
        def raises() -> Pid:
            raise RuntimeError("oops")

        def exits() -> Pid:
            process.exit("foo")
            raise AssertionError

        boss = start()
        for function, reason in ((raises, Crash("RuntimeError", "oops")), (exits, "foo")):
            with pytest.raises(StartError) as failed:
                dynamic_supervisor.start_child(boss, ChildSpec("x", (function, ())))
            assert failed.value.reason == reason
        assert dynamic_supervisor.count_children(boss) == (0, 0, 0, 0)
        dynamic_supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ({}, "missing_id"),
        ({"id": 1, "start": 2}, ("invalid_mfa", 2)),
        ({"id": 1, "start": (wait, ()), "restart": 0}, ("invalid_restart_type", 0)),
        ({"id": 1, "start": (wait, ()), "type": "foo"}, ("invalid_child_type", "foo")),
        ({"id": 1, "start": (wait, ()), "shutdown": -1}, ("invalid_shutdown", -1)),
        ({"id": 1, "start": (wait, ()), "significant": True}, ("invalid_significant", True)),
    ],
)
def test_dsup_03_a_wrong_child_is_refused_in_the_caller(
    run: Runner, child: dict[str, Any], reason: Any
) -> None:
    """invalid spec rejected in the client before any call."""

    def body() -> None:
        with pytest.raises(BadChildSpec) as wrong:
            dynamic_supervisor.start_child("nobody has this name", child)
        assert wrong.value.reason == reason

    run(body)


def test_dsup_19_no_patience_at_all_is_a_shutdown_too(run: Runner) -> None:
    """shutdown 0 valid: killed at once."""

    def body() -> None:
        boss = start()
        first = dynamic_supervisor.start_child(boss, specs(run, "a", shutdown=0)[0])
        assert short(told(1)) == ["start a"]
        ref = process.monitor(first)
        dynamic_supervisor.terminate_child(boss, first)
        assert down(ref) == "killed"
        nothing_more()
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_04_no_more_than_max_children(run: Runner) -> None:
    """max_children -> {:error, :max_children}; what failed, ended or ignored does not count."""

    def body() -> None:
        none = start(max_children=0)
        with pytest.raises(ChildError) as refused:
            dynamic_supervisor.start_child(none, specs(run, "a")[0])
        assert refused.value.reason == "max_children"
        dynamic_supervisor.stop(none)
        boss = start(max_children=1)
        with pytest.raises(StartError):
            dynamic_supervisor.start_child(boss, gated(run, "x", lambda: Stop("bad")))
        assert dynamic_supervisor.start_child(boss, gated(run, "x", lambda: IGNORE)) is None
        first = dynamic_supervisor.start_child(boss, specs(run, "a")[0])
        with pytest.raises(ChildError, match="max_children"):
            dynamic_supervisor.start_child(boss, specs(run, "b")[0])
        dynamic_supervisor.terminate_child(boss, first)
        dynamic_supervisor.start_child(boss, specs(run, "b")[0])
        assert short(told(3)) == ["start a", "stop a", "start b"]
        dynamic_supervisor.stop(boss)

    run(body)


def restarting(run: Runner, **options: Any) -> tuple[Pid, Pid, Door]:
    """A supervisor with a child that ended and cannot start again; its old pid; its door."""
    door = Door()
    boss = start(max_restarts=1_000_000, **options)
    first = dynamic_supervisor.start_child(boss, gated(run, "a", door))
    assert short(told(1)) == ["start a"]
    door.open = False
    ref = process.monitor(first)
    process.exit(first, "kill")
    assert down(ref) == "killed"
    return boss, first, door


def test_dsup_04_children_being_restarted_count(run: Runner, capture_reports: Reports) -> None:
    """restarting children count for max_children."""

    def body() -> None:
        boss, first, door = restarting(run, max_children=1)
        with pytest.raises(ChildError, match="max_children"):
            dynamic_supervisor.start_child(boss, specs(run, "b")[0])
        assert running(boss) == ["restarting"]
        assert dynamic_supervisor.count_children(boss) == (1, 0, 0, 1)
        door.open = True
        assert short(told(1)) == ["start a"]
        [second] = running(boss)
        assert second != first
        assert dynamic_supervisor.count_children(boss) == (1, 1, 0, 1)
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_05_ids_mean_nothing(run: Runner) -> None:
    """which_children ids are :undefined; type and modules are the child's."""

    def body() -> None:
        boss = start()
        first = dynamic_supervisor.start_child(boss, specs(run, "a")[0])
        other = dynamic_supervisor.start_child(
            boss, specs(run, "b", type="supervisor", modules=(Child,))[0]
        )
        rows = dynamic_supervisor.which_children(boss)
        assert [row[:4] for row in rows] == [
            ("undefined", other, "supervisor", (Child,)),
            ("undefined", first, "worker", (GreenChild if run.green else Child,)),
        ]
        assert dynamic_supervisor.count_children(boss) == (2, 2, 1, 1)
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_06_one_id_may_be_started_often(run: Runner) -> None:
    """same id may be started many times."""

    def body() -> None:
        boss = start()
        pids = [dynamic_supervisor.start_child(boss, specs(run, "a")[0]) for _ in range(3)]
        assert len(set(pids)) == 3
        assert sorted(running(boss)) == sorted(pids)
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_07_a_child_is_terminated_by_its_pid(run: Runner) -> None:
    """terminate_child(pid) :ok; unknown/dead -> {:error,:not_found}."""

    def body() -> None:
        boss = start()
        first, second = (dynamic_supervisor.start_child(boss, one) for one in specs(run, "ab"))
        assert short(told(2)) == ["start a", "start b"]
        ref = process.monitor(first)
        dynamic_supervisor.terminate_child(boss, first)
        assert down(ref) == "shutdown"
        assert short(told(1)) == ["stop a"]
        for unknown in (first, self_pid()):
            with pytest.raises(ChildError) as refused:
                dynamic_supervisor.terminate_child(boss, unknown)
            assert refused.value.reason == "not_found"
        with pytest.raises(BadArgument, match="'b'"):
            dynamic_supervisor.terminate_child(boss, "b")  # type: ignore[arg-type]
        assert running(boss) == [second]
        dynamic_supervisor.stop(boss)

    run(body)


def test_sup_56_what_only_ordinary_supervisors_do_has_no_function(run: Runner) -> None:
    """simple_one_for_one: terminate_child(pid); by id, restart_child and delete_child are
    refused: a dynamic supervisor has no such functions."""

    def body() -> None:
        boss = start()
        first = dynamic_supervisor.start_child(boss, specs(run, "a")[0])
        process.flag(trap_exit=True)
        for name in ("restart_child", "delete_child", "get_childspec"):
            assert not hasattr(dynamic_supervisor, name)
        dynamic_supervisor.terminate_child(boss, first)
        assert running(boss) == []
        dynamic_supervisor.stop(boss)

    run(body)


def test_sup_57_errors_and_ignore_of_a_start_keep_nothing(run: Runner) -> None:
    """simple start_child error is {error,R} unwrapped; ignore -> {ok,undefined} not stored."""

    def body() -> None:
        boss = start()
        with pytest.raises(StartError) as failed:
            dynamic_supervisor.start_child(boss, gated(run, "x", lambda: Stop("bad")))
        assert failed.value.reason == "bad"
        assert dynamic_supervisor.start_child(boss, gated(run, "x", lambda: IGNORE)) is None
        assert dynamic_supervisor.which_children(boss) == []
        dynamic_supervisor.stop(boss)

    run(body)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ({"strategy": "one_for_all"}, ("invalid_strategy", "one_for_all")),
        ({"max_restarts": -1}, ("invalid_intensity", -1)),
        ({"max_seconds": 0}, ("invalid_period", 0)),
        ({"max_children": -1}, ("invalid_max_children", -1)),
        ({"max_children": True}, ("invalid_max_children", True)),
        ({"extra_arguments": "ab"}, ("invalid_extra_arguments", "ab")),
    ],
)
def test_dsup_15_wrong_flags_are_named(flags: dict[str, Any], reason: Any) -> None:
    """{:supervisor_data, {:invalid_strategy|intensity|period|max_children|extra_arguments, _}};
    here in the caller (departures: SUP-13)."""
    for function in (dynamic_supervisor.init, dynamic_supervisor.start_link):
        with pytest.raises(BadFlags) as wrong:
            function(**flags)
        assert wrong.value.reason == ("supervisor_data", reason)


FLAGS: dict[Any, dict[str, Any]] = {
    "plain": {},
    "wrong": {"max_children": -1},
    "none": {"max_children": 0},
}


class Workers(DynamicSupervisor):
    """Has the flags it is named, or returns what it is given."""

    def init(self, arg: Any) -> Any:
        return dynamic_supervisor.init(**FLAGS[arg]) if arg in FLAGS else arg


def test_dsup_15_what_init_of_a_class_may_return(run: Runner, capture_reports: Reports) -> None:
    """bad return {:bad_return,{M,:init,_}}; :ignore; flags."""

    def body() -> None:
        process.flag(trap_exit=True)
        with pytest.raises(StartError) as failed:
            dynamic_supervisor.start_link(Workers, "what")
        assert failed.value.reason == ("bad_return", (Workers, "init", "what"))
        with pytest.raises(StartError) as failed:
            dynamic_supervisor.start_link(Workers, IGNORE)
        assert failed.value.reason == "ignore"
        with pytest.raises(StartError) as failed:
            dynamic_supervisor.start_link(Workers, "wrong")
        assert failed.value.reason.type == "otpy.terms.errors.BadFlags"
        boss = dynamic_supervisor.start_link(Workers, "none")
        with pytest.raises(ChildError, match="max_children"):
            dynamic_supervisor.start_child(boss, specs(run, "a")[0])
        dynamic_supervisor.stop(boss)
        assert process.receive(Exit, timeout=5) == Exit(boss, "normal")
        nothing_more()

    run(body)


def test_dsup_15_a_class_has_its_flags_from_its_init(run: Runner) -> None:
    """start_link(module, arg) takes no flags beside it; and no other class."""

    def body() -> None:
        with pytest.raises(BadFlags, match=r"Workers.init gives the flags"):
            dynamic_supervisor.start_link(Workers, "plain", max_children=3)
        with pytest.raises(BadFlags, match="not a DynamicSupervisor class"):
            dynamic_supervisor.start_link(Child)  # type: ignore[arg-type]

    run(body)


def test_dsup_16_as_a_child_its_name_is_its_id(run: Runner) -> None:
    """child_spec id: name (or via term), so several unnamed ones clash with already_started."""

    def body() -> None:
        via = Via(Book(), "x")
        assert dynamic_supervisor.child_spec(name=via).id == via
        assert dynamic_supervisor.child_spec({"name": "a"}).id == "a"
        assert Workers.child_spec("plain").id is Workers
        children = [(DynamicSupervisor, {"name": "a", "max_children": 0}), DynamicSupervisor]
        boss = supervisor.start_link(children, strategy="one_for_one")
        rows = supervisor.which_children(boss)
        assert [(row.id, row.type) for row in rows] == [
            (DynamicSupervisor, "supervisor"),
            ("a", "supervisor"),
        ]
        with pytest.raises(ChildError, match="max_children"):
            dynamic_supervisor.start_child("a", specs(run, "x")[0])
        with pytest.raises(AlreadyStarted) as refused:
            supervisor.start_child(boss, DynamicSupervisor)
        assert refused.value.pid == rows[0].pid
        with pytest.raises(BadArgument, match="expected a dict"):
            DynamicSupervisor.child_spec("a")
        supervisor.stop(boss)

    run(body)


def test_dsup_17_the_defaults() -> None:
    """init defaults max_restarts 3, max_seconds 5, max_children :infinity."""
    flags = dynamic_supervisor.init()
    assert (flags.strategy, flags.max_restarts, flags.max_seconds) == ("one_for_one", 3, 5.0)
    assert (flags.max_children, flags.extra_arguments) == (None, ())


def test_dsup_18_reports_name_the_class_that_began_it(
    run: Runner, capture_reports: Reports
) -> None:
    """initial_call same as Supervisor: the callback class's init."""

    def body() -> None:
        for module in (None, Workers):
            boss = dynamic_supervisor.start_link(module, "plain")
            info = process.info(boss, "initial_call")
            assert info is not None
            assert info["initial_call"].endswith(f".{(module or DynamicSupervisor).__name__}.init")
            dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_07_a_stray_message_is_logged_and_a_stray_call_refused(
    run: Runner, capture_reports: Reports
) -> None:
    """An unexpected message is logged, an unknown call refused, as with a supervisor."""

    def body() -> None:
        boss = start()
        dynamic_supervisor.start_child(boss, specs(run, "a")[0])
        capture_reports.records.clear()
        process.send(boss, "stray")
        assert dynamic_supervisor.count_children(boss).active == 1
        assert capture_reports.texts == [
            f"DynamicSupervisor {boss!r} received unexpected message: 'stray'"
        ]
        with pytest.raises(CallExit):
            gen_server.call(boss, "stray")
        assert short(told(1)) == ["start a"]
        assert dynamic_supervisor.count_children(boss).active == 1
        dynamic_supervisor.stop(boss)

    run(body)


def test_dsup_01_a_green_one_does_the_same(run: Runner) -> None:
    """With ``green=True`` it runs beside its green children."""

    class Green(Workers, green=True):
        pass

    def body() -> None:
        for boss in (start(green=True), dynamic_supervisor.start_link(Green, "plain")):
            child = supervisor.child_spec((GreenChild, (self_pid(), "a")))
            pid = dynamic_supervisor.start_child(boss, child)
            assert running(boss) == [pid]
            dynamic_supervisor.stop(boss)
            assert short(told(2)) == ["start a", "stop a"]

    run(body)
