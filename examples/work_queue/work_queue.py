"""A queue of work with back-pressure: who submits to a full queue waits until there is room.

Workers pull. One that crashes or is killed gives its job back, once: a job that ends two workers
has failed. So a job may be begun twice, and should not mind. Who submitted it gets ``Finished`` or
``Failed`` as a message. The queue lives in memory: if it crashes, what it had is lost.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from otpy import (
    CallResult,
    ChildSpec,
    Down,
    From,
    GenServer,
    Next,
    NoReply,
    Ok,
    Pid,
    Request,
    Supervisor,
    Task,
    gen_server,
    process,
    self_pid,
    supervisor,
)

QUEUE = "WorkQueue.Queue"
ATTEMPTS = 2
Work = Callable[[], Any]


class Closed(Exception):
    """The queue is being drained and takes no more work."""


@dataclass(frozen=True)
class Finished:
    """To who submitted the job of this number: what it returned."""

    job: int
    value: Any


@dataclass(frozen=True)
class Failed:
    """To who submitted the job: what its last worker ended with."""

    job: int
    reason: Any


@dataclass(frozen=True)
class Submit(Request[int | None]):
    """The job's number, once it is in the queue; None if the queue is closed."""

    work: Work


@dataclass(frozen=True)
class Pull(Request[Work]):
    """The next work, as soon as there is some."""


@dataclass(frozen=True)
class Drain(Request[None]):
    """Take no more; the answer comes when all is done."""


@dataclass(frozen=True)
class Result:
    worker: Pid
    value: Any


@dataclass(slots=True)
class Job:
    number: int
    work: Work
    submitter: Pid
    attempts: int = 0


@dataclass(slots=True)
class State:
    limit: int
    last: int = 0
    closed: bool = False
    waiting: deque[Job] = field(default_factory=deque[Job])
    blocked: deque[tuple[From, Work]] = field(default_factory=deque[tuple[From, Work]])
    idle: deque[From] = field(default_factory=deque[From])
    busy: dict[Pid, Job] = field(default_factory=dict[Pid, Job])
    drains: list[From] = field(default_factory=list[From])
    watched: set[Pid] = field(default_factory=set[Pid])


class Queue(GenServer[State]):
    @classmethod
    def start_link(cls, limit: int, /) -> Pid:
        return gen_server.start_link(cls, limit, name=QUEUE)

    def init(self, arg: int) -> Ok[State]:
        return Ok(State(arg))

    def handle_call(self, request: Any, from_: From, state: State) -> CallResult[State]:
        match request:
            case Submit() if state.closed:
                gen_server.reply(from_, None)
            case Submit(work):
                watch(from_.pid, state)
                state.blocked.append((from_, work))
            case Pull():
                watch(from_.pid, state)
                state.idle.append(from_)
            case Drain():
                close(state)
                state.drains.append(from_)
            case _:
                raise ValueError(f"the queue does not know {request!r}")
        advance(state)
        return NoReply(state)

    def handle_cast(self, request: Any, state: State) -> Next[State]:
        match request:
            case Result(worker, value):
                job = state.busy.pop(worker)
                process.send(job.submitter, Finished(job.number, value))
                advance(state)
        return NoReply(state)

    def handle_info(self, message: Any, state: State) -> Next[State]:
        match message:
            case Down(pid=Pid() as pid, reason=reason):
                forget(pid, state)
                if pid in state.busy:
                    give_back(state.busy.pop(pid), reason, state)
                advance(state)
        return NoReply(state)


def watch(pid: Pid, state: State) -> None:
    if pid not in state.watched:
        state.watched.add(pid)
        process.monitor(pid)


def forget(pid: Pid, state: State) -> None:
    """Who has ended neither works nor waits for room."""
    state.watched.discard(pid)
    state.idle = deque(one for one in state.idle if one.pid != pid)
    state.blocked = deque(one for one in state.blocked if one[0].pid != pid)


def give_back(job: Job, reason: Any, state: State) -> None:
    if job.attempts < ATTEMPTS:
        state.waiting.appendleft(job)
    else:
        process.send(job.submitter, Failed(job.number, reason))


def close(state: State) -> None:
    """Who waits for room has nothing in the queue yet, and is refused."""
    state.closed = True
    while state.blocked:
        gen_server.reply(state.blocked.popleft()[0], None)


def advance(state: State) -> None:
    """Everything that can go on now: jobs to workers, producers into the room that is made."""
    while True:
        if state.idle and state.waiting:
            worker, job = state.idle.popleft(), state.waiting.popleft()
            job.attempts += 1
            state.busy[worker.pid] = job
            gen_server.reply(worker, job.work)
        elif state.blocked and (state.idle or len(state.waiting) < state.limit):
            from_, work = state.blocked.popleft()
            state.last += 1
            state.waiting.append(Job(state.last, work, from_.pid))
            gen_server.reply(from_, state.last)
        else:
            break
    if not state.waiting and not state.busy:
        while state.drains:
            gen_server.reply(state.drains.pop(), None)


class Worker(Task[None], restart="permanent"):
    """Does one job after the other, on a thread of its own."""

    @classmethod
    def run(cls, arg: object, /) -> None:
        while True:
            work = gen_server.call(QUEUE, Pull(), None)
            gen_server.cast(QUEUE, Result(self_pid(), work()))


@dataclass(frozen=True)
class Options:
    """``limit`` jobs may wait, ``workers`` are done at a time."""

    limit: int
    workers: int


class Workers(Supervisor):
    """A job that fails costs a restart, so there may be many."""

    def init(self, arg: int) -> Any:
        workers = [ChildSpec(n, (Worker.start_link, (n,))) for n in range(arg)]
        return supervisor.init(workers, strategy="one_for_one", max_restarts=100, max_seconds=1.0)


class WorkQueue(Supervisor):
    """The queue and its workers: without the queue they have nothing to do."""

    def init(self, arg: Options) -> Any:
        children = [(Queue, arg.limit), (Workers, arg.workers)]
        return supervisor.init(children, strategy="rest_for_one")


# What users of the queue call.


def submit(work: Work) -> int:
    """The number of the job; waits while the queue is full. Raises ``Closed``."""
    number = gen_server.call(QUEUE, Submit(work), None)
    if number is None:
        raise Closed
    return number


def drain() -> None:
    """Take no more work, and wait until what there is is done."""
    gen_server.call(QUEUE, Drain(), None)
