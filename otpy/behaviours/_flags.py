"""A supervisor's children and flags, checked: what ``supervisor.init`` returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from otpy.behaviours.child_spec import ChildSpec, child_spec, keyed
from otpy.behaviours.results import Ignore, Stop
from otpy.machines.restart import AutoShutdown, Strategy
from otpy.terms.errors import BadArgument, BadChildSpec, BadFlags
from otpy.terms.values import INFINITE, is_seconds, is_whole

F = TypeVar("F")
STRATEGIES: tuple[str, ...] = get_args(Strategy)
AUTO: tuple[str, ...] = get_args(AutoShutdown)


@dataclass(frozen=True, slots=True)
class Flags:
    """What ``supervisor.init`` returns: the children and how to keep them."""

    children: tuple[ChildSpec, ...]
    strategy: Strategy
    max_restarts: int
    max_seconds: float
    auto_shutdown: AutoShutdown


def init(
    children: list[Any] | tuple[Any, ...],
    *,
    strategy: Strategy | None = None,
    max_restarts: int = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
) -> Flags:
    """Checked flags and children, for ``Supervisor.init`` to return.

    Raises ``BadFlags`` and ``BadChildSpec``.
    """
    if strategy is None:
        raise BadFlags(
            "missing_strategy", "expected strategy= to be given: " + ", ".join(STRATEGIES)
        )
    if strategy not in STRATEGIES:
        raise wrong_flag("invalid_strategy", strategy, "one of " + ", ".join(STRATEGIES))
    check_intensity(max_restarts, max_seconds)
    if auto_shutdown not in AUTO:
        raise wrong_flag("invalid_auto_shutdown", auto_shutdown, "one of " + ", ".join(AUTO))
    if isinstance(children, (str, bytes, Mapping)) or not isinstance(children, Iterable):
        raise BadArgument(f"children={children!r}; expected a list of children")
    specs = tuple(child_spec(child) for child in children)
    seen: dict[Any, None] = {}
    for spec in specs:
        if keyed(spec).id in seen:
            raise BadChildSpec(
                ("duplicate_child_name", spec.id),
                f"two children have the id {spec.id!r}; use supervisor.child_spec(child, id=...)",
            )
        seen[spec.id] = None
        check_significant(spec, auto_shutdown)
    return Flags(specs, strategy, max_restarts, max_seconds, auto_shutdown)


def check_intensity(max_restarts: Any, max_seconds: Any) -> None:
    """Raise ``BadFlags`` unless they are a number of restarts and a period in seconds."""
    if not is_whole(max_restarts, 0):
        raise wrong_flag("invalid_intensity", max_restarts, "max_restarts, an int of at least 0")
    if not is_seconds(max_seconds) or max_seconds in (0, INFINITE):
        raise wrong_flag("invalid_period", max_seconds, "max_seconds, a finite number above 0")


def wrong_flag(kind: str, value: Any, expected: str) -> BadFlags:
    """What is raised for a wrong flag of a supervisor: OTP's ``{supervisor_data, ...}``."""
    return BadFlags(("supervisor_data", (kind, value)), f"{value!r}: expected {expected}")


def check_significant(spec: ChildSpec, auto_shutdown: str) -> None:
    if spec.significant and (spec.restart == "permanent" or auto_shutdown == "never"):
        raise BadChildSpec(
            ("bad_combination", (auto_shutdown, spec.restart)),
            f"child {spec.id!r} is significant, which needs auto_shutdown and a child that is "
            f"not permanent; got auto_shutdown={auto_shutdown!r}, restart={spec.restart!r}",
        )


def flags_of(module: type[Any] | None, given: Any, kind: type[F]) -> F | Ignore | Stop[Any]:
    """What ``init`` of a supervisor's class says, or what it was given without a class.

    ``Ignore``, or ``Stop`` with OTP's ``{bad_return, ...}``, if it begins with neither.
    """
    flags = given if module is None else module().init(given)
    if isinstance(flags, (kind, Ignore)):
        return flags
    return Stop(("bad_return", (module, "init", flags)))
