"""Child specifications: what a supervisor must know of a child."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypedDict, Unpack

from otpy.machines.restart import Restart
from otpy.terms.errors import BadArgument, BadChildSpec
from otpy.terms.values import is_hashable, is_mapping, is_seconds, is_tuple

RESTARTS = ("permanent", "transient", "temporary")
TYPES = ("worker", "supervisor")
OLD_FORM = ("id", "start", "restart", "shutdown", "type", "modules")  # a tuple of these
SHUTDOWNS = ("brutal_kill", "infinity")
Modules = tuple[Any, ...] | Literal["dynamic"]
FORMS = "a class, (class, arg), a ChildSpec, or a dict with its keys"


class ChildOptions(TypedDict, total=False):
    """What a class may say of itself as a child; see ``ChildSpec``."""

    restart: Restart
    shutdown: float | Literal["brutal_kill", "infinity"] | None
    significant: bool
    id: Any


class ChildFields(ChildOptions, total=False):
    """The fields of a ``ChildSpec``, any of which ``child_spec`` may replace."""

    start: tuple[Callable[..., Any], tuple[Any, ...]]
    type: Literal["worker", "supervisor"]
    modules: Modules | None


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How a child is started, restarted and stopped.

    ``start`` is ``(function, args)``; the function links the new process to the
    supervisor and returns its pid, ``(pid, info)``, or raises ``StartError``.
    ``shutdown`` is seconds, "brutal_kill" or "infinity"; None stands for 5 seconds for
    a worker and "infinity" for a supervisor. ``modules`` left out stands for whose function
    ``start`` calls: a class, else the name of a module; "dynamic" says that they change while
    the child runs.
    """

    id: Any
    start: tuple[Callable[..., Any], tuple[Any, ...]]
    restart: Restart = "permanent"
    shutdown: float | Literal["brutal_kill", "infinity"] | None = None
    type: Literal["worker", "supervisor"] = "worker"
    modules: Modules | None = None
    significant: bool = False

    @property
    def patience(self) -> float | None:
        """Seconds to wait for the child to stop; None for ever, 0 for brutal_kill."""
        if self.shutdown == "brutal_kill":
            return 0.0
        if self.shutdown == "infinity" or (self.shutdown is None and self.type == "supervisor"):
            return None
        return 5.0 if self.shutdown is None else float(self.shutdown)

    @property
    def code(self) -> Modules:
        """``modules``, or what stands for them."""
        if self.modules == "dynamic":
            return "dynamic"
        if self.modules is not None:
            return tuple(self.modules)
        function = self.start[0]
        owner = getattr(function, "__self__", None)
        return (owner if isinstance(owner, type) else getattr(function, "__module__", None),)


def check(spec: ChildSpec) -> ChildSpec:
    """The same specification; raises ``BadChildSpec`` with OTP's reason."""
    start = spec.start
    if not (
        isinstance(start, tuple)
        and len(start) == 2
        and callable(start[0])
        and isinstance(start[1], tuple)
    ):
        raise BadChildSpec(
            ("invalid_mfa", start), f"start={start!r}; expected (function, tuple of arguments)"
        )
    if not (isinstance(spec.restart, str) and spec.restart in RESTARTS):
        raise BadChildSpec(
            ("invalid_restart_type", spec.restart),
            f"restart={spec.restart!r}; expected one of {', '.join(RESTARTS)}",
        )
    if not (isinstance(spec.type, str) and spec.type in TYPES):
        raise BadChildSpec(
            ("invalid_child_type", spec.type), f"type={spec.type!r}; expected worker or supervisor"
        )
    shutdown = spec.shutdown
    named = shutdown is None or (isinstance(shutdown, str) and shutdown in SHUTDOWNS)
    if not named and not is_seconds(shutdown):
        raise BadChildSpec(
            ("invalid_shutdown", shutdown),
            f"shutdown={shutdown!r}; expected seconds, 'brutal_kill' or 'infinity'",
        )
    modules = spec.modules
    dynamic = isinstance(modules, str) and modules == "dynamic"
    if modules is not None and not dynamic and not isinstance(modules, (tuple, list)):
        raise BadChildSpec(
            ("invalid_modules", modules), f"modules={modules!r}; expected a tuple or 'dynamic'"
        )
    if not isinstance(spec.significant, bool):
        raise BadChildSpec(
            ("invalid_significant", spec.significant),
            f"significant={spec.significant!r}; expected True or False",
        )
    return spec


def keyed(spec: Any) -> ChildSpec:
    """A specification by whose id a supervisor can know the child; raises ``BadChildSpec``."""
    if not isinstance(spec, ChildSpec):
        raise BadChildSpec(
            ("invalid_child_spec", spec), f"{spec!r} is not a child; expected a ChildSpec"
        )
    if not is_hashable(spec.id):
        raise BadChildSpec(
            ("invalid_id", spec.id), f"id={spec.id!r}; expected a value that has a hash"
        )
    return spec


def of_class(cls: Any, arg: Any, **defaults: Any) -> ChildSpec:
    """What a class says of itself as a child with ``arg``: its options over ``defaults``."""
    base: dict[str, Any] = {"id": cls, "start": (cls.start_link, (arg,))}
    return ChildSpec(**{**base, **defaults, **cls.child_options})


def keywords(what: str, of: str, arg: object) -> dict[str, Any]:
    """The keywords with which a class is a child: ``(Class, {...})``. Raises ``BadArgument``."""
    if not is_mapping(arg):
        raise BadArgument(f"{what} got {arg!r}; expected a dict with the keywords of {of}")
    return dict(arg)


def child_spec(child: Any, **overrides: Unpack[ChildFields]) -> ChildSpec:
    """The specification a child stands for, with some fields replaced.

    Raises ``BadChildSpec``. ``Supervisor.child_spec/2``.
    """
    spec = _made(child)
    unknown = [key for key in overrides if key not in _KEYS]
    if unknown:
        raise _unknown_key(unknown[0])
    return check(replace(spec, **overrides) if overrides else spec)


def _made(child: Any) -> ChildSpec:
    if isinstance(child, ChildSpec):
        return child
    if is_mapping(child):
        for key in child:
            if key not in _KEYS:
                raise _unknown_key(key)
        for key in ("id", "start"):
            if key not in child:
                raise BadChildSpec(
                    f"missing_{key}", f"the child spec {dict(child)!r} has no {key!r}"
                )
        return ChildSpec(**child)
    if is_tuple(child) and len(child) == len(OLD_FORM):
        return ChildSpec(*child)
    module, arg = child if is_tuple(child) and len(child) == 2 else (child, None)
    make = getattr(module, "child_spec", None)
    if not isinstance(module, type) or make is None:
        raise BadChildSpec(
            ("invalid_child_spec", child), f"{child!r} is not a child; expected {FORMS}"
        )
    made = make(arg)
    if not isinstance(made, ChildSpec):
        return _made(made)
    return made


def _unknown_key(key: Any) -> BadChildSpec:
    return BadChildSpec(
        ("unknown_key", key), f"a child spec has no key {key!r}; expected {', '.join(_KEYS)}"
    )


_KEYS = tuple(field.name for field in fields(ChildSpec))
