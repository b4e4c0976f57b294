"""Fixtures of the runtime's tests."""

import sys
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads interrupt each other nearly anywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def done() -> Iterator[threading.Event]:
    """Lets go of what waits for it, at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()
