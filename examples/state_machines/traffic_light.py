"""A traffic light: a method per state, and a time-out that ends each."""

from typing import Literal

from otpy import GenStatem, Pid, gen_statem, seconds
from otpy.behaviours.gen_statem import (
    Call,
    Cast,
    Enter,
    EventType,
    InitResult,
    KeepState,
    KeepStateAndData,
    NextState,
    Ok,
    Postpone,
    Reply,
    Result,
    SetStateTimeout,
    StateTimeout,
)

Light = Literal["red", "green", "yellow"]
Crossings = int  # how many people have been let across


class TrafficLight(
    GenStatem[Light, Crossings], callback_mode="state_functions", state_enter=True, green=True
):
    """Cars have green until somebody presses the button, and some time more.

    ``gen_statem.cast(light, "button")`` asks for red, ``gen_statem.call(light, "cross")`` waits
    for it and tells how many people have crossed.
    """

    RED = seconds(10)
    YELLOW = seconds(3)
    GREEN_AFTER_BUTTON = seconds(5)

    def init(self, arg: None) -> InitResult[Light, Crossings]:
        return Ok("green", 0)

    def green(
        self, event_type: EventType, content: object, data: Crossings
    ) -> Result[Light, Crossings]:
        match event_type, content:
            case Cast(), "button":
                return KeepStateAndData(SetStateTimeout(self.GREEN_AFTER_BUTTON))
            case StateTimeout(), _:
                return NextState("yellow")
            case Call(), "cross":
                return KeepStateAndData(Postpone())
            case _:
                return KeepStateAndData()

    def yellow(
        self, event_type: EventType, content: object, data: Crossings
    ) -> Result[Light, Crossings]:
        match event_type, content:
            case Enter(), _:
                return KeepStateAndData(SetStateTimeout(self.YELLOW))
            case StateTimeout(), _:
                return NextState("red")
            case Call(), "cross":
                return KeepStateAndData(Postpone())
            case _:
                return KeepStateAndData()

    def red(
        self, event_type: EventType, content: object, data: Crossings
    ) -> Result[Light, Crossings]:
        match event_type, content:
            case Enter(), _:
                return KeepStateAndData(SetStateTimeout(self.RED))
            case StateTimeout(), _:
                return NextState("green")
            case Call(from_), "cross":
                return KeepState(data + 1, Reply(from_, data + 1))
            case _:
                return KeepStateAndData()


def start_link(name: str) -> Pid:
    return gen_statem.start_link(TrafficLight, None, name=name)
