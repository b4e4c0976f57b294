"""``python -m tests.benchmarks``: otpy beside its peers, in one run.

Rounds alternate between the candidates; the figure is the median. Ratios count,
absolute times depend on the machine. What every row must reach stands at its end.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import (
    beam,
    cluster,
    groups,
    growth,
    local,
    names,
    registry,
    remote,
    restarts,
    scale,
    startup,
    tasks,
)
from tests.benchmarks.plan import FULL, QUICK, Plan
from tests.benchmarks.table import Figure, document, head, line

ROWS: dict[str, Callable[[Plan], list[Figure]]] = {
    "call": local.call,
    "cast": local.cast,
    "start_stop": local.start_stop,
    "restart_latency": restarts.restart_latency,
    "hogs": local.beside_hogs,
    "tasks": tasks.tasks,
    "remote_call": remote.remote_call,
    "remote_cast": remote.remote_cast,
    "remote_beside": remote.remote_beside,
    "pg_join": groups.join,
    "pg_members": groups.members,
    "pg_many": groups.many,
    "registry_lookup": registry.lookup,
    "registry_register": registry.register,
    "registry_via": registry.via,
    "registry_dispatch": registry.dispatch,
    "registry_entries": registry.entries,
    "idle": scale.idle,
    "hundred_k": scale.hundred_k,
    "dynamic": scale.dynamic,
    "start_stop_among": scale.start_stop_among,
    "growth": growth.growth,
    "gc_pause": growth.gc_pause,
    "scheduler_held": scale.scheduler_held,
    "global_register": names.register,
    "global_at_once": names.global_at_once,
    "mesh": names.mesh,
    "failover": cluster.failover,
    "heal": cluster.heal,
    "import": startup.import_,
}


def run(rows: list[str], plan: Plan) -> list[Figure]:
    """Measure the rows and print them as they come."""
    sys.setswitchinterval(0.0005)
    made: list[Figure] = []
    print(head(), flush=True)
    for row in rows:
        found = ROWS[row](plan)
        made += found
        for figure in found:
            print(line(figure, found), flush=True)
    return made


def main() -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small counts, fewer rounds")
    parser.add_argument("--only", choices=sorted(ROWS), help="one row")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    made = run([options.only] if options.only else list(ROWS), plan)
    if options.json:
        options.json.write_text(json.dumps(document(made, plan, beam.version()), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
