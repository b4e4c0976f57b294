"""Pykka at the edge: an ``ActorRef`` for any process, and Pykka actors under a supervisor.

``pykka_child(ActorClass, *args)`` is the child specification of an ordinary
``pykka.ThreadingActor``. A process with a thread of its own is the actor: each message
goes through Pykka's own loop, on that thread, and all code of the actor, from its
``__init__`` to its ``on_stop``, runs as that process. An exit of otpy that the code meets
is turned into its end, because Pykka answers a ``BaseException`` by stopping every actor of
the interpreter.
"""

# pyright: reportPrivateUsage=false
# Pykka has no public hooks around an actor's loop.

import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from otpy.behaviours import gen_server
from otpy.behaviours._code_change import CodeChangeRefused
from otpy.behaviours._loop import answer
from otpy.behaviours.child_spec import ChildSpec
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok, Stop
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.actor_refs import actor_ref as actor_ref
from otpy.runtime.actor_refs import sender, watch
from otpy.runtime.body import reason_of
from otpy.runtime.mail import From
from otpy.runtime.record import Process
from otpy.terms.errors import BadArgument, ProcessExit
from otpy.terms.pid import Pid
from otpy.terms.reasons import NORMAL, Crash


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
    """Start an actor linked to the caller; the pid of the process that it is.

    Raises ``StartError`` with what the actor's ``__init__`` raised.
    """
    return gen_server.start_link(Attendant, (actor_class, args, kwargs))


class Handled(BaseException):
    """Pykka's loop has handled the one message it was given, and asks for the next."""


class Inbox:
    """The actor's inbox: what is put here stands in the process's mailbox, with all else.

    Pykka's loop gets from it what the process has taken out, one envelope at a time.
    """

    def __init__(self, proc: Process) -> None:
        self._proc = proc
        self._lock = threading.Lock()
        self._asked: dict[int, Envelope[Any]] = {}  # those whose futures wait for an answer
        self._over = False
        self.next: Envelope[Any] | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Send the actor a message, as the current process if there is one."""
        if envelope.reply_to is not None:
            with self._lock:
                over = self._over
                if not over:
                    self._asked[id(envelope)] = envelope
            if over:
                _fail(envelope)
                return
        me = sender()
        if me is None:
            self._proc.put(envelope)
        else:
            self._proc.node.put(me, self._proc, envelope)

    def get(self) -> Envelope[Any]:
        """The envelope that is to be handled. Raises ``Handled`` when it has been."""
        envelope, self.next = self.next, None
        if envelope is None:
            raise Handled
        return envelope

    def empty(self) -> bool:
        """Whether nothing waits in the mailbox."""
        return not self._proc.mailbox

    def answered(self, envelope: Envelope[Any]) -> None:
        """Nobody waits for the answer to it any more."""
        with self._lock:
            self._asked.pop(id(envelope), None)

    def close(self) -> None:
        """The process has ended: who waits for an answer gets none."""
        with self._lock:
            self._over = True
            left, self._asked = list(self._asked.values()), {}
        for envelope in left:
            _fail(envelope)


def _fail(envelope: Envelope[Any]) -> None:
    """Tell who waits that the actor has stopped, as Pykka does."""
    future = envelope.reply_to
    if future is None:
        return
    if isinstance(envelope.message, _ActorStop):
        future.set(None)
        return
    error = pykka.ActorDeadError("the actor stopped before it answered")
    future.set_exception((type(error), error, None))


class Attended:
    """A Pykka actor, and what is known of its end."""

    def __init__(self, proc: Process, actor: pykka.ThreadingActor) -> None:
        self.proc = proc
        self.actor = actor
        self.leaves = False  # its code has met an exit
        self.inbox = Inbox(proc)
        self._reason: Any = None
        self._receive: Callable[[Any], Any] = actor._handle_receive
        self._failed: Callable[..., None] = actor._handle_failure

    @property
    def reason(self) -> Any:
        """What it ends with."""
        return NORMAL if self._reason is None else self._reason

    def begin(self) -> None:
        """Do what ``ActorClass.start`` does, with our eyes on Pykka's loop, and no thread."""
        actor: Any = self.actor
        early = actor.actor_inbox
        actor.actor_inbox = actor.actor_ref.actor_inbox = self.inbox
        while not early.empty():
            self.inbox.put(early.get())  # what ``__init__`` has sent to its own reference
        actor._handle_receive = self._handle_receive
        actor._handle_failure = self._handle_failure
        self.proc.actor_ref = actor.actor_ref
        pykka.ActorRegistry.register(actor.actor_ref)
        watch(self.proc.node, self.proc.pid, self.over)

    def over(self) -> None:
        """It has ended: nobody finds it any more, and a loop under way is the last."""
        pykka.ActorRegistry.unregister(self.actor.actor_ref)
        self.actor.actor_stopped.set()
        self.inbox.close()

    def set_up(self) -> None:
        """Run ``on_start``, in Pykka's own way."""
        try:
            self.actor._actor_loop_setup()
        except BaseException:
            self.over()
            raise

    def run(self, envelope: Envelope[Any]) -> Stop[Any] | None:
        """Have Pykka's loop handle one envelope; how the actor ends if it does."""
        self.inbox.next = envelope
        try:
            self.actor._actor_loop_running()
        except Handled:
            pass
        if not self.proc.alive:
            self.proc.raise_dead()
        return self.ended()

    def ended(self) -> Stop[Any] | None:
        """How the actor ends, if it does."""
        return Stop(self.reason) if self.actor.actor_stopped.is_set() else None

    def stop(self) -> None:
        """Run ``on_stop`` if the actor has not stopped. Raises the exit that was met in it."""
        if self.actor.actor_stopped.is_set() and not self.leaves:
            return
        self.leaves, before = False, self._reason
        self.actor._stop()
        if self._reason is not before:
            process.exit(self._reason)

    def _handle_failure(self, kind: Any, error: Any, trace: Any) -> None:
        self._reason = self._reason or reason_of(error)
        self._failed(kind, error, trace)

    def _handle_receive(self, message: Any) -> Any:
        try:
            return self._receive(message)
        except Exception:  # Pykka's own to deal with
            raise
        except ProcessExit as exit_:
            self._reason = exit_.reason
        except BaseException as error:  # Pykka ends its actor for it: we must know why
            self._reason = Crash.of(error)
            raise
        # It goes through its end, which answers who waits, when this loop is over.
        self.leaves = not self.actor.actor_stopped.is_set()
        self.actor.actor_stopped.set()
        return None


