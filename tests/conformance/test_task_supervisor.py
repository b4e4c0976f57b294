"""Supervised tasks (TSUP)."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# The lambdas are work of any kind: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    BadArgument,
    BadFlags,
    ChildError,
    Crash,
    Done,
    Down,
    Exit,
    Exited,
    Pid,
    TaskSupervisor,
    dynamic_supervisor,
    process,
    self_pid,
    supervisor,
    task,
    task_supervisor,
)
from tests.conformance.conftest import Runner, until
from tests.conformance.tasks import clean, links, raises, reason_of, stuck
from tests.conformance.waiting import gone, nothing_more


def started(run: Runner, **options: Any) -> Pid:
    return task_supervisor.start_link(green=run.green, **options)


def stopped(boss: Pid) -> None:
    process.unlink(boss)
    task_supervisor.stop(boss)


def test_tsup_01_a_task_is_linked_to_the_caller_and_a_temporary_child(run: Runner) -> None:
    """async: linked to caller, supervised, temporary."""

    def body() -> None:
        boss = started(run)
        t = task_supervisor.async_(boss, lambda x: process.receive() + x, 1, green=run.green)
        assert t.pid is not None
        assert set(links()) == {boss, t.pid}
        assert task_supervisor.children(boss) == [t.pid]
        process.send(t.pid, 1)
        assert task.await_(t) == 2
        until(lambda: task_supervisor.children(boss) == [])

        def owner() -> None:
            task.await_(task_supervisor.async_(boss, raises, green=run.green))

        assert reason_of(run, owner) == Crash("RuntimeError", "oops")
        until(lambda: task_supervisor.children(boss) == [])
        stopped(boss)
        clean()

    run(body)


def test_tsup_02_an_unlinked_task_that_fails_ends_nobody(run: Runner) -> None:
    """async_nolink: crash gives only DOWN {ref..}, caller survives; yield -> {:exit,r}."""

    def body() -> None:
        boss = started(run)
        t = task_supervisor.async_nolink(boss, raises, green=run.green)
        assert links() == [boss]
        down = process.receive(Down, timeout=5)
        assert down == Down(t.ref, t.pid, Crash("RuntimeError", "oops"))  # type: ignore[arg-type]
        t = task_supervisor.async_nolink(boss, raises, green=run.green)
        assert task.yield_(t) == Exited(Crash("RuntimeError", "oops"))
        t = task_supervisor.async_nolink(boss, lambda: 1, green=run.green)
        assert task.await_(t) == 1
        nothing_more()
        stopped(boss)

    run(body)


def test_tsup_03_start_child_has_no_link_and_no_reply(run: Runner) -> None:
    """start_child: no link, no reply; restart temporary by default, :restart option honoured."""

    def body() -> None:
        boss = started(run)
        me = self_pid()

        def work(text: str) -> None:
            process.send(me, (text, self_pid()))
            process.exit(process.receive())

        once = task_supervisor.start_child(boss, work, "once", green=run.green)
        assert links() == [boss]
        assert process.receive(tuple, timeout=5) == ("once", once)
        process.send(once, "bad")
        gone(once)
        again = task_supervisor.start_child(
            boss, work, "again", restart="transient", green=run.green
        )
        assert process.receive(tuple, timeout=5) == ("again", again)
        process.send(again, "bad")
        text, second = process.receive(tuple, timeout=5)
        assert (text, second == again) == ("again", False)
        process.send(second, "normal")
        gone(second)
        until(lambda: task_supervisor.children(boss) == [])
        nothing_more()
        with pytest.raises(BadArgument, match="restart='always'"):
            task_supervisor.start_child(boss, work, restart="always")  # type: ignore[arg-type]
        with pytest.raises(BadArgument, match="expected a function"):
            task_supervisor.start_child(boss, 5)  # type: ignore[arg-type]
        stopped(boss)

    run(body)


def test_tsup_04_there_may_be_too_many(run: Runner) -> None:
    """max_children: start_child {:error,:max_children}; async raises RuntimeError."""

    def body() -> None:
        boss = started(run, max_children=1)
        task_supervisor.start_child(boss, stuck, green=run.green)
        for start in (
            task_supervisor.start_child,
            task_supervisor.async_,
            task_supervisor.async_nolink,
        ):
            with pytest.raises(ChildError, match="reached the maximum number of tasks") as refused:
                start(boss, stuck, green=run.green)
            assert refused.value.reason == "max_children"
        stopped(boss)
        clean()
        with pytest.raises(BadFlags):
            task_supervisor.start_link(max_children=-1)

    run(body)


def test_tsup_05_a_stream_ends_cleanly_when_there_are_too_many(run: Runner) -> None:
    """async_stream shuts down cleanly when max_children is hit."""

    def body() -> None:
        boss = started(run, max_children=2)
        results = task_supervisor.async_stream(
            boss, range(4), stuck, max_concurrency=4, green=run.green
        )
        with pytest.raises(ChildError, match="max_concurrency must not be more") as refused:
            list(results)
        assert refused.value.reason == "max_children"
        assert links() == [boss]
        until(lambda: task_supervisor.children(boss) == [])
        within = task_supervisor.async_stream(
            boss, range(4), lambda n: n, max_concurrency=1, green=run.green
        )
        assert list(within) == [Done(n) for n in range(4)]
        stopped(boss)
        clean()

    run(body)


def test_tsup_06_its_children_are_pids(run: Runner) -> None:
    """children/1 lists pids; terminate_child :ok/{:error,:not_found}."""

    def body() -> None:
        boss = started(run, name="tasks")
        first = task_supervisor.start_child("tasks", stuck, green=run.green)
        second = task_supervisor.start_child("tasks", stuck, green=run.green)
        assert set(task_supervisor.children("tasks")) == {first, second}
        task_supervisor.terminate_child("tasks", first)
        assert not process.alive(first)
        assert task_supervisor.children("tasks") == [second]
        with pytest.raises(ChildError) as refused:
            task_supervisor.terminate_child("tasks", first)
        assert refused.value.reason == "not_found"
        stopped(boss)
        assert not process.alive(second)

    run(body)


def test_tsup_07_a_task_has_its_own_time_to_stop(run: Runner) -> None:
    """custom :shutdown applies when the supervisor stops."""

    def body() -> None:
        boss = started(run)
        me = self_pid()

        def deaf() -> None:
            process.flag(trap_exit=True)
            process.send(me, "ready")
            exit_ = process.receive(Exit)
            process.send(me, ("asked", exit_.reason))
            stuck()

        for how in (0.05, "brutal_kill"):
            t = task_supervisor.async_nolink(boss, deaf, shutdown=how, green=run.green)
            process.receive(str, timeout=5)
            task_supervisor.terminate_child(boss, t.pid)  # type: ignore[arg-type]
            assert task.yield_(t) == Exited("killed")
            if how == 0.05:
                assert process.receive(tuple, timeout=5) == ("asked", "shutdown")
        nothing_more()
        with pytest.raises(BadArgument, match="shutdown='soon'"):
            task_supervisor.async_(boss, stuck, shutdown="soon")  # type: ignore[call-overload]
        stopped(boss)

    run(body)


def test_tsup_08_ancestors_begin_with_the_supervisor_callers_with_the_caller(run: Runner) -> None:
    """$ancestors start with supervisor, $callers with caller."""

    def told() -> Any:
        return process.info(self_pid(), "callers", "ancestors")

    def body() -> None:
        boss = started(run)
        me = self_pid()
        for start in (task_supervisor.async_, task_supervisor.async_nolink):
            found = task.await_(start(boss, told, green=run.green))
            assert found["callers"] == (me,)
            assert found["ancestors"][0] == boss
        task_supervisor.start_child(boss, lambda: process.send(me, told()), green=run.green)
        assert process.receive(dict, timeout=5)["callers"] == (me,)
        results = task_supervisor.async_stream(boss, [1], lambda _: told(), green=run.green)
        assert [result.value["callers"] for result in results] == [(me,)]  # type: ignore[union-attr]
        stopped(boss)

    run(body)


def test_tsup_09_a_stream_without_links_tells_of_failures(run: Runner) -> None:
    """async_stream_nolink: crash -> {:exit,r} without trapping."""

    def body() -> None:
        boss = started(run)
        work = lambda n: raises() if n == 1 else n  # noqa: E731 - short
        results = task_supervisor.async_stream_nolink(boss, range(3), work, green=run.green)
        assert list(results) == [Done(0), Exited(Crash("RuntimeError", "oops")), Done(2)]
        stopped(boss)
        clean()

    run(body)


def test_tsup_01_a_task_whose_owner_is_gone_does_not_run(run: Runner) -> None:
    def body() -> None:
        boss = started(run)
        from otpy.behaviours import _task
        from otpy.behaviours.task_supervisor import spec

        me = self_pid()
        dead = process.spawn(lambda: None, green=run.green)
        gone(dead)
        child = spec(
            "test", _task.Origin(me, (me,)), dead, process.send, (me, "ran"), green=run.green
        )
        pid = dynamic_supervisor.start_child(boss, child)
        gone(pid)
        nothing_more()
        stopped(boss)

    run(body)


def test_tsup_01_a_task_supervisor_is_a_child(run: Runner) -> None:
    spec = task_supervisor.child_spec(name="jobs", max_children=2)
    assert (spec.id, spec.type) == ("jobs", "supervisor")
    assert TaskSupervisor.child_spec(None).id is TaskSupervisor
    with pytest.raises(BadArgument, match="expected a dict"):
        TaskSupervisor.child_spec(5)

    def body() -> None:
        boss = supervisor.start_link(
            [(TaskSupervisor, {"name": "jobs", "green": run.green})], strategy="one_for_one"
        )
        t = task_supervisor.async_("jobs", lambda: 1, green=run.green)
        assert task.await_(t) == 1
        supervisor.stop(boss)

    run(body)
