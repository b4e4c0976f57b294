"""Rows about three nodes and one leader: fail-over after ``kill -9``, and heal after a split."""

import io
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from otpy.tools.demo import Demo, Timeline
from tests.benchmarks import beam
from tests.benchmarks.plan import Plan, alternate
from tests.benchmarks.table import Figure, Reach, figures, judge
from tests.benchmarks.worker import Talker

# A node that was disconnected stays so, and the others let it be.
APART = ("-kernel dist_auto_connect once", "-kernel prevent_overlapping_partitions false")


@contextmanager
def _cluster() -> Generator[tuple[Demo, list[str]], None, None]:
    """Three nodes of the demo that agree on a leader; their names."""
    with tempfile.TemporaryDirectory(prefix="otpy-bench-") as folder:
        demo = Demo(folder, Timeline(True, io.StringIO()))
        try:
            for short in "abc":
                demo.start(short)
            names = list(demo.members)
            _joined(demo, names)
            yield demo, names
        finally:
            demo.close()


def _joined(demo: Demo, names: list[str]) -> float:
    def joined() -> bool:
        meshed = all(len(demo.members[name].nodes) == len(names) - 1 for name in names)
        return meshed and demo.agreed(names)

    return demo.until(joined, "a full mesh and one leader")


def _kill(demo: Demo, names: list[str]) -> float:
    """Kill the leader's node; seconds until both others see a new leader. Bring it back."""
    victim = str(demo.members[names[0]].leader)
    survivors = [name for name in names if name != victim]
    old = demo.leaders(survivors)
    before = time.monotonic()
    demo.members[victim].child.send_signal(signal.SIGKILL)
    done = demo.until(
        lambda: demo.agreed(survivors) and demo.leaders(survivors) != old, "a new leader"
    )
    demo.members[victim].child.wait()
    demo.start(victim.split("@")[0])
    demo.members = {name: demo.members[name] for name in names}
    _joined(demo, names)
    return done - before


def _heal(demo: Demo, names: list[str]) -> float:
    """Split one node off; seconds from the heal until all see one leader again."""
    a, b, c = names
    links = ((a, c), (b, c), (c, a), (c, b))
    for one, other in links:
        demo.tell(one, f"cut {other}")
    demo.until(lambda: demo.agreed([a, b]) and demo.agreed([c]), "a leader on either side")
    before = time.monotonic()
    for one, other in links:
        demo.tell(one, f"heal {other}")
    return _joined(demo, names) - before


def _quantiles(row: str, rounds: list[float], reaches: tuple[float, float]) -> list[Figure]:
    high = sorted(rounds)[max(0, -(-len(rounds) * 95 // 100) - 1)]
    made: list[Figure] = []
    for name, value, limit in (
        ("median", statistics.median(rounds), reaches[0]),
        ("95%", high, reaches[1]),
    ):
        candidate = f"otpy, {name} of {len(rounds)}"
        figure = Figure(row, candidate, "s", value, rounds)
        judge([figure], candidate, Reach(f"<= {limit * 1000:g} ms", limit))
        made.append(figure)
    return made


def failover(plan: Plan) -> list[Figure]:
    with _cluster() as (demo, names):
        rounds = [_kill(demo, names) for _ in range(plan.kills)]
    return _quantiles("failover", rounds, (0.020, 0.060))


def heal(plan: Plan) -> list[Figure]:
    """From the heal until all see one leader again; on the BEAM, one holder of the name."""
    absent = beam.absent(plan)
    with ExitStack() as stack:
        demo, names = stack.enter_context(_cluster())
        candidates: dict[str, Callable[[], float]] = {"otpy": partial(_heal, demo, names)}
        if not absent:
            nodes = stack.enter_context(beam.nodes(3, *APART))
            beam.meet(nodes)
            candidates["BEAM"] = partial(_beam_heal, nodes)
        taken = alternate(candidates, plan.heals)
    made = _quantiles("heal", taken.pop("otpy"), (0.100, 0.100))
    if absent:
        return [*made, Figure("heal", "BEAM", "s", skipped=absent)]
    return [*made, *figures("heal", "s", taken)]


def _beam_heal(nodes: Mapping[str, Talker]) -> float:
    """The same there, where the node that was split off connects to the others again."""
    first, second, last = nodes
    nodes[last].ask(f"split {first} {second}")
    for name in (first, last):
        nodes[name].ask("hold")
    seconds: float = nodes[last].ask(f"heal {first} {second}")
    return seconds
