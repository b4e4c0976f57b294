"""Every conformance test is named by a line of the contract."""

import re
from pathlib import Path

LINES = {
    "proc": 61, "link": 17, "mon": 19, "timerb": 11, "gs": 72, "sys": 12, "plib": 13, "log": 16,
    "sup": 71, "dsup": 19, "psup": 11, "reg": 26, "agent": 10, "task": 32, "tsup": 9,
    "statem": 31, "tmr": 14, "app": 25, "node": 15, "rpc": 10, "erpc": 13, "glob": 22, "pg": 18,
    "test": 18,
}  # fmt: skip


def test_every_test_here_names_a_line_that_exists() -> None:
    found = 0
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file.name == Path(__file__).name:
            continue
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M):
            match = re.match(r"test_([a-z]+)_(\d\d)_\w+", name)
            assert match, f"{file.name}: {name} names no line of the contract"
            assert 1 <= int(match[2]) <= LINES[match[1]], f"{file.name}: {name}"
            found += 1
    assert found > 100
