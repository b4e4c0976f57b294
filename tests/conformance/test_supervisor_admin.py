"""Supervisors (SUP): what may be asked of them, and what may not."""

from typing import Any

import pytest

from otpy import (
    IGNORE,
    BadChildSpec,
    CallExit,
    ChildError,
    ChildSpec,
    Pid,
    StartError,
    Supervisor,
    dynamic_supervisor,
    gen_server,
    process,
    self_pid,
    supervisor,
    sys,
)
from otpy.runtime._current import current
from otpy.testing.plugin import Reports
from tests.conformance.children import (
    Child,
    Door,
    GreenChild,
    down,
    gated,
    pids,
    short,
    specs,
    start,
    told,
)
from tests.conformance.conftest import Runner, until
from tests.conformance.waiting import nothing_more, wait


def ignoring(run: Runner, **options: Any) -> ChildSpec:
    cls = GreenChild if run.green else Child
    return supervisor.child_spec((cls, (self_pid(), "x", lambda: IGNORE)), **options)


def test_sup_07_start_child_of_a_child_that_wants_no_process(run: Runner) -> None:
    """start_child of ignore -> {ok, undefined}; the spec is kept, unless it is temporary."""

    def body() -> None:
        boss = supervisor.start_link([], strategy="one_for_one")
        assert supervisor.start_child(boss, ignoring(run, id="kept")) is None
        assert supervisor.start_child(boss, ignoring(run, id="gone", restart="temporary")) is None
        assert pids(boss) == {"kept": None}
        assert supervisor.restart_child(boss, "kept") is None
        assert supervisor.count_children(boss) == (1, 0, 0, 1)
        with pytest.raises(ChildError, match="already_present"):
            supervisor.start_child(boss, ignoring(run, id="kept"))
        supervisor.stop(boss)

    run(body)


def test_sup_11_unknown_keys_are_refused(run: Runner) -> None:
    """unknown map keys in specs/flags: OTP ignores them, otpy names them (departures)."""

    def body() -> None:
        boss = supervisor.start_link([], strategy="one_for_one")
        with pytest.raises(BadChildSpec, match="'restrat'"):
            supervisor.start_child(boss, {"id": 1, "start": (wait, ()), "restrat": "permanent"})
        with pytest.raises(TypeError, match="intensity"):
            supervisor.init([], strategy="one_for_one", intensity=1)  # type: ignore[call-arg]
        assert supervisor.which_children(boss) == []
        supervisor.stop(boss)

    run(body)


class Misspelt(Supervisor):
    """Its ``init`` gives a wrong child."""

    def init(self, arg: Any) -> Any:
        return supervisor.init([{"id": "x"}], strategy="one_for_one")


def test_sup_13_a_wrong_child_spec_starts_nothing(run: Runner, capture_reports: Reports) -> None:
    """at start they come as {error,{start_spec,E}}; here the caller gets them (departures), and
    from a class's init they are its crash."""

    def body() -> None:
        process.flag(trap_exit=True)
        with pytest.raises(BadChildSpec) as wrong:
            supervisor.start_link([*specs(run, "a"), {"id": "x"}], strategy="one_for_one")
        assert wrong.value.reason == "missing_start"
        with pytest.raises(StartError) as failed:
            supervisor.start_link(Misspelt)
        assert failed.value.reason.type == "otpy.terms.errors.BadChildSpec"
        assert "'start'" in failed.value.reason.message
        nothing_more()

    run(body)


def test_sup_49_an_exit_of_a_stranger_is_ignored(run: Runner, capture_reports: Reports) -> None:
    """EXIT from an unrelated process is ignored."""

    def body() -> None:
        capture_reports.records.clear()
        boss = start(run, specs(run, "a"))
        before = pids(boss)

        def stranger(reason: str) -> None:
            process.exit(boss, reason)
            process.link(boss)
            process.exit(reason)

        for reason in ("normal", "boom", "shutdown"):
            _, ref = process.spawn_monitor(stranger, reason, green=run.green)
            assert down(ref) == reason
        assert pids(boss) == before
        assert capture_reports.reports == []
        nothing_more()
        supervisor.stop(boss)

    run(body)


