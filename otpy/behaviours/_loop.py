"""The loop of a behaviour, and that of a GenServer: what each item of the mailbox makes of it.

Rules: a callback's exception or bad result ends the process through
``terminate``; the answer of a ``Stop`` is sent after ``terminate``, that of a
``Reply`` before ``handle_continue``; a system message never touches the
time-out of the last result.
"""

import inspect
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from otpy.behaviours import _standby, _system
from otpy.behaviours._debug import Debug
from otpy.behaviours._module import CallbackModule
from otpy.behaviours._report import Continued, report_termination
from otpy.behaviours.results import (
    UNSET,
    CallResult,
    Ignore,
    InitResult,
    Next,
    NoReply,
    Ok,
    Reply,
    Stop,
)
from otpy.runtime._current import HERE
from otpy.runtime.body import reason_of
from otpy.runtime.locked import LockedProcess, reply_from
from otpy.runtime.mail import Call, Cast, From, System
from otpy.runtime.record import Process, failed_call
from otpy.runtime.scheduler import GreenProcess, TimedOut
from otpy.terms.errors import NotSendable, ProcessExit
from otpy.terms.messages import Exit, Timeout
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL, is_shutdown
from otpy.terms.signals import ReplySignal
from otpy.terms.values import is_seconds

if TYPE_CHECKING:
    from otpy.behaviours.gen_server import GenServer

TIMEOUT = Timeout()
type_of: Callable[[Any], type[Any]] = type  # to a checker, ``type`` of any value is unknown
NOW = object()


def answer(me: Process, from_: From, ok: bool, value: Any) -> None:
    """Bring an answer to a caller, wherever it is."""
    node = me.node
    pid = from_.pid
    caller = node.procs.get(pid)
    if isinstance(caller, GreenProcess) and HERE.sched is caller.sched:
        caller.take_reply(from_.tag, ok, value)
    elif isinstance(caller, LockedProcess) and caller.direct and isinstance(me, LockedProcess):
        reply_from(me, caller, from_.tag, ok, value)
    elif caller is not None or not node.is_here(pid):
        node.send_signal(me, ReplySignal(pid, from_.ref, ok, value))


def _waits(result: "Ok[Any] | Reply[Any] | NoReply[Any]") -> bool:
    """Whether the result's time-out can be waited for."""
    return result.timeout is None or is_seconds(result.timeout)


