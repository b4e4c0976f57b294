"""Groups of processes by name, on all nodes that run the scope: Erlang's ``pg``.

``pg.start_link()`` gives a node its part, best as ``pg.child_spec()`` under a supervisor. Each
node tells the others of its own members, and nobody waits for anybody: views may differ for as
long as a message travels, and are the same in the end. Both sides of a split keep their own.

``min(pg.get_members(group))`` is the same process wherever the view is the same: the one on the
node that started first. That is a *soft* leader: while views differ, there may be two.

Erlang's functions with and without a scope are one function here: ``scope=``, by default "pg".
"""

from typing import Any

from otpy.behaviours import gen_server
from otpy.behaviours.child_spec import ChildSpec
from otpy.cluster._pg_server import (
    Join,
    Leave,
    Look,
    Scope,
    Scopes,
    Server,
    checked_key,
    key_of,
    readable,
)
from otpy.runtime import process
from otpy.runtime._current import check_may_wait, current
from otpy.runtime.node import Node
from otpy.runtime.process import scan
from otpy.terms.errors import BadArgument, CallExit, NotRegistered
from otpy.terms.messages import GroupJoin, GroupLeave
from otpy.terms.names import class_text, local_key
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NOPROC

ScopeName = str | type
DEFAULT = "pg"


# Scopes.


def start_link(scope: ScopeName = DEFAULT) -> Pid:
    """Start a scope on this node, linked to the caller: ``pg:start_link/0,1``.

    Its process has the scope's name as a local name; a class stands for its text
    ``module:qualname``. Raises ``AlreadyStarted`` if a process has the name, ``NotAName``; in a
    coroutine ``WouldBlockLoop``.
    """
    check_may_wait("pg.start_link")
    name = _name(scope)
    return gen_server.start_link(Server, name, name=name)


def start(scope: ScopeName = DEFAULT) -> Pid:
    """As ``start_link``, without a link: ``pg:start/1``."""
    check_may_wait("pg.start")
    name = _name(scope)
    return gen_server.start(Server, name, name=name)


def child_spec(scope: ScopeName = DEFAULT) -> ChildSpec:
    """A scope as a child; its id is ``("pg", name)``. Raises ``NotAName``."""
    name = _name(scope)
    return ChildSpec(id=("pg", name), start=(start_link, (name,)))


# Members.


def join(
    group: Any, pids: Pid | list[Pid] | tuple[Pid, ...], *, scope: ScopeName = DEFAULT
) -> None:
    """Let processes of this node join a group: ``pg:join/2,3``.

    ``group`` is any value that has a hash and can be sent, of at most 64 KiB; two are the same if
    they are equal and of the same types (1 is neither 1.0 nor True). A process may join again,
    and a list may name it more than once: it stands in the group that often, and must leave that
    often. When this returns, this node sees it; the others were told.

    Raises ``BadArgument`` for a pid of another node (OTP: ``nolocal``) or what is no pid, and for
    a bad group; ``NotSendable``; ``CallExit("noproc")`` if the scope does not run here;
    in a coroutine ``WouldBlockLoop``.
    """
    check_may_wait("pg.join")
    name = _name(scope)
    request: Any = Join(checked_key(group), _local("join", pids))
    gen_server.call(name, request, timeout=None)


def leave(
    group: Any, pids: Pid | list[Pid] | tuple[Pid, ...], *, scope: ScopeName = DEFAULT
) -> bool:
    """Let processes of this node leave a group, once each time they are named: ``pg:leave/2,3``.

    False if none of them was a member (OTP: ``not_joined``). Raises as ``join``.
    """
    check_may_wait("pg.leave")
    name = _name(scope)
    request: Any = Leave(checked_key(group), _local("leave", pids))
    left: bool = gen_server.call(name, request, timeout=None)
    return left


def get_members(group: Any, *, scope: ScopeName = DEFAULT) -> list[Pid]:
    """The members on all nodes, sorted, each as often as it joined: ``pg:get_members/1,2``.

    So the first is the ``min`` of them, and two nodes with the same view have the same list. It
    is a read of this node's table: it sends nothing and never waits, in any kind of process. No
    member is given of whose end this node has been told, or whose node is out of reach. Empty
    if nobody is in the group, or the scope does not run here. Raises ``BadArgument`` and
    ``NotSendable`` for what can be no group.
    """
    node, key = current().node, key_of(group)
    scopes = node.own(Scopes)
    found = scopes.find(node, _name(scope))
    members = found.groups.table.get(key) if found is not None else None
    return scopes.living(node, members.copy()) if members is not None else []


