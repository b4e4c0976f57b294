"""The main job: ``otpy demo``, on real OS processes."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otpy.cluster.start import start_node
from otpy.testing.waiting import eventually


def test_the_demo_ends_by_itself_with_one_leader_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    with demo(tmp_path) as child:
        told, errors = child.communicate(timeout=100)
    assert child.returncode == 0, f"{told}\n{errors}"
    assert "KeyboardInterrupt" not in errors  # nodes may have something to report; not this
    assert left_behind(tmp_path) == []
    lines = told.splitlines()
    assert len(lines) == 6
    for line, words in zip(
        lines, ("one leader", "kill -9", "took over", "came back", "split", "healed"), strict=True
    ):
        assert words in line
    for number in (0, 3, 5):
        assert lines[number].count(":leader") == 1
        assert lines[number].count(":standby") == 2
    assert lines[4].count(":leader") == 2


def demo(tmp_path: Path, *options: str, **more: Any) -> "subprocess.Popen[str]":
    """The demo as a user starts it at a prompt, with its files below ``tmp_path``."""
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-m", "otpy.tools.cli", "demo", "--plain", *options],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        **more,
    )


def left_behind(tmp_path: Path) -> list[str]:
    """Files of the demo, and processes that were started with them."""
    found = [str(path) for path in tmp_path.iterdir()]
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if str(tmp_path) in line.read_text():
                found.append(line.read_text())
    return found


def until_line(child: "subprocess.Popen[str]", words: str) -> str:
    assert child.stdout is not None
    for line in child.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}")


@pytest.mark.parametrize(
    ("number", "options", "at", "code"),
    [
        (signal.SIGINT, ("--keep",), "joins", 0),
        (signal.SIGINT, (), "one leader", 130),
        (signal.SIGTERM, ("--keep",), "joins", 143),
        (signal.SIGTERM, (), "one leader", 143),
        (signal.SIGHUP, ("--keep",), "joins", 129),
    ],
)
def test_a_signal_ends_the_demo_quietly_and_nothing_is_left_behind(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...], at: str, code: int
) -> None:
    with demo(tmp_path, *options) as child:
        until_line(child, at)
        os.killpg(child.pid, number)  # as a terminal does
        _, errors = child.communicate(timeout=60)
    assert "KeyboardInterrupt" not in errors  # nodes may have something to report; not this
    assert child.returncode == code
    eventually(lambda: not left_behind(tmp_path))


def test_a_reader_that_goes_away_ends_the_demo_with_one_line(tmp_path: Path) -> None:
    with demo(tmp_path) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.stderr is not None
        errors = child.stderr.read()
        assert child.wait(60) == 1
    assert "otpy demo: cannot write: [Errno 32] Broken pipe\n" in errors
    assert "BrokenPipeError" not in errors
    eventually(lambda: not left_behind(tmp_path))


def test_a_closed_output_is_one_line_too() -> None:
    command = f"'{sys.executable}' -m otpy.tools.cli demo >&-"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (1, "otpy demo: standard output is closed\n")


def test_the_cluster_that_is_kept_shows_a_kill_and_can_be_joined(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep") as child:
        leader = until_line(child, "stays up").split(":leader")[0].split()[-1]
        os_pid = int(until_line(child, f"ends {leader}@").split()[2])
        joining = until_line(child, "joins").strip().removesuffix(" joins")
        with eval(joining, {"start_node": start_node}) as node:
            eventually(lambda: len(node.router.nodes()) == 3)
            os.kill(os_pid, signal.SIGKILL)
            assert f"{leader}:dead" in until_line(child, f"{leader}:dead")
        os.kill(child.pid, signal.SIGINT)
        child.communicate(timeout=60)
    assert child.returncode == 0
    eventually(lambda: not left_behind(tmp_path))
