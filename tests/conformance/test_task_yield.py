"""Tasks (TASK): yield_, yield_many, shutdown, ignore."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# The lambdas are work of any kind: their parameters have no type.

from typing import Any

import pytest

from otpy import BadArgument, Crash, Done, Exit, Exited, Task, process, self_pid, task
from tests.conformance.conftest import Runner
from tests.conformance.tasks import clean, raises, stuck, trapping
from tests.conformance.waiting import gone, nothing_more


def ended(run: Runner, fn: Any, *args: Any) -> Task[Any]:
    """A task whose end has been told to this process."""
    t = task.async_(fn, *args, green=run.green)
    assert t.pid is not None
    gone(t.pid)
    return t


def no_exits() -> None:
    """Take the Exit messages of tasks that ended."""
    while process.info(self_pid(), "message_queue_len") != {"message_queue_len": 0}:
        assert type(process.receive(timeout=0)) is Exit


def test_task_11_yield_may_be_asked_until_the_task_is_done(run: Runner) -> None:
    """yield nil on timeout, {:ok,v}, {:exit,r}; may be called repeatedly until done."""

    def body() -> None:
        t = task.async_(lambda: process.receive(str), green=run.green)
        assert t.pid is not None
        assert task.yield_(t, 0) is None
        assert task.yield_(t, 0.01) is None
        process.send(t.pid, "go on")
        assert task.yield_(t) == Done("go on")
        assert task.yield_(t, 0) is None
        bad = task.async_(raises, green=run.green)
        assert task.yield_(bad) == Exited(Crash("RuntimeError", "oops"))
        assert process.receive(Exit, where=lambda e: e.pid == bad.pid, timeout=5)
        assert task.yield_(ended(run, process.exit, "normal")) == Exited("normal")

    run(trapping(body))


def test_task_12_yield_many_has_a_row_for_each_task(run: Runner) -> None:
    """yield_many returns one entry per task in order with nil for pending."""

    def body() -> None:
        tasks = [
            task.async_(stuck, green=run.green),
            ended(run, lambda: 1),
            ended(run, process.exit, "bad"),
            task.completed(2),
        ]
        rows = task.yield_many(tasks, 0.01)
        assert rows == list(zip(tasks, [None, Done(1), Exited("bad"), Done(2)], strict=True))
        assert task.yield_many([], 1) == []
        assert task.shutdown(tasks[0]) is None
        no_exits()
        clean()

    run(trapping(body))


def test_task_13_yield_many_can_end_what_is_late_and_wait_for_some_only(run: Runner) -> None:
    """main: yield_many on_timeout :kill_task/:ignore, :limit."""

    def body() -> None:
        def pair() -> list[Task[Any]]:
            return [task.async_(stuck, green=run.green), ended(run, lambda: 1)]

        killed = pair()
        rows = task.yield_many(killed, 0.01, on_timeout="kill_task")
        assert [result for _, result in rows] == [None, Done(1)]
        assert not process.alive(killed[0].pid)  # type: ignore[arg-type]
        ignored = pair()
        rows = task.yield_many(ignored, 0.01, on_timeout="ignore")
        assert [result for _, result in rows] == [None, Done(1)]
        assert process.alive(ignored[0].pid)  # type: ignore[arg-type]
        process.exit(ignored[0].pid, "kill")
        gone(ignored[0].pid)
        clean()
        some = pair()
        rows = task.yield_many(some, None, limit=1)
        assert [result for _, result in rows] == [None, Done(1)]
        assert task.shutdown(some[0], "brutal_kill") is None
        clean()

    run(body)


def test_task_14_shutdown_gives_a_result_that_came_before(run: Runner) -> None:
    """shutdown: reply in mailbox wins -> {:ok,v} whatever the DOWN reason."""

    def body() -> None:
        hows: tuple[Any, ...] = (5.0, "brutal_kill")
        for how in hows:
            assert task.shutdown(ended(run, lambda: 1), how) == Done(1)

            def replies_first(ref_to: Any) -> None:
                process.send(ref_to, (process.receive(), "early"))
                process.exit("late")

            t: Task[Any] = task.async_(replies_first, self_pid(), green=run.green)
            process.send(t.pid, t.ref)  # type: ignore[arg-type]
            gone(t.pid)
            assert task.shutdown(t, how) == Done("early")
        no_exits()
        clean()

    run(trapping(body))


def test_task_15_shutdown_of_a_running_task_gives_nothing(run: Runner) -> None:
    """shutdown of running -> nil; timeout then kill -> {:exit,:killed}; brutal_kill -> nil."""

    def body() -> None:
        me = self_pid()

        def deaf() -> None:
            process.flag(trap_exit=True)
            process.send(me, "ready")
            stuck()

        assert task.shutdown(task.async_(stuck, green=run.green)) is None
        assert task.shutdown(task.async_(stuck, green=run.green), "brutal_kill") is None
        t = task.async_(deaf, green=run.green)
        process.receive(str, timeout=5)
        assert task.shutdown(t, 0.01) == Exited("killed")
        t = task.async_(deaf, green=run.green)
        process.receive(str, timeout=5)
        assert task.shutdown(t, "brutal_kill") is None
        clean()

    run(body)


def test_task_15_shutdown_waits_for_a_task_that_cleans_up(run: Runner) -> None:
    def body() -> None:
        me = self_pid()

        def tidy() -> str:
            process.flag(trap_exit=True)
            process.send(me, "ready")
            assert process.receive(Exit) == Exit(me, "shutdown")
            return "tidied"

        t = task.async_(tidy, green=run.green)
        process.receive(str, timeout=5)
        assert task.shutdown(t, None) == Done("tidied")
        clean()

    run(body)


def test_task_16_shutdown_tells_how_a_task_had_ended(run: Runner) -> None:
    """crashed earlier -> {:exit,r}; normal without reply -> {:exit,:normal}; :shutdown -> nil."""

    def body() -> None:
        assert task.shutdown(ended(run, raises)) == Exited(Crash("RuntimeError", "oops"))
        assert task.shutdown(ended(run, process.exit, "normal")) == Exited("normal")
        assert task.shutdown(ended(run, process.exit, "shutdown")) is None
        no_exits()
        clean()

    run(trapping(body))


def test_task_17_brutal_kill_mirrors_shutdown(run: Runner) -> None:
    """brutal_kill with DOWN :shutdown -> {:exit,:shutdown}; DOWN :killed -> nil."""

    def body() -> None:
        t = ended(run, process.exit, "shutdown")
        assert task.shutdown(t, "brutal_kill") == Exited("shutdown")
        assert task.shutdown(ended(run, process.exit, "killed"), "brutal_kill") is None
        assert task.shutdown(ended(run, process.exit, "killed")) == Exited("killed")
        no_exits()
        clean()

    run(trapping(body))


def test_task_18_shutdown_of_what_is_over(run: Runner) -> None:
    """shutdown after already handled -> {:exit,:noproc}; pid nil raises."""

    def body() -> None:
        t = task.async_(lambda: 1, green=run.green)
        assert t.pid is not None
        gone(t.pid)
        assert task.await_(t) == 1
        assert task.shutdown(t) == Exited("noproc")
        assert task.shutdown(t, "brutal_kill") == Exited("noproc")
        completed = task.completed(1)
        for ask in (task.shutdown, task.ignore):
            with pytest.raises(BadArgument, match="does not have an associated task process"):
                ask(completed)
        with pytest.raises(BadArgument, match="timeout='brutal'; expected seconds"):
            task.shutdown(t, "brutal")  # type: ignore[arg-type]

    run(body)


def test_task_19_what_is_ignored_is_not_heard_of_again(run: Runner) -> None:
    """ignore: {:ok,v}/{:exit,r}/nil and later messages discarded."""

    def body() -> None:
        assert task.ignore(ended(run, lambda: 1)) == Done(1)
        assert task.ignore(ended(run, process.exit, "bad")) == Exited("bad")
        no_exits()
        for last in ("go on", 5):
            t = task.async_(lambda: 1 + process.receive(), green=run.green)  # fails for "go on"
            assert task.ignore(t) is None
            process.send(t.pid, last)  # type: ignore[arg-type]
            gone(t.pid)
            nothing_more()
        clean()

    run(trapping(body))
