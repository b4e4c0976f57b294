"""Where a specification is found by its application's name.

In this order: ``[tool.otpy.applications.NAME]`` of the files that ``load(..., path=)`` named
on this node, then of every ``pyproject.toml`` from the current directory upwards, then the
entry points of the group ``otpy.applications`` of what is installed: an ``ApplicationSpec`` or
a function that returns one.
"""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from otpy.behaviours._app_spec import ApplicationSpec, checked, from_table
from otpy.terms.errors import ApplicationError, BadArgument
from otpy.terms.values import is_mapping

GROUP = "otpy.applications"


def place(path: object) -> Path:
    """The file that a path stands for: it, or the nearest ``pyproject.toml`` from there upwards."""
    if not isinstance(path, (str, Path)):
        raise BadArgument(f"path={path!r}; expected that of a file or directory")
    given = Path(path).absolute()
    if given.is_dir():
        for file in _upwards(given):
            if file.is_file():
                return file
    if not given.is_file():
        raise BadArgument(
            f"path={str(path)!r}: no such file, nor a directory under a pyproject.toml"
        )
    return given


def _upwards(directory: Path) -> list[Path]:
    return [folder / "pyproject.toml" for folder in (directory, *directory.parents)]


def find(name: str, places: list[Path]) -> ApplicationSpec:
    """The specification. Raises ``ApplicationError(("no such application", name))``."""
    files = [file for file in _upwards(Path.cwd()) if file.is_file()]
    looked = list(dict.fromkeys([*places, *files]))
    for file in looked:
        found = _in_file(name, file)
        if found is not None:
            return found
    installed = entry_points(group=GROUP)
    for entry in installed:
        if entry.name == name:
            return _of_entry(name, entry.load())
    shown = ", ".join(map(str, looked)) or f"no pyproject.toml from {Path.cwd()} upwards"
    others = ", ".join(sorted(entry.name for entry in installed)) or "none"
    raise ApplicationError(
        ("no such application", name),
        f"application {name!r} is not loaded and was not found; looked for "
        f"[tool.otpy.applications.{name}] in: {shown}; among the entry points of the group "
        f"{GROUP!r}: {others}",
    )


def _in_file(name: str, file: Path) -> ApplicationSpec | None:
    try:
        table: object = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadArgument(f"{file} is no TOML: {error}") from error
    for key in ("tool", "otpy", "applications", name):
        table = table.get(key) if is_mapping(table) else None
    if table is None:
        return None
    return from_table(name, table, f"{file} [tool.otpy.applications.{name}]")


def _of_entry(name: str, found: Any) -> ApplicationSpec:
    if not isinstance(found, ApplicationSpec) and callable(found):
        found = found()
    if not isinstance(found, ApplicationSpec) or found.name != name:
        raise BadArgument(
            f"the entry point {name!r} of {GROUP!r} gave {found!r}; expected the ApplicationSpec "
            f"of {name!r}, or a function that returns it"
        )
    return checked(found)
