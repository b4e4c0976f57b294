"""Tasks (TASK): async_ and await_, callers and ancestors, start, child specs, reports."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# The lambdas are work of any kind: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    BadArgument,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    Exit,
    Node,
    ReceiveTimeout,
    Task,
    aio,
    gen_server,
    process,
    self_pid,
    supervisor,
    task,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until
from tests.conformance.servers import Server
from tests.conformance.tasks import clean, links, raises, reason_of, stuck, trapping
from tests.conformance.waiting import gone, nothing_more


class Poller(Task[None], restart="transient", id="poller"):
    @classmethod
    def run(cls, arg: Any, /) -> None:
        process.send(arg, ("ran", cls))


class GreenPoller(Poller, green=True):
    pass


def test_task_01_a_task_is_linked_and_monitored_and_replies(run: Runner) -> None:
    """async links + monitors; reply {ref, result} then DOWN normal (if not awaited)."""

    def body() -> None:
        t = task.async_(lambda: process.receive(str), green=run.green)
        assert t.pid is not None
        info = process.info(self_pid(), "links", "monitors")
        assert info == {"links": [t.pid], "monitors": [t.pid]}
        process.send(t.pid, "go on")
        assert process.receive(tuple, timeout=5) == (t.ref, "go on")
        assert process.receive(Down, timeout=5) == Down(t.ref, t.pid, "normal")

    run(body)


def test_task_02_await_gives_the_result_and_leaves_nothing(run: Runner) -> None:
    """await returns value and cleans the DOWN."""

    def body() -> None:
        process.send(self_pid(), "another message")
        t = task.async_(lambda a, b: a + b, 1, 2, green=run.green)
        assert t.pid is not None
        gone(t.pid)
        assert task.await_(t) == 3
        assert process.receive() == "another message"
        clean()

    run(body)


def test_task_03_a_time_out_of_await_leaves_the_task_alone(run: Runner) -> None:
    """await timeout exits {:timeout,{Task,:await,[task,ms]}}; not killed; late messages dropped."""

    def body() -> None:
        t = task.async_(lambda: process.receive(str), green=run.green)
        assert t.pid is not None
        with pytest.raises(CallTimeout) as late:
            task.await_(t, 0.01)
        assert late.value.exit_reason == ("timeout", ("task", "await_", (t, 0.01)))
        assert process.alive(t.pid)
        process.send(t.pid, "go on")
        gone(t.pid)
        nothing_more()

    run(body)


def test_task_04_a_task_that_exits_normally_has_no_result(run: Runner) -> None:
    """task exit normal without result -> await exits {:normal,..}."""

    def body() -> None:
        t = task.async_(lambda: process.exit("normal"), green=run.green)
        with pytest.raises(CallExit) as ended:
            task.await_(t)
        assert ended.value.exit_reason == ("normal", ("task", "await_", (t, 5.0)))

    run(body)


def test_task_05_a_crash_ends_an_owner_that_does_not_trap_exits(run: Runner) -> None:
    """crash kills non-trapping owner via link before await returns."""

    def body() -> None:
        me = self_pid()

        def owner() -> None:
            try:
                task.await_(task.async_(raises, green=run.green))
            except CallExit:
                process.send(me, "await returned")

        assert reason_of(run, owner) == Crash("RuntimeError", "oops")
        nothing_more()

    run(body)


def test_task_06_an_owner_that_traps_exits_hears_it_twice(run: Runner) -> None:
    """trapping owner: await exits {reason,..} and EXIT message also delivered."""

    def body() -> None:
        t = task.async_(lambda: process.exit("bad"), green=run.green)
        with pytest.raises(CallExit) as ended:
            task.await_(t)
        assert ended.value.exit_reason == ("bad", ("task", "await_", (t, 5.0)))
        assert process.receive(Exit, timeout=5) == Exit(t.pid, "bad")  # type: ignore[arg-type]

    run(trapping(body))


@pytest.mark.parametrize(
    "ask", [task.await_, task.yield_, task.shutdown, task.ignore, lambda t: task.await_many([t])]
)
def test_task_07_only_the_owner_may_ask(run: Runner, ask: Any) -> None:
    """only the owner may await/yield/shutdown (ArgumentError text)."""

    def body() -> None:
        t = task.async_(stuck, green=run.green)

        def other() -> str:
            with pytest.raises(BadArgument) as refused:
                ask(t)
            return str(refused.value)

        text = task.await_(task.async_(other, green=run.green))
        assert f"must be queried from the owner but was queried from {self_pid().node}" not in text
        assert "must be queried from the owner but was queried from <" in text
        task.shutdown(t)
        with pytest.raises(BadArgument, match="'x' is not a Task; expected what async_ returned"):
            ask("x")

    run(body)


def test_task_09_await_many_gives_results_in_order(run: Runner) -> None:
    """await_many: input order, fails fast on any exit, timeout shared, [] -> []."""

    def body() -> None:
        assert task.await_many([]) == []
        first = task.async_(lambda: process.receive(int), green=run.green)
        second = task.async_(lambda: 2, green=run.green)
        assert first.pid is not None
        assert second.pid is not None
        gone(second.pid)
        process.send(first.pid, 1)
        assert task.await_many([first, second]) == [1, 2]
        slow = [task.async_(stuck, green=run.green) for _ in range(3)]
        with pytest.raises(CallTimeout) as late:
            task.await_many(slow, 0.01)
        assert late.value.exit_reason == ("timeout", ("task", "await_many", (slow, 0.01)))
        for t in slow:
            assert t.pid is not None
            process.unlink(t.pid)
            process.exit(t.pid, "kill")
        with pytest.raises(BadArgument, match="the same task stands there twice"):
            task.await_many([slow[0], slow[0]])

    run(body)


def test_task_10_await_many_that_fails_leaves_nothing(run: Runner) -> None:
    """await_many failure cleans all monitors."""

    def body() -> None:
        done = task.async_(lambda: 1, green=run.green)
        running = task.async_(lambda: process.receive(str), green=run.green)
        bad = task.async_(lambda: process.exit("bad"), green=run.green)
        assert running.pid is not None
        with pytest.raises(CallExit) as ended:
            task.await_many([running, bad, done])
        assert ended.value.reason == "bad"
        assert process.alive(running.pid)
        process.send(running.pid, "go on")
        gone(running.pid)
        while True:
            try:
                assert type(process.receive(timeout=0)) is Exit
            except ReceiveTimeout:
                break
        info = process.info(self_pid(), "monitors")
        assert info == {"monitors": []}

    run(trapping(body))


def test_task_20_a_completed_task_has_its_result(run: Runner) -> None:
    """completed(v) awaitable without a process."""

    def body() -> None:
        t = task.completed("done")
        assert t.pid is None
        assert task.await_(t) == "done"
        both = [task.completed(1), task.async_(lambda: 2, green=run.green)]
        assert task.await_many(both) == [1, 2]
        clean()

    run(body)


def test_task_29_callers_are_who_asked_and_ancestors_who_started(run: Runner) -> None:
    """$callers = [spawner|its callers]; $ancestors separate."""

    def told() -> Any:
        return process.info(self_pid(), "callers", "ancestors")

    def outer() -> Any:
        return self_pid(), told(), task.await_(task.async_(told, green=run.green))

    def body() -> None:
        me = self_pid()
        pid, own, inner = task.await_(task.async_(outer, green=run.green))
        assert own["callers"] == (me,)
        assert inner["callers"] == (pid, me)
        assert own["ancestors"][0] == me
        assert inner["ancestors"][:2] == (pid, me)

        def by_process() -> None:
            process.send(me, told())

        task.start(lambda: process.spawn(by_process, green=run.green), green=run.green)
        assert process.receive(dict, timeout=5)["callers"] == ()

    run(body)


def test_task_30_a_task_is_a_temporary_child(run: Runner) -> None:
    """child_spec restart :temporary by default."""
    plain = task.child_spec(stuck)
    assert (plain.id, plain.restart, plain.shutdown) == (Task, "temporary", None)
    spec = Poller.child_spec(1)
    assert (spec.id, spec.restart) == ("poller", "transient")
    with pytest.raises(BadArgument, match=r"Task.child_spec\(5\): expected a function"):
        task.child_spec(5)  # type: ignore[arg-type]
    with pytest.raises(BadArgument, match="option 'restrat'"):
        type("Wrong", (Task,), {}, restrat="temporary")

    def body() -> None:
        me = self_pid()
        module = GreenPoller if run.green else Poller
        children = [(Task, lambda: process.send(me, ("ran", None))), (module, me)]
        boss = supervisor.start_link(children, strategy="one_for_one")
        came = [process.receive(tuple, timeout=5) for _ in children]
        assert sorted(came, key=str) == sorted([("ran", None), ("ran", module)], key=str)
        until(lambda: supervisor.count_children(boss).active == 0)
        assert [row.id for row in supervisor.which_children(boss)] == ["poller"]
        supervisor.stop(boss)

    run(body)


def test_task_31_start_and_start_link_give_pids(run: Runner) -> None:
    """start (unlinked) / start_link return {:ok,pid}."""

    def body() -> None:
        pid = task.start(stuck, green=run.green)
        assert links() == []
        linked = task.start_link(stuck, green=run.green)
        assert links() == [linked]
        process.unlink(linked)
        for each in (pid, linked):
            process.exit(each, "kill")
            gone(each)
        nothing_more()

    run(body)


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "x")])
def test_task_32_an_orderly_exit_is_not_logged(
    run: Runner, capture_reports: Reports, reason: Any
) -> None:
    """normal/shutdown exits not logged; others logged with function+args."""

    def body() -> None:
        gone(task.start(process.exit, reason, green=run.green))
        pid = task.start(stuck, green=run.green)
        process.exit(pid, "other")  # of a task ended from outside its code says nothing
        gone(pid)

    run(body)
    assert capture_reports.texts == []


def test_log_05_a_failed_task_tells_who_started_it_and_what_it_ran(
    run: Runner, capture_reports: Reports
) -> None:
    """Task: "Task PID started from PARENT terminating" ... "Function: .. Args: ..", TASK-32."""
    pids: list[Any] = []

    def body() -> None:
        pids.append(self_pid())
        for work in (raises, process.exit):
            pids.append(task.start(work, "why", green=run.green))
            gone(pids[-1])

    run(body)
    me, first, second = pids[-3:]
    raised, exited = capture_reports.texts[-2:]
    assert raised == (
        f"Task {first!r} started from {me!r} terminating\n** (RuntimeError) oops\n"
        f"Function: {__name__.replace('test_task', 'tasks')}.raises\n    Args: ['why']"
    )
    assert exited.startswith(f"Task {second!r} started from {me!r} terminating\n** (stop) 'why'\n")
    report = capture_reports.reports[-2]
    assert (report["label"], report["starter"], report["args"]) == ("task_terminate", me, ("why",))
    assert report["reason"] == Crash("RuntimeError", "oops")
    assert report["initial_call"] == f"{raises.__module__}.raises"
    assert isinstance(report["crash_reason"], RuntimeError)
    assert capture_reports.records[-2].exc_info is not None


def test_task_01_a_server_takes_the_result_of_its_task_as_a_message(node: Node) -> None:
    server = gen_server.start(Server, ("tell", self_pid()))
    t = gen_server.call(server, lambda _, s: gen_server_task(s))
    assert process.receive(tuple, timeout=5) == ("info", (t.ref, 42))
    assert process.receive(tuple, timeout=5) == ("info", Down(t.ref, t.pid, "normal"))
    gen_server.stop(server)


def gen_server_task(state: Any) -> Any:
    from otpy import Reply

    return Reply(task.async_(lambda: 42), state)


def test_task_01_an_async_function_runs_as_an_async_process(run: Runner) -> None:
    async def work(n: int) -> tuple[int, Any]:
        await aio.sleep(0.001)
        return n, process.info(self_pid(), "kind", "initial_call")

    value, told = run(lambda: task.await_(task.async_(work, 3)))
    assert value == 3
    assert told["kind"] == "async"
    assert told["initial_call"].endswith("<locals>.work")


def test_task_07_a_bad_argument_is_named(run: Runner) -> None:
    def body() -> None:
        starts: list[Any] = [task.async_, task.start, task.start_link]
        for start in starts:
            with pytest.raises(BadArgument, match="expected a function"):
                start(5)
        t = task.completed(1)
        with pytest.raises(BadArgument, match="timeout=-1; expected seconds"):
            task.await_(t, -1)
        with pytest.raises(BadArgument, match="limit=0; expected a whole number"):
            task.yield_many([t], limit=0)
        with pytest.raises(BadArgument, match="on_timeout='die'; expected one of nothing, ignore"):
            task.yield_many([t], on_timeout="die")  # type: ignore[arg-type]
        assert task.await_(t) == 1

    run(body)
