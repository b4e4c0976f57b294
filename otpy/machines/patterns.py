"""Patterns for values, where Elixir has match specifications.

``ANY`` matches anything, ``Var(name)`` too, but the same name the same value everywhere; a
class matches its instances, a function what it returns true for; a tuple matches one of the
same length, part by part; anything else matches what is equal to it, and numbers of
different types are not equal: Elixir's ``===``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, cast

from otpy.terms.errors import BadArgument
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import is_frozenset, is_hashable, is_tuple

PLAIN = frozenset((str, int, bytes, type(None), Pid, Ref))  # equal only to their like
Bound = dict[str, Any]
Guard = Callable[..., Any]


class Anything:
    """The type of ``ANY``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY"


ANY = Anything()


@dataclass(frozen=True, slots=True)
class Var:
    """Matches anything; under one name the same value throughout a pattern: ``:"$1"``."""

    name: str


class Exact:
    """A key that Python would take for another one: 1.0 and True are not 1."""

    __slots__ = ("_form", "_hash", "key")

    def __init__(self, key: Any, form: tuple[Any, ...]) -> None:
        self.key = key
        self._form = form
        self._hash = hash(form)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return type(other) is Exact and self._form == other._form

    def __repr__(self) -> str:
        return f"Exact({self.key!r})"


def exact(key: Any) -> Any:
    """What a key is kept under. Raises ``BadArgument`` for a value that has no hash.

    Numbers of different types are different keys, also inside tuples and frozensets; other
    keys are the same if Python says so.
    """
    if type(key) in PLAIN:
        return key
    if is_tuple(key):
        parts = tuple(map(exact, key))
        same = all(part is given for part, given in zip(parts, key, strict=True))
        return key if same else Exact(key, (tuple, parts))
    if is_frozenset(key):
        return Exact(key, (frozenset, frozenset(map(exact, key))))
    if isinstance(key, Number):
        return Exact(key, (type(key), key))
    if not is_hashable(key):
        kind = type(key).__name__
        raise BadArgument(f"{key!r} is a {kind}; expected a key that can be hashed")
    return key


def given(kept: Any) -> Any:
    """The key that is kept as this."""
    return kept.key if type(kept) is Exact else kept


def same(one: Any, other: Any) -> bool:
    """``===``: equal, and numbers are of one type, also inside tuples and lists."""
    if type(one) in PLAIN and type(other) is type(one):
        return bool(one == other)
    if isinstance(one, Number) or isinstance(other, Number):
        return type(one) is type(other) and bool(one == other)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        parts, others = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        kinds = isinstance(one, tuple) == isinstance(other, tuple)
        return kinds and len(parts) == len(others) and all(map(same, parts, others))
    return bool(one == other)


def matches(pattern: Any, value: Any, bound: Bound) -> bool:
    """Whether a value matches; ``bound`` gets the variables' values."""
    if pattern is ANY:
        return True
    if isinstance(pattern, Var):
        if pattern.name in bound:
            return same(bound[pattern.name], value)
        bound[pattern.name] = value
        return True
    if is_tuple(pattern):
        return (
            is_tuple(value)
            and len(value) == len(pattern)
            and all(matches(part, held, bound) for part, held in zip(pattern, value, strict=True))
        )
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    if callable(pattern):
        return bool(pattern(value))
    return same(pattern, value)


def check_guards(guards: Any) -> Sequence[Guard]:
    """The same guards; raises ``BadArgument`` unless they are a list of functions."""
    if isinstance(guards, (list, tuple)):
        checked = cast("Sequence[Any]", guards)
        if all(map(callable, checked)):
            return checked
    raise BadArgument(f"guards={guards!r}; expected a list of functions")


def value_test(pattern: Any, guards: Any) -> Callable[[Any], bool]:
    """A test of values by a pattern and by guards, functions of the value."""
    checked = check_guards(guards)

    def test(value: Any) -> bool:
        return matches(pattern, value, {}) and all(guard(value) for guard in checked)

    return test


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a ``select``: guards and body are told the row, part by part."""

    pattern: Any
    guards: Sequence[Guard]
    body: Any = ANY

    def test(self, row: tuple[Any, ...], bound: Bound) -> bool:
        """Whether a row matches."""
        return matches(self.pattern, row, bound) and all(guard(*row) for guard in self.guards)

    def result(self, row: tuple[Any, ...], bound: Bound) -> Any:
        """What is selected of a row that matches."""
        return self.body(*row) if callable(self.body) else _filled(self.body, bound)


def _filled(body: Any, bound: Bound) -> Any:
    if type(body) is Var:
        return bound[body.name]
    if is_tuple(body):
        return tuple(_filled(part, bound) for part in body)
    return body


def _variables(pattern: Any) -> list[str]:
    if isinstance(pattern, Var):
        return [pattern.name]
    if is_tuple(pattern):
        return [name for part in pattern for name in _variables(part)]
    return []


def clauses(what: str, spec: Any, parts: int, width: int) -> list[Clause]:
    """The clauses of a specification: a list of tuples of ``parts`` parts, for rows of ``width``.

    Raises ``BadArgument``.
    """
    wrong = f"invalid match specification in {what}: {spec!r}"
    if not isinstance(spec, (list, tuple)):
        raise BadArgument(f"{wrong}; expected a list")
    made: list[Clause] = []
    for clause in cast("Sequence[Any]", spec):
        if not is_tuple(clause) or len(clause) != parts:
            shape = "(pattern, guards, body)" if parts == 3 else "(pattern, guards)"
            raise BadArgument(f"{wrong}; expected clauses {shape}")
        pattern, guards = clause[:2]
        if type(pattern) not in (Anything, Var) and not (
            is_tuple(pattern) and len(pattern) == width
        ):
            raise BadArgument(f"{wrong}; expected a pattern (key, pid, value) or ANY")
        body = clause[2] if parts == 3 else ANY
        bound = _variables(pattern)
        missing = [name for name in _variables(body) if name not in bound]
        if missing:
            raise BadArgument(f"{wrong}; the pattern has no Var({missing[0]!r})")
        made.append(Clause(pattern, check_guards(guards), body))
    return made


def selected(made: Sequence[Clause], row: tuple[Any, ...]) -> tuple[Any, ...]:
    """What the first clause that matches makes of a row: one result, or none."""
    for clause in made:
        bound: Bound = {}
        if clause.test(row, bound):
            return (clause.result(row, bound),)
    return ()
