"""Locks of the whole cluster, by OTP's ``global``; the protocol is ``machines/global_locks.py``.

The functions are reached as ``global_.set_lock``, ``global_.del_lock`` and ``global_.trans``.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from otpy.behaviours import gen_server
from otpy.cluster._global_server import SERVER, server_of
from otpy.distribution.codec import encode
from otpy.machines.global_locks import (
    GONE,
    Ask,
    Asker,
    AskerEvent,
    Begin,
    Done,
    Due,
    Return,
    Returned,
    Said,
    Wait,
)
from otpy.runtime import peers, process
from otpy.runtime._current import check_may_wait, current
from otpy.terms.errors import BadArgument, CallExit
from otpy.terms.names import At
from otpy.terms.values import is_hashable

LockId = tuple[Any, Any]
T = TypeVar("T")


def set_lock(lock: LockId, nodes: list[str] | None = None, retries: float = float("inf")) -> bool:
    """Take ``(resource, requester)`` on the nodes (default: all known): ``global:set_lock/3``.

    The same requester may take it again, from the same process or another; it is free
    when every process that took it has given it back or ended, or its node is out of
    reach. Tried ``retries`` more times, with random waits of up to 8 s; then False. A
    node that cannot be reached is passed over. Raises ``BadArgument``, ``NotSendable``,
    ``NotDistributed``.
    """
    check_may_wait("global_.set_lock")
    checked = _checked_lock(lock, nodes)
    _check_retries(retries)
    node = current().node
    asker = Asker(retries)
    event: AskerEvent = Begin(_places(nodes))
    while True:
        match asker.handle(event, node.clock.now(), node.entropy.random()):
            case Ask(place):
                event = Said(place, _tell(place, "lock", checked))
            case Return(place):
                _tell(place, "unlock", checked)
                event = Returned(place)
            case Wait(until):
                process.sleep(max(0.0, until - node.clock.now()))
                event = Due(_places(nodes))
            case Done(ok):
                return ok


def del_lock(lock: LockId, nodes: list[str] | None = None) -> None:
    """Give a lock back, however often this process set it: ``global:del_lock/2``.

    One that this process does not hold is left alone. Raises as ``set_lock``.
    """
    check_may_wait("global_.del_lock")
    checked = _checked_lock(lock, nodes)
    for place in sorted(_places(nodes), reverse=True):
        _tell(place, "unlock", checked)


def trans(
    lock: LockId,
    fun: Callable[[], T],
    nodes: list[str] | None = None,
    retries: float = float("inf"),
) -> Any:
    """``fun()`` under the lock; "aborted" if it was not to be had: ``global:trans/4``.

    The lock is given back whether ``fun`` returns or raises. Raises as ``set_lock``.
    """
    check_may_wait("global_.trans")
    if not callable(fun):
        raise BadArgument(f"trans({lock!r}, {fun!r}): expected a function without arguments")
    nodes = _places(nodes) if nodes is not None else None
    if not set_lock(lock, nodes, retries):
        return "aborted"
    try:
        return fun()
    finally:
        del_lock(lock, nodes)


def all_nodes() -> list[str]:
    """This node, and those that are visibly connected to it."""
    node = current().node
    return [node.name, *peers.visible(node)]


def _places(nodes: list[str] | None) -> list[str]:
    return list(nodes) if nodes is not None else all_nodes()


def _tell(place: str, what: str, lock: LockId) -> str:
    try:
        said: str = gen_server.call(At(SERVER, place), (what, lock), None)
    except CallExit:
        return GONE  # a node that is gone holds no lock
    return said


def _check_retries(retries: Any) -> None:
    number = isinstance(retries, (int, float)) and not isinstance(retries, bool)
    if not number or not retries >= 0:
        raise BadArgument(f"retries={retries!r}; expected a number that is not negative")


def _checked_lock(lock: Any, nodes: Any) -> LockId:
    match lock:
        case (resource, requester) if isinstance(lock, tuple):
            checked: LockId = (resource, requester)
        case _:
            raise BadArgument(f"lock {lock!r}; expected (resource, requester)")
    if not is_hashable(checked[0]):
        raise BadArgument(f"resource {checked[0]!r}; expected a hashable value")
    if nodes is not None:
        names: list[Any] = [*nodes] if isinstance(nodes, (list, tuple)) else [None]
        if not all(isinstance(name, str) for name in names):
            raise BadArgument(f"nodes={nodes!r}; expected a list of node names")
    encode(checked, "lock")
    server_of(current().node)
    return checked
