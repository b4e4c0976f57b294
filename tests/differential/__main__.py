"""Plays cases and prints every difference: ``python -m tests.differential --help``."""

import argparse
import json
import sys

from tests.differential.cases import draw
from tests.differential.compare import differences, engines, shrunk, steady


def main() -> int:
    """The number of differences, at most 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential")
    parser.add_argument(
        "--kinds", default=",".join(engines()), help="the first is the one to match"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--cases", type=int, default=140, help="how many seeds")
    parser.add_argument("--case", help="one case, as JSON")
    parser.add_argument("--shrink", action="store_true")
    given = parser.parse_args()
    cases = [json.loads(given.case)] if given.case else draw(given.first, given.cases)
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
