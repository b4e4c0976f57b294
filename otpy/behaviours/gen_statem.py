"""GenStatem: a process that is a state machine. Erlang's ``gen_statem``.

A callback gets an event and returns where to go and what to do: a *result* with *actions*.
Every shape stands in ``machines/statem_types.py``, beside its Erlang; all are names of this
module: ``gen_statem.NextState``, ``gen_statem.Reply``.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic, Literal, NoReturn, TypeVar, Unpack, get_args, overload

from otpy.behaviours import gen_server
from otpy.behaviours._code_change import CodeChangeRefused, successor
from otpy.behaviours._enter import check_not_async, entered
from otpy.behaviours._module import CallbackModule
from otpy.behaviours._reqids import Untyped
from otpy.behaviours._requests import check_response, send_request, waits_as
from otpy.behaviours._start import start_and_wait
from otpy.behaviours._statem_loop import StatemLoop
from otpy.behaviours.child_spec import ChildOptions
from otpy.behaviours.gen_server import (
    Request,
    RequestId,
    RequestIds,
    cast,
    reqids_add,
    reqids_new,
    reqids_size,
    reqids_to_list,
    whereis,
)
from otpy.behaviours.results import IGNORE, Ignore
from otpy.machines.statem_types import (
    Action,
    Actions,
    Call,
    CancelEventTimeout,
    CancelStateTimeout,
    CancelTimeout,
    Cast,
    ChangeCallbackModule,
    Enter,
    EventTimeout,
    EventType,
    Hibernate,
    Info,
    Internal,
    KeepState,
    KeepStateAndData,
    NamedTimeout,
    NextEvent,
    NextState,
    Ok,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    RepeatState,
    RepeatStateAndData,
    Reply,
    Result,
    SetEventTimeout,
    SetStateTimeout,
    SetTimeout,
    StateTimeout,
    Stop,
    StopAndReply,
    TimeoutType,
    UpdateEventTimeout,
    UpdateStateTimeout,
    UpdateTimeout,
)
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_flag
from otpy.runtime.process import Dest
from otpy.terms.calls import From
from otpy.terms.errors import BadArgument, CallExit, CallTimeout
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NORMAL

S = TypeVar("S")
D = TypeVar("D")
R = TypeVar("R")
Mode = Literal["handle_event_function", "state_functions"]
MODES: tuple[str, ...] = get_args(Mode)
InitResult = Ok[S, D] | Ignore | Stop[Any]
StateFunction = Callable[[EventType, Any, Any], Any]
receive_response = waits_as("gen_statem", gen_server.receive_response)
wait_response = waits_as("gen_statem", gen_server.wait_response)


class GenStatem(CallbackModule, Generic[S, D]):
    """Subclass it with the types of state and data: ``class Door(GenStatem[str, int],
    callback_mode="handle_event_function")``.

    Class options: ``callback_mode``, which must be given: "handle_event_function" for one
    ``handle_event``, "state_functions" for a method per state, where the state is a str and the
    method's name: ``def open(self, event_type, content, data)``. ``state_enter=True`` for a call
    with ``Enter(old_state)`` at the start, when the state changes and when it is repeated.
    ``green``, ``restart``, ``shutdown``, ``significant`` and ``id`` as of a GenServer. A class
    with an ``async def`` callback runs as a task on the node's event loop.
    """

    callback_mode: ClassVar[str | None] = None
    state_enter: ClassVar[bool] = False
    own_options = ("callback_mode", "state_enter", "interrupt")

    def __init_subclass__(
        cls,
        *,
        callback_mode: Mode | None = None,
        state_enter: bool | None = None,
        green: bool | None = None,
        kernel: bool = False,
        **options: Unpack[ChildOptions],
    ) -> None:
        if callback_mode is not None:
            if callback_mode not in MODES:
                raise BadArgument(
                    f"class {cls.__name__}: callback_mode={callback_mode!r}; expected "
                    "'handle_event_function' or 'state_functions'"
                )
            cls.callback_mode = callback_mode
        if state_enter is not None:
            check_flag(f"class {cls.__name__}: state_enter", state_enter)
            cls.state_enter = state_enter
        super().__init_subclass__(green=green, kernel=kernel, **options)

    @classmethod
    def callbacks(cls) -> Iterable[str]:
        if cls.callback_mode != "state_functions":
            return ("init", "handle_event")
        return ["init", *(name for name in dir(cls) if _may_be_state(name))]

    def init(self, arg: Any, /) -> InitResult[S, D] | Awaitable[InitResult[S, D]]:
        """Make the first state: ``Ok(state, data, actions)``, ``IGNORE`` or ``Stop(reason)``.

        The actions are done as an event's are; a ``Postpone`` among them means nothing.
        """
        raise NotImplementedError(f"{type(self).__name__} has no init")

    def handle_event(
        self, event_type: EventType, content: Any, state: S, data: D, /
    ) -> Result[S, D] | Awaitable[Result[S, D]]:
        """Handle one event; a ``Result``:

        - ``NextState(state, data, actions)``: go there. Data left out stays.
        - ``KeepState(data, actions)``, ``KeepStateAndData(actions)``: stay.
        - ``RepeatState(data, actions)``, ``RepeatStateAndData(actions)``: stay, and enter the
          state again.
        - ``Stop(reason, data)``, ``StopAndReply(reason, replies, data)``: end.

        Anything else ends the process with ``("bad_return_from_state_function", result)``.
        For ``Enter`` the state must stay, and ``Postpone``, ``NextEvent`` and other callback
        modules are not allowed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no handle_event")

    def terminate(self, reason: Any, state: S, data: D, /) -> None:
        """Clean up. Runs on ``Stop``, on an exception, and on exit signals if it traps exits."""

    def format_status(self, why: str, status: dict[str, Any], /) -> dict[str, Any]:
        """Change what ``sys.get_status`` ("normal") and crash reports ("terminate") show.

        ``status``: state, data, queue, postponed, timeouts, log; of a crash also message,
        reason. What is left out stays.
        """
        return status

    def code_change(self, old_vsn: Any, state: S, data: D, extra: Any, /) -> Any:
        """State and data as this class keeps them, of what another left: ``Ok(state, data)``.

        ``sys.change_code`` asks for it; the callback mode and the state enter calls are this
        class's from then on. It is no change of state: no state is entered, no time-out
        cancelled, nothing that was postponed comes. Anything else, also an ``Ok`` with actions
        and an exception, refuses the change.
        """
        return Ok(state, data)

    def succeeded_by(self, module: type[Any]) -> "GenStatem[Any, Any]":
        """The object of the class that takes over. Raises ``CodeChangeRefused``."""
        new: GenStatem[Any, Any] = successor(self, module, GenStatem)
        if new.callback_mode is None:
            why = f"class {module.__qualname__} has no callback_mode"
            raise CodeChangeRefused(("bad_module", why))
        return new

    def changed_to(
        self, module: type[Any], old_vsn: Any, state: tuple[S, D], extra: Any
    ) -> "tuple[GenStatem[Any, Any], tuple[Any, Any]]":
        """What ``sys.change_code`` makes of it: the new callbacks; state and data."""
        new = self.succeeded_by(module)
        result: Any = new.code_change(old_vsn, *state, extra)
        accepted: Any = result
        if isinstance(result, Ok) and accepted.actions == ():
            return new, (accepted.state, accepted.data)
        if isinstance(result, Stop):
            raise CodeChangeRefused(accepted.reason)
        raise CodeChangeRefused(("bad_return_value", result))

    def state_function(self, state: Any) -> StateFunction:
        """The method of a state; raises ``BadArgument`` if there is none."""
        found = getattr(self, state, None) if isinstance(state, str) else None
        if found is None or not _may_be_state(state):
            raise BadArgument(
                f"{type(self).__qualname__} has no state function for {state!r}; expected a str "
                "that names a method (event_type, content, data)"
            )
        function: StateFunction = found
        return function

    @classmethod
    def start_link(cls, arg: Any, /) -> Pid:
        """Start it without a name; override to give one."""
        return start_link(cls, arg)


