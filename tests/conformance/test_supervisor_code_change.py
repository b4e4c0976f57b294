"""A supervisor whose code changes (SUP-64)."""

from typing import Any

import pytest

from otpy import (
    IGNORE,
    CallExit,
    Supervisor,
    process,
    self_pid,
    supervisor,
    sys,
)
from otpy.behaviours.supervisor import ChildCount
from tests.conformance.children import Child, GreenChild, pids, short, told
from tests.conformance.conftest import Runner


class Boss(Supervisor):
    """Says what its argument, a dict that the test changes, says."""

    def init(self, arg: Any) -> Any:
        return arg["init"]()


class NewBoss(Boss):
    """The same, newer."""


def child(run: Runner, name: str, **options: Any) -> Any:
    cls = GreenChild if run.green else Child
    return supervisor.child_spec((cls, (self_pid(), name)), id=name, **options)


def changed(boss: Any, module: type = NewBoss) -> None:
    sys.suspend(boss)
    try:
        sys.change_code(boss, module, "1", None)
    finally:
        sys.resume(boss)


def refused(boss: Any, module: type = NewBoss) -> Any:
    with pytest.raises(CallExit) as ended:
        changed(boss, module)
    return ended.value.reason


def test_sup_64_code_change_updates_flags_and_specs(run: Runner) -> None:
    """code_change updates flags/specs, keeps removed children, does not start new ones; bad return
    leaves state."""

    def body() -> None:
        says: dict[str, Any] = {}
        a, b, c, d = (child(run, name) for name in "abcd")
        says["init"] = lambda: supervisor.init([a, b], strategy="one_for_one")
        boss = supervisor.start_link(Boss, says)
        assert short(told(2)) == ["start a", "start b"]
        before = pids(boss)
        temporary = child(run, "b", restart="temporary")
        says["init"] = lambda: supervisor.init([c, temporary, d], strategy="one_for_all")
        changed(boss)
        assert pids(boss) == {"c": None, "b": before["b"], "d": None, "a": before["a"]}
        order = [row.id for row in reversed(supervisor.which_children(boss))]
        assert order == ["c", "b", "d", "a"]
        assert supervisor.get_childspec(boss, "b").restart == "temporary"
        assert supervisor.count_children(boss) == ChildCount(4, 2, 0, 4)
        supervisor.restart_child(boss, "c")
        assert short(told(1)) == ["start c"]
        process.exit(before["a"], "kill")
        # one_for_all now, and d starts with the others, as any stopped child does
        assert short(told(5)) == ["stop b", "stop c", "start c", "start d", "start a"]
        supervisor.stop(boss)
        assert short(told(3)) == ["stop a", "stop d", "stop c"]

    run(body)


def test_sup_64_a_bad_return_changes_nothing(run: Runner) -> None:
    """code_change: bad return leaves state; ignore changes nothing."""

    def body() -> None:
        says: dict[str, Any] = {}
        a = child(run, "a")
        says["init"] = lambda: supervisor.init([a], strategy="one_for_one")
        boss = supervisor.start_link(Boss, says)
        told(1)
        before = sys.get_state(boss).children.copy()
        says["init"] = lambda: 7
        assert refused(boss) == ("bad_return", (NewBoss, "init", 7))
        says["init"] = lambda: supervisor.init([a, a], strategy="one_for_one")
        assert refused(boss) == ("duplicate_child_name", "a")
        says["init"] = lambda: supervisor.init([a], strategy="all_for_none")  # type: ignore[arg-type]
        assert refused(boss)[0] == "supervisor_data"
        says["init"] = lambda: 1 // 0
        assert refused(boss)[1].type == "ZeroDivisionError"
        assert refused(boss, int)[0] == "bad_module"
        says["init"] = lambda: IGNORE
        changed(boss)
        state = sys.get_state(boss)
        assert (state.children, state.strategy) == (before, "one_for_one")
        supervisor.stop(boss)
        told(1)

    run(body)


def test_sup_64_a_supervisor_with_a_list_has_nothing_to_change(run: Runner) -> None:
    """code_change: a supervisor that has no class keeps its children and flags."""

    def body() -> None:
        boss = supervisor.start_link([child(run, "a")], strategy="one_for_one")
        told(1)
        changed(boss, Supervisor)
        assert list(pids(boss)) == ["a"]
        sys.log(boss, 2)
        supervisor.count_children(boss)
        assert [event[0] for event in sys.log(boss, "get")] == ["in", "out"]
        supervisor.stop(boss)
        told(1)

    run(body)
