"""The mesh between OS processes that stall, split and die keeps its promises.

``OTPY_CHAOS_SEED`` repeats a run's harm; ``OTPY_CHAOS_SECONDS`` makes it longer.
"""

import os
import secrets
from pathlib import Path

import pytest

from tests.chaos.driver import HARM, Chaos

SECONDS = float(os.environ.get("OTPY_CHAOS_SECONDS", "7"))
TRIES = 3  # seeds that a broken mesh may need to show it


def seed() -> int:
    return int(os.environ.get("OTPY_CHAOS_SEED") or secrets.randbits(32))


def test_sessions_hold_while_nodes_are_cut_stalled_and_killed(tmp_path: Path) -> None:
    drawn = seed()
    print(f"OTPY_CHAOS_SEED={drawn}")
    with Chaos(tmp_path, drawn) as chaos:
        chaos.play(SECONDS)
        total, downs = chaos.totals("total"), chaos.totals("downs")
        print(f"{total} messages, {downs} NodeDowns, {dict(chaos.done)}")
        assert chaos.violations == [], chaos.story()
        assert set(chaos.done) == {kind for kind, _, _, _ in HARM}
        assert total > 200 * SECONDS, chaos.story()
        assert downs >= SECONDS / 2, chaos.story()  # a busy machine is slow to connect again


@pytest.mark.parametrize(
    ("how", "words"),
    [("stale", "outside a session"), ("lossy", "a gap"), ("twice", "or twice")],
)
def test_a_mesh_without_its_rules_is_found_out(how: str, words: str, tmp_path: Path) -> None:
    for attempt in range(TRIES):
        drawn = seed() + attempt
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with Chaos(folder, drawn, break_mesh=how) as chaos:
            chaos.play(SECONDS, until_violated=True)
            print(f"OTPY_CHAOS_SEED={drawn}", *chaos.violations, sep="\n")
            if any(words in text for text in chaos.violations):
                return
    pytest.fail(f"{TRIES} runs of a {how} mesh and no {words!r}")
