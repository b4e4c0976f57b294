"""Arguments, checked: an error names the value and what was expected."""

from otpy.terms.errors import BadArgument
from otpy.terms.names import NODE_EXPECTED, is_node_name
from otpy.terms.pid import Pid
from otpy.terms.values import is_seconds


def check_seconds(what: str, value: object) -> None:
    """Raise ``BadArgument`` unless ``value`` is a number of seconds."""
    if not is_seconds(value):
        raise BadArgument(f"{what}={value!r}; expected seconds, a number of at least 0")


def check_timeout(timeout: object) -> None:
    """Raise ``BadArgument`` unless it is a number of seconds, or None for ever."""
    if timeout is not None:
        check_seconds("timeout", timeout)


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


def checked_pid(value: object, what: str) -> Pid:
    """``value`` if it is a pid, for the function ``what``; raises ``BadArgument``."""
    if not isinstance(value, Pid):
        raise BadArgument(f"{what}({value!r}): expected a Pid")
    return value
