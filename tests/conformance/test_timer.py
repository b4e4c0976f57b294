"""The ``timer`` module (TMR)."""

from typing import Any

import pytest

from otpy import (
    At,
    BadArgument,
    Down,
    Exit,
    GenServer,
    NotAName,
    Ok,
    Ref,
    Via,
    gen_server,
    process,
    self_pid,
    timer,
)
from otpy.runtime._current import current
from otpy.testing import ClusterSimulation
from otpy.testing.plugin import Reports
from tests.cluster.conftest import Cluster, cluster
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import Book
from tests.conformance.waiting import gone, nothing_more, wait

__all__ = ["cluster"]


def armed() -> int:
    """How many timers of the node are armed."""
    return len(current().node.timers.armed)


def settled() -> None:
    """Let pass what a timer that was wrongly armed would need."""
    timer.send_after(0.02, "settled")
    assert process.receive(timeout=5) == "settled"


def test_tmr_01_functions_give_a_reference_and_bad_arguments_do_nothing(run: Runner) -> None:
    """send_after/apply_after/exit_after/kill_after/..._interval return {ok,TRef}; bad args
    {error,badarg} (here BadArgument)."""

    def body() -> None:
        me = self_pid()
        trefs = [
            timer.send_after(60, "x"),
            timer.send_after(60, me, "x"),
            timer.send_after(60, "name", "x"),
            timer.send_interval(60, "x"),
            timer.send_interval(60, me, "x"),
            timer.apply_after(60, wait),
            timer.apply_interval(60, wait),
            timer.exit_after(60, "reason"),
            timer.exit_after(60, me, "reason"),
            timer.kill_after(60),
            timer.kill_after(60, me),
        ]
        assert all(isinstance(tref, timer.TRef) for tref in trefs)
        assert armed() == len(trefs)
        for tref in trefs:
            timer.cancel(tref)
        assert armed() == 0
        wrongs: list[Any] = [-1, "1", None, float("nan"), True]
        for wrong in wrongs:
            for function in (timer.send_after, timer.send_interval, timer.exit_after):
                with pytest.raises(BadArgument, match="seconds"):
                    function(wrong, "x")
            for applies in (timer.apply_after, timer.apply_interval):
                with pytest.raises(BadArgument, match="seconds"):
                    applies(wrong, wait)
            with pytest.raises(BadArgument, match="seconds"):
                timer.kill_after(wrong)
        for interval in (timer.send_interval, timer.apply_interval):
            for never in (0, float("inf")):
                with pytest.raises(BadArgument, match="above 0"):
                    interval(never, wait)
        with pytest.raises(BadArgument, match="expected a function"):
            timer.apply_after(1, "wait")  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(BadArgument, match="to whom and what"):
            timer.send_after(1)  # type: ignore[call-overload]  # wrong on purpose
        with pytest.raises(NotAName):
            timer.send_after(1, 7, "x")  # type: ignore[call-overload]  # wrong on purpose
        assert armed() == 0

    run(body)


def test_tmr_02_no_time_is_at_once(run: Runner) -> None:
    """time 0 executes at once; cancel afterwards still {ok,cancel} and the message stays."""

    def body() -> None:
        tref = timer.send_after(0, "x")
        until(lambda: process.info(self_pid(), "messages") == {"messages": ["x"]})
        timer.cancel(tref)
        assert process.receive(timeout=0) == "x"

    run(body)


def test_tmr_03_a_cancel_of_nothing_is_no_error(run: Runner) -> None:
    """cancel of unknown/expired well-formed ref {ok,cancel}; malformed {error,badarg}."""

    def body() -> None:
        tref = timer.send_after(60, "x")
        for _ in range(2):
            timer.cancel(tref)
        timer.cancel(timer.TRef(Ref(1, "any@nohost", 2, 3)))
        wrongs: list[Any] = [tref.ref, "tref", None]
        for wrong in wrongs:
            with pytest.raises(BadArgument, match="function of timer"):
                timer.cancel(wrong)
        nothing_more()

    run(body)


def test_tmr_04_a_name_is_resolved_when_the_time_comes(run: Runner) -> None:
    """send to names resolved at expiry."""

    def body() -> None:
        book = Book()
        dests: list[Any] = ["late", At("late", current().node.name), Via(book, "late")]
        for dest in dests:
            timer.send_after(0.02, dest, dest)
        book.register_name("late", self_pid())
        process.register(self_pid(), "late")
        assert [process.receive(timeout=5) for _ in dests] == dests
        process.unregister("late")
        timer.send_after(0, "late", "lost")
        timer.send_after(0, Via(book, "never"), "lost")
        settled()
        nothing_more()

    run(body)


