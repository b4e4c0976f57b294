"""Arguments, checked: an error names the value and what was expected."""

from types import UnionType
from typing import Any

from otpy.terms.errors import BadArgument
from otpy.terms.names import NODE_EXPECTED, is_node_name
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import await_hint, is_hashable, is_instant, is_iterable, is_seconds


def check_seconds(what: str, value: object) -> None:
    """Raise ``BadArgument`` unless ``value`` is a number of seconds."""
    if not is_seconds(value):
        raise BadArgument(f"{what}={value!r}; expected seconds, a number of at least 0")


def check_timeout(timeout: object) -> None:
    """Raise ``BadArgument`` unless it is a number of seconds, or None for ever."""
    if timeout is not None:
        check_seconds("timeout", timeout)


def check_key(what: str, key: object) -> None:
    """Raise ``BadArgument`` unless ``key`` can be one of a dict, for the function ``what``."""
    if not is_hashable(key):
        raise BadArgument(f"{what}: key={key!r}; expected a value that has a hash")


def check_flag(what: str, value: object) -> None:
    """Raise ``BadArgument`` unless ``value`` is a bool."""
    if not isinstance(value, bool):
        raise BadArgument(f"{what}={value!r}; expected True or False")


def check_function(what: str, fn: object) -> None:
    """Raise ``BadArgument`` unless ``fn`` can be called."""
    if not callable(fn):
        raise BadArgument(f"{what}({fn!r}): expected a function")


def checked_node(node: object) -> str:
    """``node`` if it can be a node's name; raises ``BadArgument``."""
    if not is_node_name(node):
        raise BadArgument(f"node={node!r:.80}; expected {NODE_EXPECTED}")
    return node


def check_number(what: str, value: object) -> None:
    """Raise ``BadArgument`` unless it is an int or a float, and no NaN."""
    if not is_instant(value):
        raise BadArgument(f"{what}({value!r}): expected a number")


def listed(what: str, nodes: object) -> list[Any]:
    """``nodes`` as a list, for the function ``what``; raises ``BadArgument`` if it is none."""
    if isinstance(nodes, (str, bytes)) or not is_iterable(nodes):
        raise BadArgument(f"{what}: nodes={nodes!r}; expected a list of nodes' names")
    return [*nodes]


def checked_ref(value: object, what: str) -> Ref:
    """``value`` if it is a reference, for the function ``what``; raises ``BadArgument``."""
    if not isinstance(value, Ref):
        raise BadArgument(f"{what}({value!r}): expected a Ref")
    return value


def check_wanted(types: tuple[object, ...], where: object) -> None:
    """Raise ``BadArgument`` unless these can say which message is to be received."""
    for kind in types:
        if not isinstance(kind, (type, UnionType)):
            raise BadArgument(f"receive: {kind!r}; expected the type of a message")
    if where is not None and not callable(where):
        raise BadArgument(f"receive: where={where!r}; expected a function of a message")


def checked_pid(value: object, what: str) -> Pid:
    """``value`` if it is a pid, for the function ``what``; raises ``BadArgument``."""
    if not isinstance(value, Pid):
        raise BadArgument(f"{what}({value!r}): expected a Pid{await_hint(value)}")
    return value
