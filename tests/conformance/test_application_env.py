"""Applications (APP): specifications, where they are found, and the environment."""

import time
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from otpy import Application, ApplicationSpec, BadArgument, Node, application, process, sys
from otpy.behaviours import _app_find
from otpy.testing.plugin import Reports
from tests.conformance.applications import Calls, Told, load, names, refused, top

SPEC = ApplicationSpec("installed", description="from an entry point", vsn="1.0")
HERE = "tests.conformance.test_application_env"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with the current directory two folders below its pyproject.toml."""
    deep = tmp_path / "src" / "shop"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path / "pyproject.toml"


def test_app_06_an_unknown_application_says_where_it_was_looked_for(
    node: Node, project: Path
) -> None:
    """unknown app -> {error,{"no such file..",File}}."""
    project.write_text("[tool.otpy.applications.other]\n")
    with refused(("no such application", "shop")) as caught:
        application.start("shop")
    told = str(caught.value)
    assert f"[tool.otpy.applications.shop] in: {project}" in told
    assert "entry points of the group 'otpy.applications'" in told
    with refused(("no such application", "shop")):
        application.ensure_started("shop")


def test_app_06_the_table_of_a_pyproject_is_found_from_below(node: Node, project: Path) -> None:
    """The application resource file stands in for a table of pyproject.toml."""
    project.write_text(
        f"""
        [tool.otpy.applications.shop]
        description = "sells"
        vsn = "2.0"
        mod = ["{HERE}:Keeps", {{size = 3}}]
        applications = ["store"]
        start_phases = ["warm", ["open", 9]]
        env = {{currency = "EUR"}}

        [tool.otpy.applications.store]
        """
    )
    assert application.ensure_all_started("shop") == ["store", "shop"]
    assert Keeps.got == [("normal", {"size": 3}), ("warm", None), ("open", 9)]
    assert application.get_env("shop", "currency") == "EUR"
    assert application.started_applications()[0] == ("shop", "sells", "2.0")


class Keeps(Application):
    """Keeps what it is given."""

    got: list[Any] = []  # noqa: RUF012 - one test, one list

    def start(self, type: str, args: Any, /) -> Any:
        self.got.append((type, args))
        return top()

    def start_phase(self, phase: str, type: str, args: Any, /) -> None:
        self.got.append((phase, args))


def test_app_06_a_path_is_looked_into_first(node: Node, project: Path, tmp_path: Path) -> None:
    """Also for what the application needs."""
    project.write_text("[tool.otpy.applications.shop]\nvsn = 'near'\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "pyproject.toml").write_text(
        "[tool.otpy.applications.shop]\napplications = ['store']\n[tool.otpy.applications.store]\n"
    )
    application.load("shop", path=other)
    assert application.ensure_all_started("shop") == ["store", "shop"]
    with pytest.raises(BadArgument, match="no such file"):
        application.load("more", path=tmp_path / "nowhere")


def test_app_06_an_entry_point_is_found(
    node: Node, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry points of the group otpy.applications."""
    group = "otpy.applications"
    points = EntryPoints(
        [
            EntryPoint("installed", f"{HERE}:SPEC", group),
            EntryPoint("wrong", f"{HERE}:HERE", group),
        ]
    )

    def installed(*, group: str) -> EntryPoints:
        return points.select(group=group)

    monkeypatch.setattr(_app_find, "entry_points", installed)
    application.load("installed")
    assert application.spec("installed") == SPEC
    with pytest.raises(BadArgument, match="the entry point 'wrong'"):
        application.load("wrong")
    with refused(("no such application", "nix")) as caught:
        application.load("nix")
    assert "installed, wrong" in str(caught.value)


def test_app_15_the_specification_overrides_what_was_set_before(node: Node) -> None:
    """set_env before load is overridden by app file values on load unless persistent."""
    application.put_env("shop", "a", "before")
    application.put_env("shop", "b", "before", persistent=True)
    load("shop", env={"a": "file", "b": "file"})
    assert application.get_all_env("shop") == {"a": "file", "b": "before"}


def test_app_16_what_the_specification_does_not_have_is_kept_once(node: Node) -> None:
    """keys set before load and not in the app file are kept; lost at reload unless persistent."""
    application.put_env("shop", "a", 1)
    application.put_env("shop", "b", 2, persistent=True)
    load("shop", env={"c": 3})
    assert application.get_all_env("shop") == {"a": 1, "b": 2, "c": 3}
    application.put_env("shop", "b", 7)  # not for good
    application.unload("shop")
    assert application.get_all_env("shop") == {}
    load("shop", env={"c": 3})
    assert application.get_all_env("shop") == {"b": 2, "c": 3}
    application.delete_env("shop", "b", persistent=True)
    application.unload("shop")
    load("shop")
    assert application.get_all_env("shop") == {}


def test_app_17_reading_the_environment(node: Node) -> None:
    """get_env default, fetch_env :error, fetch_env! distinct messages for unknown app vs key,
    delete_env.
    """
    load("shop", env={"a": None})
    assert application.get_env("shop", "a", 5) is None
    assert application.get_env("shop", "b") is None
    assert application.get_env("shop", "b", 5) == 5
    assert application.fetch_env("shop", "a") == ("ok", None)
    assert application.fetch_env("shop", "b") == "error"
    assert application.fetch_env_("shop", "a") is None
    key = "for application 'shop' because configuration at 'b' was not set"
    with pytest.raises(BadArgument, match=key):
        application.fetch_env_("shop", "b")
    unknown = "for application 'nix' because the application was not loaded nor configured"
    with pytest.raises(BadArgument, match=unknown):
        application.fetch_env_("nix", "b")
    application.put_env("shop", "b", 1)
    application.delete_env("shop", "b")
    assert application.fetch_env("shop", "b") == "error"
    copy = application.get_all_env("shop")
    copy["c"] = 1
    assert application.get_env("shop", "c") is None


