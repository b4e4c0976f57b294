"""The receiving side of the ``sys`` protocol."""

from collections import deque
from typing import TYPE_CHECKING, Any

from otpy.runtime.body import reason_of
from otpy.runtime.mail import System

if TYPE_CHECKING:
    from otpy.behaviours._loop import Loop


class Debug:
    """What ``sys`` was asked to keep of a process's messages."""

    __slots__ = ("log", "messages_in")

    def __init__(self) -> None:
        self.messages_in: int | None = None
        self.log: deque[Any] | None = None

    def saw(self, loop: "Loop", item: Any) -> None:
        """One message came in."""
        if self.messages_in is not None:
            self.messages_in += 1
        if self.log is not None:
            self.log.append(item)


def handle(loop: "Loop", item: System) -> None:
    """Answer one system message."""
    from otpy.behaviours._loop import answer

    proc = loop.proc
    if item.kind == "terminate":
        # The caller learns of the end, and of its reason, by the death itself.
        proc.handling = item.from_
        loop.stop(item.request, None)
    ok, value = _ask(loop, item.kind, item.request)
    answer(proc, item.from_, ok, value)


def _ask(loop: "Loop", kind: str, request: Any) -> tuple[bool, Any]:
    match kind:
        case "get_state":
            return True, loop.state
        case "replace_state":
            try:
                loop.state = request(loop.state)
            except BaseException as error:  # noqa: BLE001 - goes to the caller; the state stays
                return False, ("callback_failed", reason_of(error))
            return True, loop.state
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


def status(loop: "Loop") -> dict[str, Any]:
    """What ``sys.get_status`` gives."""
    shown = loop.module.format_status("normal", {"state": loop.state})
    return {
        "pid": loop.proc.pid,
        "module": type(loop.module),
        "status": "suspended" if loop.suspended else "running",
        "parent": loop.parent,
        "dictionary": dict(loop.proc.dictionary or {}),
        "state": shown["state"],
    }


def _statistics(loop: "Loop", request: Any) -> Any:
    if request == "get":
        counted = loop.debug.messages_in if loop.debug is not None else None
        return "no_statistics" if counted is None else {"messages_in": counted}
    loop.debug = loop.debug or Debug()
    loop.debug.messages_in = 0 if request else None
    return None


def _log(loop: "Loop", request: Any) -> Any:
    if request == "get":
        kept = loop.debug.log if loop.debug is not None else None
        return list(kept or ())
    loop.debug = loop.debug or Debug()
    loop.debug.log = deque(maxlen=int(request)) if request else None
    return None
