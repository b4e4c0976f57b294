"""Fixtures of the runtime's tests."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads interrupt each other nearly anywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
