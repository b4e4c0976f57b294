"""The one table, and what the JSON file holds."""

import os
import platform
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, Literal

Unit = Literal["op", "s", "B", "core"]  # seconds for one operation, seconds, bytes, cores in use
PEERS = ("BEAM", "Pykka")
WIDTHS = (22, 26, 11, 11, 8, 8)
HEAD = ("row", "candidate", "figure", "per second", "/ BEAM", "/ Pykka")


@dataclass
class Figure:
    """One candidate's result in one row."""

    row: str
    candidate: str
    unit: Unit
    value: float | None = None
    rounds: list[float] = field(default_factory=list[float])
    skipped: str = ""
    reach: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Reach:
    """What must be reached: at most ``limit``, times the peer's figure where one is named."""

    text: str
    limit: float
    peer: str = ""


def figures(row: str, unit: Unit, taken: Mapping[str, list[float]]) -> list[Figure]:
    """The median of each candidate's rounds."""
    return [
        Figure(row, name, unit, statistics.median(rounds), rounds) for name, rounds in taken.items()
    ]


def judge(made: list[Figure], candidate: str, *reaches: Reach) -> None:
    """Put what must be reached, and whether all of it was, beside a candidate's figure."""
    values = {figure.candidate: figure.value for figure in made}
    for figure in made:
        if figure.candidate == candidate:
            figure.reach = ", ".join(reach.text for reach in reaches)
            verdicts = [_judged(figure.value, reach, values) for reach in reaches]
            if False in verdicts:
                figure.met = False
            elif None not in verdicts:
                figure.met = True


def _judged(value: float | None, reach: Reach, values: Mapping[str, float | None]) -> bool | None:
    base = values.get(reach.peer) if reach.peer else 1.0
    return None if value is None or base is None else value <= reach.limit * base


def shown(value: float, unit: Unit) -> str:
    """A figure with its unit."""
    if unit == "B":
        return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value:,.0f} B"
    if unit == "core":
        return f"{value:.3f} cores"
    for factor, name in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.2f} {name}"
    return f"{value * 1e6:.2f} µs"


def _cells(cells: tuple[str, ...]) -> str:
    left = [f"{cell:<{width}}" for cell, width in zip(cells[:2], WIDTHS[:2], strict=True)]
    right = [f"{cell:>{width}}" for cell, width in zip(cells[2:6], WIDTHS[2:], strict=True)]
    return " ".join((*left, *right, " " + cells[6])).rstrip()


def head() -> str:
    """The table's first line."""
    return _cells((*HEAD, "reach"))


def _verdict(figure: Figure) -> str:
    if not figure.reach:
        return ""
    word = {True: "met", False: "MISSED", None: "not judged"}[figure.met]
    return f"{figure.reach}: {word}"


def line(figure: Figure, made: list[Figure]) -> str:
    """One candidate's line; ``made`` are the figures of the same run."""
    if figure.value is None:
        skipped = f"skipped: {figure.skipped}"
        return _cells((figure.row, figure.candidate, "-", "", "", "", skipped))
    beside = {f.candidate: f.value for f in made if f.row == figure.row}
    ratios: list[str] = []
    for peer in PEERS:
        other = beside.get(peer)
        ratios.append(f"{figure.value / other:.2f}" if other else "")
    rate = f"{1 / figure.value:,.0f}" if figure.unit == "op" else ""
    cells = (figure.row, figure.candidate, shown(figure.value, figure.unit), rate, *ratios)
    return _cells((*cells, _verdict(figure)))


def document(made: list[Figure], plan: Any, beam: str) -> dict[str, Any]:
    """Everything, for the JSON file."""
    versions = {name: metadata.version(name) for name in ("otpy-actors", "Pykka", "pyzmq")}
    facts = {
        "python": sys.version,
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "switch_interval": sys.getswitchinterval(),
        "beam": beam,
        "versions": versions,
    }
    return {"machine": facts, "plan": asdict(plan), "figures": [asdict(f) for f in made]}
