"""The process dictionary: Elixir's ``Process.put``, ``get``, ``get_keys`` and ``delete``."""

from typing import Any

from otpy.runtime._current import current


def put(key: Any, value: Any) -> Any:
    """Set a value of the process dictionary; the one it replaces, or None."""
    me = current()
    if me.dictionary is None:
        me.dictionary = {}
    before = me.dictionary.get(key)
    me.dictionary[key] = value
    return before


def get(key: Any, default: Any = None) -> Any:
    """A value of the process dictionary."""
    return (current().dictionary or {}).get(key, default)


def get_keys(value: Any) -> list[Any]:
    """The keys of the process dictionary that have ``value``."""
    return [key for key, held in (current().dictionary or {}).items() if held == value]


def delete(key: Any) -> Any:
    """Remove a key of the process dictionary; the value it had, or None."""
    return (current().dictionary or {}).pop(key, None)
