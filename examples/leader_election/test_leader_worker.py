"""The tests of the leader worker, as its author writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.leader_election.leader_worker import LeaderWorker
from otpy import AlreadyStarted, Global, Node, Pid, gen_server, process
from otpy.testing import eventually


def test_only_one_leader_exists(node: Node) -> None:
    pid1 = LeaderWorker.start_link({})
    with pytest.raises(AlreadyStarted) as refused:
        LeaderWorker.start_link({})
    assert refused.value.pid == pid1


def test_new_leader_elected_on_failure(start_supervised: Callable[..., Any]) -> None:
    pid1 = start_supervised((LeaderWorker, {}))
    gen_server.stop(pid1, "boom")
    pid2 = eventually(lambda: gen_server.whereis(Global(LeaderWorker)))
    assert pid2 != pid1
    assert isinstance(pid2, Pid)
    assert process.alive(pid2)
