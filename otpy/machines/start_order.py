"""In which order applications are started: each after those that it needs.

Names only: who an application is, and where it was found, is the driver's business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Needs:
    """What one application needs before it: those in ``optional`` only if they are there."""

    applications: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """``app`` is needed and nobody knows it; ``needed_by`` is None if it was asked for itself."""

    app: str
    needed_by: str | None


@dataclass(frozen=True, slots=True)
class Circular:
    """Each of ``path`` needs the next, and the last is the first."""

    path: tuple[str, ...]


def start_order(
    wanted: Iterable[str], known: Mapping[str, Needs]
) -> tuple[str, ...] | Missing | Circular:
    """``wanted`` with all that they need, in the order of ``application:ensure_all_started``.

    What an application needs comes before it, from left to right.
    """
    order: dict[str, None] = {}
    for name in wanted:
        wrong = _visit(name, (), known, order)
        if wrong is not None:
            return wrong
    return tuple(order)


def _visit(
    name: str, above: tuple[str, ...], known: Mapping[str, Needs], order: dict[str, None]
) -> Missing | Circular | None:
    if name in order:
        return None
    if name in above:
        return Circular((*above[above.index(name) :], name))
    needs = known.get(name)
    if needs is None:
        return Missing(name, above[-1] if above else None)
    for needed in needs.applications:
        if needed in needs.optional and needed not in known:
            continue
        wrong = _visit(needed, (*above, name), known, order)
        if wrong is not None:
            return wrong
    order[name] = None
    return None
