"""What the machines of ``pg`` on two nodes say to each other, checked as it comes in.

Each begins with the pid of the scope's process that sends it.

| message                         | says                                                        |
|---------------------------------|-------------------------------------------------------------|
| discover, pid                   | I run this scope: tell me your members, and I tell you mine |
| sync, pid, first, last, entries | a piece of all that I have: groups, with all their members  |
| join, pid, group, numbers       | processes of mine joined                                    |
| leave, pid, groups, numbers     | processes of mine left each of these, once                  |

A process is told by its number alone: only those of the sender's node can be its members. A
group is a ``Key``: a scalar as it is, any other value by its bytes in a tuple, so that a node
that could not read the value keeps its members all the same.
"""

from typing import Any

from otpy.machines.patterns import PLAIN
from otpy.terms.pid import Pid
from otpy.terms.values import is_list, is_tuple

Key = Any
Entry = tuple[Key, list[int]]


def read(message: Any) -> tuple[Any, ...] | None:
    """A message with its parts checked; None if it is not one of ours."""
    match message:
        case ("discover", Pid() as pid):
            return ("discover", pid)
        case ("sync", Pid() as pid, bool(first), bool(last), entries) if is_list(entries):
            good = all(_is_entry(entry) for entry in entries)
            return ("sync", pid, first, last, entries) if good else None
        case ("join", Pid() as pid, key, numbers) if _is_key(key) and _are_numbers(numbers):
            return ("join", pid, key, numbers)
        case ("leave", Pid() as pid, keys, numbers) if is_list(keys) and _are_numbers(numbers):
            return ("leave", pid, keys, numbers) if all(map(_is_key, keys)) else None
        case _:
            return None


def weight(key: Key) -> int:
    """About as many bytes as a group takes in a message."""
    if is_tuple(key):
        return len(key[0]) + 8
    return len(key) * (4 if isinstance(key, str) else 1) if isinstance(key, (str, bytes)) else 48


def _is_entry(entry: Any) -> bool:
    return is_tuple(entry) and len(entry) == 2 and _is_key(entry[0]) and _are_numbers(entry[1])


def _is_key(key: Any) -> bool:
    return type(key) in PLAIN or (is_tuple(key) and len(key) == 1 and type(key[0]) is bytes)


def _are_numbers(numbers: Any) -> bool:
    return is_list(numbers) and all(type(number) is int for number in numbers)
