"""A circuit breaker: after some failures in a row, calls are refused for a while.

closed: work is done. open: it is refused at once. half_open: one piece of work shows whether
things go well again; the others wait for how it ends, also when who does it dies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from otpy import Down, GenStatem, Pid, Ref, Request, gen_statem, process, self_pid
from otpy.behaviours.gen_statem import (
    Actions,
    Call,
    Cast,
    EventType,
    Info,
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
from otpy.runtime.process import Dest

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True)
class Options:
    """How many failures in a row open it, and for how many seconds."""

    max_failures: int = 3
    open_seconds: float = 30.0


@dataclass(frozen=True)
class Data:
    """``trying``: who does the work that the half open state waits for, and its monitor."""

    options: Options
    failures: int = 0
    trying: tuple[Pid, Ref] | None = None


@dataclass(frozen=True)
class MayI(Request[bool]):
    """May I do the work? Who is told yes says ``Done`` after it."""

    who: Pid


@dataclass(frozen=True)
class Done:
    """Some work was done, well or not."""

    who: Pid
    well: bool


class Refused(Exception):
    """The breaker is open."""


class CircuitBreaker(GenStatem[State, Data], callback_mode="handle_event_function", green=True):
    def init(self, arg: Options) -> InitResult[State, Data]:
        return Ok("closed", Data(arg))

    def handle_event(
        self, event_type: EventType, content: object, state: State, data: Data
    ) -> Result[State, Data]:
        match state, event_type, content:
            case "closed", Call(from_), MayI():
                return KeepStateAndData(Reply(from_, True))
            case "open", Call(from_), MayI():
                return KeepStateAndData(Reply(from_, False))
            case "half_open", Call(from_), MayI(who) if data.trying is None:
                trying = (who, process.monitor(who))
                return KeepState(Data(data.options, trying=trying), Reply(from_, True))
            case "half_open", Call(), MayI():
                return KeepStateAndData(Postpone())
            case "closed", Cast(), Done(_, True):
                return KeepState(Data(data.options))
            case "closed", Cast(), Done(_, False):
                failed = Data(data.options, data.failures + 1)
                if failed.failures < data.options.max_failures:
                    return KeepState(failed)
                return NextState("open", failed, self.for_a_while(failed))
            case "half_open", Cast(), Done(who, well) if data.trying and who == data.trying[0]:
                process.demonitor(data.trying[1], flush=True)
                if well:
                    return NextState("closed", Data(data.options))
                return NextState("open", Data(data.options), self.for_a_while(data))
            case "half_open", Info(), Down(ref) if data.trying and ref == data.trying[1]:
                return NextState("open", Data(data.options), self.for_a_while(data))
            case "open", StateTimeout(), _:
                return NextState("half_open")
            case _:
                return KeepStateAndData()

    def for_a_while(self, data: Data) -> Actions:
        return SetStateTimeout(data.options.open_seconds)


def run(breaker: Dest, work: Callable[[], Any]) -> Any:
    """The result of ``work()``, if the breaker lets it be done. Raises ``Refused`` if not."""
    me = self_pid()
    if not gen_statem.call(breaker, MayI(me)):
        raise Refused
    try:
        result = work()
    except Exception:
        gen_statem.cast(breaker, Done(me, False))
        raise
    gen_statem.cast(breaker, Done(me, True))
    return result
