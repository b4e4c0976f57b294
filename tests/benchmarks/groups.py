"""Rows about process groups between two OS processes: ``otpy.pg`` beside Erlang's ``pg``."""

from tests.benchmarks import pairs
from tests.benchmarks.plan import Plan
from tests.benchmarks.table import Figure, Reach

ENDS = ("groups_ends:GroupsThere", "groups_ends:GroupsHere")


def join(plan: Plan) -> list[Figure]:
    """From a join here to the word of a process there that has seen it, which is a message."""
    return pairs.measured("pg_join", plan, 2_000, ENDS, Reach("<= 1 ms", 0.001))


def members(plan: Plan) -> list[Figure]:
    """A read of a group with ten members."""
    return pairs.measured("pg_members", plan, 50_000, ENDS)


def many(plan: Plan) -> list[Figure]:
    """Ten processes join one group after the other, until the last is seen there; one of them."""
    return pairs.measured("pg_many", plan, 100_000, ENDS)
