"""Which functions a node can run: those of the test's modules, however pytest loaded them."""

import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
from otpy import node
from {imports} import Note

def add(one, other):
    return one + other

def make(text):
    return Note(text)

def test_it(cluster):
    c = cluster(2)
    assert c.call("a", add, 1, 2) == 3
    assert c.call("b", make, "x") == Note("x")
    assert c.call("b", type, Note("y")) is Note
"""
NOTES = """
from dataclasses import dataclass

@dataclass
class Note:
    text: str
"""
FAILS = """
def say(text):
    print(text)
    raise SystemExit(text)

def test_it(cluster):
    c = cluster(1)
    c.call("a", say, "these words")
"""
SCRIPT = """
import sys
from otpy.testing import Cluster

def add(one, other):
    return one + other

if __name__ == "__main__":
    with Cluster(1) as c:
        print(c.call("a", add, 1, 2))
"""


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_a_test_of_a_package_is_loaded_by_nodes(pytester: pytest.Pytester, mode: str) -> None:
    pytester.mkpydir("inner")
    (pytester.path / "inner" / "notes.py").write_text(NOTES)
    (pytester.path / "inner" / "test_it.py").write_text(TEST.format(imports="inner.notes"))
    done = pytester.runpytest_subprocess(f"--import-mode={mode}", "-p", "no:randomly")
    done.assert_outcomes(passed=1)


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_a_test_that_no_path_leads_to_is_loaded_by_nodes(tmp_path: Path, mode: str) -> None:
    (tmp_path / "test_it.py").write_text(TEST.replace("from {imports} import Note", NOTES))
    # With -P the folder is not on the path, as when the command is pytest.
    done = run(tmp_path, "-P", "-m", "pytest", f"--import-mode={mode}", "-p", "no:randomly")
    assert done.returncode == 0, done.stdout


def test_a_failed_test_shows_the_logs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAILS)
    done = pytester.runpytest_subprocess("-p", "no:randomly")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*Log of cluster 1*", "*a@127.0.0.1*", "these words"])


def test_a_module_run_with_dash_m_is_loaded_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SCRIPT)
    done = run(tmp_path, "-m", "sums")
    assert (done.stdout, done.returncode) == ("3\n", 0)


def test_a_script_is_told_that_its_functions_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SCRIPT)
    done = run(tmp_path, "sums.py")
    assert done.returncode == 1
    assert "__main__ cannot be loaded by a node; move it to a module" in done.stderr


def test_what_a_node_cannot_import_is_told_by_the_call(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import sys, types, pytest
        from otpy import RemoteError

        def test_it(cluster):
            made = sys.modules["made_up"] = types.ModuleType("made_up")
            exec("def one(): return 1", vars(made))
            with pytest.raises(RemoteError, match="No module named 'made_up'"):
                cluster(1).call("a", made.one)
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
