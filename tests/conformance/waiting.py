"""Bodies that wait, and waiting for ends."""

from typing import Any

import pytest

from otpy import Down, ReceiveTimeout, process
from tests.conformance.conftest import Runner


def wait() -> None:
    process.receive()


def nothing_more() -> None:
    with pytest.raises(ReceiveTimeout):
        process.receive(timeout=0)


def ended(run: Runner) -> Any:
    pid, _ = process.spawn_monitor(lambda: None, green=run.green)
    process.receive(Down, timeout=5)
    return pid


def gone(pid: Any) -> None:
    """Return when the process is dead and its signals have come."""
    ref = process.monitor(pid)
    process.receive(Down, where=lambda down: down.ref == ref, timeout=5)
