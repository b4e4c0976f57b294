"""Waiting for tasks, step by step: the same steps for processes and for coroutines.

Each step says which message it wants and for how long, and is sent that message, or
``NOTHING`` when it has not come. ``task`` waits with ``process.receive``, ``aio.task`` with
its own.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any, Final, Literal, NamedTuple, TypeVar

from otpy.behaviours._task import Task, end, own
from otpy.behaviours.results import Done, Exited
from otpy.runtime import process
from otpy.runtime._current import current
from otpy.runtime.arguments import check_timeout
from otpy.terms.errors import BadArgument, CallExit, CallTimeout, ReceiveTimeout
from otpy.terms.messages import Down
from otpy.terms.pid import Ref
from otpy.terms.reasons import KILL, KILLED, NOCONNECTION, NOPROC, SHUTDOWN, is_word, same_reason
from otpy.terms.values import is_tuple, is_whole

T = TypeVar("T")
NOTHING: Final[Any] = object()
OnTimeout = Literal["nothing", "ignore", "kill_task"]
ON_TIMEOUT = ("nothing", "ignore", "kill_task")


class Wanted(NamedTuple):
    """The message a step waits for, and for how many seconds; None is for ever."""

    where: Callable[[Any], bool]
    timeout: float | None


Steps = Generator[Wanted, Any, T]


def run(steps: Steps[T]) -> T:
    """Take the steps in the current process."""
    got: Any = None
    while True:
        try:
            wanted = steps.send(got)
        except StopIteration as over:
            result: T = over.value
            return result
        try:
            got = process.receive(where=wanted.where, timeout=wanted.timeout)
        except ReceiveTimeout:
            got = NOTHING


def _of(ref: Ref) -> Callable[[Any], bool]:
    """Whether a message is the reply or the end of the task with that reference."""

    def check(item: Any) -> bool:
        if is_tuple(item):
            return len(item) == 2 and type(item[0]) is Ref and item[0] == ref
        return type(item) is Down and item.ref == ref

    return check


def _of_any(refs: dict[Ref, int]) -> Callable[[Any], bool]:
    def check(item: Any) -> bool:
        if is_tuple(item):
            return len(item) == 2 and type(item[0]) is Ref and item[0] in refs
        return type(item) is Down and item.ref in refs

    return check


def _why(down: Down) -> Any:
    """The reason a wait ends with: OTP's ``{nodedown, Node}`` for a lost connection."""
    return ("nodedown", down.pid.node) if is_word(down.reason, NOCONNECTION) else down.reason


def await_(task: Task[T], timeout: float | None) -> Steps[T]:
    """``Task.await``."""
    own(task, current())
    check_timeout(timeout)
    request = ("task", "await_", (task, timeout))
    got = yield Wanted(_of(task.ref), timeout)
    if got is NOTHING:
        process.demonitor(task.ref)
        raise CallTimeout("timeout", request)
    if isinstance(got, Down):
        raise CallExit(_why(got), request)
    process.demonitor(task.ref, flush=True)
    result: T = got[1]
    return result


def _checked(tasks: Iterable[Task[Any]]) -> list[Task[Any]]:
    me = current()
    if not isinstance(tasks, Iterable):
        raise BadArgument(f"{tasks!r}: expected a list of tasks")
    given = list(tasks)
    for task in given:
        own(task, me)
    if len({task.ref for task in given}) < len(given):
        raise BadArgument(f"{given!r}: the same task stands there twice")
    return given


def _clock() -> Callable[[], float]:
    return current().node.clock.now


def await_many(tasks: Iterable[Task[T]], timeout: float | None) -> Steps[list[T]]:
    """``Task.await_many``."""
    given = _checked(tasks)
    check_timeout(timeout)
    request = ("task", "await_many", (given, timeout))
    now = _clock()
    deadline = None if timeout is None else now() + timeout
    waiting = {task.ref: number for number, task in enumerate(given)}
    results: dict[int, T] = {}
    try:
        while waiting:
            left = None if deadline is None else max(0.0, deadline - now())
            got = yield Wanted(_of_any(waiting), left)
            if got is NOTHING:
                raise CallTimeout("timeout", request)
            if isinstance(got, Down):
                raise CallExit(_why(got), request)
            results[waiting.pop(got[0])] = got[1]
            process.demonitor(got[0], flush=True)
    finally:
        for ref in waiting:
            _forget(ref)
    return [results[number] for number in range(len(given))]


