"""Rows about what one pays before anything runs: the import, and the disk."""

import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

import otpy
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge

IMPORTS = {
    "import otpy": "import otpy",
    "otpy, a node and a mesh": (
        "from otpy import GenServer, Node, gen_server, supervisor, global_; "
        "from otpy.distribution.start import start_mesh"
    ),
    "Pykka": "import pykka",
}
CORE = ("otpy-actors", "greenlet", "msgspec", "pykka", "pyzmq", "tenacity")


def _import(code: str) -> float:
    timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", timed], capture_output=True, text=True, check=True, timeout=60
    )
    return float(done.stdout)


def installed_size(name: str) -> int:
    """Bytes of a distribution's files."""
    files = {Path(str(file.locate())).resolve() for file in metadata.files(name) or ()}
    if name == "otpy-actors":  # an editable install lists no sources
        files.update(Path(otpy.__file__).parent.rglob("*.py"))
    return sum(file.stat().st_size for file in files if file.is_file())


def import_(plan: Plan) -> list[Figure]:
    """Seconds of an import in a fresh interpreter, and the installed size."""
    candidates = {name: partial(_import, code) for name, code in IMPORTS.items()}
    made = figures("import", "s", alternate(candidates, plan.rounds))
    judge(made, "import otpy", Reach("< 150 ms", 0.150))
    sizes = [float(installed_size(name)) for name in CORE]
    disk = [
        Figure("installed", name, "B", size, [size]) for name, size in zip(CORE, sizes, strict=True)
    ]
    disk.append(Figure("installed", "otpy and all it needs", "B", sum(sizes), [sum(sizes)]))
    judge(disk, "otpy and all it needs", Reach("< 15 MB", 15e6))
    return made + disk
