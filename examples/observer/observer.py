"""Look into a running cluster, and change its log level, without being a member of it.

``python -m examples.observer.observer a@127.0.0.1 [--level DEBUG]``

The observer is a hidden node: no member counts it, connects to it or shares names with it, so a
look at a production cluster moves no leader and holds up no registration. After a split, name a
node of each side. The cookie is ``$COOKIE``, or the user's own.
"""

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.observer.health import Ask, Health, Level
from otpy import erpc, gen_server, global_, node, start_node

PATIENCE = 5.0  # seconds


@contextmanager
def observing(nodes: list[str], **options: Any) -> Generator[list[str], None, None]:
    """Be a hidden node meanwhile; gives all members that these nodes see, and themselves."""
    name = f"observer-{os.getpid()}@127.0.0.1"
    with start_node(name, hidden=True, **options) as here, here.attached():
        seen = erpc.multicall(nodes, node.list_, timeout=PATIENCE)
        others = [other for how, found in seen if how == "ok" for other in found]
        yield sorted({*nodes, *others})


def holders(members: list[str]) -> dict[Any, set[str]]:
    """On which nodes each global name has its holder: on two of them, there is a split."""
    found: dict[Any, set[str]] = {}
    for how, names in erpc.multicall(members, global_.registered_names, timeout=PATIENCE):
        for name in names if how == "ok" else ():
            found[name] = set()
    for name, where in found.items():
        for how, pid in erpc.multicall(members, global_.whereis_name, name, timeout=PATIENCE):
            if how == "ok" and pid is not None:
                where.add(pid.node)
    return found


def report(members: list[str], level: str | None = None) -> bool:
    """Print how the cluster is; whether all of it answered and sees all of it."""
    request = Ask() if level is None else Level(level)
    answers, silent = gen_server.multi_call(Health, request, members, PATIENCE)
    view = node.view(PATIENCE)
    print(view, end="\n\n")
    for member, status in answers:
        print(f"{member}: {status}")
    for member in silent:
        print(f"{member}: no answer")
    for name, where in holders([member for member, _ in answers]).items():
        print(f"{name!r} is on {', '.join(sorted(where))}")
    return view.whole and not silent


def main(arguments: list[str] | None = None) -> None:
    """The command; its exit code is 1 if something is amiss."""
    parser = argparse.ArgumentParser(prog="observer", description="Look into a cluster.")
    parser.add_argument("nodes", nargs="+", metavar="NODE", help="one or more of its nodes")
    levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    parser.add_argument("--level", choices=levels, help="have all nodes log from this level on")
    parser.add_argument("--directory", type=Path, help="that of the nodes, if not the user's own")
    args = parser.parse_args(arguments)
    options = {"cookie": os.environ.get("COOKIE"), "directory": args.directory}
    with observing(args.nodes, **options) as members:
        sys.exit(0 if report(members, args.level) else 1)


if __name__ == "__main__":
    main()