class BehaviourLoop:
    """The loop of a behaviour, whichever callbacks it has: start, standby, ``sys`` and end."""

    __slots__ = (
        "arg",
        "debug",
        "held",
        "idle_timeout",
        "is_async",
        "module",
        "name",
        "parent",
        "proc",
        "special",
        "standby",
        "starter",
        "suspended",
    )
    title = "GenServer"
    label = "gen_server_terminate"

    def __init__(
        self, module: CallbackModule, arg: Any, parent: Pid | None, starter: From | None, name: Any
    ) -> None:
        self.arg = arg
        self.parent = parent
        self.starter = starter
        self.name = name
        self.proc: Process = None  # type: ignore[assignment]  # set before the process starts
        self.idle_timeout: float | None = None
        self.suspended = False
        self.held: deque[Any] | None = None
        self.standby: _standby.Standby | None = None
        self.debug: Debug | None = None
        self.is_async = module.is_async
        self.special = False
        self.run(module)

    def run(self, module: CallbackModule) -> None:
        """Take the callbacks from this object from now on."""
        self.module: Any = module  # which callbacks it has, its own loop knows

    # What a behaviour adds.

    def get_state(self) -> Any:
        """What ``sys.get_state`` gives."""
        raise NotImplementedError

    def replace_state(self, state: Any) -> None:
        """Put another in the place of what ``get_state`` gives."""
        raise NotImplementedError

    def shown(self) -> dict[str, Any]:
        """What status and reports show, and ``format_status`` may change."""
        return {"state": self.get_state()}

    def init_done(self, result: Any) -> Any:
        """What ``init`` returned."""
        raise NotImplementedError

    def handle(self, item: Any) -> Any:
        """Handle one item of the mailbox."""
        raise NotImplementedError

    def on_timeout(self) -> Any:
        """``idle_timeout`` has passed and the mailbox is empty."""
        raise NotImplementedError

    def run_terminate(self, reason: Any) -> None:
        """Call the module's ``terminate``."""
        raise NotImplementedError

    @property
    def initial_call(self) -> str:
        """What reports call the beginning of this process."""
        beginning: str = self.module.initial_call()
        return beginning

    def ends_in_order(self, sender: Pid) -> bool:
        """Whether an exit signal of ``sender`` ends it by ``terminate`` if it traps no exits."""
        return self.module.ends_in_order is True and sender == self.parent

    # Start.

    def begin(self) -> Any:
        """Take the name, run ``init`` and tell the starter."""
        proc = self.proc
        proc.handling = self.starter
        return self.run_init() if self.name is None else _standby.begin(self)

    def mark(self) -> None:
        """Suspension, standby or debugging began or ended."""
        self.special = self.suspended or self.standby is not None or self.debug is not None

    def run_init(self) -> Any:
        """``init``, in the process itself."""
        arg, self.arg = self.arg, None
        try:
            result: Any = self.module.init(arg)
        except BaseException as error:  # noqa: BLE001 - any end of init is told to the starter
            self._init_failed(error)
        if self.is_async and inspect.isawaitable(result):
            return self._init_later(result)
        return self.init_done(result)

    async def _init_later(self, result: Any) -> None:
        try:
            result = await result
        except BaseException as error:  # noqa: BLE001 - any end of init is told to the starter
            self._init_failed(error)
        again = self.init_done(result)
        if again is not None:
            await again

    def _init_failed(self, error: BaseException) -> NoReturn:
        if not self.proc.alive:
            raise ProcessExit(self.proc.reason)
        if not isinstance(error, ProcessExit):
            report_termination(self, reason_of(error), error, None)
        raise ProcessExit(reason_of(error)) from None

    def quit(self, reason: Any, told: Any) -> NoReturn:
        """End before the loop has begun; the name is free when the starter hears of it."""
        proc, starter = self.proc, self.starter
        proc.handling = None
        self.starter = None
        with proc.owned:
            effects = proc.die(reason)
        if starter is not None:
            failed = failed_call(starter, told, proc.pid)
            effects = [*(effects or ()), failed]
        proc.node.emit(effects)
        raise ProcessExit(reason)

    def tell_starter(self, ok: bool, value: Any) -> None:
        """Answer whoever waits for the start; once."""
        self.proc.handling = None
        starter, self.starter = self.starter, None
        if starter is not None:
            answer(self.proc, starter, ok, value)

    # One item.

    def aside(self, item: Any, kind: type[Any]) -> Any:
        """Suspended, in standby or debugged: ``NOW`` if the item is to be handled now."""
        if self.debug is not None and kind is not System:
            self.debug.saw(item)
        if kind is System or (kind is Exit and self.of_parent(item)):
            return NOW
        if self.standby is not None:
            return _standby.handle(self, item)
        if self.suspended:
            if self.held is None:
                self.held = deque()
            self.held.append(item)
            return None
        return NOW

    def of_parent(self, item: Exit) -> bool:
        """Whether it tells of the parent's end; anybody may send such a message, with any pid."""
        return isinstance(item.pid, Pid) and item.pid == self.parent

    def defer(self, from_: From) -> None:
        """The caller's answer is to come later; until then it shares this process's fate."""
        proc = self.proc
        caller = proc.node.procs.get(from_.pid)
        if caller is None or caller.awaits(from_.tag):
            if proc.deferred is None:
                proc.deferred = {}
            proc.deferred[from_.tag] = from_

    # The end.

    def bad_return(self, result: Any, item: Any) -> NoReturn:
        """A callback returned what no callback may return."""
        self.stop(("bad_return_value", result), item)

    def crash(self, error: BaseException, item: Any) -> NoReturn:
        """A callback raised."""
        if not self.proc.alive:
            raise ProcessExit(self.proc.reason)
        self.stop(reason_of(error), item, error=error)

    def stop(
        self,
        reason: Any,
        item: Any,
        then: Callable[[], None] | None = None,
        error: BaseException | None = None,
    ) -> NoReturn:
        """Run ``terminate`` and end with ``reason``, or with what went wrong in it."""
        try:
            if self.standby is None:
                self.run_terminate(reason)
        except BaseException as failed:  # noqa: BLE001 - replaces the reason, as in OTP
            if not self.proc.alive:
                raise ProcessExit(self.proc.reason) from None
            reason, error = reason_of(failed), failed
        if not is_shutdown(reason):
            report_termination(self, reason, error, item)
        if then is not None:
            try:
                then()
            except NotSendable as failed:
                reason = reason_of(failed)
                report_termination(self, reason, failed, item)
        raise ProcessExit(reason) from None


