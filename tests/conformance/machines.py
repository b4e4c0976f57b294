"""The machine of the ``gen_statem`` tests, and small helpers for them."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# The lambdas are messages, which may be anything: their parameters have no type.

from collections.abc import Callable
from typing import Any

from otpy import GenStatem, Pid, gen_statem, process, self_pid, sys
from otpy.behaviours.gen_statem import (
    Action,
    Call,
    Enter,
    EventType,
    Info,
    KeepStateAndData,
    NamedTimeout,
    NextState,
    Ok,
    Postpone,
    Reply,
    SetEventTimeout,
    SetStateTimeout,
    SetTimeout,
    StateTimeout,
)
from tests.conformance.conftest import Runner

Step = Callable[[EventType, Any, Any], Any]  # of the event's type, state and data


class Machine(GenStatem[Any, Any], callback_mode="handle_event_function"):
    """Does what it is sent, steps; of all other events it tells the process in its data."""

    def init(self, arg: Any) -> Any:
        return arg() if callable(arg) else Ok("a", arg)

    def handle_event(self, event_type: EventType, content: Any, state: Any, data: Any) -> Any:
        if callable(content):
            return content(event_type, state, data)
        match event_type:
            case Call(from_) if content == "where":
                return KeepStateAndData(Reply(from_, (state, data)))
            case Info() if content == "postponed":
                if state == "a":
                    return KeepStateAndData(Postpone())
            case _:
                pass
        if isinstance(data, Pid):
            process.send(data, (event_type, content, state))
        return KeepStateAndData()

    def terminate(self, reason: Any, state: Any, data: Any) -> None:
        if isinstance(data, Pid):
            process.send(data, ("terminate", reason, state))


class GreenMachine(Machine, green=True):
    """The same, green."""


class Entering(Machine, state_enter=True):
    """With state enter calls."""


class GreenEntering(Entering, green=True):
    """The same, green."""


class ByState(GenStatem[str, int], callback_mode="state_functions"):
    """Two states, counting how often they changed."""

    def init(self, arg: int) -> Any:
        return Ok("off", arg)

    def off(self, event_type: EventType, content: Any, data: int) -> Any:
        match event_type, content:
            case Call(from_), "flip":
                return NextState("on", data + 1, Reply(from_, "on"))
            case Call(from_), other:
                return NextState(other, data, Reply(from_, "gone"))
            case _:
                return KeepStateAndData()

    def on(self, event_type: EventType, content: Any, data: int) -> Any:
        match event_type, content:
            case Call(from_), "flip":
                return NextState("off", data + 1, Reply(from_, "off"))
            case _:
                return KeepStateAndData()


class GreenByState(ByState, green=True):
    """The same, green."""


def kind(run: Runner) -> type[Machine]:
    return GreenMachine if run.green else Machine


def entering(run: Runner) -> type[Machine]:
    return GreenEntering if run.green else Entering


def begin(run: Runner, *actions: Action, state: Any = "a", enters: bool = False) -> Pid:
    """A machine that tells this process; the actions are those of its start."""
    me = self_pid()
    module = entering(run) if enters else kind(run)
    return gen_statem.start(module, lambda: Ok(state, me, actions))


def does(result: Any) -> Step:
    """A step that returns this."""

    def step(_: EventType, __: Any, ___: Any) -> Any:
        return result

    return step


def keeps(*actions: Action) -> Step:
    """A step that only has actions."""
    return does(KeepStateAndData(actions))


def goes(state: Any, *actions: Action) -> Step:
    """A step to another state."""
    return does(NextState(state, actions=actions))


def at_once(pid: Pid, *contents: Any) -> None:
    """Casts that are all there before the first is handled."""
    sys.suspend(pid)
    for content in contents:
        gen_statem.cast(pid, content)
    sys.resume(pid)


def answers(step: Callable[[Any, Any], Any]) -> Step:
    """A step of a call: it replies what ``step`` makes of state and data."""

    def handle(event_type: EventType, state: Any, data: Any) -> Any:
        assert isinstance(event_type, Call)
        return KeepStateAndData(Reply(event_type.from_, step(state, data)))

    return handle


def heard() -> Any:
    """The next thing that the machine tells: (event type, content, state)."""
    return process.receive(tuple, timeout=5)


def contents(count: int) -> list[Any]:
    """The contents of the next events."""
    return [heard()[1] for _ in range(count)]


def where(pid: Pid) -> Any:
    """State and data."""
    return gen_statem.call(pid, "where", 5)


LATE = 60.0  # seconds: a time-out that must not come in a test
TIMEOUTS: dict[str, Callable[[float | None, Any], Action]] = {
    "state": SetStateTimeout,
    "event": SetEventTimeout,
    "named": lambda seconds, content: SetTimeout("x", seconds, content),
}
__all__ = ["Enter", "NamedTimeout", "StateTimeout"]
