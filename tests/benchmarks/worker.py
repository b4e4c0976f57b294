"""Other OS processes that measure: started once, asked by lines on stdin, ended by its end.

``python -m tests.benchmarks.worker MODULE:CLASS [JSON ARGUMENTS]`` makes the object;
each line in is ``[method, *arguments]``, each line out the JSON of its result.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TextIO

PATIENCE = 600.0  # seconds for one answer


class Talker:
    """An OS process that answers each line with one line of JSON."""

    def __init__(self, command: list[str], env: Mapping[str, str] | None = None) -> None:
        self.command = command
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def ask(self, line: str) -> Any:
        """The answer to a line."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        watchdog = threading.Timer(PATIENCE, self.child.kill)
        watchdog.daemon = True
        watchdog.start()
        answer = ""
        try:
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline()
        except BrokenPipeError:
            pass  # it ended: told below
        finally:
            watchdog.cancel()
        if not answer:
            code = self.child.wait()
            raise RuntimeError(f"{self.command[-1]} ended with {code} instead of answering {line}")
        return json.loads(answer)

    def close(self) -> None:
        """End it."""
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        try:
            self.child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Worker(Talker):
    """A Python process with one object of this package in it."""

    def __init__(self, what: str, *args: Any) -> None:
        module = "tests.benchmarks.worker"
        super().__init__([sys.executable, "-m", module, what, json.dumps(args)])

    def do(self, method: str, *args: Any) -> Any:
        """Call a method of the object."""
        return self.ask(json.dumps([method, *args]))


def at_once(asked: Iterable[Callable[[], Any]]) -> list[Any]:
    """What each gives, all asked at the same time."""
    work = list(asked)
    with ThreadPoolExecutor(len(work)) as pool:
        return [one.result() for one in [pool.submit(ask) for ask in work]]


@contextlib.contextmanager
def worker(what: str, *args: Any) -> Generator[Worker, None, None]:
    """A worker for the time of a block."""
    made = Worker(what, *args)
    try:
        yield made
    finally:
        made.close()


def serve(what: str, args: list[Any], lines: TextIO) -> None:
    """Make the object and answer until stdin ends."""
    sys.setswitchinterval(0.0005)
    module, _, name = what.partition(":")
    made = getattr(import_module(f"tests.benchmarks.{module}"), name)(*args)
    for line in lines:
        method, *given = json.loads(line)
        sys.stdout.write(json.dumps(getattr(made, method)(*given)) + "\n")
        sys.stdout.flush()
    close = getattr(made, "close", None)
    if close is not None:
        close()


if __name__ == "__main__":
    serve(sys.argv[1], json.loads(sys.argv[2]), sys.stdin)
