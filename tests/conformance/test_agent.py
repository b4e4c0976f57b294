"""Agents (AGENT): a state in a process, and functions that run there."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# The lambdas work on any state: their parameters have no type.

from typing import Any

import pytest

from otpy import (
    Agent,
    AlreadyStarted,
    BadArgument,
    CallExit,
    CallTimeout,
    Crash,
    Down,
    Global,
    Node,
    Pid,
    ReceiveTimeout,
    StartError,
    agent,
    gen_server,
    process,
    self_pid,
    supervisor,
    sys,
)
from otpy.testing.plugin import Reports
from tests.conformance.conftest import Runner, until


def raises(*_: Any) -> Any:
    raise RuntimeError("oops")


def add(state: int, more: int, times: int = 1) -> int:
    return state + more * times


def started(run: Runner, first: Any = 0) -> Pid:
    return agent.start_link(lambda: first, green=run.green)


class Counter(Agent, restart="transient", shutdown=1.0):
    @classmethod
    def first(cls, arg: int, /) -> int:
        return arg * 10


class Named(Agent, id="the agent", green=True):
    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        return agent.start_link(lambda: arg, name="named agent", green=cls.green)


@pytest.mark.otpy_leaves_processes
def test_agent_01_functions_run_in_the_agents_process(run: Runner) -> None:
    """get/update/get_and_update/cast run the fun in the agent process."""

    def body() -> None:
        pid = agent.start_link(lambda: [self_pid()], green=run.green)
        agent.update(pid, lambda s: [*s, self_pid()])
        agent.cast(pid, lambda s: [*s, self_pid()])
        assert agent.get(pid, lambda _: self_pid()) == pid
        assert agent.get_and_update(pid, lambda s: (self_pid(), [*s, self_pid()])) == pid
        assert agent.get(pid, lambda s: s) == [pid] * 4

    run(body)


@pytest.mark.otpy_leaves_processes
def test_agent_02_update_gives_nothing_and_get_and_update_the_first(run: Runner) -> None:
    """update -> :ok; get_and_update returns first element; cast :ok immediately."""

    def body() -> None:
        pid = started(run, 1)
        assert agent.update(pid, lambda n: n + 1) is None  # type: ignore[func-returns-value]
        assert agent.get_and_update(pid, lambda n: (("was", n), 10)) == ("was", 2)
        me = self_pid()

        def slow(n: int) -> int:
            process.send(me, "begun")
            process.receive(str)
            return n + 1

        agent.cast(pid, slow)
        assert process.receive(str, timeout=5) == "begun"
        process.send(pid, "go on")
        assert agent.get(pid, lambda n: n) == 11

    run(body)


def test_agent_03_what_a_function_raises_ends_the_agent(run: Runner) -> None:
    """fun raising crashes the agent; caller exits {{exc,stack},{GenServer,:call,..}}."""

    def body() -> None:
        pid = agent.start(lambda: 0, green=run.green)
        ref = process.monitor(pid)
        with pytest.raises(CallExit) as ended:
            agent.get(pid, raises)
        assert ended.value.reason == Crash("RuntimeError", "oops")
        assert ended.value.request[:2] == ("gen_server", "call")
        down = process.receive(Down, timeout=5)
        assert (down.ref, down.reason) == (ref, Crash("RuntimeError", "oops"))

    run(body)


@pytest.mark.parametrize("value", [5, (1,), (1, 2, 3), None])
def test_agent_04_a_bad_result_of_get_and_update_ends_the_agent(run: Runner, value: Any) -> None:
    """bad get_and_update return -> {:bad_return_value,v}."""

    def body() -> None:
        pid = agent.start(lambda: 0, green=run.green)
        with pytest.raises(CallExit) as ended:
            agent.get_and_update(pid, lambda _: value)
        assert ended.value.reason == ("bad_return_value", value)

    run(body)


@pytest.mark.otpy_leaves_processes
def test_agent_05_a_time_out_ends_the_call_and_not_the_update(run: Runner) -> None:
    """timeout exits caller; agent still applies the update."""

    def body() -> None:
        pid = started(run, 1)

        def slow(n: int) -> int:
            process.receive(str)
            return n + 1

        with pytest.raises(CallTimeout):
            agent.update(pid, slow, timeout=0.01)
        process.send(pid, "go on")
        assert agent.get(pid, lambda n: n) == 2
        with pytest.raises(ReceiveTimeout):
            process.receive(timeout=0)

    run(body)


def test_agent_06_a_first_function_that_fails_is_a_failed_start(run: Runner) -> None:
    """init fun raising/exit -> {:error, ..}."""

    def body() -> None:
        with pytest.raises(StartError) as failed:
            agent.start(raises, green=run.green)
        assert failed.value.reason == Crash("RuntimeError", "oops")
        with pytest.raises(StartError) as failed:
            agent.start(lambda: process.exit("why not"), green=run.green)
        assert failed.value.reason == "why not"
        with pytest.raises(StartError) as failed:
            agent.start(process.sleep, 60, timeout=0.01, green=run.green)
        assert failed.value.reason == "timeout"

    run(body)


@pytest.mark.otpy_leaves_processes
def test_agent_07_functions_take_arguments_and_agents_names(run: Runner) -> None:
    """mfa variants; name, spawn_opt options."""

    def body() -> None:
        pid = agent.start_link(add, 1, 2, name="sum", green=run.green)
        with pytest.raises(AlreadyStarted) as taken:
            agent.start_link(add, 1, 2, name="sum", green=run.green)
        assert taken.value.pid == pid
        agent.update("sum", add, 1, 10)
        agent.cast("sum", add, 100)
        assert agent.get("sum", add, 1000) == 1113
        assert agent.get_and_update("sum", lambda s, x: (x, s), "x") == "x"

    run(body)


def test_agent_07_an_agent_has_a_global_name(node: Node) -> None:
    pid = agent.start_link(lambda: 1, name=Global("sum"))
    assert gen_server.whereis(Global("sum")) == pid
    assert agent.get(Global("sum"), lambda n: n) == 1


def test_agent_08_the_users_function_is_the_initial_call(
    run: Runner, capture_reports: Reports
) -> None:
    """initial_call reported as the user's function."""

    def body() -> None:
        pid = agent.start(add, 1, 2, green=run.green)
        assert process.info(pid, "initial_call") == {"initial_call": f"{__name__}.add"}
        with pytest.raises(CallExit):
            agent.get(pid, raises)

    run(body)
    assert capture_reports.reports[0]["initial_call"] == f"{__name__}.add"
    assert capture_reports.reports[0]["state"] == 3


