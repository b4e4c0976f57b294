"""The receiving side of the ``sys`` protocol."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otpy.behaviours._code_change import CodeChangeRefused
from otpy.behaviours._debug import Debug
from otpy.runtime.body import reason_of
from otpy.runtime.mail import System

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
    answer(proc, item.from_, ok, value)


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
        case "change_code" if loop.suspended:
            return _change_code(loop, *request)
        case "change_code":
            return False, ("unknown_system_msg", ("change_code", *request))
        case _ if kind in _DEBUGGING:
            debug = loop.debug = loop.debug or Debug(loop.proc.name or loop.proc.pid)
            answered = _DEBUGGING[kind](debug, request)
            if debug.idle:
                loop.debug = None
            return answered
        case _:
            told = kind if request is None else (kind, request)
            return False, ("unknown_system_msg", told)


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
    keep = DEFAULT_KEPT if request is True else int(request)
    debug.log = deque(kept, maxlen=keep) if keep else None
    return True, None


def _trace(debug: Debug, request: Any) -> tuple[bool, Any]:
    debug.trace = request
    return True, None


def _log_to_file(debug: Debug, request: Any) -> tuple[bool, Any]:
    try:
        debug.to_file(request or None)
    except OSError as error:
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


_DEBUGGING: dict[str, Callable[[Debug, Any], tuple[bool, Any]]] = {
    "statistics": _statistics,
    "log": _log,
    "trace": _trace,
    "log_to_file": _log_to_file,
    "install": _install,
    "remove": _remove,
    "no_debug": _no_debug,
}