def test_app_17_each_node_has_an_environment_of_its_own(node: Node) -> None:
    """What is set on one node is not there on another."""
    application.put_env("shop", "a", 1)
    with Node("other@127.0.0.1") as other, other.attached():
        assert application.fetch_env("shop", "a") == "error"


GOOD: Any = ("good", {"a": 1})
WRONG: list[tuple[Any, str]] = [
    (5, "configuration 5; expected a dict of dicts, or pairs"),
    ([GOOD, ("foo", {}), ("foo", {})], "duplicate application config: foo"),
    ([GOOD, ("foo", [("a", 1), ("a", 2)])], "application: foo; duplicate parameter: a"),
    ([GOOD, (42, {})], "application: 42; application name must be a str"),
    ([GOOD, ("foo", "bar")], "application: foo; parameters must be a dict or a list of pairs"),
    ([GOOD, ("foo", [1])], "application: foo; invalid parameter 1"),
    ({"good": {"a": 1}, "foo": {1: 2}}, "application: foo; invalid parameter name 1"),
    ([GOOD, "foo"], "configuration 'foo'; expected .application, parameters."),
]


@pytest.mark.parametrize(("config", "told"), WRONG)
def test_app_18_setting_many_says_what_is_wrong_and_sets_nothing(
    node: Node, config: Any, told: str
) -> None:
    """set_env bulk validation messages."""
    with pytest.raises(BadArgument, match=told):
        application.put_all_env(config)
    assert application.get_env("good", "a") is None


def test_app_18_setting_many(node: Node) -> None:
    """set_env([{App, [{Key, Value}]}])."""
    application.put_all_env({"a": {"x": 1}, "b": [("y", 2)]}, persistent=True)
    application.put_all_env([("a", {"z": 3})])
    assert application.get_all_env("a") == {"x": 1, "z": 3}
    load("a")
    application.unload("a")
    load("a")
    assert application.get_all_env("a") == {"x": 1}


class Changing(Told):
    """Tells of the change of its environment; one key makes it fail."""

    def config_change(
        self, changed: dict[str, Any], new: dict[str, Any], removed: list[str], /
    ) -> None:
        if "bad" in new:
            raise ValueError("bad")
        CHANGES.append((changed, new, removed))


CHANGES: list[Any] = []


def test_app_19_config_change_gets_what_changed(node: Node, capture_reports: Reports) -> None:
    """config_change callback gets changed/new/removed."""
    CHANGES.clear()
    load("shop", (Changing, process.self_pid()), env={"same": 1, "other": 1, "gone": 1})
    load("silent", (Calls, top), env={"same": 1})
    application.start("shop")
    application.start("silent")
    before = application.prep_config_change()
    application.put_all_env({"shop": {"other": 2, "fresh": 3}})
    application.delete_env("shop", "gone")
    application.config_change(before)
    application.config_change(application.prep_config_change())
    assert CHANGES == [({"other": 2}, {"fresh": 3}, ["gone"])]
    before = application.prep_config_change()
    application.put_env("shop", "bad", 1)
    with pytest.raises(Exception, match="config_change"):
        application.config_change(before)
    assert capture_reports.texts == ["config_change of application shop raised"]


def test_app_24_what_is_known_of_applications(node: Node) -> None:
    """spec/get_key/loaded/started listings; get_application(module)."""
    more = {"description": "sells", "vsn": "1.0", "modules": ("otpy.terms.pid",)}
    load("shop", (Told, None), "store", **more)
    load("store")
    application.start("store")
    spec = application.spec("shop")
    assert spec.vsn == "1.0"
    assert spec.mod == (Told, None)
    assert application.spec("shop", "applications") == ("store",)
    assert application.get_key("shop", "description") == "sells"
    assert application.spec("nix") is None
    assert application.get_key("nix", "vsn") is None
    with pytest.raises(BadArgument, match="has no key 'version'"):
        application.spec("shop", "version")
    assert application.loaded_applications() == [("store", "", ""), ("shop", "sells", "1.0")]
    assert application.started_applications() == [("store", "", "")]
    assert application.which_applications() == application.started_applications()
    assert application.get_application("otpy.terms.pid") == "shop"
    assert application.get_application(Told) == "shop"
    assert application.get_application(pytest) is None
    with pytest.raises(BadArgument, match="get_application"):
        application.get_application(5)  # type: ignore[arg-type]  # that is the point


def test_app_17_the_environment_is_read_without_the_controller(node: Node) -> None:
    """The environment is read without a message: a suspended controller does not matter."""
    load("shop", (Calls, top), env={"x": 1})
    application.start("shop")
    sys.suspend("application_controller")
    began = time.monotonic()
    application.put_env("shop", "y", 2)
    assert application.get_all_env("shop") == {"x": 1, "y": 2}
    assert names() == ["shop"]
    assert time.monotonic() - began < 5
    sys.resume("application_controller")
