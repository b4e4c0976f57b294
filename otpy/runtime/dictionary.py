"""The process dictionary: Elixir's ``Process.put``, ``get``, ``get_keys`` and ``delete``.

A key is a value that has a hash; any other raises ``BadArgument``.
"""

from typing import Any

from otpy.runtime._current import current
from otpy.runtime.arguments import check_key


def put(key: Any, value: Any) -> Any:
    """Set a value of the process dictionary; the one it replaces, or None."""
    check_key("process.put", key)
    me = current()
    if me.dictionary is None:
        me.dictionary = {}
    before = me.dictionary.get(key)
    me.dictionary[key] = value
    return before


def get(key: Any, default: Any = None) -> Any:
    """A value of the process dictionary."""
    check_key("process.get", key)
    return (current().dictionary or {}).get(key, default)


def get_keys(value: Any) -> list[Any]:
    """The keys of the process dictionary that have ``value``."""
    return [key for key, held in (current().dictionary or {}).items() if held == value]


def delete(key: Any) -> Any:
    """Remove a key of the process dictionary; the value it had, or None."""
    check_key("process.delete", key)
    return (current().dictionary or {}).pop(key, None)
