"""The tests of the key-value store, as its author writes them."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.key_value import key_value
from examples.key_value.key_value import BUCKETS, KeyValue
from otpy import CallExit, Pid, dynamic_supervisor, gen_server, process, registry
from otpy.testing import eventually


@pytest.fixture
def store(start_supervised: Callable[..., Any]) -> Pid:
    pid: Pid = start_supervised(KeyValue)
    return pid


def test_a_bucket_keeps_values_by_key(store: Pid) -> None:
    key_value.create("shopping")
    assert key_value.get("shopping", "milk") is None
    key_value.put("shopping", "milk", 3)
    assert key_value.get("shopping", "milk") == 3
    assert key_value.delete("shopping", "milk") == 3
    assert key_value.get("shopping", "milk") is None


def test_a_bucket_is_created_once(store: Pid) -> None:
    pid = key_value.create("shopping")
    key_value.put("shopping", "milk", 3)
    assert key_value.create("shopping") == pid
    assert key_value.get("shopping", "milk") == 3
    assert key_value.create("garden") != pid
    assert key_value.names() == ["garden", "shopping"]


def test_a_bucket_that_ends_is_forgotten(store: Pid) -> None:
    pid = key_value.create("shopping")
    key_value.put("shopping", "milk", 3)
    gen_server.stop(pid)
    with pytest.raises(CallExit) as failed:
        key_value.get("shopping", "milk")
    assert failed.value.reason == "noproc"
    assert key_value.names() == []
    key_value.create("shopping")
    assert key_value.get("shopping", "milk") is None


def test_a_bucket_that_crashes_takes_no_other_along(store: Pid) -> None:
    kept = key_value.create("garden")
    pid = key_value.create("shopping")
    process.exit(pid, "kill")
    eventually(lambda: key_value.names() == ["garden"])
    assert process.alive(kept)
    assert dynamic_supervisor.count_children(BUCKETS).active == 1


def test_the_buckets_go_with_their_registry(store: Pid) -> None:
    bucket = key_value.create("shopping")
    before = process.whereis(key_value.REGISTRY)
    assert before is not None
    process.exit(before, "kill")
    eventually(lambda: process.whereis(key_value.REGISTRY) not in (None, before))
    eventually(lambda: process.whereis(BUCKETS))
    assert not process.alive(bucket)
    assert registry.count(key_value.REGISTRY) == 0
    key_value.create("shopping")
    assert key_value.names() == ["shopping"]
