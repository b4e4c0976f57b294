"""What a node knows of applications: those loaded, their environment, those that run.

Read by anybody without a message. ``started``, ``running`` and ``starting`` are changed by the
application controller only; all changes are made under the lock.
"""

import threading
from pathlib import Path
from typing import Any

from otpy.behaviours._app_spec import ApplicationSpec
from otpy.runtime._current import current_or_none
from otpy.runtime._default import near_node
from otpy.terms.errors import ApplicationError
from otpy.terms.pid import Pid


class Tables:
    """The tables of one node."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.loaded: dict[str, ApplicationSpec] = {}
        self.env: dict[str, dict[str, Any]] = {}
        self.persistent: dict[str, dict[str, Any]] = {}
        self.places: list[Path] = []
        self.started: dict[str, str] = {}  # with their types; also those that have crashed since
        self.running: dict[str, Pid | None] = {}  # in the order of their start
        self.starting: dict[str, Pid | None] = {}
        self.hooked = False

    def load(self, spec: ApplicationSpec) -> None:
        """Take a specification and its environment. Raises ``ApplicationError``."""
        name = spec.name
        with self.lock:
            if name in self.loaded:
                raise ApplicationError(
                    ("already_loaded", name), f"application {name!r} is loaded already"
                )
            self.loaded[name] = spec
            kept = {**self.env.get(name, {}), **spec.env, **self.persistent.get(name, {})}
            self.env[name] = kept

    def unload(self, name: str) -> None:
        """Forget it, with what it includes. Raises ``ApplicationError``."""
        with self.lock:
            if name in self.running or name in self.starting:
                raise ApplicationError(
                    ("running", name), f"application {name!r} runs; stop it before it is unloaded"
                )
            spec = self.loaded.pop(name, None)
            if spec is None:
                raise ApplicationError(("not_loaded", name), f"application {name!r} is not loaded")
            self.env.pop(name, None)
            self.started.pop(name, None)
            for included in spec.included_applications:
                if included in self.loaded:
                    self.unload(included)

    def put(self, config: dict[str, dict[str, Any]], persistent: bool) -> None:
        """Set values, all or none."""
        with self.lock:
            for name, values in config.items():
                # A new dict: who reads or iterates one is not disturbed.
                self.env[name] = {**self.env.get(name, {}), **values}
                if persistent:
                    self.persistent[name] = {**self.persistent.get(name, {}), **values}

    def delete(self, name: str, key: str, persistent: bool) -> None:
        """Take a value away."""
        tables = [self.env, self.persistent] if persistent else [self.env]
        with self.lock:
            for table in tables:
                table[name] = {k: v for k, v in table.get(name, {}).items() if k != key}


def tables() -> Tables:
    """The tables of the node of whoever runs here; a plain thread's is the default node."""
    proc = current_or_none()
    if proc is not None and not proc.alive:
        proc.raise_dead()
    return near_node().own(Tables)
