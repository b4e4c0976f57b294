"""A ``pykka.ActorRef`` for a process of any kind, made on first use.

It is Pykka's own ``ActorRef`` over an inbox that is the process's mailbox: ``tell``
is a send, ``ask`` a call, ``stop`` an end with "normal". Nothing here makes the
caller a process, so that a Pykka actor that uses a ref never meets ``ProcessExit``,
and nothing enters ``pykka.ActorRegistry``.
"""

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NoReturn

import pykka
from pykka import messages
from pykka._envelope import Envelope

from otpy.runtime._current import HERE, in_task
from otpy.runtime.locked import LockedProcess
from otpy.runtime.record import REPLY, Internal, Monitor, Process
from otpy.terms.errors import BadArgument, CallExit, WouldBlockLoop
from otpy.terms.pid import Pid
from otpy.terms.reasons import KILLED, NOPROC, NORMAL, Crash, is_word
from otpy.terms.signals import (
    CallSignal,
    DownSignal,
    ExitSignal,
    MonitorSignal,
    ReplySignal,
    Signal,
)

if TYPE_CHECKING:
    from otpy.runtime.node import Node

Settle = Callable[[bool, Any], None]


def actor_ref(pid: Pid, *, node: "Node | None" = None) -> "pykka.ActorRef[Any]":
    """The process's ``pykka.ActorRef``: the same one each time while it is alive.

    ``node`` is for threads that are no process of the pid's node, such as a Pykka
    actor's; by default the current process's node, else the default node.
    """
    if not isinstance(pid, Pid):
        raise BadArgument(f"actor_ref({pid!r}): expected a Pid")
    if node is None:
        me = sender()
        if me is not None:
            node = me.node
        else:
            from otpy.runtime._default import default_node

            node = default_node()
    else:
        from otpy.runtime._default import check_node

        check_node("actor_ref", node)
    if not node.is_here(pid):
        raise BadArgument(
            f"actor_ref({pid!r}): not a process of {node.name}; a ref is for a local process"
        )
    proc = node.procs.get(pid)
    if proc is None:
        return Stand(node, pid).actor_ref
    with node.lock:
        if proc.actor_ref is None:
            proc.actor_ref = Stand(node, pid).actor_ref
    made: pykka.ActorRef[Any] = proc.actor_ref
    return made


def sender() -> Process | None:
    """The process whose body runs here, if it is one. Never makes an implicit process."""
    me = HERE.proc
    if me is None:
        task = in_task()
        if task is not None and asyncio._get_running_loop() is task.loop:
            me = task
    if me is not None and not me.alive:
        me.raise_dead()
    return me


def _signal(node: "Node", signal: Signal) -> None:
    me = sender()
    if me is None:
        node.signal(signal)
    else:
        node.send_signal(me, signal)


class Asker(LockedProcess):
    """A process without a body that waits for one answer, or for one ``Down``."""

    __slots__ = ("settle",)
    kind = "asker"
    direct = False

    def __init__(self, node: "Node", settle: Settle) -> None:
        super().__init__(node, node.new_pid(), None, ())
        self.settle: Settle | None = settle
        node.procs[self.pid] = self

    def abandon(self) -> None:
        """There is no body."""

    def submit(self, signal: Internal) -> None:
        super().submit(signal)
        result = self.reply
        if result is None and type(signal) is DownSignal:
            result = (False, signal.reason)
        if result is None and not self.alive:
            result = (False, KILLED)
        if result is None:
            return
        self.end(NORMAL)
        with self.lock:
            settle, self.settle = self.settle, None
        if settle is not None:
            settle(*result)

    def call(self, pid: Pid, kind: str, request: Any) -> None:
        """Ask ``pid``; a process that ends first answers with its reason."""
        tag = self.call_tag = next(self.node.numbers)
        _signal(self.node, CallSignal(self.pid, pid, self.pid.request(tag), kind, request))

    def watch(self, pid: Pid) -> None:
        """Wait for the end of ``pid``."""
        ref = self.node.new_ref(self.pid.number)
        self.monitors = {ref: Monitor(pid, None)}
        self.node.signal(MonitorSignal(self.pid, pid, ref))


def watch(node: "Node", pid: Pid, then: Callable[[], None]) -> None:
    """Do ``then`` when ``pid`` has ended, on whichever thread tells of it."""
    Asker(node, lambda _ok, _reason: then()).watch(pid)


