"""``python -m tests.benchmarks``: otpy beside its peers, in one run.

Rounds alternate between the candidates; the figure is the median. Ratios count,
absolute times depend on the machine.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import peers

Measure = Callable[[int], float]  # operations -> seconds for one

CALLS: dict[str, tuple[Measure, int]] = {
    "otpy green": (peers.green_call, 20_000),
    "otpy thread": (peers.thread_call, 2_000),
    "otpy async": (peers.async_call, 5_000),
    "Pykka": (peers.pykka_call, 2_000),
    "asyncio actor": (peers.asyncio_call, 5_000),
}
CASTS: dict[str, tuple[Measure, int]] = {
    "otpy green": (peers.green_cast, 50_000),
    "otpy thread": (peers.thread_cast, 20_000),
    "Pykka": (peers.pykka_cast, 10_000),
    "asyncio actor": (peers.asyncio_cast, 50_000),
}
STARTS: dict[str, tuple[Measure, int]] = {
    "otpy green": (peers.green_start_stop, 5_000),
    "otpy thread": (peers.thread_start_stop, 500),
    "Pykka": (peers.pykka_start_stop, 500),
}
ROWS = {"call": CALLS, "cast": CASTS, "start_stop": STARTS}


def hog(stop: threading.Event) -> None:
    """Pure Python that never waits."""
    while not stop.is_set():
        sum(range(1000))


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Run with so many hog threads."""
    stop = threading.Event()
    threads = [threading.Thread(target=hog, args=(stop,), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def beam(row: str, rounds: int) -> float | None:
    """The same on the real BEAM, None where Elixir is not installed."""
    elixir = shutil.which("elixir")
    if elixir is None:
        return None
    script = Path(__file__).with_name("beam.exs")
    done = subprocess.run(
        [elixir, str(script), row, str(rounds)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return float(done.stdout.strip())


def measure(row: str, rounds: int, quick: bool, busy: int) -> dict[str, float]:
    """Seconds for one operation, by candidate."""
    taken: dict[str, list[float]] = {name: [] for name in ROWS[row]}
    with hogs(busy):
        for _ in range(rounds):
            for name, (work, count) in ROWS[row].items():
                # A hog makes every hop between threads many times slower.
                share = (10 if quick else 1) * (20 if busy else 1)
                taken[name].append(work(max(50, count // share)))
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small counts, one round")
    parser.add_argument("--only", choices=sorted(ROWS), help="one row")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    rounds = 1 if options.quick else 5
    results: dict[str, dict[str, float]] = {}
    for row in [options.only] if options.only else ROWS:
        for busy in (0,) if options.quick else (0, 1, 4):
            title = row if not busy else f"{row}, {busy} hog{'s' if busy > 1 else ''}"
            figures = measure(row, rounds, options.quick, busy)
            real = beam(row, rounds) if not busy else None
            if real is not None:
                figures["BEAM"] = real
            results[title] = figures
            show(title, figures)
    if options.json:
        facts = {"python": platform.python_version(), "cpus": os.cpu_count()}
        options.json.write_text(json.dumps({"machine": facts, "seconds": results}, indent=2))
    return 0


def show(title: str, figures: dict[str, float]) -> None:
    """One block of the table."""
    print(f"\n{title:<16} {'µs':>10} {'per second':>12} {'/ BEAM':>8} {'/ Pykka':>8}")
    for name, seconds in figures.items():
        ratios = [
            f"{seconds / figures[peer]:8.2f}" if peer in figures else " " * 8
            for peer in ("BEAM", "Pykka")
        ]
        print(f"  {name:<14} {seconds * 1e6:10.2f} {1 / seconds:12,.0f} {' '.join(ratios)}")


if __name__ == "__main__":
    sys.exit(main())
