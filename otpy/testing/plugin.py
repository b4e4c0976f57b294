"""The pytest plugin: fixtures ``node``, ``start_supervised`` and ``capture_reports``.

With ``node`` the test itself is a process of a fresh node, so that
``process.receive`` and ``gen_server.call`` work in it.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from otpy.runtime.node import Node


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


@pytest.fixture
def node() -> Iterator[Node]:
    """A fresh node; the test is one of its processes. What is left running fails the test."""
    from otpy.cluster import global_
    from otpy.runtime._default import set_default_node

    fresh = Node("test@127.0.0.1").start()
    global_.start(fresh)
    set_default_node(fresh)
    try:
        with fresh.attached():
            yield fresh
    finally:
        set_default_node(None)
        orphans = fresh.stop()
    assert not orphans, f"bodies still running after the test: {orphans}"


@pytest.fixture
def capture_reports() -> Iterator[Reports]:
    """What otpy logged while the test ran."""
    handler = Reports()
    logger = logging.getLogger("otpy")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@pytest.fixture
def start_supervised(node: Node) -> Iterator[Callable[..., Any]]:
    """``start_supervised(child)`` starts a child under the test's own supervisor; its pid."""
    from otpy.behaviours import supervisor

    boss = supervisor.start_link([], strategy="one_for_one", max_restarts=1_000_000)

    def start(child: Any) -> Any:
        return supervisor.start_child(boss, child)

    yield start
    supervisor.stop(boss)