class Loop(BehaviourLoop):
    """One GenServer at work."""

    __slots__ = ("handle_call", "handle_cast", "state")

    def __init__(
        self,
        module: "GenServer[Any]",
        arg: Any,
        parent: Pid | None,
        starter: From | None,
        name: Any,
    ) -> None:
        super().__init__(module, arg, parent, starter, name)
        self.state: Any = None

    def run(self, module: CallbackModule) -> None:
        super().run(module)
        self.handle_call = self.module.handle_call
        self.handle_cast = self.module.handle_cast

    def get_state(self) -> Any:
        return self.state

    def replace_state(self, state: Any) -> None:
        self.state = state

    def run_terminate(self, reason: Any) -> None:
        self.module.terminate(reason, self.state)

    def init_done(self, result: InitResult[Any]) -> Any:
        if isinstance(result, Ok) and _waits(result):
            self.state = result.state
            self.tell_starter(True, self.proc.pid)
            return self._after(result)
        if isinstance(result, Ignore):
            self.quit(NORMAL, result)
        if isinstance(result, Stop):
            self.quit(result.reason, result.reason)
        self.quit(("bad_return_value", result), ("bad_return_value", result))

    def handle(self, item: Any) -> Any:
        """Handle one item of the mailbox."""
        kind = type_of(item)
        if self.special and (later := self.aside(item, kind)) is not NOW:
            return later
        if kind is Cast:
            try:
                result: Next[Any] = self.handle_cast(item.request, self.state)
            except BaseException as error:  # noqa: BLE001 - ends this process, with a report
                self.crash(error, item)
            if type(result) is NoReply and result.continue_ is UNSET and result.timeout is None:
                if result.state is not UNSET:
                    self.state = result.state
                self.idle_timeout = None
                return None
            return self._returned(result, item)
        if kind is Call:
            return self._call(item)
        if kind is System:
            _system.handle(self, item)
            self.mark()
            return None
        if kind is TimedOut:
            self.idle_timeout = None
            return self._run(self.module.handle_info, TIMEOUT, item)
        if kind is Exit and self.of_parent(item):
            self.stop(item.reason, item)
        return self._run(self.module.handle_info, item, item)

    def on_timeout(self) -> Any:
        """The time-out of the last result has passed and the mailbox is empty."""
        self.idle_timeout = None
        return self._run(self.module.handle_info, TIMEOUT, TIMEOUT)

    def _call(self, item: Call) -> Any:
        proc = self.proc
        from_ = item.from_
        proc.handling = from_
        try:
            result: CallResult[Any] = self.handle_call(item.request, from_, self.state)
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self.crash(error, item)
        if type(result) is Reply and result.timeout is None:
            proc.handling = None
            if result.state is not UNSET:
                self.state = result.state
            self.idle_timeout = None
            if self.debug is not None:
                self.debug.answered(from_, result.reply)
            try:
                answer(proc, from_, True, result.reply)
            except NotSendable as error:
                self._unanswered(error, item)
            if result.continue_ is not UNSET:
                return self.go_on(result.continue_)
            return None
        if self.is_async and inspect.isawaitable(result):
            return self._call_later(result, item)
        return self._call_done(result, item)

    async def _call_later(self, result: Any, item: Call) -> None:
        try:
            result = await result
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self.crash(error, item)
        again = self._call_done(result, item)
        if again is not None:
            await again

    def _call_done(self, result: CallResult[Any], item: Call) -> Any:
        proc = self.proc
        from_ = item.from_
        if not isinstance(result, Stop) and not (
            isinstance(result, (Reply, NoReply)) and _waits(result)
        ):
            self.bad_return(result, item)
        if isinstance(result, Reply):
            proc.handling = None
            if self.debug is not None:
                self.debug.answered(from_, result.reply)
            try:
                answer(proc, from_, True, result.reply)
            except NotSendable as error:
                self._unanswered(error, item)
        elif isinstance(result, NoReply):
            answered = proc.handling is not from_  # by ``reply``, in the callback itself
            proc.handling = None
            if not answered:
                self.defer(from_)
        elif isinstance(result, Stop):
            if result.state is not UNSET:
                self.state = result.state
            if result.reply is not UNSET:
                self.stop(result.reason, item, lambda: self._last_answer(from_, result.reply))
            self.stop(result.reason, item)
        return self._after(result)

    def _last_answer(self, from_: From, value: Any) -> None:
        answer(self.proc, from_, True, value)
        self.proc.handling = None

    def _unanswered(self, error: NotSendable, item: Call) -> None:
        """The reply cannot go to the caller's node: the server's mistake, of which both hear."""
        if self.module.refuses:
            answer(self.proc, item.from_, False, ("not_sendable", str(error)))
            return
        self.proc.handling = item.from_
        self.crash(error, item)

    def _run(self, callback: Callable[[Any, Any], Any], message: Any, item: Any) -> Any:
        try:
            result = callback(message, self.state)
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self.crash(error, item)
        return self._returned(result, item)

    def _returned(self, result: Any, item: Any) -> Any:
        if self.is_async and inspect.isawaitable(result):
            return self._run_later(result, item)
        return self._done(result, item)

    async def _run_later(self, result: Any, item: Any) -> None:
        try:
            result = await result
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self.crash(error, item)
        again = self._done(result, item)
        if again is not None:
            await again

    def _done(self, result: Next[Any], item: Any) -> Any:
        if result is None:
            self.idle_timeout = None
            return None
        if isinstance(result, NoReply) and _waits(result):
            return self._after(result)
        if isinstance(result, Stop) and result.reply is UNSET:
            if result.state is not UNSET:
                self.state = result.state
            self.stop(result.reason, item)
        self.bad_return(result, item)

    def _after(self, result: Any) -> Any:
        if result.state is not UNSET:
            self.state = result.state
        self.idle_timeout = result.timeout
        if result.continue_ is not UNSET:
            return self.go_on(result.continue_)
        return None

    def go_on(self, arg: Any) -> Any:
        """Do what ``continue_=arg`` asks for."""
        return self._run(self.module.handle_continue, arg, Continued(("continue", arg)))
