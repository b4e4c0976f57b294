"""``async_stream``: who takes the inputs, who runs the tasks, and how the two part.

The consumer takes inputs and gives results; the decisions are ``machines/task_stream.py``.
A process beside it, the stream's monitor, starts the tasks, is linked to those that are to be,
and keeps their time, also while the consumer does something else. Three rules. The
consumer asks for results by calls, so none is ever in its mailbox. The monitor traps
exits if the consumer did at the start; else a task that fails ends the monitor, and that the
consumer. A task is over when it has ended, not when its result is there.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, TypeVar

from otpy.behaviours import gen_server
from otpy.behaviours._task import Origin, Task, end, origin, start_async
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import Done, Exited, NoReply, Ok, Stop
from otpy.machines.task_stream import Window
from otpy.runtime import process
from otpy.runtime._current import current, current_or_none, may_wait, waiter
from otpy.runtime.arguments import check_flag, check_function, check_timeout
from otpy.runtime.cpus import usable_cpus
from otpy.runtime.mail import Cast, From
from otpy.runtime.record import Process
from otpy.runtime.spawning import kind_of
from otpy.runtime.stacks import is_own
from otpy.runtime.threads import ThreadProcess
from otpy.terms.errors import BadArgument, CallExit, CallTimeout, OtpyError
from otpy.terms.messages import Down, Exit, Timeout
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import KILL, NORMAL, SHUTDOWN
from otpy.terms.values import is_whole

A = TypeVar("A")
T = TypeVar("T")
OnTaskTimeout = Literal["exit", "kill_task"]
Begin = Callable[[Process, tuple[Any, ...], Origin], Task[Any]]
CLOSE: Final = "close"
TIMED_OUT: Final = Exited("timeout")


@dataclass(frozen=True, slots=True)
class Options:
    """What ``async_stream`` was told; ``begin`` starts one task of the monitor."""

    called: str
    begin: Begin
    args: tuple[Any, ...]
    max_concurrency: int
    ordered: bool
    timeout: float | None
    on_timeout: OnTaskTimeout
    zip_input_on_exit: bool
    kind: str

    @property
    def request(self) -> tuple[Any, ...]:
        """What errors name."""
        module, _, function = self.called.partition(".")
        return (module, function, (self.timeout,))


def options(
    called: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    max_concurrency: int | None,
    ordered: bool,
    timeout: float | None,
    on_timeout: OnTaskTimeout,
    zip_input_on_exit: bool,
    green: bool,
    begin: Begin | None = None,
) -> Options:
    """The options, checked. Raises ``BadArgument``."""
    check_function(called, fn)
    most = max_concurrency if max_concurrency is not None else usable_cpus()
    if not is_whole(most, 1):
        raise BadArgument(f"max_concurrency={most!r}; expected a whole number of at least 1")
    check_timeout(timeout)
    if on_timeout not in ("exit", "kill_task"):
        raise BadArgument(f"on_timeout={on_timeout!r}; expected 'exit' or 'kill_task'")
    check_flag("ordered", ordered)
    check_flag("zip_input_on_exit", zip_input_on_exit)
    check_flag("green", green)

    def begin_linked(me: Process, given: tuple[Any, ...], origin: Origin) -> Task[Any]:
        return start_async(me, fn, given, green, origin)

    return Options(
        called,
        begin or begin_linked,
        args,
        most,
        ordered,
        timeout,
        on_timeout,
        zip_input_on_exit,
        # A supervisor starts its tasks itself: then nothing here takes time.
        kind_of(fn, green) if begin is None else "green" if green else "kernel",
    )


@dataclass(frozen=True, slots=True)
class Failed:
    """A task was not started."""

    error: OtpyError


class _Running:
    """A task at work: its place in the stream, and what it said."""

    __slots__ = ("pid", "position", "said", "timed_out")

    def __init__(self, position: int, pid: Pid) -> None:
        self.position = position
        self.pid = pid
        self.said: Done[Any] | None = None
        self.timed_out = False


class StreamMonitor(GenServer[None]):
    """Runs the tasks of one stream; on a thread, since it takes a while to start one."""

    def init(self, arg: tuple[Options, Pid, Origin, bool]) -> Any:
        self.options, self.consumer, self.origin, trap_exit = arg
        process.flag(trap_exit=trap_exit)
        self.watch = process.monitor(self.consumer)
        self.running: dict[Ref, _Running] = {}
        self.deadlines: deque[tuple[float, Ref]] = deque()  # all tasks have the same time: in order
        self.results: list[tuple[int, Any]] = []
        self.asked: From | None = None
        self.closing = False
        return Ok(None)

    def handle_call(self, request: Any, from_: From, state: None) -> Any:
        self.asked = from_
        if request == CLOSE:
            return self._close()
        self._start(request)
        return self._go_on()

    def handle_cast(self, request: Any, state: None) -> Any:
        if request == CLOSE:
            process.unlink(self.consumer)
            return self._close()
        self._start(request)
        return self._go_on()

    def handle_info(self, message: Any, state: None) -> Any:
        match message:
            case (Ref() as ref, value) if ref in self.running:
                self.running[ref].said = Done(value)
            case Down(ref, _, reason) if ref == self.watch:
                return Stop((SHUTDOWN, reason))
            case Down(ref, _, reason):
                self._ended(ref, reason)
            case Exit() | Timeout():
                pass  # a linked task's Down says it too; who is late is found below
            case _:
                return super().handle_info(message, state)
        return self._go_on()

    def terminate(self, reason: Any, state: None) -> None:
        """The consumer has ended: so do the tasks linked to it, also after "normal"."""
        links = process.info(process.self_pid(), "links")
        linked = links["links"] if links is not None else ()
        for task in self.running.values():
            if task.pid in linked:
                process.exit(task.pid, SHUTDOWN)

    def _start(self, inputs: list[tuple[int, Any]]) -> None:
        me = current()
        options = self.options
        for position, value in inputs:
            try:
                task = options.begin(me, (value, *options.args), self.origin)
            except OtpyError as error:
                self.results.append((position, Failed(error)))
                continue
            assert task.pid is not None
            self.running[task.ref] = _Running(position, task.pid)
            if options.timeout is not None:
                self.deadlines.append((me.node.clock.now() + options.timeout, task.ref))

    def _ended(self, ref: Ref, reason: Any) -> None:
        task = self.running.pop(ref, None)
        if task is None:
            return
        if task.said is not None:
            self.results.append((task.position, task.said))
        else:
            self.results.append((task.position, TIMED_OUT if task.timed_out else Exited(reason)))

    def _go_on(self) -> Any:
        if self.closing:
            return self._close() if not self.running else None
        asked = self.asked
        if asked is not None and self.results:
            self.asked = None
            gen_server.reply(asked, self.results)
            self.results = []
        return NoReply(timeout=self._left()) if self.options.timeout is not None else NoReply()

    def _left(self) -> float | None:
        """Seconds until the next task is late, after those that are late have been killed."""
        now = current().node.clock.now()
        deadlines = self.deadlines
        while deadlines:
            deadline, ref = deadlines[0]
            task = self.running.get(ref)
            if task is not None and deadline > now:
                return deadline - now
            deadlines.popleft()
            if task is not None and task.said is None:
                task.timed_out = True
                end(task.pid, KILL)
        return None

    def _close(self) -> Any:
        if not self.closing:
            self.closing = True
            for task in self.running.values():
                end(task.pid, KILL)
        if self.running:
            return NoReply()
        if self.asked is not None:
            gen_server.reply(self.asked, None)
        return Stop(NORMAL)


class GreenStreamMonitor(StreamMonitor, green=True):
    """The same beside its green tasks: no hop between threads for each of them."""


class KernelStreamMonitor(StreamMonitor, kernel=True):
    """The same for async tasks, which start at once."""


MONITORS = {
    "thread": StreamMonitor,
    "green": GreenStreamMonitor,
    "async": KernelStreamMonitor,
    "kernel": KernelStreamMonitor,
}


class Taking(Generic[A, T]):
    """What a stream does, whether it is a coroutine's or a process's."""

    def __init__(self, enumerable: Iterable[A], options: Options) -> None:
        try:
            self._source: Iterator[A] | None = iter(enumerable)
        except TypeError as error:
            raise BadArgument(f"{options.called}: {error}; expected an iterable") from None
        self._options = options
        self._window = Window(options.max_concurrency, options.ordered)
        self._consumer: Process | None = None
        self._monitor: Pid | None = None

    def _plan(self, me: Process) -> tuple[type[StreamMonitor], Any]:
        """The server to start, and what with."""
        self._consumer = me
        return MONITORS[self._options.kind], (self._options, me.pid, origin(me), me.trap_exit)

    def _check(self, me: Process) -> None:
        if self._consumer is not me:
            who = self._consumer.pid if self._consumer is not None else None
            raise BadArgument(f"this stream is being consumed by {who!r}, not by {me.pid!r}")

    def _take_inputs(self) -> list[tuple[int, A]]:
        window, taken = self._window, list[tuple[int, A]]()
        while window.wants_input and self._source is not None:
            try:
                value = next(self._source)
            except StopIteration:
                window.ended = True
                break
            taken.append((window.take(value), value))
        return taken

    def _took(self, results: list[tuple[int, Any]]) -> None:
        options = self._options
        for position, result in results:
            if isinstance(result, Failed):
                raise result.error
            if result is TIMED_OUT and options.on_timeout == "exit":
                raise CallTimeout("timeout", options.request)
            if isinstance(result, Exited) and options.zip_input_on_exit:
                given = self._window.input_of(position)
                self._window.finish(position, Exited((given, result.reason)))
            else:
                self._window.finish(position, result)

    def _part(self) -> Pid | None:
        """The stream is over; its monitor, if that has to be told."""
        monitor, self._monitor = self._monitor, None
        self._source = None
        self._window.ended = True
        self._window = Window(1, False)
        self._window.ended = True
        return monitor

    def _abandon(self) -> None:
        """End the stream from anywhere, in the midst of anything: takes no lock and never waits."""
        monitor = self._part()
        if monitor is not None and self._consumer is not None:
            node = self._consumer.node
            proc = node.procs.get(monitor)
            if proc is not None:
                node.kernel.post(None, lambda: proc.put(Cast(CLOSE)))

    def __del__(self) -> None:
        if getattr(self, "_monitor", None) is not None:
            self._abandon()


class Stream(Taking[A, T]):
    """The iterator that ``async_stream`` returns; ``with`` closes it at the end of the block."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Done[T] | Exited:
        """The next result; waits for it."""
        me = waiter(self._options.called)
        if self._monitor is None:
            if self._source is None:
                raise StopIteration
            module, arg = self._plan(me)
            self._monitor = gen_server.start_link(module, arg)
        self._check(me)
        try:
            return self._next(self._monitor)
        except BaseException:
            self.close()
            raise

    def _next(self, monitor: Pid) -> Done[T] | Exited:
        window = self._window
        while True:
            inputs = self._take_inputs()
            if window.has_result:
                if inputs:
                    gen_server.cast(monitor, inputs)
                result: Done[T] | Exited = window.give()
                return result
            if window.over:
                raise StopIteration
            try:
                results = gen_server.call(monitor, inputs, None)
            except CallExit as ended:
                self._monitor = None
                raise CallExit(_fate(monitor, ended), self._options.request) from None
            self._took(results)

    def close(self) -> None:
        """Stop early: returns when the tasks that still ran have been killed."""
        if self._consumer is None or not _runs_here(self._consumer):
            self._abandon()
            return
        monitor = self._part()
        if monitor is not None:
            process.unlink(monitor)
            with suppress(CallExit):  # it has ended: so have the tasks
                gen_server.call(monitor, CLOSE, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # After a break in the consumer's own code it can be waited for, as with any iterator.
        # The garbage collector may come at any time, also in the midst of a call.
        if getattr(self, "_monitor", None) is None:
            return
        if may_wait() and is_own(sys._getframe(1), ""):  # pyright: ignore[reportPrivateUsage]
            self.close()
        else:
            self._abandon()


def _runs_here(proc: Process) -> bool:
    """Whether it is the current process, and alive; never makes one."""
    here = current_or_none()
    if here is None and isinstance(proc, ThreadProcess):
        return proc.alive and proc.thread is threading.current_thread()
    return proc.alive and here is proc


def _fate(monitor: Pid, ended: CallExit) -> Any:
    """Why the monitor ended; a consumer that does not trap exits ends here for the same."""
    me = current()
    with me.owned:
        linked = me.links is not None and monitor in me.links
    if linked:
        process.receive(Exit, where=lambda exit_: exit_.pid == monitor)
    return ended.reason