def _may_be_state(name: str) -> bool:
    return not name.startswith("_") and not hasattr(GenStatem, name)


# Starting.


def start_link(
    module: type[GenStatem[Any, Any]], arg: Any, *, name: Any = None, timeout: float | None = None
) -> Pid:
    """Start a machine linked to the caller; returns its pid after ``init``.

    Names, ``timeout`` and errors are those of ``gen_server.start_link``.
    """
    return _start("start_link", module, arg, name, timeout)[0]


def start(
    module: type[GenStatem[Any, Any]], arg: Any, *, name: Any = None, timeout: float | None = None
) -> Pid:
    """As ``start_link``, without a link."""
    return _start("start", module, arg, name, timeout)[0]


def start_monitor(
    module: type[GenStatem[Any, Any]], arg: Any, *, name: Any = None, timeout: float | None = None
) -> tuple[Pid, Ref]:
    """As ``start``, with a monitor; the pid and the monitor's reference."""
    pid, ref = _start("start_monitor", module, arg, name, timeout)
    assert ref is not None
    return pid, ref


def _start(
    how: str, module: type[GenStatem[Any, Any]], arg: Any, name: Any, timeout: float | None
) -> tuple[Pid, Ref | None]:
    me = waiter(f"gen_statem.{how}")
    check_module(module)
    return start_and_wait(me, how, StatemLoop, module, arg, name, timeout)


