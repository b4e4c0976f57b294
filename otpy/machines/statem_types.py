"""What a state machine is told, and what it answers: events, results and actions.

| Erlang                                   | here                                          |
|------------------------------------------|-----------------------------------------------|
| ``{call, From}``                         | ``Call(from_)``                               |
| ``cast``, ``info``, ``internal``         | ``Cast()``, ``Info()``, ``Internal()``        |
| ``enter``, content ``OldState``          | ``Enter(old_state)``, content ``old_state``   |
| ``state_timeout``                        | ``StateTimeout()``                            |
| ``timeout``                              | ``EventTimeout()``                            |
| ``{timeout, Name}``                      | ``NamedTimeout(name)``                        |
| ``{next_state, S, D, Actions}``          | ``NextState(s, d, actions)``                  |
| ``{keep_state, D, Actions}``             | ``KeepState(d, actions)``                     |
| ``{keep_state_and_data, Actions}``       | ``KeepStateAndData(actions)``                 |
| ``{repeat_state, D, Actions}``           | ``RepeatState(d, actions)``                   |
| ``{repeat_state_and_data, Actions}``     | ``RepeatStateAndData(actions)``               |
| ``{stop, Reason, D}``                    | ``Stop(reason, d)``                           |
| ``{stop_and_reply, Reason, Replies, D}`` | ``StopAndReply(reason, replies, d)``          |
| ``{reply, From, Value}``                 | ``Reply(from_, value)``                       |
| ``postpone``, ``{postpone, false}``      | ``Postpone()``, ``Postpone(False)``           |
| ``{next_event, Type, Content}``          | ``NextEvent(type, content)``                  |
| ``{state_timeout, Time, Content}``       | ``SetStateTimeout(seconds, content)``         |
| ``{timeout, Time, Content}``             | ``SetEventTimeout(seconds, content)``         |
| ``{{timeout, Name}, Time, Content}``     | ``SetTimeout(name, seconds, content)``        |
| ``{..., Time, Content, {abs, true}}``    | the same three with ``abs=True``              |
| ``{state_timeout, cancel}``              | ``CancelStateTimeout()``; likewise the others |
| ``{state_timeout, update, Content}``     | ``UpdateStateTimeout(content)``; likewise     |
| ``hibernate``                            | ``Hibernate()``                               |
| ``{push_callback_module, M}``            | ``PushCallbackModule(m)``; change and pop too |

Actions are one action or a list of them. Data left out is unchanged. Time is in seconds; None
is never, and cancels. With ``abs`` it is an instant of the node's clock, in the seconds of
``process.monotonic_time()``; one that is over is due at once, behind what is in the mailbox.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from otpy.terms.calls import From
from otpy.terms.reasons import NORMAL
from otpy.terms.unset import UNSET

S = TypeVar("S")
D = TypeVar("D")
S_co = TypeVar("S_co", covariant=True)
D_co = TypeVar("D_co", covariant=True)


# Events.


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody called and waits: answer with ``Reply(from_, value)``, now or later."""

    from_: From


@dataclass(frozen=True, slots=True)
class Cast:
    """A request without an answer."""


@dataclass(frozen=True, slots=True)
class Info:
    """Any other message of the mailbox."""


@dataclass(frozen=True, slots=True)
class Internal:
    """An event that comes from the machine itself only: of a ``NextEvent``."""


@dataclass(frozen=True, slots=True)
class StateTimeout:
    """The state has lasted as long as ``SetStateTimeout`` said. A change of state cancels it."""


@dataclass(frozen=True, slots=True)
class EventTimeout:
    """No event came for as long as ``SetEventTimeout`` said. Any event cancels it."""


@dataclass(frozen=True, slots=True)
class NamedTimeout:
    """The time of ``SetTimeout(name, ...)`` is up: OTP's generic time-out. Only that name's
    own actions cancel it."""

    name: Hashable


@dataclass(frozen=True, slots=True)
class Enter:
    """The state was entered, from ``old_state``; at the start and when a state is repeated
    ``old_state`` is the state itself."""

    old_state: Any


