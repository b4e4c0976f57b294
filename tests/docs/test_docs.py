"""Every block of the documentation that says ``python run`` or ``python pytest`` runs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def blocks(kind: str) -> list[Any]:
    """The blocks of a kind, by page."""
    pattern = re.compile(rf"```python {kind}\n(.*?)```", re.DOTALL)
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, text in enumerate(pattern.findall(page.read_text()))
    ]


@pytest.mark.parametrize("text", blocks("run"))
def test_an_example_of_the_documentation_runs(text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks("pytest"))
def test_a_test_of_the_documentation_passes_or_cannot_run_here(
    text: str, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(text)
    done = pytester.runpytest_subprocess("-p", "no:randomly")
    outcomes = done.parseoutcomes()
    assert outcomes.keys() <= {"passed", "skipped", "warning", "warnings"}, done.stdout.str()
    assert outcomes.get("passed", 0) + outcomes.get("skipped", 0) == 1


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_architecture_names_every_file() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`(?:\w+/)*(\w+\.py)`", page))
    there = {file.name for file in (ROOT / "otpy").rglob("*.py")} - {"__init__.py"}
    assert named == there | {"__init__.py"}


def test_each_row_of_what_a_split_does_is_shown_by_a_test() -> None:
    page = (ROOT / "docs" / "elections.md").read_text()
    table = page.partition("| way |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    tests = (ROOT / "tests" / "chaos" / "test_splits.py").read_text()
    shown = re.findall(r'"""(.+?): ', tests.partition('"""\n')[2])
    assert set(shown) == set(rows)