class Answer(pykka.ThreadingFuture[Any]):
    """A future that parks the process that waits for it, and does not block its scheduler."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Pid | None = None
        self._guard = threading.Lock()
        self._settled = False
        self._waiters: list[Callable[[], None]] = []

    def set(self, value: Any | None = None) -> None:
        super().set(value)
        self._ring()

    def set_exception(self, exc_info: Any = None) -> None:
        super().set_exception(exc_info)
        self._ring()

    def _ring(self) -> None:
        with self._guard:
            self._settled = True
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def _when_settled(self, waiter: Callable[[], None]) -> None:
        with self._guard:
            if not self._settled:
                self._waiters.append(waiter)
                return
        waiter()

    def get(self, *, timeout: float | None = None) -> Any:
        if self._get_hook is not None or self._settled:
            return super().get(timeout=timeout)
        check_may_block()
        me = sender()
        if me is None:
            return super().get(timeout=timeout)
        if me.pid == self.of:
            raise CallExit("calling_self", ("pykka", "get", (self.of,)))
        self._park(me, timeout)
        if not self._settled:
            raise pykka.Timeout(f"{timeout} seconds")
        return super().get()

    def _park(self, me: Process, timeout: float | None) -> None:
        clock = me.node.clock
        deadline = None if timeout is None else clock.now() + timeout
        tag = next(me.node.numbers)
        me.reply = None
        me.call_tag = tag
        ref = me.pid.request(tag)
        self._when_settled(lambda: me.submit(ReplySignal(me.pid, ref, True, None)))
        while me.reply is None and (deadline is None or clock.now() < deadline):
            me.park(REPLY, deadline)
        with me.owned:
            me.call_tag = 0
            me.reply = None

    def __await__(self) -> Generator[Any, None, Any]:
        loop = asyncio._get_running_loop()
        if loop is not None and self._get_hook is None:
            waiter = loop.create_future()

            def finish() -> None:
                if not waiter.done():
                    waiter.set_result(None)

            self._when_settled(lambda: _on_loop(loop, finish))
            yield from waiter
        else:
            yield
        return self.get()

    __iter__ = __await__


def _on_loop(loop: asyncio.AbstractEventLoop, fn: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(fn)
    except RuntimeError:
        pass  # the loop is closed: nobody waits any more


def check_may_block() -> None:
    """Raise ``WouldBlockLoop`` on the thread of a running event loop."""
    me = HERE.proc
    if (me is None or me.sched is None) and asyncio._get_running_loop() is not None:
        raise WouldBlockLoop(
            "waiting for a pykka.Future would block the event loop of this thread; "
            "use ask(..., block=False) and await the future"
        )


class Inbox:
    """A mailbox as ``pykka.ActorRef`` wants it."""

    def __init__(self, node: "Node", pid: Pid) -> None:
        self.node = node
        self.pid = pid

    def put(self, envelope: Envelope[Any], /) -> None:
        """Send a message, or make a call that ``reply_to`` gets the answer of."""
        message, future = envelope.message, envelope.reply_to
        if isinstance(future, Answer):
            future.of = self.pid
        if isinstance(message, messages._ActorStop):  # pyright: ignore[reportPrivateUsage]  # Pykka's
            self._stop(future)
        elif future is not None:
            asker = Asker(self.node, lambda ok, value: self._answered(future, message, ok, value))
            asker.call(self.pid, "call", message)
        else:
            self._send(message)

    def _send(self, message: Any) -> None:
        proc = self.node.procs.get(self.pid)
        me = sender()
        if proc is None:
            return
        if me is None:
            proc.put(message)
        else:
            self.node.put(me, proc, message)

    def _stop(self, future: "pykka.Future[Any] | None") -> None:
        proc = self.node.procs.get(self.pid)

        def stopped(_ok: bool, reason: Any) -> None:
            if future is None:
                return
            if is_word(reason, NOPROC):
                _fail(future, pykka.ActorDeadError(f"{self.pid!r} not found"))
            else:
                future.set(None)

        asker = Asker(self.node, stopped)
        if proc is not None and proc.server is not None:
            asker.call(self.pid, "terminate", NORMAL)
        else:
            # From itself: nobody else's exit signal "normal" ends a process.
            asker.watch(self.pid)
            _signal(self.node, ExitSignal(self.pid, self.pid, NORMAL, False))

    def _answered(self, future: "pykka.Future[Any]", message: Any, ok: bool, value: Any) -> None:
        if ok:
            future.set(value)
            return
        ended = CallExit(value, ("pykka", "ask", (self.pid, message)))
        alive = self.pid in self.node.procs and self.node.state == "running"
        if alive or isinstance(value, Crash):
            _fail(future, ended)
            return
        dead = pykka.ActorDeadError(f"{self.pid!r} stopped before it answered: {value!r}")
        dead.__cause__ = ended
        _fail(future, dead)

    def get(self) -> NoReturn:
        """Refused: only the process itself takes from its mailbox."""
        raise TypeError(f"only {self.pid!r} itself takes from its mailbox")

    def empty(self) -> bool:
        """Whether nothing waits in the mailbox."""
        proc = self.node.procs.get(self.pid)
        return proc is None or not proc.mailbox


def _fail(future: "pykka.Future[Any]", error: Exception) -> None:
    future.set_exception((type(error), error, None))


class Stopped(threading.Event):
    """The ``actor_stopped`` of a process: true when it has ended."""

    def __init__(self, node: "Node", pid: Pid) -> None:
        super().__init__()
        self._node = node
        self._process = pid
        self._watched = False

    def is_set(self) -> bool:
        return self._process not in self._node.procs

    def wait(self, timeout: float | None = None) -> bool:
        if self.is_set():
            return True
        if not self._watched:
            self._watched = True
            watch(self._node, self._process, self.set)
        return super().wait(timeout)


class Stand(pykka.ThreadingActor):
    """What an ``ActorRef`` and its proxies know of a process. It is never started."""

    def __init__(self, node: "Node", pid: Pid) -> None:
        # Without Pykka's own __init__, which makes a queue and asks the system for chance.
        self.pid = pid
        self.actor_urn = f"urn:otpy:{pid.node}:{pid.started}:{pid.bits}:{pid.number}"
        self.actor_inbox = Inbox(node, pid)
        self.actor_stopped = Stopped(node, pid)
        self._actor_ref = ProcessRef(self)

    @staticmethod
    def _create_future() -> "pykka.Future[Any]":
        return Answer()

    def __str__(self) -> str:
        return repr(self.pid)


class ProcessRef(pykka.ActorRef[Stand]):
    """A Pykka reference to one of our processes."""

    def __init__(self, stand: Stand) -> None:
        super().__init__(stand)
        self.stand = stand  # the reference of the base class is weak

    def __str__(self) -> str:
        return str(self.stand)

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        if block:
            check_may_block()
        return super().ask(message, block=block, timeout=timeout)

    def proxy(self) -> "ProcessProxy":
        return ProcessProxy(self)


class ProcessProxy(pykka.ActorProxy[Stand]):
    """A proxy of a GenServer: ``proxy.name(*args)`` calls it with a ``ProxyCall`` message.

    Every public name is a method; ``proxy.name.defer(*args)`` sends the same message
    to ``handle_info``. There are no attributes to read or set.
    """

    def __init__(self, ref: ProcessRef) -> None:
        super().__init__(actor_ref=ref)  # ActorDeadError if it is dead
        inbox = ref.stand.actor_inbox
        assert isinstance(inbox, Inbox)
        proc = inbox.node.procs.get(inbox.pid)
        if proc is not None and proc.server is None:
            raise BadArgument(f"proxy of {inbox.pid!r}: only a GenServer answers calls")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{self.actor_ref} has no attribute {name!r}")
        return ProxiedName(actor_ref=self.actor_ref, attr_path=(name,))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "actor_ref" or name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        raise AttributeError(
            f"cannot set {name!r}: the state of {self.actor_ref} is its own; call a method"
        )


class ProxiedName(pykka.CallableProxy[Stand]):
    """One name of a proxy, to be called."""

    def get(self, *, timeout: float | None = None) -> NoReturn:
        """Refused: it is no attribute."""
        raise AttributeError(
            f"{self._attr_path[0]!r} cannot be read: the state of {self.actor_ref} is its own; "
            f"call it: proxy.{self._attr_path[0]}()"
        )
