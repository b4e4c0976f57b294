"""The discovery thread of a node: it asks the strategies, so that the I/O thread never waits."""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from otpy.distribution.discovery._strategy import (
    Here,
    OpenDirectory,
    Opened,
    Opens,
    Strategy,
    Tell,
)
from otpy.distribution.transport import Transport
from otpy.machines.discovery import Entry, merged, wrong
from otpy.runtime.ports import Clock
from otpy.terms.errors import BadArgument
from otpy.terms.pid import Creation

LOG = logging.getLogger("otpy.discovery")
TICK = 0.25  # seconds between looks
PATIENCE = 1.0  # seconds that the end of a node waits for a look that is under way


class Asked:
    """One strategy, what it gave last, and whether its failure has been told of."""

    def __init__(self, strategy: str, finder: Strategy) -> None:
        self.strategy = strategy
        self.finder = finder
        self.last: list[Entry] = []
        self.complained = False

    def ask(self, me: str, ending: threading.Event) -> None:
        """See what it finds now. Once the node ends, it may have been closed meanwhile."""
        try:
            self.last = _checked(self.finder.found())
            self.complained = False
        except Exception as error:  # noqa: BLE001 - logged, and the other strategies are asked
            if not self.complained and not ending.is_set():
                self.complained = True
                LOG.warning(
                    "%s: %s fails, what it found last stays (%s): %s: %s",
                    me,
                    self.strategy,
                    ", ".join(entry.name for entry in self.last) or "nothing",
                    type(error).__name__,
                    error,
                )


def _checked(found: Any) -> list[Entry]:
    if not isinstance(found, (list, tuple)):
        raise BadArgument(f"found() gave {found!r:.80}; expected a list of Entry")
    entries: list[Any] = list(found)  # pyright: ignore[reportUnknownArgumentType]
    for entry in entries:
        why = wrong(entry)
        if why is not None:
            raise BadArgument(f"found() gave [{entry!r:.80}]: {why}")
    return entries


def check_strategies(given: Any) -> list[Strategy | Opens]:
    """``discovery=`` if it is a list of strategies; raises ``BadArgument``."""
    if not isinstance(given, (list, tuple)):
        raise BadArgument(f"discovery={given!r:.80}; expected a list of strategies")
    strategies: list[Any] = list(given)  # pyright: ignore[reportUnknownArgumentType]
    for strategy in strategies:
        finds = callable(getattr(strategy, "found", None)) or isinstance(strategy, Opens)
        if isinstance(strategy, type) or not finds:
            raise BadArgument(
                f"discovery=[{strategy!r:.80}]; expected Static(...), Dns(...), Gossip(...), "
                "LocalDirectory(...), or an object with found()"
            )
    return strategies


class Looking:
    """What finds the other nodes, on a thread of its own."""

    def __init__(self, strategies: Sequence[Strategy | Opens], cookie: str, clock: Clock) -> None:
        self._strategies = strategies
        self._cookie = cookie
        self._clock = clock
        self._asked: list[Asked] = []
        self._opened: list[Opened] = []
        self._leaving = False
        self._ending = threading.Event()
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, here: Entry, life: Creation, wire: Transport, tell: Tell) -> None:
        """Open the strategies and begin. What one raises comes up, and the others are closed."""
        place = Here(here, life, self._cookie, self._clock)
        try:
            for strategy in self._strategies:
                finder: Any = strategy
                if isinstance(strategy, Opens):
                    finder = strategy.open(place)
                    self._opened.append(finder)
                self._asked.append(Asked(repr(strategy), finder))
        except BaseException:
            self._close_all()
            raise
        work = partial(self._main, here.name, wire, tell)
        name = f"otpy-discovery-{here.name}"
        self._thread = threading.Thread(target=work, name=name, daemon=True)
        self._thread.start()

    def _main(self, me: str, wire: Transport, tell: Tell) -> None:
        while not self._ending.is_set():
            for asked in self._asked:
                asked.ask(me, self._ending)
                if self._ending.is_set():
                    break
            else:
                found = merged(asked.last for asked in self._asked)
                wire.soon(partial(tell, found))
                self._looked.set()
                self._ending.wait(TICK)
        if self._leaving:
            self._each(lambda finder: finder.leave())

    def _each(self, do: Callable[[Opened], None]) -> None:
        for finder in self._opened:
            try:
                do(finder)
            except Exception:  # it may be a user's; the others must be told, too
                LOG.exception("%r cannot leave off", finder)

    def get(self, name: str) -> Entry | None:
        """Where a node is: the directory knows at once, of the others it is what they said last."""
        for asked in self._asked:
            if isinstance(asked.finder, OpenDirectory):
                entry = asked.finder.get(name)
            else:
                entry = next((entry for entry in asked.last if entry.name == name), None)
            if entry is not None:
                return entry
        return None

    def first(self, seconds: float) -> list[Entry]:
        """Who there is, once every strategy was asked; waits at most so many seconds."""
        self._looked.wait(seconds)
        return merged(asked.last for asked in self._asked)

    def leave(self) -> None:
        """Look no more, and be found no more; it does not wait for that."""
        self._leaving = True
        self._ending.set()

    def close(self) -> None:
        """End the thread, and close what was opened."""
        self._ending.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)
        self._close_all()

    def _close_all(self) -> None:
        self._each(lambda finder: finder.close())
        self._opened = []