def test_agent_09_an_agent_is_a_child(run: Runner) -> None:
    """child_spec with restart permanent default; use Agent overrides."""
    plain = agent.child_spec(lambda: 1)
    assert (plain.id, plain.restart) == (Agent, "permanent")
    assert (Counter.child_spec(1).id, Counter.child_spec(1).restart) == (Counter, "transient")
    assert (Counter.child_spec(1).shutdown, Named.child_spec(1).id) == (1.0, "the agent")

    def body() -> None:
        boss = supervisor.start_link(
            [(Agent, lambda: 1), (Counter, 2), (Named, 3)], strategy="one_for_one"
        )
        third, second, first = [row.pid for row in supervisor.which_children(boss)]
        assert [agent.get(pid, lambda n: n) for pid in (first, second, third)] == [1, 20, 3]
        assert agent.get("named agent", lambda n: n) == 3
        process.exit(first, "kill")
        until(lambda: supervisor.which_children(boss)[-1].pid != first)
        supervisor.stop(boss)

    run(body)
    with pytest.raises(BadArgument, match="option 'restrat'"):
        type("Wrong", (Agent,), {}, restrat="temporary")


def test_agent_10_after_stop_there_is_nobody(run: Runner) -> None:
    """stop :ok then noproc."""

    def body() -> None:
        pid = started(run)
        agent.stop(pid)
        assert not process.alive(pid)
        with pytest.raises(CallExit) as nobody:
            agent.get(pid, lambda n: n)
        assert nobody.value.reason == "noproc"
        agent.cast(pid, lambda n: n)
        other = started(run)
        process.unlink(other)
        agent.stop(other, ("shutdown", "late"), 5.0)

    run(body)


@pytest.mark.otpy_leaves_processes
def test_agent_07_what_is_no_function_is_named(run: Runner) -> None:
    async def coroutine(state: int) -> int:
        return state

    def body() -> None:
        pid = started(run)
        with pytest.raises(BadArgument, match=r"agent.get\(5\): expected a function"):
            agent.get(pid, 5)  # type: ignore[arg-type]
        with pytest.raises(BadArgument, match="awaits none"):
            agent.update(pid, coroutine)
        with pytest.raises(BadArgument, match="expected a function"):
            agent.cast(pid, None)  # type: ignore[arg-type]
        with pytest.raises(BadArgument, match="expected a function"):
            agent.start_link(7)  # type: ignore[arg-type]
        assert agent.get(pid, lambda n: n) == 0
        assert sys.get_state(pid) == 0

    run(body)
