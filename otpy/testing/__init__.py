"""The test kit: a pytest plugin and what tests need beside it (L6)."""

from otpy.testing.waiting import eventually as eventually
