"""What was logged: the reports of otpy, and the text of everything."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
FORMAT = "[%(levelname)s] %(name)s: %(message)s"


class Reports(logging.Handler):
    """The otpy reports logged during a test; ``setLevel(logging.INFO)`` adds progress."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        """The texts, without tracebacks."""
        return [record.getMessage() for record in self.records]

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The structured reports."""
        return [
            vars(record)["otpy_report"] for record in self.records if hasattr(record, "otpy_report")
        ]

    def labelled(self, label: str) -> list[dict[str, Any]]:
        """The structured reports of one kind: "gen_server_terminate", "child_terminated" ..."""
        return [report for report in self.reports if report["label"] == label]


@contextmanager
def listening(name: str, handler: logging.Handler, level: int) -> Generator[None, None, None]:
    """Give a logger a handler for the time of a block, and let it hear ``level`` and above."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    if logger.getEffectiveLevel() > level:
        logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class Log(logging.Handler):
    """The text of what is logged while it listens."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.setFormatter(logging.Formatter(FORMAT))
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record's text."""
        self._lines.append(self.format(record))

    @property
    def text(self) -> str:
        """All of it, a record a line, with tracebacks."""
        return "".join(f"{line}\n" for line in self._lines)

    def __contains__(self, part: str) -> bool:
        return part in self.text


@contextmanager
def capture_log(level: int = logging.DEBUG, logger: str = "") -> Generator[Log, None, None]:
    """Keep what every process and thread logs during the block: ExUnit's ``capture_log``.

    ``with capture_log() as log: ...``, then ``log.text``. ``level`` and above, of one
    ``logger`` and those below it, by default of all. Blocks may be nested.
    """
    log = Log(level)
    with listening(logger, log, level):
        yield log


def with_log(fn: Callable[[], T], level: int = logging.DEBUG, logger: str = "") -> tuple[T, str]:
    """``fn()``'s result and what was logged while it ran: ExUnit's ``with_log``."""
    with capture_log(level, logger) as log:
        result = fn()
    return result, log.text
