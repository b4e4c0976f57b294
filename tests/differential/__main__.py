"""Plays cases and prints every difference: ``python -m tests.differential --help``."""

import argparse
import json
import sys

from tests.differential.cases import make
from tests.differential.compare import differences, engines, shrunk, steady


def main() -> int:
    """The number of differences, at most 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument(
        "--kinds", default=",".join(engines()), help="the first is the one to match"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cases", type=int, default=200, help="how many")
    parser.add_argument("--case", help="one case, as JSON")
    parser.add_argument("--shrink", action="store_true")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.cases)
    cases = [json.loads(given.case)] if given.case else [make(seed) for seed in seeds]
    found = differences(cases, given.kinds.split(","))
    for one in found:
        if not steady(one):
            print("only once, and not when played again:")
        elif given.shrink:
            one = shrunk(one)
        print(one)
    print(f"{len(cases)} cases on {given.kinds}: {len(found)} differences")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
