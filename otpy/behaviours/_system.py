"""The receiving side of the ``sys`` protocol."""

from collections import deque
from typing import TYPE_CHECKING, Any

from otpy.runtime.body import reason_of
from otpy.runtime.mail import Call, Cast, From, System

if TYPE_CHECKING:
    from otpy.behaviours._loop import BehaviourLoop

DEFAULT_KEPT = 10  # events, when sys.log is only told True; as in OTP


class Debug:
    """What ``sys`` was asked to keep of a process's messages."""

    __slots__ = ("counts", "log")

    def __init__(self) -> None:
        self.counts: dict[str, int] | None = None
        self.log: deque[tuple[Any, ...]] | None = None

    def saw(self, item: Any) -> None:
        """One message came in."""
        if self.counts is not None:
            self.counts["messages_in"] += 1
        if self.log is not None:
            self.log.append(("in", _shape(item)))

    def answered(self, from_: From, reply: Any) -> None:
        """One reply went out."""
        if self.counts is not None:
            self.counts["messages_out"] += 1
        if self.log is not None:
            self.log.append(("out", reply, from_.pid))


def _shape(item: Any) -> Any:
    match item:
        case Call(from_, request):
            return ("$gen_call", from_.pid, request)
        case Cast(request):
            return ("$gen_cast", request)
        case _:
            return item


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
        case "statistics":
            return True, _statistics(loop, request)
        case "log":
            return True, _log(loop, request)
        case _:
            return False, ("unknown_system_msg", kind)


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


def _statistics(loop: "BehaviourLoop", request: Any) -> Any:
    if request == "get":
        counts = loop.debug.counts if loop.debug is not None else None
        return "no_statistics" if counts is None else dict(counts)
    loop.debug = loop.debug or Debug()
    loop.debug.counts = {"messages_in": 0, "messages_out": 0} if request else None
    return None


def _log(loop: "BehaviourLoop", request: Any) -> Any:
    if request == "get":
        return logged(loop)
    if request == "print":
        who = loop.proc.name or repr(loop.proc.pid)
        for event in logged(loop):
            print(f"*DBG* {who} {event!r}")
        return None
    keep = DEFAULT_KEPT if request is True else int(request)
    loop.debug = loop.debug or Debug()
    loop.debug.log = deque(logged(loop), maxlen=keep) if keep else None
    return None
