"""Telemetry events: handlers attached by name, called where the event happens."""

import logging
from collections.abc import Callable
from typing import Any

Handler = Callable[[str, dict[str, Any]], None]
LOG = logging.getLogger("otpy.telemetry")


class Events:
    """The emitter of one node."""

    def __init__(self) -> None:
        self.handlers: dict[str, dict[str, Handler]] = {}

    def attach(self, handler_id: str, event: str, handler: Handler) -> None:
        """Call ``handler(event, data)`` on each ``event`` until ``detach(handler_id)``."""
        self.handlers.setdefault(event, {})[handler_id] = handler

    def detach(self, handler_id: str) -> None:
        """Forget a handler."""
        for handlers in self.handlers.values():
            handlers.pop(handler_id, None)

    def emit(self, event: str, **data: Any) -> None:
        """Tell the handlers; one that raises is logged and detached."""
        for handler_id, handler in list(self.handlers.get(event, {}).items()):
            try:
                handler(event, data)
            except Exception:  # a broken observer must not break what it observes
                LOG.exception(
                    "telemetry handler %r raised on %r and was detached", handler_id, event
                )
                self.detach(handler_id)
