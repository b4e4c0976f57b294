"""The receiving side of the ``sys`` protocol.

Whatever comes is answered: nothing but "terminate" and what a function of ``replace_state``
makes of the state ends a process.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.behaviours._code_change import CodeChangeRefused
from otpy.behaviours._debug import Debug, is_debug_function, is_log, is_path, is_statistics
from otpy.runtime.body import reason_of
from otpy.runtime.mail import System
from otpy.terms.errors import NotSendable
from otpy.terms.values import is_tuple

if TYPE_CHECKING:
    from otpy.behaviours._loop import BehaviourLoop

DEFAULT_KEPT = 10  # events, when sys.log is only told True; as in OTP


def handle(loop: "BehaviourLoop", item: System) -> None:
    """Answer one system message."""
    from otpy.behaviours._loop import answer

    proc = loop.proc
    if item.kind == "terminate":
        # The caller learns of the end, and of its reason, by the death itself.
        proc.handling = item.from_
        loop.stop(item.request, None)
    ok, value = _ask(loop, item.kind, item.request)
    try:
        answer(proc, item.from_, ok, value)
    except NotSendable as error:
        answer(proc, item.from_, False, ("not_sendable", str(error)))


def _ask(loop: "BehaviourLoop", kind: str, request: Any) -> tuple[bool, Any]:
    match kind:
        case "get_state":
            return True, loop.get_state()
        case "replace_state":
            try:
                loop.replace_state(request(loop.get_state()))
            except BaseException as error:  # noqa: BLE001 - goes to the caller; the state stays
                return False, ("callback_failed", reason_of(error))
            return True, loop.get_state()
        case "suspend":
            loop.suspended = True
            return True, None
        case "resume":
            loop.suspended = False
            if loop.held:
                loop.proc.mailbox.extendleft(reversed(loop.held))
                loop.held = None
            return True, None
        case "get_status":
            return True, status(loop)
        case "change_code" if loop.suspended and is_change(request):
            return _change_code(loop, *request)
        case "change_code" if is_tuple(request):
            return False, ("unknown_system_msg", ("change_code", *request))
        case _ if kind in _DEBUGGING:
            return _debugged(loop, kind, request)
        case _:
            told = kind if request is None else (kind, request)
            return False, ("unknown_system_msg", told)


def _debugged(loop: "BehaviourLoop", kind: str, request: Any) -> tuple[bool, Any]:
    """Change or show what is done with the process's messages."""
    known, act = _DEBUGGING[kind]
    if not known(request):
        return False, ("unknown_debug", (kind, request))
    debug = loop.debug = loop.debug or Debug(loop.proc.name or loop.proc.pid)
    try:
        return act(debug, request)
    except Exception as error:  # noqa: BLE001 - a repr or a comparison of the asker's own: it hears of it
        return False, ("EXIT", reason_of(error))
    finally:
        if debug.idle:
            loop.debug = None


def is_change(request: object) -> bool:
    """Whether it is what ``sys.change_code`` sends."""
    return is_tuple(request) and len(request) == 3 and isinstance(request[0], type)


def status(loop: "BehaviourLoop") -> dict[str, Any]:
    """What ``sys.get_status`` gives."""
    shown = formatted(loop, "normal", {"log": logged(loop)})
    return {
        "pid": loop.proc.pid,
        "module": type(loop.module),
        "status": "suspended" if loop.suspended else "running",
        "parent": loop.parent,
        "dictionary": dict(loop.proc.dictionary or {}),
        **{key: shown[key] for key in (*loop.shown(), "log")},
    }


def formatted(loop: "BehaviourLoop", why: str, status: dict[str, Any]) -> dict[str, Any]:
    """``status`` and the state as the module's ``format_status`` wants them shown."""
    own = loop.shown()
    whole = {**own, **status}
    try:
        return {**whole, **loop.module.format_status(why, dict(whole))}
    except Exception as error:  # noqa: BLE001 - a broken format_status must hide neither a crash nor the status
        broken = f"{type(loop.module).__qualname__}.format_status raised {type(error).__name__}"
        return {**whole, **dict.fromkeys(own, f"{broken}: {error}")}


def logged(loop: "BehaviourLoop") -> list[Any]:
    """The events that ``sys.log`` made the process keep, the oldest first."""
    return list(loop.debug.log or ()) if loop.debug is not None else []


def _change_code(
    loop: "BehaviourLoop", module: type[Any], old_vsn: Any, extra: Any
) -> tuple[bool, Any]:
    try:
        if loop.standby is not None:  # ``init`` has made no state yet
            loop.run(loop.module.succeeded_by(module))
            return True, None
        changed, state = loop.module.changed_to(module, old_vsn, loop.get_state(), extra)
    except CodeChangeRefused as refused:
        return False, refused.reason
    except BaseException as error:  # goes to the caller; what was before stays
        if not loop.proc.alive:
            raise
        return False, ("EXIT", reason_of(error))
    loop.run(changed)
    loop.replace_state(state)
    return True, None


# Debugging: what each request does.


def _statistics(debug: Debug, request: Any) -> tuple[bool, Any]:
    if request == "get":
        return True, "no_statistics" if debug.counts is None else dict(debug.counts)
    debug.counts = {"messages_in": 0, "messages_out": 0} if request else None
    return True, None


def _log(debug: Debug, request: Any) -> tuple[bool, Any]:
    kept = list(debug.log or ())
    if request == "get":
        return True, kept
    if request == "print":
        for event in kept:
            print(debug.line(event))
        return True, None
    keep: int = DEFAULT_KEPT if request is True else int(request)
    debug.log = deque(kept, maxlen=keep) if keep else None
    return True, None


def _trace(debug: Debug, request: Any) -> tuple[bool, Any]:
    debug.trace = request
    return True, None


def _log_to_file(debug: Debug, request: Any) -> tuple[bool, Any]:
    try:
        debug.to_file(request or None)
    except (OSError, ValueError) as error:  # ValueError: no file can have that name
        return False, ("open_file", str(error))
    return True, None


def _install(debug: Debug, request: Any) -> tuple[bool, Any]:
    debug.install(*request)
    return True, None


def _remove(debug: Debug, request: Any) -> tuple[bool, Any]:
    debug.remove(request)
    return True, None


def _no_debug(debug: Debug, _: Any) -> tuple[bool, Any]:
    debug.counts = debug.log = None
    debug.trace = False
    debug.functions = []
    debug.to_file(None)
    return True, None


def _any(_: object) -> bool:
    return True


# What each may be asked, and what it does.
_DEBUGGING: dict[str, tuple[Callable[[object], bool], Callable[[Debug, Any], tuple[bool, Any]]]] = {
    "statistics": (is_statistics, _statistics),
    "log": (is_log, _log),
    "trace": (lambda flag: isinstance(flag, bool), _trace),
    "log_to_file": (is_path, _log_to_file),
    "install": (is_debug_function, _install),
    "remove": (_any, _remove),
    "no_debug": (_any, _no_debug),
}
