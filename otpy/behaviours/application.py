"""Applications: parts of a system that start and stop as a whole. Elixir's ``Application``.

An application has a specification (``ApplicationSpec``): what it needs, its environment, and the
``Application`` class that starts its tree. The specification is given in code, with
``load(spec)``, or found by name: in ``[tool.otpy.applications.NAME]`` of a ``pyproject.toml``
or among the entry points of the group "otpy.applications".

What belongs to a node is on that node only: what is loaded, the environment, what runs. Reading
any of it takes no message. What starts or stops an application asks the process
"application_controller"; in a coroutine it raises ``WouldBlockLoop``. What is refused raises
``ApplicationError``, whose ``reason`` is OTP's. A node that stops stops its applications first,
the one started last before the others.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from otpy.behaviours import gen_server
from otpy.behaviours._app_controller import TYPES, controller
from otpy.behaviours._app_find import find, place
from otpy.behaviours._app_report import LOG, shown_end
from otpy.behaviours._app_spec import (
    KEYS,
    Application,
    ApplicationSpec,
    check_env,
    check_name,
    checked,
    is_sequence,
)
from otpy.behaviours._app_tables import Tables, tables
from otpy.machines.start_order import Circular, Missing, Needs, start_order
from otpy.runtime._current import waiter
from otpy.runtime.arguments import check_flag, check_timeout
from otpy.runtime.body import reason_of
from otpy.terms.errors import ApplicationError, BadArgument
from otpy.terms.values import is_mapping, is_tuple

Type = Literal["temporary", "transient", "permanent"]


class ApplicationInfo(NamedTuple):
    """One row of ``loaded_applications`` and ``started_applications``."""

    name: str
    description: str
    vsn: str


# Loading.


def load(app: str | ApplicationSpec, *, path: str | Path | None = None) -> None:
    """Load an application and what it includes: its environment is there, nothing runs.

    ``path``: a TOML file, or a directory from which a ``pyproject.toml`` is looked for upwards.
    It is looked into first, also for what is needed later on this node. Raises
    ``ApplicationError``: ("already_loaded", name), ("no such application", name); and
    ``BadArgument`` for a wrong specification. ``Application.load/1``.
    """
    ours = tables()
    if path is not None:
        file = place(path)
        with ours.lock:
            ours.places = [file, *(one for one in ours.places if one != file)]
    if isinstance(app, ApplicationSpec):
        spec = checked(app)
    elif check_name(app) in ours.loaded:
        raise ApplicationError(("already_loaded", app), f"application {app!r} is loaded already")
    else:
        spec = find(app, ours.places)
    included = [
        find(name, ours.places) for name in spec.included_applications if name not in ours.loaded
    ]
    ours.load(spec)
    for one in included:
        _loaded(one.name, one)


def ensure_loaded(app: str) -> None:
    """``load``, unless it is loaded. ``Application.ensure_loaded/1``."""
    _loaded(check_name(app), app)


def _loaded(name: str, app: str | ApplicationSpec) -> None:
    if name in tables().loaded:
        return
    try:
        load(app)
    except ApplicationError as failed:
        if failed.reason != ("already_loaded", name):  # by another process, an instant ago
            raise


def unload(app: str) -> None:
    """Forget an application, its environment, and what it includes. ``Application.unload/1``.

    Raises ``ApplicationError``: ("not_loaded", name), ("running", name).
    """
    tables().unload(check_name(app))


# Starting and stopping.


def start(app: str, type: Type = "temporary") -> None:
    """Load and start an application; returns when its ``start`` and start phases are through.

    ``type`` says what follows when it ends by itself: "temporary", a report; "permanent", the
    node stops; "transient", the node stops unless it ended with "normal". That also holds
    for a start that fails. Raises ``ApplicationError``: ("not_started", dependency),
    ("not_running", dependency), ("already_started", name), ("no such application", name),
    ``(why, (cls, "start", (type, args)))`` or ("bad_return", ...). ``Application.start/2``.
    """
    _check_type(type)
    waiter("application.start")
    _loaded(check_name(app), app)
    _ask(app, "did not start", "start", app, type)


def ensure_started(app: str, type: Type = "temporary") -> None:
    """``start``, unless it runs. ``Application.ensure_started/2``."""
    _check_type(type)
    waiter("application.ensure_started")
    _ensure(check_name(app), type)


def _ensure(app: str, type: Type) -> bool:
    """Whether it was started by this."""
    try:
        start(app, type)
    except ApplicationError as failed:
        if failed.reason != ("already_started", app):
            raise
        return False
    return True


def ensure_all_started(
    app: str | list[str] | tuple[str, ...], type: Type = "temporary"
) -> list[str]:
    """Start applications and before each what it needs; those that were started by this.

    If one does not start, those started by this are stopped again and
    ``ApplicationError((name, why))`` is raised. ``Application.ensure_all_started/2``.
    """
    _check_type(type)
    waiter("application.ensure_all_started")
    wanted = list(app) if isinstance(app, (list, tuple)) else [app]
    order = _order([check_name(name) for name in wanted])
    done: list[str] = []
    for name in order:
        try:
            if _ensure(name, type):
                done.append(name)
        except ApplicationError as failed:
            for started in reversed(done):
                _stop_again(started)
            raise ApplicationError((name, failed.reason), str(failed)) from failed
    return done


def _stop_again(app: str) -> None:
    try:
        stop(app)
    except ApplicationError as gone:
        LOG.info("application %s had ended before it was stopped again: %s", app, gone)


def _order(wanted: list[str]) -> tuple[str, ...]:
    """Load all that is needed; the order in which to start it."""
    ours = tables()
    known: dict[str, Needs] = {}
    waiting = [(name, True) for name in wanted]
    while waiting:
        name, needed = waiting.pop()
        if name in known:
            continue
        try:
            _loaded(name, name)
        except ApplicationError as failed:
            if failed.reason != ("no such application", name):
                raise
            if needed:
                raise ApplicationError((name, failed.reason), str(failed)) from failed
            continue
        spec = ours.loaded[name]
        known[name] = Needs(spec.applications, spec.optional_applications)
        waiting += [(one, one not in spec.optional_applications) for one in spec.applications]
    match start_order(wanted, known):
        case Circular(path):
            shown = " needs ".join(path)
            raise ApplicationError((path[0], ("circular_dependency", path)), f"circular: {shown}")
        case Missing(name, _):
            raise ApplicationError((name, ("no such application", name)))
        case order:
            return order


def stop(app: str, timeout: float | None = None) -> None:
    """Stop an application: ``prep_stop``, its tree, ``stop``; returns when it is gone.

    After ``timeout`` seconds, if given, what is left of it is killed. Raises
    ``ApplicationError(("not_started", name))``. ``Application.stop/1``.
    """
    check_name(app)
    check_timeout(timeout)
    waiter("application.stop")
    _ask(app, "was not stopped", "stop", app, timeout)


def _check_type(type: object) -> None:
    if type not in TYPES:
        raise BadArgument(f"type={type!r}; expected one of {', '.join(TYPES)}")


def _ask(app: str, what: str, *request: Any) -> None:
    ok, why = gen_server.call(controller(), request, timeout=None)
    if not ok:
        raise ApplicationError(why, f"application {app!r} {what}: {shown_end(why)}")


# The environment.


def get_env(app: str, key: str, default: Any = None) -> Any:
    """A value of the environment, or ``default``. ``Application.get_env/3``."""
    return tables().env.get(check_name(app), {}).get(_check_key(key), default)


def fetch_env(app: str, key: str) -> tuple[Literal["ok"], Any] | Literal["error"]:
    """``("ok", value)``, or "error" if there is none. ``Application.fetch_env/2``."""
    values = tables().env.get(check_name(app), {})
    return ("ok", values[key]) if _check_key(key) in values else "error"


def fetch_env_(app: str, key: str) -> Any:
    """A value of the environment. Raises ``BadArgument`` if there is none.

    ``Application.fetch_env!/2``.
    """
    match fetch_env(app, key):
        case ("ok", value):
            return value
        case _:
            ours = tables()
            told = f"could not fetch application environment {key!r} for application {app!r}"
            if app in ours.loaded or ours.env.get(app):
                raise BadArgument(f"{told} because configuration at {key!r} was not set")
            raise BadArgument(f"{told} because the application was not loaded nor configured")


def get_all_env(app: str) -> dict[str, Any]:
    """A copy of the whole environment, empty if there is none. ``Application.get_all_env/1``."""
    return dict(tables().env.get(check_name(app), {}))


def put_env(app: str, key: str, value: Any, *, persistent: bool = False) -> None:
    """Set a value. ``Application.put_env/4``.

    What is set before an application is loaded gives way to its specification, unless it is
    ``persistent``; that also outlives ``unload``.
    """
    check_flag("persistent", persistent)
    tables().put({check_name(app): {_check_key(key): value}}, persistent)


def put_all_env(
    config: Mapping[str, Any] | Sequence[tuple[str, Any]], *, persistent: bool = False
) -> None:
    """Set many values: ``{app: {key: value}}``, or pairs. ``Application.put_all_env/2``.

    Raises ``BadArgument``, and sets nothing, if anything in it is wrong.
    """
    check_flag("persistent", persistent)
    tables().put(_config(config), persistent)


def _config(config: object) -> dict[str, dict[str, Any]]:
    if not (is_mapping(config) or is_sequence(config)):
        raise BadArgument(f"configuration {config!r}; expected a dict of dicts, or pairs")
    pairs = list(config.items()) if is_mapping(config) else config
    made: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        if not (is_tuple(pair) and len(pair) == 2):
            raise BadArgument(f"configuration {pair!r}; expected (application, parameters)")
        name, values = pair
        if check_name(name) in made:
            raise BadArgument(f"duplicate application config: {name}")
        made[name] = check_env(name, values)
    return made


def delete_env(app: str, key: str, *, persistent: bool = False) -> None:
    """Take a value away; ``persistent``: for good. ``Application.delete_env/3``."""
    check_flag("persistent", persistent)
    tables().delete(check_name(app), _check_key(key), persistent)


def _check_key(key: object) -> str:
    if not isinstance(key, str):
        raise BadArgument(f"key={key!r}; expected a str")
    return key


def prep_config_change() -> dict[str, dict[str, Any]]:
    """The environment of every application, to hand to ``config_change`` after changing it.

    ``application_controller:prep_config_change/0``.
    """
    ours = tables()
    return {name: dict(ours.env.get(name, {})) for name in list(ours.running)}


def config_change(before: dict[str, dict[str, Any]]) -> None:
    """Tell the applications that run what has changed since ``prep_config_change``.

    Each whose environment differs has its ``config_change(changed, new, removed)`` called, in
    this process. Raises ``ApplicationError([("config_change", name, why), ...])`` with those that
    raised, when all have been told. ``application_controller:config_change/1``.
    """
    ours = tables()
    failed: list[tuple[str, str, Any]] = []
    for name in list(ours.running):
        spec = ours.loaded.get(name)
        old, now = before.get(name, {}), get_all_env(name)
        if spec is None or spec.mod is None or old == now:
            continue
        changed = {key: value for key, value in now.items() if key in old and old[key] != value}
        new = {key: value for key, value in now.items() if key not in old}
        removed = [key for key in old if key not in now]
        try:
            spec.mod[0]().config_change(changed, new, removed)
        except Exception as error:  # noqa: BLE001 - the other applications must be told, too
            LOG.exception("config_change of application %s raised", name)
            failed.append(("config_change", name, reason_of(error)))
    if failed:
        raise ApplicationError(failed)


# What there is.


def spec(app: str, key: str | None = None) -> Any:
    """An application's ``ApplicationSpec``, or one key of it; None if it is not loaded.

    Raises ``BadArgument`` for a key that no specification has. ``Application.spec/1,2``.
    """
    if key is not None and key not in KEYS:
        raise BadArgument(f"a specification has no key {key!r}; expected one of {', '.join(KEYS)}")
    found = tables().loaded.get(check_name(app))
    return found if found is None or key is None else getattr(found, key)


def get_key(app: str, key: str) -> Any:
    """One key of an application's specification: ``application:get_key/2``, as ``spec``."""
    return spec(app, key)


