"""A node warns when it registers cluster-wide names as if ``global_`` were a registry."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otpy import BadArgument, Node, global_, process, start_node
from otpy.testing import capture_log

COOKIE = "the cookie of these tests"
EVENT = "names_registered_often"


def told_of(node: Node) -> list[dict[str, Any]]:
    """Everything that the event tells from now on."""
    told: list[dict[str, Any]] = []
    node.events.attach("test", EVENT, lambda _, data: told.append(data))
    return told


def register(node: Node, numbers: Iterable[int], again: bool = False) -> None:
    """As many names, or one again and again, each for a process of its own."""
    with node.attached():
        for number in numbers:
            pid = process.spawn(process.sleep, float("inf"), green=True)
            name = ("session", 0 if again else number)
            assert global_.register_name(name, pid) is (number == 0 or not again)


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Node]:
    """A node that warns above five."""
    options: dict[str, Any] = {"cookie": COOKIE, "directory": tmp_path}
    with start_node("a@127.0.0.1", names_per_minute=5, **options) as node:
        yield node


def test_more_names_than_said_in_a_minute_are_told_of_once(few: Node) -> None:
    told = told_of(few)
    register(few, range(5))
    assert told == []
    with capture_log(logger="otpy.global") as log:
        register(few, range(5, 20))
    [data] = told
    assert (data["name"], data["count"]) == (("session", 5), 6)
    assert data["rate"] == pytest.approx(6 / data["seconds"])
    [line] = log.text.splitlines()
    assert "a@127.0.0.1: 6 global names registered within" in line
    assert "the last one ('session', 5)" in line
    assert "otpy.registry on one node, or otpy.pg" in line


def test_what_was_refused_does_not_count(few: Node) -> None:
    told = told_of(few)
    register(few, range(20), again=True)
    assert told == []


def test_without_a_number_it_is_never_told(tmp_path: Path) -> None:
    options: dict[str, Any] = {"cookie": COOKIE, "directory": tmp_path}
    with start_node("a@127.0.0.1", names_per_minute=None, **options) as node:
        told = told_of(node)
        register(node, range(610))
        assert told == []


def test_by_default_it_is_told_above_six_hundred(tmp_path: Path) -> None:
    with start_node("a@127.0.0.1", cookie=COOKIE, directory=tmp_path) as node:
        told = told_of(node)
        register(node, range(600))
        assert told == []
        register(node, [600])
        assert [data["count"] for data in told] == [601]


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "600"])
def test_what_is_no_number_of_names_is_said_so(wrong: Any) -> None:
    with pytest.raises(BadArgument, match=r"names_per_minute=.*; expected an int"):
        start_node("a@127.0.0.1", cookie=COOKIE, names_per_minute=wrong)


def test_a_handler_that_holds_the_name_server_is_named(tmp_path: Path) -> None:
    """The server's thread serves the sockets as well."""
    named, reports = threading.Event(), list[dict[str, Any]]()

    def told(_: str, report: dict[str, Any]) -> None:
        reports.append(report)
        named.set()

    def slow(event: str, report: dict[str, Any]) -> None:
        named.wait(10)

    options: dict[str, Any] = {"cookie": COOKIE, "directory": tmp_path}
    with start_node("a@127.0.0.1", names_per_minute=0, **options) as node:
        node.events.attach("watchdog", "scheduler_held", told)
        node.events.attach("slow", EVENT, slow)
        register(node, range(1))
        assert named.is_set()
        assert reports[0]["pid"] == node.names.whereis("global_name_server")
        register(node, range(1, 2))