def enter_loop(
    module: type[GenStatem[S, D]], state: S, data: D, *, name: Any = None, actions: Actions = ()
) -> NoReturn:
    """Be a machine of that class from here on: ``gen_statem:enter_loop/4-6``.

    ``init`` is not called; the actions are done, and the state is entered, as after it. A
    ``name`` must be the process's already; exits and raises as ``gen_server.enter_loop``.
    """
    me = waiter("gen_statem.enter_loop")
    check_module(module)
    check_not_async(module, "aio.gen_statem.enter_loop")
    loop = entered(me, StatemLoop, module, name)
    loop.enter(Ok(state, data, actions))
    me.serve(loop)
    me.raise_dead()


def check_module(module: object) -> None:
    """Raise ``BadArgument`` unless it is a class of machines, with a callback mode."""
    given: Any = module
    if not (isinstance(module, type) and issubclass(module, GenStatem)):
        raise BadArgument(f"{module!r} is not a GenStatem class")
    if given.callback_mode is None:
        raise BadArgument(
            f"class {given.__qualname__} has no callback_mode; expected "
            f"class {given.__name__}(GenStatem, callback_mode='handle_event_function') or "
            "'state_functions'"
        )


# Events.


@overload
def call(server: Dest, request: Request[R], timeout: float | None = None) -> R: ...
@overload
def call(server: Dest, request: Untyped, timeout: float | None = None) -> Any: ...
def call(server: Dest, request: Any, timeout: float | None = None) -> Any:
    """The event ``Call(from_)`` with ``request``; waits for the reply.

    ``timeout`` is in seconds; None, as in OTP the default, for ever. Raises ``CallTimeout`` and
    ``CallExit`` as ``gen_server.call``.
    """
    waiter("gen_statem.call")
    try:
        return gen_server.call(server, request, timeout)
    except CallTimeout:
        raise CallTimeout("timeout", called("call", server, request, timeout)) from None
    except CallExit as ended:
        raise CallExit(ended.reason, called("call", server, request, timeout)) from None


def called(function: str, *args: Any) -> tuple[str, str, tuple[Any, ...]]:
    """What a ``CallExit`` says was called."""
    return ("gen_statem", function, args)


def reply(answer: From | Reply | Sequence[Reply], value: Any = None) -> None:
    """Answer calls from anywhere: ``reply(from_, value)``, or ``Reply`` actions.

    Any process may do it, once for each call.
    """
    if isinstance(answer, From):
        gen_server.reply(answer, value)
        return
    for each in answer if isinstance(answer, (list, tuple)) else [answer]:
        if not isinstance(each, Reply):
            raise BadArgument(f"reply({each!r}): expected Reply(from_, value) or a from_")
        gen_server.reply(each.from_, each.value)


def stop(server: Dest, reason: Any = NORMAL, timeout: float | None = None) -> None:
    """End a machine with ``reason``, through its ``terminate``; returns when it is gone.

    Raises as ``gen_server.stop``.
    """
    gen_server.end(server, reason, timeout, called("stop", server, reason, timeout))


__all__ = [
    "IGNORE",
    "Action",
    "Actions",
    "Call",
    "CancelEventTimeout",
    "CancelStateTimeout",
    "CancelTimeout",
    "Cast",
    "ChangeCallbackModule",
    "Enter",
    "EventTimeout",
    "EventType",
    "From",
    "GenStatem",
    "Hibernate",
    "Info",
    "InitResult",
    "Internal",
    "KeepState",
    "KeepStateAndData",
    "NamedTimeout",
    "NextEvent",
    "NextState",
    "Ok",
    "PopCallbackModule",
    "Postpone",
    "PushCallbackModule",
    "RepeatState",
    "RepeatStateAndData",
    "Reply",
    "Request",
    "RequestId",
    "RequestIds",
    "Result",
    "SetEventTimeout",
    "SetStateTimeout",
    "SetTimeout",
    "StateTimeout",
    "Stop",
    "StopAndReply",
    "TimeoutType",
    "UpdateEventTimeout",
    "UpdateStateTimeout",
    "UpdateTimeout",
    "call",
    "cast",
    "check_response",
    "enter_loop",
    "receive_response",
    "reply",
    "reqids_add",
    "reqids_new",
    "reqids_size",
    "reqids_to_list",
    "send_request",
    "start",
    "start_link",
    "start_monitor",
    "stop",
    "wait_response",
    "whereis",
]