def _forget(ref: Ref) -> None:
    """Nothing of the task is to arrive any more, nor stay in the mailbox."""
    process.demonitor(ref, flush=True)
    _in_mailbox(ref)


def _in_mailbox(ref: Ref) -> Any:
    try:
        return process.take(where=_of(ref))
    except ReceiveTimeout:
        return NOTHING


def yield_(task: Task[T], timeout: float | None) -> Steps[Done[T] | Exited | None]:
    """``Task.yield``."""
    own(task, current())
    check_timeout(timeout)
    got = yield Wanted(_of(task.ref), timeout)
    if got is NOTHING:
        return None
    result: Done[T] | Exited = _result(got, ("task", "yield_", (task, timeout)))
    return result


def _result(got: Any, request: tuple[Any, ...]) -> Any:
    if not isinstance(got, Down):
        process.demonitor(got[0], flush=True)
        return Done(got[1])
    if is_word(got.reason, NOCONNECTION):
        raise CallExit(_why(got), request)
    return Exited(got.reason)


def yield_many(
    tasks: Iterable[Task[T]],
    timeout: float | None,
    limit: int | None,
    on_timeout: OnTimeout,
) -> Steps[list[tuple[Task[T], Done[T] | Exited | None]]]:
    """``Task.yield_many``."""
    given = _checked(tasks)
    check_timeout(timeout)
    if limit is not None and not is_whole(limit, 1):
        raise BadArgument(f"limit={limit!r}; expected a whole number of at least 1, or None")
    if on_timeout not in ON_TIMEOUT:
        raise BadArgument(f"on_timeout={on_timeout!r}; expected one of {', '.join(ON_TIMEOUT)}")
    now = _clock()
    deadline = None if timeout is None else now() + timeout
    waiting = {task.ref: number for number, task in enumerate(given)}
    results: dict[int, Any] = {}
    while waiting and (limit is None or len(results) < limit):
        left = None if deadline is None else max(0.0, deadline - now())
        got = yield Wanted(_of_any(waiting), left)
        if got is NOTHING:
            break
        number = waiting.pop(got.ref if isinstance(got, Down) else got[0])
        results[number] = _result(got, ("task", "yield_many", (given, timeout)))
    for number in sorted(waiting.values()):
        if on_timeout == "kill_task":
            results[number] = yield from shutdown(given[number], "brutal_kill")
        elif on_timeout == "ignore":
            results[number] = ignore(given[number])
    return [(task, results.get(number)) for number, task in enumerate(given)]


def shutdown(
    task: Task[T], timeout: float | Literal["brutal_kill"] | None
) -> Steps[Done[T] | Exited | None]:
    """``Task.shutdown``."""
    own(task, current())
    brutal = timeout == "brutal_kill"
    patience = None if timeout == "brutal_kill" else timeout
    check_timeout(patience)
    if task.pid is None:
        raise BadArgument(f"task {task!r} does not have an associated task process")
    watch = process.monitor(task.pid)
    end(task.pid, KILL if brutal else SHUTDOWN)
    down = yield Wanted(_of(watch), patience)
    if down is NOTHING:
        process.exit(task.pid, KILL)
        down = yield Wanted(_of(watch), None)
    expected = KILLED if brutal else SHUTDOWN
    reason = down.reason
    if is_word(reason, NOPROC):
        # It had ended before: the task's own monitor knows why, if it was not asked already.
        reason = _reason_told(task.ref)
    process.demonitor(task.ref, flush=True)
    got = _in_mailbox(task.ref)
    if got is not NOTHING:
        return Done(got[1])
    if same_reason(reason, expected):
        return None
    if is_word(reason, NOCONNECTION):
        raise CallExit(("nodedown", task.pid.node), ("task", "shutdown", (task, timeout)))
    return Exited(reason)


def _reason_told(ref: Ref) -> Any:
    try:
        down = process.take(Down, where=lambda down: down.ref == ref)
    except ReceiveTimeout:
        return NOPROC
    return down.reason


def ignore(task: Task[T]) -> Done[T] | Exited | None:
    """``Task.ignore``; it never waits."""
    own(task, current())
    if task.pid is None:
        raise BadArgument(f"task {task!r} does not have an associated task process")
    got = _in_mailbox(task.ref)
    if got is not NOTHING:
        result: Done[T] | Exited = _result(got, ("task", "ignore", (task,)))
        return result
    process.unlink(task.pid)
    process.demonitor(task.ref, flush=True)
    return None
