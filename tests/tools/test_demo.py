"""The main job: ``otpy demo``, on real OS processes."""

import subprocess
import sys


def test_the_demo_ends_by_itself_with_one_leader_and_leaves_nothing_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "otpy.tools.cli", "demo", "--plain"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    for line, words in zip(
        lines, ("one leader", "kill -9", "took over", "came back", "split", "healed"), strict=True
    ):
        assert words in line
    for number in (0, 3, 5):
        assert lines[number].count(":leader") == 1
        assert lines[number].count(":standby") == 2
    assert lines[4].count(":leader") == 2
