"""What can be a process group (PG), and groups in coroutines."""

import enum
from dataclasses import dataclass
from typing import Any

import pytest

from otpy import (
    AlreadyStarted,
    BadArgument,
    GroupJoin,
    Node,
    NotSendable,
    aio,
    pg,
    process,
    self_pid,
)
from tests.conformance.conftest import Runner

# A scope is started without a link, and lives as long as its node.
pytestmark = pytest.mark.otpy_leaves_processes


class Room(enum.Enum):
    BLUE = "blue"


@dataclass(frozen=True)
class Topic:
    number: int


class MyScope:
    """A class is a fine scope."""


def test_pg_01_any_value_that_has_a_hash_and_can_be_sent_is_a_group(run: Runner) -> None:
    """Two groups are the same if they are equal and of the same types."""

    def body() -> None:
        pg.start(MyScope)
        with pytest.raises(AlreadyStarted):
            pg.start(MyScope)
        groups: list[Any] = [
            1, 1.0, True, None, "1", b"1", (1, "a"), (1.0, "a"), (True, "a"), 2**70, Room.BLUE,
            Topic(1), Topic(2), MyScope, self_pid(), frozenset((1, 2)), (b"x",), b"x",
        ]  # fmt: skip
        for group in groups:
            pg.join(group, self_pid(), scope=MyScope)
            assert pg.get_members(group, scope=MyScope) == [self_pid()], group
        found = pg.which_groups(scope=MyScope)
        assert sorted(map(repr, found)) == sorted(map(repr, groups))
        assert set(pg.monitor_scope(scope=MyScope)[1]) == set(groups)

    run(body)


def test_pg_01_what_can_be_no_group_is_refused(run: Runner) -> None:
    def body() -> None:
        pg.start()
        refused: list[tuple[Any, Any]] = [
            (["list"], BadArgument),
            ({}, BadArgument),
            (([],), BadArgument),
            ("x" * 70_000, BadArgument),
            (("x" * 70_000,), BadArgument),
            ("\ud800", NotSendable),
            (object(), NotSendable),
            (lambda: None, NotSendable),
        ]
        for group, error in refused:
            with pytest.raises(error):
                pg.join(group, self_pid())
        assert pg.which_groups() == []
        with pytest.raises(BadArgument):
            pg.get_members([])

    run(body)


def test_pg_08_a_coroutine_monitors_without_waiting(node: Node) -> None:
    """monitor returns current members, then {Ref,join,Group,Pids} / {Ref,leave,Group,Pids}
    in order, one event per call."""
    pg.start()
    me = self_pid()

    async def body() -> None:
        ref, members = pg.monitor("g")
        await aio.blocking(pg.join, "g", self_pid())
        joined = await aio.receive(GroupJoin, timeout=5)
        other, groups = pg.monitor_scope()
        assert (members, groups) == ([], {"g": pg.get_members("g")})
        assert pg.demonitor(ref)
        assert pg.demonitor(other)
        process.send(me, joined == GroupJoin(ref, "g", (self_pid(),)))

    process.spawn(body)
    assert process.receive(bool, timeout=10)
