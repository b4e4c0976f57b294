"""The machine of ``gen_statem`` in a world of one mailbox and a clock, and a second one like it.

``Played`` drives the real engine; ``Dumb`` is written from OTP's manual, slowly and plainly: it
removes cancelled time-outs from the mailbox as OTP does, where the engine ignores what comes too
late. Both take their callbacks' results from one list, in the order of the calls, and keep a
trace; in the same world they must leave the same one.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar

from otpy.machines import statem_types as t
from otpy.machines.statem import Answer, CancelTimer, Invoke, StartTimer, Statem, Terminate
from otpy.machines.statem_types import Event
from otpy.terms.unset import UNSET

Step = tuple[list[Any], float]  # contents of casts that come, and seconds that pass meanwhile
OF_STATE = (t.SetStateTimeout, t.CancelStateTimeout, t.UpdateStateTimeout)
OF_EVENTS = (t.SetEventTimeout, t.CancelEventTimeout, t.UpdateEventTimeout)
TYPE_OF: dict[type, t.TimeoutType] = {
    **dict.fromkeys(OF_STATE, t.StateTimeout()),
    **dict.fromkeys(OF_EVENTS, t.EventTimeout()),
}


def type_of(action: Any) -> t.TimeoutType | None:
    """Which time-out an action is about, if it is about one."""
    name = getattr(action, "name", None)
    return TYPE_OF.get(action.__class__) if name is None else t.NamedTimeout(name)


class Plain:
    """A callback module without state enter calls."""

    state_enter: ClassVar[bool] = False


class Entering:
    """A callback module with state enter calls."""

    state_enter: ClassVar[bool] = True


@dataclass
class World:
    """What both see: results to come, and the trace."""

    results: list[Any]
    enters: bool
    trace: list[Any] = field(default_factory=list[Any])
    over: bool = False
    clock: float = 0.0

    def call(self, event: Event, state: Any, data: Any) -> Any:
        """The callback: the next result of the list."""
        self.trace.append(("call", event, state, data))
        return self.results.pop(0) if self.results else t.KeepStateAndData()

    def end(self, reason: Any, state: Any, data: Any) -> None:
        """The machine ended."""
        self.trace.append(("end", reason, state, data))
        self.over = True


class Played:
    """The real engine at work.

    ``set_again``: a time-out of 0 seconds was set to another time before its turn.
    """

    def __init__(self, world: World, ok: t.Ok[Any, Any]) -> None:
        self.world = world
        self.mailbox: deque[Any] = deque()
        self.running: dict[int, StartTimer] = {}
        self.engine = Statem(ok.state, ok.data, Entering if world.enters else Plain)
        self.set_again = False
        self.perform(self.engine.start(ok.actions, world.clock))
        self.drain()
        self.rest()

    def step(self, step: Step) -> None:
        """Casts come, time passes, and only then does the process get to run."""
        contents, seconds = step
        self.mailbox.extend(Event(t.Cast(), content) for content in contents)
        self.world.clock += seconds
        self.fire()
        self.drain()
        self.rest()

    def fire(self) -> None:
        """The timers whose time has come enter the mailbox."""
        for timer in sorted(self.running.values(), key=lambda x: (x.at, x.number)):
            if timer.at <= self.world.clock:
                self.mailbox.append(self.running.pop(timer.number))

    def drain(self) -> None:
        """Handle what is in the mailbox."""
        while self.mailbox and not self.world.over:
            item = self.mailbox.popleft()
            event = item
            if isinstance(item, StartTimer):
                event = self.engine.fired(item.type, item.number)
            if event is not None:
                self.perform(self.engine.event(event))

    def perform(self, effects: list[Any]) -> None:
        """Do what the engine says."""
        while effects and not self.world.over:
            again: list[Any] = []
            for effect in effects:
                match effect:
                    case Invoke(event):
                        engine, due = self.engine, list(self.engine.due)
                        result = self.world.call(event, engine.next_state, engine.next_data)
                        again = engine.returned(result, self.world.clock)
                        self.set_again |= any(
                            isinstance(x, StartTimer) and x.type in due for x in again
                        )
                    case Answer(reply):
                        self.world.trace.append(("reply", reply.value))
                    case StartTimer(at=at) if at <= self.world.clock:
                        self.mailbox.append(effect)
                    case StartTimer(_, number, _):
                        self.running[number] = effect
                    case CancelTimer(number):
                        self.running.pop(number, None)
                    case Terminate(reason):
                        self.world.end(reason, self.engine.state, self.engine.data)
            effects = again

    def rest(self) -> None:
        """Show what is kept between messages."""
        if not self.world.over:
            e = self.engine
            kept = sorted(e.timeouts(), key=repr)
            self.world.trace.append(("rests", e.state, e.data, list(e.postponed), kept))


@dataclass
class Late:
    """A time-out of ``Dumb``: ``at`` is None for one that is due before the mailbox."""

    type: t.TimeoutType
    content: Any
    at: float | None
    arrived: bool = False


class Wrong(Exception):
    """The machine must end with this reason."""


class Dumb:
    """The second implementation."""

    def __init__(self, world: World, ok: t.Ok[Any, Any]) -> None:
        self.world = world
        self.state, self.data = ok.state, ok.data
        self.shown = (self.state, self.data)
        self.inbox: list[Any] = []
        self.inserted: list[Event] = []
        self.postponed: list[Event] = []
        self.late: list[Late] = []
        self.one(None, ok.actions)
        self.drain()

    def step(self, step: Step) -> None:
        contents, seconds = step
        self.inbox += [Event(t.Cast(), content) for content in contents]
        self.world.clock += seconds
        self.arrive()
        self.drain()

    def arrive(self) -> None:
        running = [(late.at, late) for late in self.late if late.at is not None]
        for at, late in sorted(running, key=lambda x: x[0]):
            if at <= self.world.clock and not late.arrived:
                late.arrived = True
                self.inbox.append(late)

    def drain(self) -> None:
        while not self.world.over:
            due = [late for late in self.late if late.at is None]
            if self.inserted:
                self.one(self.inserted.pop(0))
            elif due:
                self.late.remove(due[0])
                self.one(Event(due[0].type, due[0].content))
            elif self.inbox:
                item = self.inbox.pop(0)
                if isinstance(item, Late):
                    self.late.remove(item)
                    item = Event(item.type, item.content)
                self.one(item)
            else:
                kept = sorted([(x.type, x.content) for x in self.late], key=repr)
                shown = (self.state, self.data, list(self.postponed), kept)
                self.world.trace.append(("rests", *shown))
                return

    def one(self, event: Event | None, first: Any = None) -> None:
        """One event, with the enter calls that follow from it; None is the start."""
        before = self.shown = (self.state, self.data)
        done: list[Any] = []
        try:
            if event is None:
                self.take(t.KeepStateAndData(first), None, done)
                enters = True
                done = [x for x in done if not isinstance(x, t.Postpone)]
            else:
                enters = self.take(self.world.call(event, *before), None, done)
            while enters and self.world.enters:
                entered = Event(t.Enter(before[0]), before[0])
                result = self.world.call(entered, self.state, self.data)
                enters = self.take(result, self.state, done)
        except Wrong as wrong:
            self.world.end(wrong.args[0], self.state, self.data)
            return
        self.follow(event, before[0], done)

    def take(self, result: Any, entering: Any, done: list[Any]) -> bool:
        """A callback's result; whether the state is to be entered. ``entering``: it may not go."""
        kind: type[Any] = result.__class__
        if kind in (t.Stop, t.StopAndReply):
            self.data = self.data if result.data is UNSET else result.data
            for reply in getattr(result, "replies", ()):
                self.world.trace.append(("reply", reply.value))
            raise Wrong(result.reason)
        if kind not in (
            t.NextState, t.KeepState, t.KeepStateAndData, t.RepeatState, t.RepeatStateAndData,
        ):  # fmt: skip
            raise Wrong(("bad_return_from_state_function", result))
        enters = kind in (t.RepeatState, t.RepeatStateAndData)
        if kind is t.NextState:
            enters = result.state != self.state
            if enters and entering is not None:
                raise Wrong(("bad_state_enter_return_from_state_function", result))
            self.state = result.state
        if kind in (t.NextState, t.KeepState, t.RepeatState):
            self.data = self.data if result.data is UNSET else result.data
        actions: list[Any] = list(result.actions)
        for action in actions:
            self.check(action, entering is not None)
            done.append(action)
        return enters

    def check(self, action: Any, entering: bool) -> None:
        if isinstance(action, t.Reply):
            self.world.trace.append(("reply", action.value))
        elif entering and (
            isinstance(action, t.NextEvent) or (isinstance(action, t.Postpone) and action.on)
        ):
            raise Wrong(("bad_state_enter_action_from_state_function", action))
        elif isinstance(action, str):
            raise Wrong(("bad_action_from_state_function", action))

    def follow(self, event: Event | None, old: Any, done: list[Any]) -> None:
        """What all the actions of one event make of what waits."""
        postpone = [action.on for action in done if isinstance(action, t.Postpone)]
        if event is not None and postpone and postpone[-1]:
            self.postponed.append(event)
        self.forget(t.EventTimeout())
        if self.state != old:
            self.forget(t.StateTimeout())
            self.inserted = self.postponed + self.inserted
            self.postponed = []
        news = [Event(x.type, x.content) for x in done if isinstance(x, t.NextEvent)]
        self.inserted = news + self.inserted
        timed = [(type_of(action), action) for action in done]
        last: list[tuple[t.TimeoutType, Any]] = []
        for index, (type_, action) in enumerate(timed):
            later = [other for other, _ in timed[index + 1 :]]
            if type_ is not None and type_ not in later:
                last.append((type_, action))
        due = [pair for pair in last if self.at_once(*pair)]
        for type_, action in [*reversed([pair for pair in last if pair not in due]), *due]:
            self.time(type_, action)
            self.arrive()

    def at_once(self, type_: t.TimeoutType, action: Any) -> bool:
        """Whether it comes before the mailbox: OTP starts these first to last, others backwards."""
        if action.__class__.__name__.startswith("Update"):
            return type_ not in [late.type for late in self.late]
        return getattr(action, "seconds", None) == 0 and not action.abs

    def time(self, type_: t.TimeoutType, action: Any) -> None:
        name = action.__class__.__name__
        running = [late for late in self.late if late.type == type_]
        if name.startswith("Update") and running:
            running[0].content = action.content
            return
        self.forget(type_)
        if name.startswith("Update"):
            self.late.append(Late(type_, action.content, None))
        elif name.startswith("Set") and action.seconds is not None:
            at = None if action.seconds == 0 else self.world.clock + action.seconds
            self.late.append(Late(type_, action.content, action.seconds if action.abs else at))

    def forget(self, type_: t.TimeoutType) -> None:
        self.late = [late for late in self.late if late.type != type_]
        self.inbox = [x for x in self.inbox if not (isinstance(x, Late) and x.type == type_)]


def traces(
    results: list[Any], steps: list[Step], enters: bool, ok: t.Ok[Any, Any] | None = None
) -> tuple[list[Any], list[Any]]:
    """What the engine and the second implementation make of the same."""
    both: list[list[Any]] = []
    for kind in (Played, Dumb):
        world = World(list(results), enters)
        machine = kind(world, ok or t.Ok("a", 0))
        for step in steps:
            if not world.over:
                machine.step(step)
        both.append(world.trace)
    return both[0], both[1]
