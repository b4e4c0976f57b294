"""Pykka at the edge: an ``ActorRef`` for any process, and Pykka actors under a supervisor.

``pykka_child(ActorClass, *args)`` is the child specification of an ordinary
``pykka.ThreadingActor``. A green process stands for the actor: it has the pid,
hands on what is sent to it, and ends when, and as, the actor ends. The actor runs
Pykka's own loop on a thread of its own; an exit of otpy that its code meets is
turned into its end, because Pykka answers a ``BaseException`` by stopping every
actor of the interpreter.
"""

# pyright: reportPrivateUsage=false
# Pykka has no public hooks around an actor's loop.

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pykka
from pykka._envelope import Envelope

from otpy.behaviours import gen_server
from otpy.behaviours._code_change import CodeChangeRefused
from otpy.behaviours.child_spec import ChildSpec
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok, Stop
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.actor_refs import actor_ref as actor_ref
from otpy.runtime.actor_refs import watch
from otpy.runtime.body import reason_of
from otpy.runtime.mail import From
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument, ProcessExit
from otpy.terms.messages import Exit
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL, Crash, is_shutdown
from otpy.terms.signals import CancelCallSignal, ReplySignal


def pykka_child(actor_class: type[pykka.ThreadingActor], *args: Any, **kwargs: Any) -> ChildSpec:
    """The child specification of a Pykka actor, made by ``actor_class(*args, **kwargs)``.

    Its ``id`` is the class; ``supervisor.child_spec(spec, id=..., restart=...)`` changes it.
    """
    if not (isinstance(actor_class, type) and issubclass(actor_class, pykka.ThreadingActor)):
        raise BadArgument(f"pykka_child({actor_class!r}): expected a class of pykka.ThreadingActor")
    return ChildSpec(
        id=actor_class, start=(start_link, (actor_class, args, kwargs)), modules=(actor_class,)
    )


def start_link(
    actor_class: type[pykka.ThreadingActor], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Pid:
    """Start an actor linked to the caller; the pid that stands for it.

    Raises ``StartError`` with what the actor's ``__init__`` raised.
    """
    return gen_server.start_link(Attendant, (actor_class, args, kwargs))


class Ended:
    """The actor's loop is over."""

    def __init__(self, reason: Any) -> None:
        self.reason = reason


class Attended:
    """A Pykka actor, and what is known of its end."""

    def __init__(self, node: Node, pid: Pid, actor: pykka.ThreadingActor) -> None:
        self.node = node
        self.pid = pid
        self.actor = actor
        self.ended = False
        self.reason: Any = None
        self._receive: Callable[[Any], Any] = actor._handle_receive
        self._failed: Callable[..., None] = actor._handle_failure
        self._run: Callable[[], None] = actor._actor_loop

    def begin(self) -> None:
        """Start the actor as ``ActorClass.start`` does, with our eyes on its loop."""
        actor: Any = self.actor
        actor._handle_receive = self._handle_receive
        actor._handle_failure = self._handle_failure
        actor._actor_loop = self._actor_loop
        actor.use_daemon_thread = True  # as every thread of a node
        pykka.ActorRegistry.register(actor.actor_ref)
        watch(self.node, self.pid, self._abandon)
        actor._start_actor_loop()

    def give(self, message: Any, reply_to: "pykka.Future[Any] | None" = None) -> None:
        """Put a message into the actor's inbox, whether it still reads it or not."""
        self.actor.actor_inbox.put(Envelope(message, reply_to=reply_to))

    def _abandon(self) -> None:
        # The process is dead. An actor that still runs ends after the message it is at.
        self.actor.actor_ref.stop(block=False)
        # Its loop does not get to Pykka's own end then, which would take it off the registry.
        pykka.ActorRegistry.unregister(self.actor.actor_ref)
        self.actor.actor_stopped.set()

    # On the actor's thread.

    def _note(self, reason: Any) -> None:
        if self.reason is None:
            self.reason = reason

    def _handle_failure(self, kind: Any, error: Any, trace: Any) -> None:
        self._note(reason_of(error))
        self._failed(kind, error, trace)

    def _handle_receive(self, message: Any) -> Any:
        try:
            return self._receive(message)
        except Exception:  # Pykka's own to deal with
            raise
        except ProcessExit as exit_:
            reason = exit_.reason
        except BaseException as error:  # Pykka ends its actor for it: we must know why
            self._note(Crash.of(error))
            raise
        self._note(reason)
        if not self.actor.actor_stopped.is_set():
            self.actor._stop()
        if is_shutdown(reason):
            return None
        raise pykka.ActorDeadError(f"{self.actor} exited: {reason!r}")

    def _actor_loop(self) -> None:
        try:
            with self.node.attached():
                self._run()
        except BaseException as error:  # noqa: BLE001 - the thread's end, whatever it is
            self._note(reason_of(error))
            pykka.ActorRegistry.unregister(self.actor.actor_ref)
            self.actor.actor_stopped.set()
            self.actor._actor_loop_teardown()
        finally:
            self.node.deliver(self.pid, Ended(NORMAL if self.reason is None else self.reason))


class CallReply(pykka.Future[Any]):
    """Where the actor's answer to a ``gen_server.call`` goes."""

    def __init__(self, attended: Attended, from_: From) -> None:
        super().__init__()
        self.attended = attended
        self.from_ = from_

    def set(self, value: Any | None = None) -> None:
        self._answer(True, value)

    def set_exception(self, exc_info: Any = None) -> None:
        error: Any = (exc_info or sys.exc_info())[1]
        if isinstance(error, pykka.ActorDeadError) and self.attended.actor.actor_stopped.is_set():
            return  # the call ends with the process, for its reason
        self._answer(False, reason_of(error))

    def _answer(self, ok: bool, value: Any) -> None:
        node, from_ = self.attended.node, self.from_
        node.signal(ReplySignal(from_.pid, from_.ref, ok, value))
        node.signal(CancelCallSignal(from_.pid, from_.server, from_.ref))


class Attendant(GenServer[pykka.ThreadingActor], kernel=True):
    """The process that stands for a Pykka actor, which is what ``sys`` shows as its state."""

    attended: Attended

    def init(self, arg: Any) -> Any:
        actor_class, args, kwargs = arg
        process.flag(trap_exit=True)
        actor = process.blocking(lambda: actor_class(*args, **kwargs))
        me = current()
        self.attended = Attended(me.node, me.pid, actor)
        me.actor_ref = actor.actor_ref
        self.attended.begin()
        return Ok(actor)

    def succeeded_by(self, module: type[Any]) -> NoReturn:
        raise CodeChangeRefused(("not_supported", type(self.attended.actor).__qualname__))

    def handle_call(self, request: Any, from_: From, actor: pykka.ThreadingActor) -> Any:
        self.attended.give(request, CallReply(self.attended, from_))
        return NoReply()

    def handle_cast(self, request: Any, actor: pykka.ThreadingActor) -> Any:
        self.attended.give(request)

    def handle_info(self, message: Any, actor: pykka.ThreadingActor) -> Any:
        match message:
            case Ended():
                self.attended.ended = True
                return Stop(message.reason)
            case Exit(_, reason):
                return None if reason == NORMAL else Stop(reason)
        self.attended.give(message)
        return None

    def terminate(self, reason: Any, actor: pykka.ThreadingActor) -> None:
        if self.attended.ended:
            return
        self.attended.actor.actor_ref.stop(block=False)
        ended = process.receive(Ended)  # a supervisor's deadline ends this wait
        if not is_shutdown(ended.reason):
            process.exit(ended.reason)