def get_application(module: str | ModuleType | type | Callable[..., Any]) -> str | None:
    """The loaded application that a module, class or function belongs to, by ``modules``.

    The module of the callback class belongs to it, too. ``Application.get_application/1``.
    """
    if isinstance(module, str):
        name = module
    elif inspect.ismodule(module):
        name = module.__name__
    elif isinstance(module, type) or callable(module):
        name = module.__module__
    else:
        raise BadArgument(f"get_application({module!r}): expected a module, or its name")
    for found in list(tables().loaded.values()):
        if name in found.modules or (found.mod and found.mod[0].__module__ == name):
            return found.name
    return None


def _rows(ours: Tables, names: list[str]) -> list[ApplicationInfo]:
    specs = [ours.loaded[name] for name in reversed(names) if name in ours.loaded]
    return [ApplicationInfo(one.name, one.description, one.vsn) for one in specs]


def loaded_applications() -> list[ApplicationInfo]:
    """A row for each application that is loaded, the latest first."""
    ours = tables()
    return _rows(ours, list(ours.loaded))


def started_applications() -> list[ApplicationInfo]:
    """A row for each application that runs, the latest first."""
    ours = tables()
    return _rows(ours, list(ours.running))


def which_applications() -> list[ApplicationInfo]:
    """As ``started_applications``, under Erlang's name."""
    return started_applications()


__all__ = [
    "Application",
    "ApplicationInfo",
    "ApplicationSpec",
    "config_change",
    "delete_env",
    "ensure_all_started",
    "ensure_loaded",
    "ensure_started",
    "fetch_env",
    "fetch_env_",
    "get_all_env",
    "get_application",
    "get_env",
    "get_key",
    "load",
    "loaded_applications",
    "prep_config_change",
    "put_all_env",
    "put_env",
    "spec",
    "start",
    "started_applications",
    "stop",
    "unload",
    "which_applications",
]
