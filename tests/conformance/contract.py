"""The contract: what OTP's and Elixir's own test suites assert, one line each.

``contract.txt`` has a line for each: its id, "core" or "edge", and the sentence.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ID = re.compile(r"\b[A-Z]+-\d\d\b")
NOT_THERE_YET = "## Not there yet"


@dataclass(frozen=True, slots=True)
class Line:
    """One behaviour."""

    id: str
    core: bool
    sentence: str

    @property
    def section(self) -> str:
        """The part of OTP that it belongs to: ``GS``, ``SUP``."""
        return self.id.split("-")[0]


def _line(text: str) -> Line:
    number, weight, sentence = text.split(" ", 2)
    return Line(number, weight == "core", sentence)


LINES = {
    line.id: line
    for line in map(_line, (HERE / "contract.txt").read_text(encoding="utf-8").splitlines())
}


def named_tests() -> dict[str, list[str]]:
    """The conformance tests, by the id in their name; "" has those that name none."""
    found: dict[str, list[str]] = {}
    for file in sorted(HERE.glob("test_*.py")):
        if file.name == "test_contract_ids.py":
            continue
        module = ast.parse(file.read_text(encoding="utf-8"))  # not text: a test may hold a test
        functions = (part for part in module.body if isinstance(part, ast.FunctionDef))
        for name in (function.name for function in functions):
            if not name.startswith("test_"):
                continue
            match = re.match(r"test_([a-z]+)_(\d\d)_\w", name)
            key = f"{match[1].upper()}-{match[2]}" if match else ""
            found.setdefault(key, []).append(f"{file.name}: {name}")
    return found


def departures() -> tuple[dict[str, None], dict[str, None]]:
    """The ids in docs/departures.md: what is otherwise on purpose, and what is not there yet."""
    text = (HERE.parents[1] / "docs" / "departures.md").read_text(encoding="utf-8")
    assert text.count(NOT_THERE_YET) == 1, f"docs/departures.md needs one {NOT_THERE_YET!r}"
    on_purpose, later = text.split(NOT_THERE_YET)
    return dict.fromkeys(ID.findall(on_purpose)), dict.fromkeys(ID.findall(later))
