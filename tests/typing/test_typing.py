"""The type checkers are tested like code: what must check, and what must not."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOOD, BAD = HERE / "must_check.py", HERE / "must_not_check.py"
Lines = dict[str, set[int]]


def mypy() -> Lines:
    """The lines of each file in which mypy finds an error."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary"]
    found = subprocess.run(
        [*command, str(GOOD), str(BAD)], cwd=ROOT, capture_output=True, text=True
    )
    lines: Lines = {GOOD.name: set(), BAD.name: set()}
    for name, line in re.findall(r"(\w+\.py):(\d+): error", found.stdout):
        lines[name].add(int(line))
    return lines


def pyright() -> Lines:
    """The lines of each file in which pyright finds an error."""
    where = ["--project", str(HERE / "strict.json"), "--pythonpath", sys.executable]
    command = [sys.executable, "-m", "pyright", "--outputjson", *where]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines: Lines = {GOOD.name: set(), BAD.name: set()}
    for error in json.loads(found.stdout)["generalDiagnostics"]:
        if error["severity"] == "error":
            lines[Path(error["file"]).name].add(error["range"]["start"]["line"] + 1)
    return lines


@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_what_must_check_does_and_every_mistake_is_found(checker: Callable[[], Lines]) -> None:
    found = checker()
    assert found[GOOD.name] == set()
    marked = enumerate(BAD.read_text().splitlines(), 1)
    wrong = {number for number, line in marked if line.endswith("# wrong")}
    assert len(wrong) == 55
    assert found[BAD.name] == wrong
