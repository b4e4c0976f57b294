"""What an application is: its specification, checked, in code or as a table of a TOML file."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from typing import Any, TypeGuard

from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid
from otpy.terms.values import is_mapping, is_tuple

CALLBACKS = ("start", "start_phase", "prep_stop", "stop", "config_change")
NAMES = ("applications", "optional_applications", "included_applications", "registered", "modules")


class Application:
    """Subclass it, with a ``start``: Elixir's ``use Application``.

    An object is made for each start. Its callbacks run in the process that holds the
    application, a thread of its own, so they may block.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in CALLBACKS:
            if inspect.iscoroutinefunction(getattr(cls, name)):
                raise BadArgument(
                    f"{cls.__name__}.{name} is async; an application's callbacks are plain "
                    "functions (process.await_coroutine runs a coroutine in them)"
                )

    def start(self, type: str, args: Any, /) -> Pid | tuple[Pid, Any]:
        """Start the top process, linked: its pid, or ``(pid, state)``.

        ``type`` is "normal", ``args`` stand in the specification's ``mod``. ``StartError`` raised
        here is OTP's ``{error, Reason}``: the application does not start. Anything else that
        is raised or returned makes it fail with ``("bad_return", ...)``.
        """
        raise NotImplementedError(f"{self.__class__.__name__} has no start")

    def start_phase(self, phase: str, type: str, args: Any, /) -> None:
        """Do one of the specification's ``start_phases``, after ``start``; returns None.

        ``StartError`` raised here ends the start, and the tree is stopped again.
        """
        raise NotImplementedError(
            f"{self.__class__.__name__} has no start_phase and was told {phase!r}"
        )

    def prep_stop(self, state: Any, /) -> Any:
        """The application is about to stop, its tree runs: the state for ``stop``.

        None leaves the state as it is.
        """
        return state

    def stop(self, state: Any, /) -> None:
        """The application has stopped: clean up."""

    def config_change(
        self, changed: dict[str, Any], new: dict[str, Any], removed: list[str], /
    ) -> None:
        """The environment was changed between ``prep_config_change`` and ``config_change``."""


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """An application's specification, OTP's ``.app`` file.

    ``mod`` is the callback class (also as "module:Class") or ``(class, args)``; without it the
    application is a library, which starts no process. ``applications`` are started before;
    those also in ``optional_applications`` only if they can be found.
    ``included_applications`` are loaded with it and started by it. ``start_phases`` are
    ``(phase, args)`` pairs, or phases alone. ``modules`` are names; ``get_application`` uses them.
    """

    name: str
    mod: Any = None
    applications: tuple[str, ...] = ()
    optional_applications: tuple[str, ...] = ()
    included_applications: tuple[str, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    registered: tuple[Any, ...] = ()
    start_phases: tuple[Any, ...] = ()
    description: str = ""
    vsn: str = ""
    modules: tuple[str, ...] = ()


KEYS = tuple(part.name for part in fields(ApplicationSpec))


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list or a tuple."""
    return isinstance(value, (list, tuple))


def checked(spec: ApplicationSpec) -> ApplicationSpec:
    """The same specification in one form. Raises ``BadArgument``, with name and key."""
    check_name(spec.name)
    for key in NAMES:
        _check_names(spec.name, key, getattr(spec, key))
    for name in spec.optional_applications:
        if name not in spec.applications:
            raise _wrong(
                spec.name,
                "optional_applications",
                spec.optional_applications,
                f"names that stand in applications, as {name!r} does not",
            )
    for key in ("description", "vsn"):
        if not isinstance(getattr(spec, key), str):
            raise _wrong(spec.name, key, getattr(spec, key), "a str")
    return replace(
        spec,
        mod=_mod(spec),
        env=check_env(spec.name, spec.env),
        start_phases=_phases(spec),
        applications=tuple(spec.applications),
        optional_applications=tuple(spec.optional_applications),
        included_applications=tuple(spec.included_applications),
        registered=tuple(spec.registered),
        modules=tuple(spec.modules),
    )


def check_name(name: object) -> str:
    """The name of an application. Raises ``BadArgument``."""
    if not isinstance(name, str) or not name:
        raise BadArgument(f"application: {name!r}; application name must be a str")
    return name


def check_env(name: str, env: object) -> dict[str, Any]:
    """A copy of an environment: a mapping, or pairs, with strings as keys."""
    told = f"application: {name}; "
    pairs: Sequence[Any]
    if is_mapping(env):
        pairs = list(env.items())
    elif is_sequence(env):
        pairs = env
    else:
        raise BadArgument(f"{told}parameters must be a dict or a list of pairs, not {env!r}")
    made: dict[str, Any] = {}
    for pair in pairs:
        if not (is_tuple(pair) and len(pair) == 2):
            raise BadArgument(f"{told}invalid parameter {pair!r}; expected (key, value)")
        key, value = pair
        if not isinstance(key, str):
            raise BadArgument(f"{told}invalid parameter name {key!r}; expected a str")
        if key in made:
            raise BadArgument(f"{told}duplicate parameter: {key}")
        made[key] = value
    return made


def _wrong(name: str, key: str, value: object, expected: str) -> BadArgument:
    return BadArgument(f"application {name!r}: {key}={value!r}; expected {expected}")


def _check_names(name: str, key: str, value: object) -> None:
    if not is_sequence(value):
        raise _wrong(name, key, value, "a tuple of names")
    if key == "registered":
        return  # a name may be a class
    names = value
    if not all(isinstance(one, str) and one for one in names):
        raise _wrong(name, key, value, "a tuple of names, each a str")
    if name in names and key != "modules":
        raise _wrong(name, key, value, "other applications than itself")


def _mod(spec: ApplicationSpec) -> tuple[type[Application], Any] | None:
    given = spec.mod
    if given is None:
        return None
    pair = is_tuple(given) and len(given) == 2
    found, args = given if pair else (given, None)
    if isinstance(found, str):
        found = resolved(spec.name, found)
    if not (isinstance(found, type) and issubclass(found, Application)):
        raise _wrong(
            spec.name, "mod", given, "an Application class, (class, args), or 'module:Class'"
        )
    return found, args


def resolved(name: str, path: str) -> Any:
    """What ``"module:attribute"`` stands for. Raises ``BadArgument``."""
    module, colon, attribute = path.partition(":")
    if not (module and colon and attribute):
        raise _wrong(name, "mod", path, "'module:Class'")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise BadArgument(f"application {name!r}: {path!r} cannot be loaded: {error}") from error
    return found


def _phases(spec: ApplicationSpec) -> tuple[tuple[str, Any], ...]:
    given: object = spec.start_phases
    if not is_sequence(given):
        raise _wrong(spec.name, "start_phases", given, "a tuple of phases or (phase, args)")
    made: list[tuple[str, Any]] = []
    for one in given:
        phase, args = one if is_tuple(one) and len(one) == 2 else (one, None)
        if not isinstance(phase, str):
            raise _wrong(spec.name, "start_phases", given, "a tuple of phases or (phase, args)")
        made.append((phase, args))
    return tuple(made)


def from_table(name: str, table: object, where: str) -> ApplicationSpec:
    """The specification that a table of a TOML file holds. Raises ``BadArgument``.

    ``mod`` is "module:Class" or [that, args]; a start phase is a name or [name, args].
    """
    if not is_mapping(table):
        raise BadArgument(f"{where}: {table!r}; expected a table")
    for key in table:
        if key == "name" or key not in KEYS:
            known = ", ".join(key for key in KEYS if key != "name")
            raise BadArgument(f"{where} has no key {key!r}; expected one of {known}")
    made: dict[str, Any] = dict(table)
    if is_sequence(mod := made.get("mod")):
        made["mod"] = tuple(mod)
    if is_sequence(phases := made.get("start_phases")):
        made["start_phases"] = [tuple(one) if is_sequence(one) else one for one in phases]
    return checked(ApplicationSpec(name, **made))
