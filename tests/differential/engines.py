"""Who can play cases: otpy's executors and the BEAM, each in an OS process of its own.

``python -m tests.differential.engines KIND`` reads a line ``[number, case]`` for each case on
stdin and writes a line ``[number, log]``. Kinds: thread, green, and sim0, sim1 ... for the
simulated executor under that seed.
"""

import functools
import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from otpy import Node
from otpy.runtime.simulated import Simulation
from tests.differential.cases import Case
from tests.differential.logs import Entry, wire
from tests.differential.play import play

SCRIPT = str(Path(__file__).with_name("beam.exs"))
AT_ONCE = 12  # cases that one OS process plays at the same time
BEAM = "BEAM"
PATIENCE = 60.0  # seconds, and one more for each case, until a process that hangs is killed
WAITS = '"wait"'


def missing() -> str:
    """Why the BEAM cannot play here; empty if it can."""
    for program in ("erl", "elixir"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return ""


class Engine:
    """Plays cases in an OS process; ``results`` waits for all of them."""

    def __init__(self, kind: str, cases: list[Case]) -> None:
        self.kind = kind
        self.cases = cases
        if kind == BEAM:
            command = [shutil.which("elixir") or "elixir", SCRIPT]
            lines = [wire([number, case]) for number, case in enumerate(cases)]
        else:
            command = [sys.executable, "-m", "tests.differential.engines", kind]
            lines = [[number, case] for number, case in enumerate(cases)]
        # Those that wait come first, and the others meanwhile.
        lines.sort(key=lambda line: WAITS not in json.dumps(line))
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self.feeder = threading.Thread(target=self._feed, args=(text,), daemon=True)
        self.feeder.start()

    def _feed(self, text: str) -> None:
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(text)
            self.child.stdin.close()
        except BrokenPipeError:
            pass  # it ended: ``results`` tells

    def results(self) -> list[list[Entry]]:
        """The log of each case. Raises ``RuntimeError`` if the process ended before it had all."""
        assert self.child.stdout is not None
        found: dict[int, list[Entry]] = {}
        watchdog = threading.Timer(PATIENCE + len(self.cases), self.child.kill)
        watchdog.daemon = True
        watchdog.start()
        for line in self.child.stdout:
            number, log = json.loads(line)
            found[number] = log
        code = self.child.wait()
        watchdog.cancel()
        if code or len(found) < len(self.cases):
            raise RuntimeError(
                f"{self.kind} played {len(found)} of {len(self.cases)} cases and ended with {code}"
            )
        return [found[number] for number in range(len(self.cases))]


# The other end.


def simulated(seed: int, case: Case) -> list[Entry]:
    """Play a case here, on the simulated executor."""
    log: list[Entry] = Simulation(seed).run(play, case, True, limit=36000.0)
    return log


def player(kind: str) -> tuple[Callable[[Case], list[Entry]], int]:
    """What plays a case, and how many it may play at once."""
    if kind.startswith("sim"):
        return functools.partial(simulated, int(kind[3:])), 1
    node = Node("differential@127.0.0.1").start()
    green = kind == "green"

    def one(case: Case) -> list[Entry]:
        with node.attached():
            return play(case, green)

    return one, AT_ONCE


def main() -> None:
    """Play what comes on stdin."""
    logging.disable()
    one, at_once = player(sys.argv[1])
    whole_lines = threading.Lock()

    def tell(line: str) -> None:
        number, case = json.loads(line)
        try:
            log = one(case)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a case is a difference
            log = [["failed", repr(error)]]
        text = json.dumps([number, log])
        with whole_lines:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(tell, line) for line in sys.stdin]:
            done.result()


if __name__ == "__main__":
    main()
