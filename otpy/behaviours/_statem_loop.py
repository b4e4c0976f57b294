"""The loop of a state machine: it does what the engine, ``machines/statem.py``, decides.

Rules: every item of the mailbox is one event of the engine; time-outs are timers of the node,
whose messages stand in the mailbox among the others; a system message comes between two events,
when the engine has nothing left to handle.
"""

import inspect
from typing import Any, assert_never

import msgspec

from otpy.behaviours import _system, gen_server
from otpy.behaviours._loop import NOW, BehaviourLoop, type_of
from otpy.behaviours._module import CallbackModule
from otpy.behaviours.results import Ignore
from otpy.machines import statem_types as types
from otpy.machines.statem import (
    Answer,
    CancelTimer,
    Effect,
    Invoke,
    StartTimer,
    Statem,
    Terminate,
)
from otpy.machines.statem_types import Event
from otpy.runtime.mail import Call, Cast, From, System
from otpy.terms.errors import BadArgument
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NORMAL

CAST, INFO = types.Cast(), types.Info()


class TimeIsUp(msgspec.Struct, frozen=True, gc=False):
    """What the timer of a time-out puts into the mailbox."""

    type: types.TimeoutType
    number: int


class StatemLoop(BehaviourLoop):
    """One state machine at work."""

    __slots__ = ("engine", "instances", "timers")
    title = "State machine"
    label = "gen_statem_terminate"

    def __init__(
        self, module: CallbackModule, arg: Any, parent: Pid | None, starter: From | None, name: Any
    ) -> None:
        self.engine: Statem | None = None
        self.timers: dict[int, Ref] = {}
        self.instances: dict[Any, Any] = {}
        super().__init__(module, arg, parent, starter, name)

    def run(self, module: CallbackModule) -> None:
        """Take the callbacks from this object: the one in use is not kept to come back to."""
        engine = self.engine
        if engine is not None:
            before = engine.modules[-1]
            engine.change_module(type_of(module))
            if before not in engine.modules:
                del self.instances[before]
            kept = self.instances.get(type_of(module))  # of one that was to be come back to
            vars(module).update({**vars(kept), **vars(module)} if kept is not None else {})
        super().run(module)
        self.instances[type_of(module)] = module

    # For ``sys`` and reports.

    def get_state(self) -> Any:
        engine = self.engine
        return (None, None) if engine is None else (engine.state, engine.data)

    def replace_state(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) == 2):  # pyright: ignore[reportUnknownArgumentType]
            raise BadArgument(f"{state!r}; expected (state, data)")
        if self.engine is not None:
            new, data = state  # pyright: ignore[reportUnknownVariableType]
            self.engine.replace(new, data)

    def shown(self) -> dict[str, Any]:
        engine = self.engine
        state, data = self.get_state()
        return {
            "state": state,
            "data": data,
            "queue": [(event.type, event.content) for event in engine.queue] if engine else [],
            "postponed": [(e.type, e.content) for e in engine.postponed] if engine else [],
            "timeouts": engine.timeouts() if engine else [],
        }

    # Start.

    def init_done(self, result: Any) -> Any:
        if isinstance(result, types.Ok):
            return self.enter(result)  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(result, Ignore):
            self.quit(NORMAL, result)
        if isinstance(result, types.Stop):
            self.quit(result.reason, result.reason)
        self.quit(("bad_return_from_init", result), ("bad_return_from_init", result))

    def enter(self, ok: types.Ok[Any, Any]) -> Any:
        """Begin in this state, with this data and these actions."""
        self.engine = Statem(ok.state, ok.data, type_of(self.module), self._accepts)
        self.tell_starter(True, self.proc.pid)
        return self._perform(self.engine.start(ok.actions, self._now()))

    def _accepts(self, module: Any) -> bool:
        """Whether a class may become the callback module; one of coroutines needs a task."""
        if not (isinstance(module, type) and issubclass(module, CallbackModule)):
            return False
        mode = getattr(module, "callback_mode", None)
        return mode is not None and (self.is_async or not module.is_async)

    # One item.

    def handle(self, item: Any) -> Any:
        kind = type_of(item)
        if self.special and (later := self.aside(item, kind)) is not NOW:
            return later
        engine = self.engine
        assert engine is not None or kind is System or kind is Exit
        if kind is Call:
            self.defer(item.from_)
            event = Event(types.Call(item.from_), item.request)
        elif kind is Cast:
            event = Event(CAST, item.request)
        elif kind is TimeIsUp:
            self.timers.pop(item.number, None)
            fired = engine.fired(item.type, item.number) if engine is not None else None
            if fired is None:
                return None
            event = fired
        elif kind is System:
            _system.handle(self, item)
            self.mark()
            return None
        elif kind is Exit and self.of_parent(item):
            self.stop(item.reason, item)
        else:
            event = Event(INFO, item)
        assert engine is not None
        return self._perform(engine.event(event))

    def on_timeout(self) -> Any:
        raise AssertionError("a state machine has no idle time-out; its time-outs are timers")

    # What the engine decided.

    def _perform(self, effects: list[Effect]) -> Any:
        """Do effects and call callbacks until the engine waits for the next message."""
        while effects:
            event = self._do(effects)
            if event is None:
                return None
            result = self._call(event)
            if self.is_async and inspect.isawaitable(result):
                return self._perform_later(result, event)
            effects = self._returned(result)
        return None

    async def _perform_later(self, result: Any, event: Event) -> None:
        while True:
            try:
                if inspect.isawaitable(result):
                    result = await result
            except BaseException as error:  # noqa: BLE001 - ends this process, with a report
                self.crash(error, event)
            next_event = self._do(self._returned(result))
            if next_event is None:
                return
            event = next_event
            result = self._call(event)

    def _returned(self, result: Any) -> list[Effect]:
        assert self.engine is not None
        effects = self.engine.returned(result, self._now())
        module = self.engine.modules[-1]
        if module is not type_of(self.module):
            if module not in self.instances:
                self.instances[module] = module()
            self.module = self.instances[module]
        return effects

    def _do(self, effects: list[Effect]) -> Event | None:
        """Do the effects; the event to call the callback with, if there is one."""
        for effect in effects:
            if isinstance(effect, Invoke):
                return effect.event
            if isinstance(effect, Answer):
                self._answer(effect.reply)
            elif isinstance(effect, StartTimer):
                self._start_timer(effect)
            elif isinstance(effect, CancelTimer):
                ref = self.timers.pop(effect.number, None)
                if ref is not None:
                    self.proc.node.timers.cancel(ref, self._now())
            elif isinstance(effect, Terminate):
                assert self.engine is not None
                self.stop(effect.reason, self.engine.current)
            else:
                assert_never(effect)
        return None

    def _call(self, event: Event) -> Any:
        engine = self.engine
        assert engine is not None
        state, data = engine.next_state, engine.next_data
        try:
            if self.module.callback_mode == "handle_event_function":
                return self.module.handle_event(event.type, event.content, state, data)
            return self.module.state_function(state)(event.type, event.content, data)
        except BaseException as error:  # noqa: BLE001 - ends this process, with a report
            self.crash(error, event)

    def _answer(self, reply: types.Reply) -> None:
        if self.debug is not None:
            self.debug.answered(reply.from_, reply.value)
        gen_server.reply(reply.from_, reply.value)

    def _start_timer(self, timer: StartTimer) -> None:
        node, pid = self.proc.node, self.proc.pid
        message = TimeIsUp(timer.type, timer.number)
        if timer.at <= self._now():  # not by way of the timers: what comes next is to come after it
            self.proc.put(message)
            return
        self.timers[timer.number] = ref = node.new_ref(pid.number)
        node.timers.arm(timer.at, ref, pid, message)

    def _now(self) -> float:
        return self.proc.node.clock.now()

    # The end.

    def run_terminate(self, reason: Any) -> None:
        state, data = self.get_state()
        self.module.terminate(reason, state, data)