class Answer(pykka.Future[Any]):
    """Where the answer to one message goes; nowhere if the actor leaves instead of answering."""

    def __init__(self, attended: Attended) -> None:
        super().__init__()
        self.attended = attended

    def set(self, value: Any | None = None) -> None:
        if not self.attended.leaves:
            self.answer(True, value)

    def set_exception(self, exc_info: Any = None) -> None:
        self.answer(False, exc_info or sys.exc_info())

    def answer(self, ok: bool, value: Any) -> None:
        """Give it to who waits: a value, or what ``sys.exc_info`` gave."""
        raise NotImplementedError


class ToCaller(Answer):
    """The answer to a ``gen_server.call``."""

    def __init__(self, attended: Attended, from_: From) -> None:
        super().__init__(attended)
        self.from_ = from_

    def answer(self, ok: bool, value: Any) -> None:
        me = self.attended.proc
        answer(me, self.from_, ok, value if ok else reason_of(value[1]))
        me.handling = None


class ToFuture(Answer):
    """The answer to an ``ask`` of Pykka's."""

    def __init__(self, attended: Attended, envelope: Envelope[Any]) -> None:
        super().__init__(attended)
        self.envelope = envelope

    def answer(self, ok: bool, value: Any) -> None:
        self.attended.inbox.answered(self.envelope)
        future = self.envelope.reply_to
        assert future is not None
        if ok:
            future.set(value)
        else:
            future.set_exception(value)


class Attendant(GenServer[pykka.ThreadingActor]):
    """The process that a Pykka actor is; ``sys`` shows the actor as its state."""

    ends_in_order = True  # so that its supervisor's "shutdown" leads to ``on_stop``
    attended: Attended

    def init(self, arg: Any) -> Any:
        actor_class, args, kwargs = arg
        self.attended = Attended(current(), actor_class(*args, **kwargs))
        self.attended.begin()
        return Ok(self.attended.actor, continue_="start")

    def succeeded_by(self, module: type[Any]) -> NoReturn:
        raise CodeChangeRefused(("not_supported", type(self.attended.actor).__qualname__))

    def handle_continue(self, arg: Any, actor: pykka.ThreadingActor) -> Any:
        self.attended.set_up()
        return self.attended.ended()

    def handle_call(self, request: Any, from_: From, actor: pykka.ThreadingActor) -> Any:
        answer_to = ToCaller(self.attended, from_)
        return self.attended.run(Envelope(request, reply_to=answer_to)) or NoReply()

    def handle_cast(self, request: Any, actor: pykka.ThreadingActor) -> Any:
        return self.attended.run(Envelope(request))

    def handle_info(self, message: Any, actor: pykka.ThreadingActor) -> Any:
        if not _of_pykka(message):
            return self.attended.run(Envelope(message))
        if message.reply_to is not None:
            message = Envelope(message.message, reply_to=ToFuture(self.attended, message))
        return self.attended.run(message)

    def terminate(self, reason: Any, actor: pykka.ThreadingActor) -> None:
        self.attended.stop()


def _of_pykka(message: Any) -> bool:
    return isinstance(message, Envelope)
