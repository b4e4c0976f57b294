"""Imports modules for the first time inside a simulation: ``python -m ... MODULE...``.

What is in ``sys.modules`` already is imported once more there, as if it were not. Afterwards the
modules are used on real threads and in a forked child, which is when their locks show.
"""

import importlib
import os
import sys
import threading
from types import ModuleType
from typing import Any

from otpy.testing import Simulation


def anew(name: str) -> ModuleType:
    """The module, executed here and now; those who have it already keep theirs."""
    inside = [held for held in sys.modules if held == name or held.startswith(f"{name}.")]
    before = {held: sys.modules.pop(held) for held in inside}
    try:
        return importlib.import_module(name)
    finally:
        sys.modules.update(before)


def locks_of(module: ModuleType) -> list[Any]:
    """Those that the module made when it was executed."""
    values = [value for value in vars(module).values() if not isinstance(value, type)]
    return [value for value in values if hasattr(value, "acquire") and hasattr(value, "release")]


def takes(lock: Any) -> None:
    """Take it and give it back."""
    lock.acquire()
    lock.release()


def real_threads_take_turns(module: ModuleType) -> None:
    """Use what locks the module has."""
    for lock in locks_of(module):
        takes(lock)
        waits = threading.Thread(target=takes, args=[lock], daemon=True)
        waits.start()
        waits.join(10)
        assert not waits.is_alive()


def a_forked_child_has_its_locks(module: ModuleType) -> None:
    """What modules told ``os`` to do at a fork can be done."""
    child = os.fork()
    if child == 0:
        real_threads_take_turns(module)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the child raised"
    real_threads_take_turns(module)


def main(names: list[str]) -> None:
    modules: list[ModuleType] = []
    Simulation(1).run(lambda: modules.extend(map(anew, names)))
    for module in modules:
        real_threads_take_turns(module)
        a_forked_child_has_its_locks(module)


if __name__ == "__main__":
    main(sys.argv[1:])
    print("done")