def test_sup_53_terminate_child(run: Runner) -> None:
    """terminate_child ok and idempotent; not_found for unknown id; pid not accepted except
    simple."""

    def body() -> None:
        boss = start(run, specs(run, "ab"))
        first = pids(boss)["a"]
        for unknown in ("c", first, None):
            with pytest.raises(ChildError) as refused:
                supervisor.terminate_child(boss, unknown)
            assert refused.value.reason == "not_found"
        ref = process.monitor(first)
        supervisor.terminate_child(boss, "a")
        assert process.receive(timeout=0) == ("stop", "a", "shutdown")
        assert down(ref) == "shutdown"
        supervisor.terminate_child(boss, "a")
        assert pids(boss)["a"] is None
        assert process.alive(pids(boss)["b"])
        nothing_more()
        supervisor.stop(boss)

    run(body)


def test_sup_54_restart_child(run: Runner) -> None:
    """restart_child: running / not_found / restarts stopped; one that fails stays stopped."""

    def body() -> None:
        door = Door()
        boss = start(run, [gated(run, "a", door)])
        first = pids(boss)["a"]
        for unknown, reason in (("a", "running"), ("c", "not_found"), (first, "not_found")):
            with pytest.raises(ChildError) as refused:
                supervisor.restart_child(boss, unknown)
            assert refused.value.reason == reason
        supervisor.terminate_child(boss, "a")
        assert short(told(1)) == ["stop a"]
        door.open = False
        with pytest.raises(StartError) as failed:
            supervisor.restart_child(boss, "a")
        assert failed.value.reason == "shut"
        assert pids(boss) == {"a": None}
        door.open = True
        second = supervisor.restart_child(boss, "a")
        assert short(told(1)) == ["start a"]
        assert pids(boss) == {"a": second}
        process.exit(second, "kill")  # it is a child as before
        assert short(told(1)) == ["start a"]
        supervisor.stop(boss)

    run(body)


def test_sup_55_delete_child(run: Runner) -> None:
    """delete_child: running / not_found / ok."""

    def body() -> None:
        boss = start(run, specs(run, "ab"))
        for unknown, reason in (("a", "running"), ("c", "not_found")):
            with pytest.raises(ChildError) as refused:
                supervisor.delete_child(boss, unknown)
            assert refused.value.reason == reason
        supervisor.terminate_child(boss, "a")
        supervisor.delete_child(boss, "a")
        assert list(pids(boss)) == ["b"]
        with pytest.raises(ChildError, match="not_found"):
            supervisor.delete_child(boss, "a")
        again = supervisor.start_child(boss, specs(run, "a")[0])
        assert pids(boss)["a"] == again
        supervisor.stop(boss)

    run(body)


def test_sup_59_get_childspec(run: Runner) -> None:
    """get_childspec by id; not_found."""

    def body() -> None:
        given = specs(run, "ab", restart="transient", shutdown=1.5)
        boss = start(run, given)
        assert [supervisor.get_childspec(boss, name) for name in "ab"] == given
        supervisor.terminate_child(boss, "a")
        assert supervisor.get_childspec(boss, "a") == given[0]
        for unknown in ("c", pids(boss)["b"]):
            with pytest.raises(ChildError, match="not_found"):
                supervisor.get_childspec(boss, unknown)
        supervisor.stop(boss)

    run(body)


def test_sup_59_the_modules_of_a_child_may_be_dynamic(run: Runner) -> None:
    """modules: dynamic, of a child whose code is not known beforehand, is told as it is."""

    def body() -> None:
        (spec,) = specs(run, "a", modules="dynamic")
        boss = start(run, [spec])
        (row,) = supervisor.which_children(boss)
        assert (row.id, row.modules) == ("a", "dynamic")
        assert supervisor.get_childspec(boss, "a").modules == "dynamic"
        supervisor.stop(boss)
        boss = dynamic_supervisor.start_link()
        dynamic_supervisor.start_child(boss, spec)
        (row,) = dynamic_supervisor.which_children(boss)
        assert row.modules == "dynamic"
        other: Any = "other"
        with pytest.raises(BadChildSpec, match="expected a tuple or 'dynamic'") as wrong:
            supervisor.child_spec(spec, modules=other)
        assert wrong.value.reason == ("invalid_modules", "other")
        dynamic_supervisor.stop(boss)

    run(body)