def test_tmr_05_intervals_repeat_and_do_not_drift(run: Runner) -> None:
    """intervals repeat until cancelled and do not drift."""

    def body() -> None:
        began = process.monotonic_time()
        tref = timer.send_interval(0.01, "tick")
        table = current().node.timers
        for number in range(1, 11):
            assert process.receive(timeout=5) == "tick"
            due = table.armed[tref.ref].when - began
            # the next is a whole number of periods from the start, late as this one may be
            assert due == pytest.approx(round(due / 0.01) * 0.01, abs=0.002)
            assert due > number * 0.01
        timer.cancel(tref)
        assert armed() == 0

    run(body)


def test_tmr_05_an_interval_makes_up_for_what_was_late(run: Runner) -> None:
    """intervals do not drift: what a held receiver missed comes at once."""

    def body() -> None:
        me = self_pid()
        began = process.monotonic_time()
        tref = timer.apply_interval(0.01, process.send, me, "tick")
        for _ in range(5):
            assert process.receive(timeout=5) == "tick"
        assert process.monotonic_time() - began >= 0.05
        timer.cancel(tref)
        tref = timer.send_interval(0.01, me, "tock")
        process.sleep(0.05)
        took, _ = timer.tc(lambda: [process.receive(where="tock".__eq__) for _ in range(5)])
        assert took < (0.001 if run.kind == "simulated" else 5)
        timer.cancel(tref)

    run(body)


class Sink(GenServer[list[Any]], green=True):
    """Keeps what it gets."""

    def init(self, arg: list[Any], /) -> Ok[list[Any]]:
        return Ok(arg)

    def handle_info(self, message: Any, state: list[Any], /) -> None:
        state.append(message)


def test_tmr_05_an_interval_to_a_name_makes_up_for_what_was_late() -> None:
    """intervals do not drift: neither does one whose receiver is looked for each time."""
    sim = ClusterSimulation(0, ("a@sim",))
    got: list[Any] = []

    def begin() -> None:
        gen_server.start(Sink, got, name="sink")
        timer.send_interval(0.01, "sink", "tick")

    sim.call("a@sim", begin)
    sim.let_pass(0.1)
    sim.pause("a@sim")
    sim.let_pass(1.0)
    sim.resume("a@sim")
    sim.let_pass(0.05)
    assert len(got) == pytest.approx(115, abs=2)


def test_tmr_06_an_interval_ends_with_its_target(run: Runner) -> None:
    """send_interval stops when the target pid dies; creator death is irrelevant for a live
    target."""

    def body() -> None:
        me = self_pid()
        target = process.spawn(wait_for_end, green=run.green)
        timer.send_interval(60, target, "tick")
        assert armed() == 1
        process.send(target, "end")
        gone(target)
        assert armed() == 0
        timer.send_interval(60, target, "tick")
        assert armed() == 0

        def creator() -> None:
            process.send(me, timer.send_interval(0.005, me, "tick"))
            process.send(me, timer.apply_interval(0.005, process.send, me, "applied"))

        pid, _ = process.spawn_monitor(creator, green=run.green)
        process.receive(Down, timeout=5)
        tref = process.receive(timer.TRef, timeout=5)
        applied = process.receive(timer.TRef, timeout=5)
        until(lambda: applied.ref not in current().node.timers.armed)
        for _ in range(3):
            assert process.receive(where="tick".__eq__, timeout=5) == "tick"
        timer.cancel(tref)
        gone(pid)

    run(body)


def wait_for_end() -> None:
    process.receive(where="end".__eq__)


def test_tmr_06_an_interval_to_a_name_ends_with_its_holder(run: Runner) -> None:
    """send_interval stops when the target dies, also by its name, or when nobody has that."""

    def body() -> None:
        me = self_pid()
        nobody = timer.send_interval(0.001, "ticked", "tick")
        assert nobody.pid is not None
        gone(nobody.pid)

        def holder() -> None:
            process.register(self_pid(), "ticked")
            process.send(me, "ready")
            for _ in range(2):
                process.receive(where="tick".__eq__)

        process.spawn(holder, green=run.green)
        assert process.receive(timeout=5) == "ready"
        tref = timer.send_interval(0.005, "ticked", "tick")
        assert tref.pid is not None
        gone(tref.pid)
        process.register(me, "ticked")
        tref = timer.send_interval(0.005, "ticked", "mine")
        assert tref.pid is not None
        for _ in range(2):
            assert process.receive(timeout=5) == "mine"
        timer.cancel(tref)
        gone(tref.pid)
        process.unregister("ticked")

    run(body)


def test_tmr_07_timers_never_fire_early(run: Runner) -> None:
    """timers never fire early."""

    def body() -> None:
        began = process.monotonic_time()
        waits = [number / 1000 for number in (7, 1, 20, 3, 13)]
        for seconds in waits:
            timer.send_after(seconds, seconds)
        for seconds in sorted(waits):
            assert process.receive(timeout=5) == seconds
            assert process.monotonic_time() >= began + seconds

    run(body)