def get_local_members(group: Any, *, scope: ScopeName = DEFAULT) -> list[Pid]:
    """The members on this node, as ``get_members`` gives them: ``pg:get_local_members/1,2``."""
    node = current().node
    return [pid for pid in get_members(group, scope=scope) if node.is_here(pid)]


def which_groups(*, scope: ScopeName = DEFAULT) -> list[Any]:
    """The groups that have members, on any node: ``pg:which_groups/0,1``.

    A value whose class is not loaded on this node is left out. Raises ``NotRegistered`` if the
    scope does not run here (OTP: ``badarg``).
    """
    node, found = _reading(scope)
    living = node.own(Scopes).living
    table = found.groups.table.copy()
    return [group for key, group in readable(list(table)) if living(node, table[key].copy())]


def which_local_groups(*, scope: ScopeName = DEFAULT) -> list[Any]:
    """The groups that have members on this node: ``pg:which_local_groups/0,1``.

    Raises as ``which_groups``.
    """
    node, found = _reading(scope)
    held = list(found.groups.local.copy().items())
    keys = [key for pid, counts in held if pid in node.procs for key in list(counts)]
    return [group for _, group in readable(list(dict.fromkeys(keys)))]


# Monitors.


def monitor(group: Any, *, scope: ScopeName = DEFAULT) -> tuple[Ref, list[Pid]]:
    """The members of a group, and from now on every change: ``pg:monitor/1,2``.

    ``GroupJoin(ref, group, pids)`` and ``GroupLeave(ref, group, pids)`` come to the current
    process, one for each call, end of a process and node out of reach, in their order, until
    ``demonitor``. The list is what they build on: it may hold a member that has just ended, and
    its ``GroupLeave`` follows. It never waits, in any kind of process. Nothing tells of the end
    of the scope itself. Raises as ``join``.
    """
    key = key_of(group)
    me, found = current(), _running("monitor", scope)
    ref = process.alias()
    with found.lock:
        members = found.groups.monitor(key, ref, me.pid)
    me.node.deliver(found.pid, Look(me.pid))
    return ref, members


def monitor_scope(*, scope: ScopeName = DEFAULT) -> tuple[Ref, dict[Any, list[Pid]]]:
    """All groups with their members, and from now on every change: ``pg:monitor_scope/0,1``.

    As ``monitor``; of a group whose class is not loaded on this node nothing is told.
    """
    me, found = current(), _running("monitor_scope", scope)
    ref = process.alias()
    with found.lock:
        table = found.groups.monitor_scope(ref, me.pid)
    me.node.deliver(found.pid, Look(me.pid))
    return ref, {group: table[key] for key, group in readable(list(table))}


def demonitor(ref: Ref, *, scope: ScopeName = DEFAULT) -> bool:
    """Take a monitor away; whether there was one: ``pg:demonitor/1,2``.

    Nothing of it arrives any more, and what has arrived is removed from the mailbox. It never
    waits. Raises ``BadArgument``, ``CallExit("noproc")`` if the scope does not run here.
    """
    if not isinstance(ref, Ref):
        raise BadArgument(f"demonitor({ref!r}): expected a Ref")
    me, found = current(), _running("demonitor", scope)
    with found.lock:
        pid = found.groups.demonitor(ref)
    if pid is None:
        return False
    process.unalias(ref)
    while scan(me, 0, (GroupJoin, GroupLeave), lambda event: event.ref == ref)[0]:
        pass
    me.node.deliver(found.pid, Look(pid))
    return True


def _name(scope: ScopeName) -> str:
    return class_text(scope) if isinstance(scope, type) else local_key(scope)


def _local(what: str, pids: Any) -> list[Pid]:
    node = current().node
    listed: list[Any] = [*pids] if isinstance(pids, (list, tuple)) else [pids]
    for pid in listed:
        if not isinstance(pid, Pid) or pid.creation != node.home:
            raise BadArgument(
                f"{what}: {pid!r:.80}; expected the pid of a process of {node.name}, or a list "
                "of them"
            )
    return listed


def _running(what: str, scope: ScopeName) -> Scope:
    node, name = current().node, _name(scope)
    found = node.own(Scopes).find(node, name)
    if found is None:
        raise CallExit(NOPROC, ("pg", what, (name,)))
    return found


def _reading(scope: ScopeName) -> tuple[Node, Scope]:
    node, name = current().node, _name(scope)
    found = node.own(Scopes).find(node, name)
    if found is None:
        raise NotRegistered(f"the scope {name!r} does not run on {node.name}: pg.start_link first")
    return node, found


__all__ = [
    "GroupJoin",
    "GroupLeave",
    "child_spec",
    "demonitor",
    "get_local_members",
    "get_members",
    "join",
    "leave",
    "monitor",
    "monitor_scope",
    "start",
    "start_link",
    "which_groups",
    "which_local_groups",
]
