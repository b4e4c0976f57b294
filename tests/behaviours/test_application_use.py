"""Applications: mistakes, coroutines, included ones, and a controller that was killed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otpy import (
    Application,
    ApplicationError,
    BadArgument,
    Node,
    WouldBlockLoop,
    aio,
    application,
    process,
)
from otpy.testing import eventually
from tests.conformance.applications import Bare, Calls, load, names, refused, refuses


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pyproject.toml"


def test_what_users_get_wrong_is_named(node: object) -> None:
    wrong: Any = "forever"
    with pytest.raises(BadArgument, match="type='forever'; expected one of temporary, transient"):
        application.start("shop", wrong)
    with pytest.raises(BadArgument, match="application: 42; application name must be a str"):
        application.start(42)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(BadArgument, match="timeout=-1"):
        application.stop("shop", timeout=-1)

    async def later(self: Application, type: str, args: Any, /) -> None:
        """Would start."""

    with pytest.raises(BadArgument, match=r"Late\.start is async"):
        type("Late", (Application,), {"start": later})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("mode = 1", "has no key 'mode'; expected one of mod, applications"),
        ("mod = 'nowhere.at:All'", "'nowhere.at:All' cannot be loaded"),
        ("mod = 'nowhere'", "mod='nowhere'; expected 'module:Class'"),
        ("mod = 'otpy:GenServer'", "expected an Application class"),
        ("applications = 'store'", "applications='store'; expected a tuple of names"),
        ("applications = [1]", "expected a tuple of names, each a str"),
        ("applications = ['shop']", "other applications than itself"),
        ("optional_applications = ['x']", "names that stand in applications, as 'x' does not"),
        ("env = 1", "application: shop; parameters must be a dict"),
        ("start_phases = [1]", "start_phases=.*; expected a tuple of phases"),
        ("vsn = 1", "vsn=1; expected a str"),
        ("=", "is no TOML"),
    ],
)
def test_a_wrong_specification_is_named(node: Node, project: Path, table: str, told: str) -> None:
    project.write_text(f"[tool.otpy.applications.shop]\n{table}\n")
    with pytest.raises(BadArgument, match=told):
        application.load("shop")
    assert application.loaded_applications() == []


def test_included_applications_are_loaded_and_unloaded_together(node: Node) -> None:
    load("part")
    application.unload("part")
    with refused(("no such application", "part")):
        load("shop", None, included_applications=("part",))
    assert application.loaded_applications() == []
    load("part")
    load("shop", None, included_applications=("part",))
    with refused(("already_loaded", "shop")):
        load("shop")
    application.ensure_loaded("shop")
    application.unload("shop")
    assert application.loaded_applications() == []


def test_a_controller_that_was_killed_takes_its_applications_with_it(node: Node) -> None:
    load("one", (Bare, "one"))
    application.start("one")
    desk = process.whereis("application_controller")
    assert desk is not None
    process.exit(desk, "kill")
    eventually(lambda: process.whereis("one") is None)
    application.start("one")
    assert names() == ["one"]


WAITS: list[Callable[[], Any]] = [
    lambda: application.start("shop"),
    lambda: application.ensure_started("shop"),
    lambda: application.ensure_all_started("shop"),
    lambda: application.stop("shop"),
]


@pytest.mark.parametrize("call", WAITS)
def test_what_waits_is_refused_in_a_coroutine(node: Node, call: Callable[[], Any]) -> None:
    async def main() -> None:
        with pytest.raises(
            WouldBlockLoop, match=r"use await aio\.blocking\(application\.\w+, \.\.\."
        ):
            call()

    load("shop")
    asyncio.run(main())


def test_a_coroutine_starts_and_stops_by_blocking(node: Node) -> None:
    async def main() -> None:
        load("shop", env={"a": 1})
        await aio.blocking(application.start, "shop")
        assert names() == ["shop"]
        assert application.get_env("shop", "a") == 1
        await aio.blocking(application.stop, "shop")
        assert names() == []

    asyncio.run(main())


@pytest.mark.parametrize("start", [application.start, application.ensure_all_started])
def test_a_start_that_failed_is_told_once(node: Node, start: Callable[[str], Any]) -> None:
    load("shop", (Calls, refuses))
    with pytest.raises(ApplicationError) as failed:
        start("shop")
    text = str(failed.value)
    assert text.startswith("application 'shop' did not start: ")
    assert text.count("did not start") == 1
    assert "returned an error: 'bad'" in text