def test_tmr_08_exit_after_and_kill_after_send_exit_signals(run: Runner) -> None:
    """exit_after uses exit signal; kill_after gives killed."""

    def body() -> None:
        def reason(arm: Any) -> Any:
            _, ref = process.spawn_monitor(arm, green=run.green)
            return process.receive(Down, where=lambda down: down.ref == ref, timeout=5).reason

        def of_itself(function: Any, *args: Any) -> Any:
            def arm() -> None:
                function(0.001, *args)
                wait()

            return arm

        assert reason(of_itself(timer.exit_after, "over")) == "over"
        assert reason(of_itself(timer.kill_after)) == "killed"
        for function, told, expected in (
            (timer.exit_after, ("from here",), "from here"),
            (timer.kill_after, (), "killed"),
        ):
            pid, ref = process.spawn_monitor(wait, green=run.green)
            function(0.001, pid, *told)
            assert process.receive(timeout=5) == Down(ref, pid, expected)
        process.flag(trap_exit=True)
        timer.exit_after(0, "trapped")
        assert process.receive(Exit, timeout=5).reason == "trapped"
        pid, _ = process.spawn_monitor(wait, green=run.green)
        timer.kill_after(60, pid)
        process.exit(pid, "kill")
        gone(pid)
        assert armed() == 0

    run(body)


def test_tmr_09_exit_after_to_nobody_is_no_error(run: Runner, capture_reports: Reports) -> None:
    """exit_after on missing name does not crash the timer server."""

    def body() -> None:
        capture_reports.records.clear()
        timer.exit_after(0, "nobody", "over")
        timer.kill_after(0, At("nobody", current().node.name))
        timer.kill_after(0, Via(Book(), "nobody"))
        settled()
        assert capture_reports.records == []
        with pytest.raises(BadArgument, match="another node"):
            timer.exit_after(0, At("nobody", "far@nohost"), "over")

    run(body)


def crashes() -> None:
    raise RuntimeError("in a timer")


def test_tmr_10_a_function_that_fails_harms_no_other_timer(
    run: Runner, capture_reports: Reports
) -> None:
    """unexpected messages to the server are ignored: there is no server, and a function that
    fails ends its own process only."""

    def body() -> None:
        capture_reports.records.clear()
        timer.apply_after(0, crashes)
        settled()
        until(lambda: capture_reports.records)
        assert "in a timer" in capture_reports.texts[0]
        timer.send_after(0, "x")
        assert process.receive(timeout=5) == "x"

    run(body)


def test_tmr_11_nothing_has_to_be_started(run: Runner) -> None:
    """timer server restarts on demand: none is there to be started, and nothing runs meanwhile."""

    def body() -> None:
        before = set(process.list_())
        timer.apply_after(60, wait)
        timer.cancel(timer.send_interval(60, "x"))
        assert set(process.list_()) == before

    run(body)


def slow_sum(a: int, b: int) -> int:
    process.sleep(0.01)
    return a + b


def test_tmr_12_tc_tells_the_time_and_does_not_catch(run: Runner) -> None:
    """tc returns {micros, value} and does not catch (here seconds)."""

    def body() -> None:
        took, value = timer.tc(slow_sum, 1, 2)
        assert value == 3
        assert 0.01 <= took < 5
        with pytest.raises(RuntimeError, match="in a timer"):
            timer.tc(crashes)
        with pytest.raises(BadArgument, match="expected a function"):
            timer.tc(1)  # type: ignore[arg-type]  # wrong on purpose

    run(body)


def test_tmr_13_units_are_seconds() -> None:
    """seconds/minutes/hours/hms conversions."""
    assert (timer.seconds(2), timer.minutes(2), timer.hours(2)) == (2.0, 120.0, 7200.0)
    assert timer.hms(1, 2, 3) == 3723.0


def test_tmr_14_sleep_is_at_least_so_long(run: Runner) -> None:
    """sleep at least the given ms (here seconds)."""

    def body() -> None:
        process.send(self_pid(), "stays")
        took, _ = timer.tc(lambda: timer.sleep(0.01))
        assert took >= 0.01
        assert process.receive(timeout=0) == "stays"

    run(body)


def test_tmr_04_messages_and_exits_go_to_other_nodes(cluster: Cluster) -> None:
    """send to names resolved at expiry, and to pids, on other nodes too; intervals end with
    them."""
    cluster.start("ab")
    with cluster.nodes["b"].attached() as far:
        process.register(far, "far")
        with cluster.nodes["a"].attached():
            timer.send_after(0.001, far, 1)
            timer.send_after(0.002, At("far", "b@127.0.0.1"), 2)
            tref = timer.send_interval(0.003, far, 3)
        got = [process.receive(timeout=5) for _ in range(4)]
        assert sorted(got) == [1, 2, 3, 3]
        process.flag(trap_exit=True)
        with cluster.nodes["a"].attached():
            timer.exit_after(0, far, "from afar")
        assert process.receive(Exit, timeout=5).reason == "from afar"
    with cluster.nodes["a"].attached():
        assert tref.pid is not None
        gone(tref.pid)
