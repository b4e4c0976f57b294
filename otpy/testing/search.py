"""``simulate``: a test of a cluster, run under many seeds with faults that each seed draws.

The first seed that fails is told by ``SimulationFailed``: with the few faults that it takes, the
line that replays it and a picture of the run. A run is looked at twice: one that does not fail
again has read a clock or a chance that is not the simulation's, and that is said, too.
"""

import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from otpy.cluster.lease import LEASE_TIME
from otpy.terms.errors import BadArgument
from otpy.terms.values import is_whole
from otpy.testing._failures import place, text
from otpy.testing.faults import KINDS, Fault, Schedule, check_fault, draw_schedule
from otpy.testing.shrink import smallest
from otpy.testing.simulation import ClusterSimulation
from otpy.testing.timeline import timeline

Test = Callable[[ClusterSimulation], object]
Drawn = list[tuple[float, Fault]]
HASHES = "PYTHONHASHSEED"
SEED, TIMES, PICTURES = "OTPY_SEED", "OTPY_SEEDS_TIMES", "OTPY_TIMELINES"


class SimulationFailed(AssertionError):
    """A seed for which a simulated test failed; its cause is what the test raised.

    ``seed``; ``faults``: those it takes, as a schedule; ``picture``: the file of the timeline.
    """

    def __init__(self, seed: int, faults: Drawn, picture: Path, message: str) -> None:
        super().__init__(message)
        self.seed = seed
        self.faults = faults
        self.picture = picture


@dataclass(frozen=True, slots=True)
class _Search:
    """What ``simulate`` was asked for; ``faults``: how many to draw, or those that happen."""

    test: Test
    nodes: tuple[str, ...]
    faults: int | Schedule
    kinds: tuple[type[Fault], ...]
    window: tuple[float, float]
    start: Callable[[], Any] | None
    options: dict[str, Any]

    def schedule(self, seed: int) -> Drawn:
        """The faults of a seed."""
        if not isinstance(self.faults, int):
            return list(self.faults)
        # A text: the draws of the simulation itself are others, though its seed is the same.
        draw = Random(f"faults {seed}")
        return draw_schedule(draw, self.nodes, self.faults, self.window, self.kinds)

    def run(self, seed: int, faults: Schedule) -> Exception | None:
        """Run the test once; what it raised."""
        return self._run(seed, faults, False)[0]

    def recorded(self, seed: int, faults: Schedule) -> tuple[Exception | None, str]:
        """Run it again; what it raised, and the timeline."""
        return self._run(seed, faults, True)

    def _run(self, seed: int, faults: Schedule, record: bool) -> tuple[Exception | None, str]:
        sim = ClusterSimulation(
            seed, self.nodes, start=self.start, recording=record, **self.options
        )
        raised: Exception | None = None
        try:
            sim.schedule(faults)
            with sim.sched.fence.up():  # once, not whenever the test lets time pass
                _none_to_await(self.test, self.test(sim))
            sim.check()
            if sim.sched.fence.refused:  # and swallowed
                raise sim.sched.fence.refused[0]
        except Exception as error:  # noqa: BLE001 - the test's own, told by who searches
            raised = error
            if record:
                sim.history.look(sim.nodes)  # at this instant time has not rested
            sim.note(f"{type(error).__name__} {error}".partition("\n")[0][:100])
        picture = ""
        if record:
            title = f"{_name(self.test)}, seed {seed}"
            picture = timeline(sim.history.events, title, sim.began, sim.sched.clock.time)
        sim.close()
        return raised, picture


def simulate(
    test: Test,
    *,
    seeds: int | Iterable[int] = 100,
    nodes: tuple[str, ...] = ("a@sim", "b@sim", "c@sim"),
    faults: int | Schedule = 5,
    kinds: Sequence[type[Fault]] = KINDS,
    window: tuple[float, float] = (1.0, 60.0),
    start: Callable[[], Any] | None = None,
    prevent_overlapping_partitions: bool = True,
    lease_time: float = LEASE_TIME,
    state_dir: str | None = None,
) -> int:
    """Run ``test(sim)`` under many seeds; how many. Raises ``SimulationFailed`` for the first bad.

    Each run has a fresh ``ClusterSimulation`` of ``nodes``, on each of which ``start`` runs (see
    there, also for ``prevent_overlapping_partitions``, ``lease_time`` and ``state_dir``).
    ``seeds``: how many, from 0, or which. ``faults``: how many to draw for each seed, of
    ``kinds``, to begin within ``window`` (seconds from, to, since the start); or a schedule, that
    then happens under every seed. The test says when it has seen enough: ``sim.let_faults_pass()``
    returns when all are over. Raises ``BadArgument``, also for a coroutine function: the test
    drives the simulation from outside, and ``sim.call(node, fn)`` awaits.

    The environment: ``OTPY_SEED=7`` runs that seed only, ``OTPY_SEEDS_TIMES=100`` a hundred times
    as many, ``OTPY_TIMELINES`` is the directory of the pictures, else that of temporary files.
    """
    _check(test, seeds, nodes, faults, kinds, window)
    if inspect.iscoroutinefunction(start):
        raise BadArgument(f"start={start!r} is a coroutine function; expected a function")
    options = {
        "prevent_overlapping_partitions": prevent_overlapping_partitions,
        "lease_time": lease_time,
        "state_dir": state_dir,
    }
    search = _Search(test, tuple(nodes), faults, tuple(kinds), window, start, options)
    number = 0
    for seed in _chosen(seeds):
        schedule = search.schedule(seed)
        error = search.run(seed, schedule)
        number += 1
        if error is not None:
            raise _failed(search, seed, schedule, error) from error
    if not number:
        raise BadArgument(f"seeds={seeds!r}; expected one or more")
    return number


