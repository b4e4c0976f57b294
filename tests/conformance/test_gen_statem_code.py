"""``gen_statem`` (STATEM): changing code."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from typing import Any

import pytest

from otpy import CallExit, GenStatem, gen_statem, process, self_pid, sys
from otpy.behaviours.gen_statem import (
    Call,
    ChangeCallbackModule,
    Enter,
    EventType,
    Info,
    KeepStateAndData,
    NamedTimeout,
    NextState,
    Ok,
    PopCallbackModule,
    PushCallbackModule,
    Reply,
    SetStateTimeout,
    SetTimeout,
    StateTimeout,
    Stop,
)
from tests.conformance.conftest import Runner
from tests.conformance.machines import (
    LATE,
    ByState,
    Machine,
    begin,
    goes,
    heard,
    keeps,
    kind,
    where,
)
from tests.conformance.servers import Server
from tests.conformance.waiting import nothing_more


class Newer(GenStatem[str, Any], callback_mode="state_functions", state_enter=True):
    """Has a method for a state, and is told when it is entered; tells the process in its data."""

    def init(self, arg: Any) -> Any:
        return Ok("b", arg)

    def code_change(self, old_vsn: Any, state: Any, data: Any, extra: Any) -> Any:
        match extra:
            case "refuse":
                return Stop("not now")
            case "raise":
                raise ValueError(f"from {old_vsn}")
            case "bad":
                return data
            case "actions":
                return Ok("b", data, [SetStateTimeout(0)])
            case _:
                return Ok("b", (old_vsn, state, data, extra))

    def b(self, event_type: EventType, content: Any, data: Any) -> Any:
        match event_type, content:
            case Call(from_), "where":
                return KeepStateAndData(Reply(from_, ("b", data)))
            case Call(from_), "go":
                return NextState("c", data, Reply(from_, "gone"))
            case Call(from_), "pop":
                return KeepStateAndData([Reply(from_, "popped"), PopCallbackModule()])
            case _:
                return self.c(event_type, content, data, "b")

    def c(self, event_type: EventType, content: Any, data: Any, state: str = "c") -> Any:
        process.send(data[2], ("new", event_type, content, state))
        return KeepStateAndData()


def change(pid: Any, module: Any = Newer, extra: Any = None) -> None:
    """Change the code between suspending and resuming."""
    sys.suspend(pid)
    sys.change_code(pid, module, "1.0", extra)
    sys.resume(pid)


def test_statem_29_code_change_brings_another_callback_mode(run: Runner) -> None:
    """callback_mode change through code_change: it is no change of state; time-outs go on, and what
    was postponed comes after the next one."""

    def body() -> None:
        me = self_pid()
        pid = begin(run, SetStateTimeout(LATE, "s"), SetTimeout("n", LATE, "n"))
        process.send(pid, "postponed")
        change(pid, extra=7)
        assert sys.get_state(pid) == ("b", ("1.0", "a", me, 7))
        assert sys.get_status(pid)["module"] is Newer
        both = sorted(sys.get_status(pid)["timeouts"], key=repr)
        assert both == [(NamedTimeout("n"), "n"), (StateTimeout(), "s")]
        nothing_more()
        assert gen_statem.call(pid, "go", 5) == "gone"
        assert heard() == ("new", Enter("b"), "b", "c")
        assert heard() == ("new", Info(), "postponed", "c")
        assert sys.get_status(pid)["timeouts"] == [(NamedTimeout("n"), "n")]
        gen_statem.stop(pid)

    run(body)


def test_statem_29_a_code_change_that_is_refused_changes_nothing(run: Runner) -> None:
    """code_change: what it returns or raises goes to the caller; also when it is not suspended."""

    class NoMode(GenStatem[Any, Any]):
        pass

    class Later(Machine):
        async def init(self, arg: Any) -> Any:
            return Ok("a", arg)

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)

        def refused(extra: Any, module: type = Newer) -> Any:
            with pytest.raises(CallExit) as ended:
                sys.change_code(pid, module, "1.0", extra)
            return ended.value.reason

        assert refused(2) == ("unknown_system_msg", ("change_code", Newer, "1.0", 2))
        sys.suspend(pid)
        assert refused("refuse") == "not now"
        how, why = refused("raise")
        assert (how, why.type, why.message) == ("EXIT", "ValueError", "from 1.0")
        assert refused("bad") == ("bad_return_value", 0)
        assert refused("actions") == ("bad_return_value", Ok("b", 0, [SetStateTimeout(0)]))
        for wrong in (int, Server, NoMode, Later):
            assert refused(2, wrong)[0] == "bad_module"
        sys.resume(pid)
        assert where(pid) == ("a", 0)
        assert sys.get_status(pid)["module"] is kind(run)
        gen_statem.stop(pid)

    run(body)


def test_statem_29_the_class_in_use_is_changed_and_those_below_it_stay(run: Runner) -> None:
    """code_change: it is asked of the module on top of the stack, in whose place the new one is."""

    def body() -> None:
        pid = gen_statem.start(kind(run), 0)
        gen_statem.cast(pid, keeps(PushCallbackModule(ByState)))
        sys.get_state(pid)
        change(pid)
        assert where(pid) == ("b", ("1.0", "a", 0, None))
        assert gen_statem.call(pid, "pop", 5) == "popped"
        assert where(pid) == ("b", ("1.0", "a", 0, None))
        assert sys.get_status(pid)["module"] is kind(run)
        gen_statem.cast(pid, goes("c"))
        assert where(pid)[0] == "c"
        gen_statem.stop(pid)

    run(body)


def test_statem_29_what_the_object_keeps_goes_over(run: Runner) -> None:
    """code_change: attributes of the old object are the new one's, and nobody comes back to it."""

    class Counting(kind(run)):  # type: ignore[misc]  # of the kind under test
        count = 0

        def handle_event(self, event_type: EventType, content: Any, state: Any, data: Any) -> Any:
            assert isinstance(event_type, Call)
            self.count += 1
            said = Reply(event_type.from_, (type(self).__name__, self.count))
            back = [ChangeCallbackModule(Counting)] if content == "back" else []
            return KeepStateAndData([said, *back])

    class CountingOn(Counting):
        pass

    def body() -> None:
        pid = gen_statem.start(Counting, 0)
        assert gen_statem.call(pid, "x", 5) == ("Counting", 1)
        change(pid, CountingOn)
        assert gen_statem.call(pid, "x", 5) == ("CountingOn", 2)
        change(pid, Counting)
        change(pid, CountingOn)
        assert gen_statem.call(pid, "back", 5) == ("CountingOn", 3)
        assert gen_statem.call(pid, "x", 5) == ("Counting", 1)
        gen_statem.stop(pid)

    run(body)


def test_statem_29_a_class_that_waits_in_the_stack_keeps_its_attributes(run: Runner) -> None:
    """code_change to a class that is to be come back to: it has both objects' attributes."""

    class Below(kind(run)):  # type: ignore[misc]  # of the kind under test
        def handle_event(self, event_type: EventType, content: Any, state: Any, data: Any) -> Any:
            assert isinstance(event_type, Call)
            said = Reply(event_type.from_, dict(vars(self)))
            match content:
                case "push":
                    return KeepStateAndData([said, PushCallbackModule(Above)])
                case (name, value):
                    setattr(self, name, value)
                case _:
                    pass
            return KeepStateAndData(said)

    class Above(Below):
        pass

    def body() -> None:
        pid = gen_statem.start(Below, 0)
        for content in (("x", 1), ("y", 1), "push", ("y", 2), ("z", 2)):
            gen_statem.call(pid, content, 5)
        change(pid, Below)
        assert gen_statem.call(pid, "all", 5) == {"x": 1, "y": 2, "z": 2}
        gen_statem.stop(pid)

    run(body)
