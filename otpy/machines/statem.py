"""The events of a state machine: what comes next, and what a callback's result makes of it.

Rules. The machine never acts and never calls: each method returns effects, to be done in
their order. ``Invoke`` and ``Terminate`` come last; without one of them the machine waits for
the next message. Time is handed in, and the time-outs are data. What a callback returned
counts only when all of its actions were good: until then ``state`` and ``data`` are the old.

| what waits, in the order of its turn         | where                          |
|----------------------------------------------|--------------------------------|
| events of ``NextEvent``, in their order      | front of ``queue``             |
| postponed events, after a change of state    | ``queue``, behind those        |
| events inserted before, not yet handled      | ``queue``, behind those        |
| time-outs of 0 seconds, in the order of start| ``due``                        |
| messages and time-outs whose time came       | the mailbox, which is not here |

| time-out        | is cancelled by                          |
|-----------------|------------------------------------------|
| ``StateTimeout``| a change of state                        |
| ``EventTimeout``| any event, whatever it does              |
| ``NamedTimeout``| actions with its name only               |

Setting a time-out that runs starts it anew. Of several actions on one time-out in one list only
the last counts. A time-out that is cancelled or set anew never comes, even if its time was up.
Timers of one list are started from its end, as OTP does: of two that are due at the same time the
later in the list comes first. Those of 0 seconds come in the order of the list.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

from otpy.machines.statem_types import (
    EVENT_TIMEOUT,
    EVENT_TYPES,
    STATE_TIMEOUT,
    CancelEventTimeout,
    CancelStateTimeout,
    CancelTimeout,
    ChangeCallbackModule,
    Enter,
    Event,
    Hibernate,
    Internal,
    KeepState,
    KeepStateAndData,
    NamedTimeout,
    NextEvent,
    NextState,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    RepeatState,
    RepeatStateAndData,
    Reply,
    SetEventTimeout,
    SetStateTimeout,
    SetTimeout,
    Stop,
    StopAndReply,
    TimeoutType,
    UpdateEventTimeout,
    UpdateStateTimeout,
    UpdateTimeout,
)
from otpy.terms.calls import From
from otpy.terms.unset import UNSET
from otpy.terms.values import is_hashable, is_instant, is_seconds

NEVER = float("inf")
SETS = (SetStateTimeout, SetEventTimeout, SetTimeout)
CANCELS = (CancelStateTimeout, CancelEventTimeout, CancelTimeout)
UPDATES = (UpdateStateTimeout, UpdateEventTimeout, UpdateTimeout)
TIMEOUTS = (*SETS, *CANCELS, *UPDATES)
MODULES = (ChangeCallbackModule, PushCallbackModule, PopCallbackModule)
ABOUT_STATE = (SetStateTimeout, CancelStateTimeout, UpdateStateTimeout)
ABOUT_EVENTS = (SetEventTimeout, CancelEventTimeout, UpdateEventTimeout)
REPEATS = (RepeatState, RepeatStateAndData)
ENDS = (Stop, StopAndReply)
RESULTS = (NextState, KeepState, KeepStateAndData, *REPEATS)


class CallbackModule(Protocol):
    """What the machine must know of the class that has the callbacks."""

    state_enter: ClassVar[bool]


# Effects.


@dataclass(slots=True)
class Invoke:
    """Call the callback with this event, in ``next_state`` and with ``next_data``."""

    event: Event


@dataclass(slots=True)
class Answer:
    """Send a reply."""

    reply: Reply


@dataclass(slots=True)
class StartTimer:
    """See that ``fired(type, number)`` is called ``at`` that time, in its turn in the mailbox.

    If that time is over its turn is behind what is in the mailbox now. Timers for the same time
    come in the order in which they were started.
    """

    type: TimeoutType
    number: int
    at: float


@dataclass(slots=True)
class CancelTimer:
    """The timer is not needed any more; if it comes all the same it is ignored."""

    number: int


@dataclass(slots=True)
class Terminate:
    """End with ``reason``."""

    reason: Any


Effect = Invoke | Answer | StartTimer | CancelTimer | Terminate


@dataclass(slots=True)
class Timer:
    """A time-out that was set: ``at`` is None for one whose turn is in ``due``."""

    number: int
    content: Any
    at: float | None


class Bad(Exception):
    """A result or an action that no callback may return: ``reason`` is the exit reason."""

    def __init__(self, kind: str, what: Any) -> None:
        super().__init__(kind, what)
        self.reason = (kind, what)


class Statem:
    """One state machine between its messages.

    ``accepts`` tells which classes may become the callback module.
    """

    __slots__ = (
        "_entering",
        "_inserted",
        "_postpone",
        "_set",
        "accepts",
        "current",
        "data",
        "due",
        "modules",
        "next_data",
        "next_state",
        "number",
        "postponed",
        "queue",
        "state",
        "timers",
    )

    def __init__(
        self,
        state: Any,
        data: Any,
        module: type[CallbackModule],
        accepts: Callable[[Any], bool] = lambda module: isinstance(module, type),
    ) -> None:
        self.state: Any = state
        self.next_state: Any = state
        self.data: Any = data
        self.next_data: Any = data
        self.modules: list[type[CallbackModule]] = [module]
        self.accepts = accepts
        self.current: Event | None = None
        self.queue: deque[Event] = deque()
        self.postponed: list[Event] = []
        self.timers: dict[TimeoutType, Timer] = {}
        self.due: list[TimeoutType] = []
        self.number = 0
        self._entering = False
        self._inserted: list[Event] = []
        self._postpone = False
        self._set: dict[TimeoutType, Any] = {}

    # What happens.

    def start(self, actions: Any, now: float) -> list[Effect]:
        """``init`` succeeded, with these actions."""
        self.current = Event(Internal(), "init_state")
        self._begin()
        return self._take(KeepStateAndData(actions), now, entering=True, starting=True)

    def event(self, event: Event) -> list[Effect]:
        """A message came."""
        self.current = event
        self._begin()
        return [Invoke(event)]

    def fired(self, type_: TimeoutType, number: int) -> Event | None:
        """A timer's time came: its event, None if the time-out is not that one any more."""
        timer = self.timers.get(type_)
        if timer is None or timer.number != number:
            return None
        del self.timers[type_]
        return Event(type_, timer.content)

    def returned(self, result: Any, now: float) -> list[Effect]:
        """The callback returned."""
        return self._take(result, now, entering=False, starting=False)

    def timeouts(self) -> list[tuple[TimeoutType, Any]]:
        """The time-outs that are set, with their contents."""
        return [(type_, timer.content) for type_, timer in self.timers.items()]

    def replace(self, state: Any, data: Any) -> None:
        """Put others in the place of state and data, without an event."""
        self.state = self.next_state = state
        self.data = self.next_data = data

    def change_module(self, module: type[CallbackModule]) -> None:
        """Another class takes over from the one that has the callbacks, without an event."""
        self.modules[-1] = module

    # A result.

    def _begin(self) -> None:
        self.next_state, self.next_data = self.state, self.data
        self._entering = self._postpone = False
        self._inserted = []
        self._set = {}

    def _take(self, result: Any, now: float, *, entering: bool, starting: bool) -> list[Effect]:
        effects: list[Effect] = []
        try:
            if isinstance(result, ENDS):
                self._stop(result, effects)
                return effects
            enters = self._change(result) or entering
            for action in _listed(result.actions):
                self._act(action, effects)
        except Bad as bad:
            self.state, self.data = self.next_state, self.next_data
            return [*effects, Terminate(bad.reason)]
        if starting:
            self._postpone = False  # there is no event yet
        if enters and self.modules[-1].state_enter:
            self._entering = True
            effects.append(Invoke(Event(Enter(self.state), self.state)))
            return effects
        self._transition(now, effects)
        return effects

    def _change(self, result: Any) -> bool:
        """Take over state and data; whether the state is entered."""
        going: Any = result  # what an isinstance tells of it is less than Any to some checkers
        if not isinstance(result, RESULTS):
            raise Bad("bad_return_from_state_function", result)
        enters = isinstance(result, REPEATS)
        if isinstance(result, NextState):
            state: Any = going.state
            enters = bool(state != self.next_state)
            if enters and self._entering:
                raise Bad("bad_state_enter_return_from_state_function", result)
            self.next_state = state
        if not isinstance(result, (KeepStateAndData, RepeatStateAndData)):
            changed: Any = going.data
            if changed is not UNSET:
                self.next_data = changed
        return enters

    def _stop(self, result: Any, effects: list[Effect]) -> None:
        # A change of state whose enter callback stops has happened: OTP shows the new state.
        self.state = self.next_state
        self.data = self.next_data if result.data is UNSET else result.data
        self.next_data = self.data
        if isinstance(result, StopAndReply):
            for reply in _listed(result.replies):
                if not _is_reply(reply):
                    raise Bad("bad_reply_action_from_state_function", reply)
                effects.append(Answer(reply))
        effects.append(Terminate(result.reason))

    # The actions.

    def _act(self, action: Any, effects: list[Effect]) -> None:
        if isinstance(action, TIMEOUTS):
            self._note(action)
        elif _is_reply(action):
            effects.append(Answer(action))
        elif isinstance(action, Postpone) and _is_bool(action.on):
            if action.on and self._entering:
                raise Bad("bad_state_enter_action_from_state_function", action)
            self._postpone = action.on
        elif isinstance(action, NextEvent):
            if self._entering:
                raise Bad("bad_state_enter_action_from_state_function", action)
            if not isinstance(action.type, EVENT_TYPES):
                raise Bad("bad_action_from_state_function", action)
            self._inserted.append(Event(action.type, action.content))
        elif isinstance(action, MODULES):
            self._use(action)
        elif not (isinstance(action, Hibernate) and _is_bool(action.on)):
            raise Bad("bad_action_from_state_function", action)

    def _use(self, action: Any) -> None:
        if isinstance(action, PopCallbackModule):
            if len(self.modules) == 1:
                raise Bad("bad_action_from_state_function", action)
        elif not self.accepts(action.module):
            raise Bad("bad_action_from_state_function", action)
        if self._entering:
            raise Bad("bad_state_enter_action_from_state_function", action)
        if not isinstance(action, PushCallbackModule):
            self.modules.pop()
        if not isinstance(action, PopCallbackModule):
            self.modules.append(action.module)

    def _note(self, action: Any) -> None:
        type_ = _type_of(action)
        if type_ is None or (isinstance(action, SETS) and not _is_time(action)):
            raise Bad("bad_action_from_state_function", action)
        self._set.pop(type_, None)  # the last action on a time-out counts, in its own turn
        self._set[type_] = action

    # What follows.

    def _transition(self, now: float, effects: list[Effect]) -> None:
        if self._postpone and self.current is not None:
            self.postponed.append(self.current)
        if self.next_state != self.state:
            self.queue.extendleft(reversed(self.postponed))
            self.postponed = []
            self._cancel(STATE_TIMEOUT, effects)
        self._cancel(EVENT_TIMEOUT, effects)
        started: list[TimeoutType] = []
        for type_, action in reversed(self._set.items()):
            self._set_timer(type_, action, now, started, effects)
        self.due.extend(reversed(started))
        self.queue.extendleft(reversed(self._inserted))
        self.state, self.data = self.next_state, self.next_data
        self.current = self._next()
        self._begin()
        if self.current is not None:
            effects.append(Invoke(self.current))

    def _next(self) -> Event | None:
        if self.queue:
            return self.queue.popleft()
        if self.due:
            type_ = self.due.pop(0)
            return Event(type_, self.timers.pop(type_).content)
        return None

    def _cancel(self, type_: TimeoutType, effects: list[Effect]) -> None:
        timer = self.timers.pop(type_, None)
        if timer is None:
            return
        if timer.at is None:
            self.due.remove(type_)
        else:
            effects.append(CancelTimer(timer.number))

    def _set_timer(
        self,
        type_: TimeoutType,
        action: Any,
        now: float,
        started: list[TimeoutType],
        effects: list[Effect],
    ) -> None:
        if isinstance(action, UPDATES) and type_ in self.timers:
            self.timers[type_].content = action.content
            return
        self._cancel(type_, effects)
        seconds = 0 if isinstance(action, UPDATES) else getattr(action, "seconds", None)
        if seconds is None or seconds == NEVER:
            return
        self.number += 1
        self.timers[type_] = timer = Timer(self.number, action.content, None)
        absolute = isinstance(action, SETS) and action.abs
        if seconds == 0 and not absolute:
            started.append(type_)
        else:
            timer.at = at = seconds if absolute else now + seconds
            effects.append(StartTimer(type_, timer.number, at))


def _listed(actions: Any) -> Sequence[Any]:
    """OTP takes one action as it takes a list of one."""
    return cast("Sequence[Any]", actions) if isinstance(actions, (list, tuple)) else (actions,)


def _is_reply(action: Any) -> bool:
    return isinstance(action, Reply) and isinstance(action.from_, From)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_time(action: SetStateTimeout | SetEventTimeout | SetTimeout) -> bool:
    if not _is_bool(action.abs):
        return False
    return action.seconds is None or (is_instant if action.abs else is_seconds)(action.seconds)


def _type_of(action: Any) -> TimeoutType | None:
    """Which time-out an action is about; None if its name cannot be one."""
    if isinstance(action, ABOUT_STATE):
        return STATE_TIMEOUT
    if isinstance(action, ABOUT_EVENTS):
        return EVENT_TIMEOUT
    return NamedTimeout(action.name) if is_hashable(action.name) else None
