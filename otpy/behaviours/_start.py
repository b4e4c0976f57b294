"""Starting a behaviour: the process, its name, and what ``init`` answers."""

import contextlib
from collections.abc import Callable
from typing import Any, NoReturn

from otpy.behaviours._loop import BehaviourLoop
from otpy.behaviours._module import CallbackModule
from otpy.behaviours.results import Ignore
from otpy.runtime import process
from otpy.runtime.mail import From
from otpy.runtime.record import NO_REPLY, REPLY, Process
from otpy.runtime.spawning import launch
from otpy.terms.errors import (
    AlreadyStarted,
    Ignored,
    NameTaken,
    NotAName,
    ReceiveTimeout,
    StartError,
)
from otpy.terms.messages import Exit
from otpy.terms.names import At, Global, Via, check_via
from otpy.terms.pid import Pid, Ref

TIMED_OUT = object()
FROM_INIT = "Ok(state), IGNORE or Stop(reason); a timeout= is seconds of at least 0, or None"


def await_reply(
    me: Process, timeout: float | None, give_up: Callable[[], None]
) -> tuple[bool, Any]:
    """The answer to the request under way; ``(False, TIMED_OUT)`` after ``give_up()``."""
    deadline = None if timeout is None else me.node.clock.now() + timeout
    while me.reply is None:
        if deadline is not None and me.node.clock.now() >= deadline:
            with me.owned:
                me.call_tag = 0
            if me.reply is None:
                give_up()
                return False, TIMED_OUT
            break
        me.park(REPLY, deadline)
    reply: tuple[bool, Any] = me.reply
    me.reply = None
    return reply


def start_and_wait(
    me: Process,
    how: str,
    loop: type[BehaviourLoop],
    module: type[CallbackModule],
    arg: Any,
    name: Any,
    timeout: float | None,
) -> tuple[Pid, Ref | None]:
    """Start a process and return when its ``init`` has; raises as ``gen_server.start_link``."""
    proc, ref = begin_start(me, how, loop, module, arg, name)
    ok, value = await_reply(me, timeout, lambda: None)
    if not ok:
        start_failed(how, proc.pid, ref, value, timeout)
    return proc.pid, ref


def begin_start(
    me: Process,
    how: str,
    loop: type[BehaviourLoop],
    module: type[CallbackModule],
    arg: Any,
    name: Any,
) -> tuple[Process, Ref | None]:
    """Start a process; its answer to ``me`` tells whether ``init`` went well.

    ``how``: "start", "start_link" or "start_monitor".
    """
    if isinstance(name, At) or not (name is None or isinstance(name, (str, type, Global, Via))):
        raise NotAName(f"name={name!r}; expected None, a str, a class, Global(...) or Via(...)")
    if isinstance(name, Via):
        check_via(name)
    if me.node.state != "running":
        me.node.check()
    tag = next(me.node.numbers)
    me.reply = NO_REPLY
    me.call_tag = tag
    local = name if isinstance(name, (str, type)) else None
    starter = From(me.pid, tag, me.pid)
    link = how == "start_link"
    parent = me.pid if link else None
    made = loop(module(), arg, parent, starter, None if local else name)
    return _launch(me, module, made, local, link, how == "start_monitor")


def _launch(
    me: Process,
    module: type[CallbackModule],
    loop: BehaviourLoop,
    local: Any,
    link: bool,
    monitor: bool,
) -> tuple[Process, Ref | None]:
    def attach(proc: Process) -> None:
        loop.proc = proc
        proc.standby_allowed = me.standby_allowed
        proc.handling = loop.starter

    try:
        return launch(
            me,
            module.kind,
            loop.module.init,
            server=loop,
            link=link,
            monitor=monitor,
            name=local,
            attach=attach,
        )
    except NameTaken:
        me.call_tag = 0
        holder = me.node.names.whereis(local)
        if holder is None:
            return _launch(me, module, loop, local, link, monitor)
        raise AlreadyStarted(holder) from None


def start_failed(
    how: str, pid: Pid, ref: Ref | None, value: Any, timeout: float | None
) -> NoReturn:
    """Raise what the answer to a start says, and leave nothing of the process."""
    if how == "start_link":
        process.unlink(pid)
        with contextlib.suppress(ReceiveTimeout):  # as OTP 26: the caller sees the error only
            process.take(Exit, where=lambda exit_: exit_.pid == pid)
    if ref is not None:
        process.demonitor(ref, flush=True)  # nobody could tell whose Down it is
    if value is TIMED_OUT:
        process.exit(pid, "kill")
        raise StartError("timeout", f"init took longer than {timeout} seconds")
    match value:
        case Ignore():
            raise Ignored()
        case ("already_started", Pid() as holder):
            raise AlreadyStarted(holder)
        case ("bad_return_value", got):
            raise StartError(value, f"init returned {got!r}; expected {FROM_INIT}")
        case ("bad_return", (module, "init", got)):
            raise StartError(
                value,
                f"{module.__qualname__}.init returned {got!r}; expected supervisor.init(...) or "
                "IGNORE",
            )
        case _:
            raise StartError(value)