TimeoutType = StateTimeout | EventTimeout | NamedTimeout
EventType = Call | Cast | Info | Internal | StateTimeout | EventTimeout | NamedTimeout | Enter
EVENT_TYPES = (Call, Cast, Info, Internal, StateTimeout, EventTimeout, NamedTimeout)
STATE_TIMEOUT = StateTimeout()
EVENT_TIMEOUT = EventTimeout()


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as it waits, is handled or is postponed."""

    type: EventType
    content: Any


# Actions.


@dataclass(slots=True)
class Reply:
    """Answer a call. Sent at once, also when a later action of the list is wrong."""

    from_: From
    value: Any


@dataclass(slots=True)
class Postpone:
    """Handle this event again after the next change of state, before newer ones."""

    on: bool = True


@dataclass(slots=True)
class NextEvent:
    """Handle this event next: in the order of the actions, before all that waits."""

    type: EventType
    content: Any = None


@dataclass(slots=True)
class Hibernate:
    """Accepted, and without effect: OTP collects garbage here."""

    on: bool = True


@dataclass(slots=True)
class SetStateTimeout:
    """``StateTimeout()`` with ``content`` in ``seconds``, unless the state changes before.

    0: before anything in the mailbox. With ``abs`` at the instant ``seconds``.
    """

    seconds: float | None
    content: Any = None
    abs: bool = False


@dataclass(slots=True)
class SetEventTimeout:
    """``EventTimeout()`` with ``content`` if no event comes in ``seconds``.

    With ``abs`` if none comes until the instant ``seconds``.
    """

    seconds: float | None
    content: Any = None
    abs: bool = False


@dataclass(slots=True)
class SetTimeout:
    """``NamedTimeout(name)`` with ``content`` in ``seconds``, whatever the state is by then.

    With ``abs`` at the instant ``seconds``.
    """

    name: Hashable
    seconds: float | None
    content: Any = None
    abs: bool = False


@dataclass(slots=True)
class CancelStateTimeout:
    """No ``StateTimeout()`` will come."""


@dataclass(slots=True)
class CancelEventTimeout:
    """No ``EventTimeout()`` will come."""


@dataclass(slots=True)
class CancelTimeout:
    """No ``NamedTimeout(name)`` will come."""

    name: Hashable


@dataclass(slots=True)
class UpdateStateTimeout:
    """Other content for the state time-out that runs; without one it is as after 0 seconds."""

    content: Any = None


@dataclass(slots=True)
class UpdateEventTimeout:
    """Other content for the event time-out that runs; without one it is as after 0 seconds."""

    content: Any = None


@dataclass(slots=True)
class UpdateTimeout:
    """Other content for the named time-out that runs; without one it is as after 0 seconds."""

    name: Hashable
    content: Any = None


@dataclass(slots=True)
class ChangeCallbackModule:
    """From the next event on ``module``, another class of machines, has the callbacks."""

    module: Any


@dataclass(slots=True)
class PushCallbackModule:
    """As ``ChangeCallbackModule``; ``PopCallbackModule`` comes back to the present class."""

    module: Any


@dataclass(slots=True)
class PopCallbackModule:
    """Back to the class before the last ``PushCallbackModule``; a bad action if there is none."""


TimeoutAction = (
    SetStateTimeout
    | SetEventTimeout
    | SetTimeout
    | CancelStateTimeout
    | CancelEventTimeout
    | CancelTimeout
    | UpdateStateTimeout
    | UpdateEventTimeout
    | UpdateTimeout
)
ModuleAction = ChangeCallbackModule | PushCallbackModule | PopCallbackModule
Action = Reply | Postpone | NextEvent | Hibernate | TimeoutAction | ModuleAction
Actions = Action | Sequence[Action]


# Results.


@dataclass(slots=True)
class Ok(Generic[S_co, D_co]):
    """``init`` succeeded: the first state and data, and actions as of an event."""

    state: S_co
    data: D_co
    actions: Actions = ()


@dataclass(slots=True)
class NextState(Generic[S_co, D_co]):
    """Go to ``state``. If it is another one, what was postponed is handled again, the state
    time-out is cancelled, and with ``state_enter`` the new state is entered."""

    state: S_co
    data: D_co = UNSET
    actions: Actions = ()


@dataclass(slots=True)
class KeepState(Generic[D_co]):
    """Stay in the state, with new data."""

    data: D_co
    actions: Actions = ()


@dataclass(slots=True)
class KeepStateAndData:
    """Stay in the state, with the data as it is."""

    actions: Actions = ()


@dataclass(slots=True)
class RepeatState(Generic[D_co]):
    """As ``KeepState``, and with ``state_enter`` enter the state again."""

    data: D_co
    actions: Actions = ()


@dataclass(slots=True)
class RepeatStateAndData:
    """As ``KeepStateAndData``, and with ``state_enter`` enter the state again."""

    actions: Actions = ()


@dataclass(slots=True)
class Stop(Generic[D_co]):
    """End with ``reason`` after ``terminate``; who waits for an answer gets the reason.

    In ``init``: start no process.
    """

    reason: Any = NORMAL
    data: D_co = UNSET


@dataclass(slots=True)
class StopAndReply(Generic[D_co]):
    """As ``Stop``, after sending the replies: before ``terminate``, other than a GenServer's."""

    reason: Any
    replies: Reply | Sequence[Reply]
    data: D_co = UNSET


Result = (
    NextState[S, D]
    | KeepState[D]
    | KeepStateAndData
    | RepeatState[D]
    | RepeatStateAndData
    | Stop[D]
    | StopAndReply[D]
)
