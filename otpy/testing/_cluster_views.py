"""Waiting until the nodes of a cluster see whom they should, and nobody else."""

import time
from dataclasses import dataclass

from otpy.distribution.codec import encode
from otpy.testing import _cluster_node as there
from otpy.testing._cluster_program import ClusterFailed, Program, named

ANSWER = 10.0  # seconds that an answer may take beyond the wait


@dataclass
class Expected:
    """Whom a node should see, and whom not."""

    program: Program
    present: list[str]
    absent: list[str]


def await_views(expected: list[Expected], timeout: float) -> None:
    """Return when every node sees what it should. Raises ``ClusterFailed``."""
    until = time.monotonic() + timeout
    while True:
        wrong = _views(expected, max(0.0, until - time.monotonic()))
        # They were right one after the other; an old session may have ended meanwhile.
        if not wrong and not (wrong := _views(expected, 0.0)):
            return
        if time.monotonic() >= until:
            raise ClusterFailed("\n".join([f"not so within {timeout} s:", *wrong]))


def _views(expected: list[Expected], timeout: float) -> list[str]:
    """What is wrong when each has seen what it should, or ``timeout`` has passed."""
    asked = [
        one.program.ask(
            "call", *named(there.see), False, encode((one.present, one.absent, timeout))
        )
        for one in expected
    ]
    wrong: list[str] = []
    for one, number in zip(expected, asked, strict=True):
        how, nodes = one.program.answer(number, timeout + ANSWER)
        if how != "ok":
            wrong.append(f"{one.program.name} cannot be asked: {nodes}")
        elif not set(one.present) <= set(nodes) or set(one.absent) & set(nodes):
            wrong.append(
                f"{one.program.name} sees {nodes}; expected {one.present}, without {one.absent}"
            )
    return wrong
