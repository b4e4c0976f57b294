"""The benchmark still runs."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_quick_run_measures_otpy_beside_pykka(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", "call"]
    subprocess.run([*command, "--json", str(target)], check=True, timeout=100, capture_output=True)
    figures = json.loads(target.read_text())["seconds"]["call"]
    assert {"otpy green", "otpy thread", "Pykka"} <= set(figures)
    assert all(seconds > 0 for seconds in figures.values())