def _none_to_await(test: Any, result: object) -> None:
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise BadArgument(f"{test!r} gave something to await; expected a plain function")


def _check(test: Any, seeds: Any, nodes: Any, faults: Any, kinds: Any, window: Any) -> None:
    if not callable(test) or inspect.iscoroutinefunction(test):
        raise BadArgument(f"simulate({test!r}): expected a function, and none of coroutines")
    for kind in kinds:
        if kind not in KINDS:
            raise BadArgument(f"kinds=[{kind!r}]; expected kinds of otpy.testing.faults")
    if not isinstance(faults, (int, str)):
        for _, fault in faults:
            check_fault(fault, tuple(nodes))
    if not (is_whole(seeds, 1) or (isinstance(seeds, Iterable) and not isinstance(seeds, str))):
        raise BadArgument(f"seeds={seeds!r}; expected how many, from 1 on, or the seeds")
    if isinstance(nodes, str) or not nodes:
        raise BadArgument(f"nodes={nodes!r}; expected the names of one or more nodes")
    if not (is_whole(faults, 0) or isinstance(faults, Sequence)) or isinstance(faults, str):
        raise BadArgument(f"faults={faults!r}; expected how many, or a list of (instant, fault)")
    begin, end = window
    if not 0 <= begin <= end:
        raise BadArgument(f"window={window!r}; expected seconds (from, to) with 0 <= from <= to")


def _chosen(seeds: int | Iterable[int]) -> Iterable[int]:
    one = os.environ.get(SEED)
    if one is not None:
        return [_whole(SEED, one, 0)]
    return (
        range(seeds * _whole(TIMES, os.environ.get(TIMES, "1"), 1))
        if isinstance(seeds, int)
        else seeds
    )


def _whole(name: str, text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise BadArgument(f"{name}={text!r}; expected a whole number from {least} on")
    return int(text)


def _failed(search: _Search, seed: int, schedule: Drawn, error: Exception) -> SimulationFailed:
    def fails(faults: Drawn) -> bool:
        other = search.run(seed, faults)
        return other is not None and place(other) == place(error)

    lines = [f"seed {seed}: {type(error).__name__}: {error}"]
    again = search.run(seed, schedule)
    if again is None or (place(again), text(again)) != (place(error), text(error)):
        lines.append(
            f"run again, the same seed gave {again!r}: a clock or a chance that is not the "
            "simulation's was read"
        )
        few = schedule
    else:
        few = smallest(schedule, fails)
    picture = _write(search, seed, search.recorded(seed, few)[1])
    lines.append(f"{len(few)} of {len(schedule)} faults are needed, instants in seconds:")
    lines += [f"    ({instant}, {fault!r})," for instant, fault in few]
    lines.append(f"replay: {_replay(search, seed)}")
    if os.environ.get(HASHES, "random") == "random":
        lines.append(
            f"{HASHES} was not fixed: if the replay does not fail, something goes through a set of "
            f"strings; search with {HASHES}=0"
        )
    lines.append(f"timeline: {picture}")
    told = "\n".join(lines)
    print(told, file=sys.stderr)
    return SimulationFailed(seed, few, picture, told)


def _name(test: Test) -> str:
    return getattr(test, "__name__", type(test).__name__)


def _replay(search: _Search, seed: int) -> str:
    """What to type. The hash seed matters to code of users that goes through sets."""
    hashes = os.environ.get(HASHES)
    before = f"{HASHES}={hashes} " if hashes not in (None, "random") else ""
    running = os.environ.get("PYTEST_CURRENT_TEST")
    if running is None:
        return f"{before}simulate({_name(search.test)}, seeds=[{seed}], ...)"
    return f"{before}{SEED}={seed} pytest '{running.rpartition(' ')[0]}'"


def _write(search: _Search, seed: int, text: str) -> Path:
    directory = Path(os.environ.get(PICTURES) or tempfile.gettempdir())
    directory.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", _name(search.test)).strip("-")
    file = directory / f"otpy-{name}-{seed}.md"
    file.write_text(text)
    return file
