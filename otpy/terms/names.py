"""Names of processes: local ones, cluster-wide ones, ones on another node.

A class is a fine name: it is stored and sent as its text ``module:qualname``.
"""

import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeGuard

import msgspec

from otpy.terms.errors import BadArgument, NotAName
from otpy.terms.values import await_hint, is_tuple, is_whole

MAX_NAME = 255
EXPECTED = "a str of 1 to 255 characters or a module-level class"
NODE_EXPECTED = "'name@host', 3 to 255 printable characters without a space"


NO_NODE = "nonode@nohost"  # a node without distribution, for itself; for others it is nobody


def is_node_name(name: object) -> TypeGuard[str]:
    """Whether a node can have the name."""
    return (
        isinstance(name, str)
        and 3 <= len(name) <= MAX_NAME
        and name.count("@") == 1
        and name[0] != "@" != name[-1]
        and " " not in name
        and name.isprintable()
    )


def class_text(cls: type) -> str:
    """The text under which a class is known on every node, ``module:qualname``.

    ``__main__`` is resolved through its spec (``python -m shop.worker`` is
    ``shop.worker``). Raises ``NotAName`` for a class that another node could
    not name in the same way.
    """
    module = cls.__module__
    if "<locals>" in cls.__qualname__:
        raise NotAName(
            f"{cls.__qualname__} is defined inside a function, so another node cannot name it; "
            "move it to the top of a module, or use a str"
        )
    if module == "__main__":
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        if spec is None:
            raise NotAName(
                f"{cls.__qualname__} belongs to a script without a module name, so another node "
                "would know it by another name; run it with python -m, or use a str"
            )
        module = spec.name.removesuffix(".__main__")
    return f"{module}:{cls.__qualname__}"


def local_key(name: object) -> str:
    """What a local name is stored as. Raises ``NotAName``."""
    if isinstance(name, str):
        if not 0 < len(name) <= MAX_NAME:
            raise NotAName(f"{name[:40]!r} has {len(name)} characters; a name is {EXPECTED}")
        return name
    if isinstance(name, type):
        return f"{name.__module__}:{name.__qualname__}"
    raise NotAName(f"{name!r} is a {type(name).__name__}; a name is {EXPECTED}{await_hint(name)}")


def _global_key(name: object) -> Any:
    if isinstance(name, type):
        return class_text(name)
    if is_tuple(name):
        return tuple(_global_key(part) for part in name)
    if isinstance(name, (int, bytes)) and not isinstance(name, bool):
        return name
    key = local_key(name)
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise NotAName(
            f"{key[:40]!r} is not valid Unicode, so it cannot be sent: {error}"
        ) from None
    return key


Quorum = int | list[str] | tuple[str, ...]


def quorum_of(quorum: Any) -> tuple[str, ...] | int:
    """A quorum as it is kept: sorted node names, or how many nodes there are.

    Raises ``BadArgument``.
    """
    if is_whole(quorum, 1):
        return quorum
    if isinstance(quorum, (list, tuple)) and quorum:
        names: list[Any] = [*quorum]
        if all(map(is_node_name, names)) and len(set(names)) == len(names):
            return tuple(sorted(names))
    raise BadArgument(
        f"quorum={quorum!r}; expected a list of different node names, or the number of nodes"
    )


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Global:
    """``{:global, name}``: one holder in the cluster. ``name`` may also be an int, bytes or a
    tuple of names; a class is stored as its text.

    With ``quorum``, who registers the name holds it as a lease that a majority of these nodes has
    granted: their names, or how many nodes the cluster has. Everybody else may leave it out: it
    is the same name. Raises ``NotAName`` and ``BadArgument``.
    """

    name: Any
    quorum: tuple[str, ...] | int | None = field(compare=False)

    def __init__(self, name: Any, quorum: Quorum | None = None) -> None:
        object.__setattr__(self, "name", _global_key(name))
        object.__setattr__(self, "quorum", None if quorum is None else quorum_of(quorum))

    def __repr__(self) -> str:
        of = "" if self.quorum is None else f", quorum={self.quorum!r}"
        return f"Global(name={self.name!r}{of})"


@dataclass(frozen=True, slots=True)
class Via:
    """``{:via, module, key}``: a name in any registry.

    ``module`` has OTP's four functions: ``register_name(key, pid) -> bool``,
    ``unregister_name(key)``, ``whereis_name(key) -> Pid | None`` and
    ``send(key, message) -> Pid``. With ``waits = False`` it says that none of them
    waits: then an async process calls them itself, else a process on a thread does for it.

    Whoever uses one that is no registry gets ``NotAName``.
    """

    module: ModuleType | Any
    key: Any


def check_via(name: Via) -> None:
    """Raise ``NotAName`` unless it is an address in a registry."""
    module = name.module
    if not (hasattr(module, "whereis_name") and hasattr(module, "register_name")):
        raise NotAName(
            f"{name!r}: expected a registry, with register_name, unregister_name, whereis_name "
            "and send"
        )


class At(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """``{name, node}``: the process registered under a local name on one node.

    Raises ``NotAName`` for a bad name of the process or of the node.
    """

    name: Any
    node: str

    def __post_init__(self) -> None:
        if not is_node_name(self.node):
            raise NotAName(f"node {self.node!r:.80} of At; expected {NODE_EXPECTED}")
        name = self.name
        if type(name) is not str or not 0 < len(name) <= MAX_NAME:
            key = class_text(name) if isinstance(name, type) else local_key(name)
            msgspec.structs.force_setattr(self, "name", key)