def test_sup_61_a_stray_message_or_cast_is_logged_and_a_stray_call_refused(
    run: Runner, capture_reports: Reports
) -> None:
    """stray message is logged and ignored; a stray call or cast, which crashes OTP's supervisor
    (function_clause), ends nobody (departures)."""

    def body() -> None:
        boss = start(run, specs(run, "a"))
        capture_reports.records.clear()
        process.send(boss, "stray")
        assert supervisor.count_children(boss).active == 1
        assert capture_reports.texts == [
            f"Supervisor {boss!r} received unexpected message: 'stray'"
        ]
        with pytest.raises(CallExit) as refused:
            gen_server.call(boss, "stray")
        assert refused.value.reason == ("unknown_call", "stray")
        gen_server.cast(boss, "stray")
        assert supervisor.count_children(boss).active == 1
        assert capture_reports.texts[1:] == [
            f"Supervisor {boss!r} received unexpected call: 'stray'",
            f"Supervisor {boss!r} received unexpected cast: 'stray'",
        ]
        nothing_more()
        supervisor.stop(boss)

    run(body)


class Counted(dict[Any, Any]):
    """Counts the items that whoever goes through it looks at."""

    looks = 0

    def values(self) -> Any:
        self.looks += len(self)
        return list(super().values())

    def items(self) -> Any:
        self.looks += len(self)
        return list(super().items())

    def __iter__(self) -> Any:
        self.looks += len(self)
        return super().__iter__()


def start_waiting() -> Pid:
    return process.spawn_link(wait, green=True)


def test_sup_62_one_operation_does_not_look_at_all_children(
    run: Runner, capture_reports: Reports
) -> None:
    """operations scale linearly with many children."""

    def body() -> None:
        many = 200
        boss = supervisor.start_link(
            [], strategy="one_for_one", max_restarts=many, max_seconds=100.0, green=run.green
        )
        children = Counted()

        def count(state: Any) -> Any:
            state.children = children
            return state

        sys.replace_state(boss, count)
        for number in range(many):
            supervisor.start_child(boss, ChildSpec(id=number, start=(start_waiting, ())))
        assert children.looks == 0
        before = pids(boss)
        seen = len(capture_reports.records)
        assert children.looks == many
        for pid in before.values():
            process.exit(pid, "kill")
        until(lambda: len(capture_reports.records) - seen >= many)
        for number in range(many):
            supervisor.terminate_child(boss, number)
            supervisor.restart_child(boss, number)
            supervisor.terminate_child(boss, number)
            supervisor.delete_child(boss, number)
        assert children.looks == many
        supervisor.stop(boss)

    run(body)


class Named(Supervisor):
    """Has no children."""

    def init(self, arg: Any) -> Any:
        return supervisor.init([], strategy="one_for_one")


def test_sup_63_the_callback_module_can_be_asked_for(run: Runner) -> None:
    """get_callback_module returns the callback module."""

    def body() -> None:
        both: list[tuple[Any, type]] = [(Named, Named), ([], Supervisor)]
        for given, module in both:
            options: Any = {} if given else {"strategy": "one_for_one"}
            boss = supervisor.start_link(given, **options)
            assert supervisor.get_callback_module(boss) is module
            supervisor.stop(boss)

    run(body)


def test_sup_58_a_dead_child_is_not_active_before_its_exit_is_dealt_with(run: Runner) -> None:
    """count_children active: the children that are alive; the spec remains."""

    def body() -> None:
        boss = start(run, specs(run, "ab"))
        killed = pids(boss)["a"]
        me = self_pid()

        def count() -> None:
            process.send(me, [supervisor.count_children(boss)])

        sys.suspend(boss)
        process.spawn(count, green=run.green)
        server: Any = current().node.procs[boss].server
        until(lambda: server.held)  # the question stands before the exit in the queue
        process.exit(killed, "kill")
        until(lambda: not process.alive(killed))
        sys.resume(boss)
        assert process.receive(list, timeout=5) == [(2, 1, 0, 2)]
        supervisor.stop(boss)

    run(body)
