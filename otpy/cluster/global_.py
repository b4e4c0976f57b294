"""Names and locks of the whole cluster: OTP's ``global``.

The decisions are ``machines/global_.py`` and ``machines/global_locks.py``; the process
is ``_global_server.py``. ``start(node)`` gives a node its part; from then on
``name=Global(...)`` works there. Names with a quorum are ``lease.py``.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

from otpy.behaviours import gen_server
from otpy.cluster._deaths import Deaths
from otpy.cluster._global_server import SERVER, Server, server_of
from otpy.cluster._lease_contests import SERVER as LEASE_SERVER
from otpy.cluster._lease_folder import Directory, Folder
from otpy.cluster.global_locks import LockId, del_lock, set_lock, trans
from otpy.cluster.lease import (
    LEASE_TIME,
    NO_TOKEN,
    Lease,
    LeasedNames,
    Leases,
    NoToken,
    add_member,
    check_lease_time,
    lease,
    members,
    remove_member,
)
from otpy.distribution.codec import encode, function_text
from otpy.machines.global_ import (
    BUILT_IN,
    DEFAULT,
    NOTIFY_ALL,
    RANDOM_EXIT,
    RANDOM_NOTIFY,
    Names,
)
from otpy.machines.global_messages import Wanted
from otpy.machines.often import Often
from otpy.runtime import nodes, peers, process
from otpy.runtime._current import check_may_wait, current, current_or_none
from otpy.runtime._default import check_node
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument, NotDistributed, NotRegistered, NotSendable
from otpy.terms.names import At, Global, Quorum, quorum_of
from otpy.terms.pid import Pid, Ref
from otpy.terms.values import is_whole

random_exit_name = RANDOM_EXIT
random_notify_name = RANDOM_NOTIFY
notify_all_name = NOTIFY_ALL
NAMES_PER_MINUTE = 600
Resolver = str | Callable[[Any, Pid, Pid], Pid | None]


class GlobalNames:
    """The name service behind ``Global(...)`` on one node."""

    scope: Literal["node", "cluster"] = "cluster"

    def __init__(
        self,
        node: Node,
        many_names: bool = False,
        lease_time: float = LEASE_TIME,
        state_dir: Folder | None = None,
        often: Often | None = None,
    ) -> None:
        self.node = node
        self.often = often
        self.leases = Leases(node, self, lease_time, state_dir)
        self.names = Names(node.name, many_names=many_names)
        self.pid: Pid | None = None
        self.deaths = Deaths(lambda pid: pid in self.names.named)

    def leased(self, quorum: tuple[str, ...] | int) -> LeasedNames:
        """The same service for names with this quorum."""
        return LeasedNames(self, self.leases, quorum)

    def dead(self, pid: Pid) -> bool:
        """Whether this node knows that a process has ended."""
        return self.deaths.include(self.node, pid)

    def register_name(
        self, name: Any, pid: Pid, resolver: str = DEFAULT, force: bool = False
    ) -> bool:
        """Register on every connected node; False when another has the name.

        A holder known to be dead does not count. Nor can a name that is leased be had so.
        """
        encode(name, "name")
        if self.leases.whereis(name) is not None:
            return False
        dead = tuple(held for held in self.names.table.get(name, ()) if self.dead(held))
        while True:
            request = ("register", Wanted(name, pid, resolver, force, dead))
            done, others = gen_server.call(server_of(self.node), request, timeout=None)
            if done or not others or not all(self.dead(other) for other in others):
                return bool(done)
            dead += others  # other nodes still have to hear of it

    def register_or_monitor(self, name: Any, pid: Pid, ref: Ref) -> bool:
        """``register_name``, and in the same step ``monitor_name`` if that is False."""
        if self.leases.whereis(name) is not None:
            self.monitor_name(name, pid, ref)
            return False
        request = ("register_or_monitor", Wanted(name, pid, DEFAULT), ref)
        done, _ = gen_server.call(server_of(self.node), request, timeout=None)
        return bool(done)

    def unregister_name(self, name: Any) -> None:
        """Free the name everywhere."""
        holder = self.leases.whereis(name)
        if holder is not None:
            self.leases.ask(holder.node, ("unregister", name))
            return
        gen_server.call(server_of(self.node), ("unregister", name), timeout=None)

    def whereis_name(self, name: Any) -> Pid | None:
        """The holder; never a pid whose death this node has been told of.

        Nor one of this node whose registration may still be refused.
        """
        if self.leases.holders.table and (holder := self.leases.whereis(name)) is not None:
            return holder
        return self.whereis_plain(name)

    def whereis_plain(self, name: Any) -> Pid | None:
        """As ``whereis_name``, of those that are registered without a quorum."""
        claims = self.names.table.get(name)
        if claims is None:
            return None
        is_here, peers, pending = self.node.is_here, self.node.peers, self.names.pending
        live = [
            pid
            for pid in claims
            if not self.dead(pid)
            and ((name, pid) not in pending if is_here(pid) else pid.node in peers)
        ]
        return min(live, default=None)

    def send(self, name: Any, message: Any) -> Pid:
        """Send to the holder; ``NotRegistered`` when there is none."""
        pid = self.whereis_name(name)
        if pid is None:
            raise NotRegistered(f"no process is registered globally as {name!r}")
        process.send(pid, message)
        return pid

    def monitor_name(self, name: Any, pid: Pid, ref: Ref) -> None:
        """Send ``NameFree(ref, name, reason)`` to ``pid`` when the name is free."""
        if name in self.leases.holders.table:
            gen_server.cast(At(LEASE_SERVER, self.node.name), ("monitor", name, pid, ref))
        else:
            self.monitor_plain(name, pid, ref)

    def monitor_plain(self, name: Any, pid: Pid, ref: Ref) -> None:
        """As ``monitor_name``, of those that are registered without a quorum."""
        gen_server.cast(server_of(self.node), ("monitor", name, pid, ref))


def start(
    node: Node,
    multi_name_action: Literal["deny", "allow"] = "deny",
    *,
    lease_time: float = LEASE_TIME,
    state_dir: str | Path | Folder | None = None,
    names_per_minute: int | None = NAMES_PER_MINUTE,
) -> None:
    """Start the global name server of a node; twice is once.

    One that was killed is started again, with the options that it had and without a name.

    ``multi_name_action="allow"`` lets one process have several names, as OTP's
    ``global_multi_name_action`` does. ``lease_time`` is the length in seconds of the leases of
    names with a quorum, the same on all nodes; ``state_dir`` is where this node keeps what it has
    granted, a directory of its own.

    When this node registers more than ``names_per_minute`` names within 60 seconds, leases not
    counted, it warns, once in a minute: on the logger ``otpy.global`` and by the telemetry event
    ``names_registered_often``, with the last ``name``, ``count``, ``seconds`` and ``rate`` (in a
    second). None: it never does.

    Raises ``BadArgument``, and ``NodeError`` or ``OSError`` for a ``state_dir`` that it cannot use.
    """
    check_node("global_.start", node)
    check_lease_time(lease_time)
    often = _often(names_per_minute)
    if multi_name_action not in ("deny", "allow"):
        raise BadArgument(f"multi_name_action={multi_name_action!r}; expected 'deny' or 'allow'")
    service = node.name_services.get("global")
    if isinstance(service, GlobalNames):
        _start_again(service)
        return
    check_may_wait("global_.start")
    folder = Directory(Path(state_dir)) if isinstance(state_dir, (str, Path)) else state_dir
    service = GlobalNames(node, multi_name_action == "allow", float(lease_time), folder, often)
    with _process_of(node):
        service.leases.start()
        service.pid = gen_server.start(Server, service, name=SERVER)
    node.masks["global"] = service.deaths.mask
    node.name_services["global"] = service


def _process_of(node: Node) -> AbstractContextManager[object]:
    """To be a process of the node meanwhile."""
    here = current_or_none()
    return nullcontext() if here is not None and here.node is node else node.attached()


def _start_again(service: GlobalNames) -> None:
    """If somebody has killed the name server: begin anew, without a name."""
    if service.node.names.whereis(SERVER) is None:
        check_may_wait("global_.start")
        service.names = Names(service.node.name, many_names=service.names.many_names)
        with _process_of(service.node):
            service.pid = gen_server.start(Server, service, name=SERVER)


def _often(names_per_minute: Any) -> Often | None:
    if names_per_minute is None:
        return None
    if not is_whole(names_per_minute, 0):
        raise BadArgument(
            f"names_per_minute={names_per_minute!r}; expected an int of at least 0, or None"
        )
    return Often(names_per_minute, 60.0)


def _service() -> GlobalNames:
    node = current().node
    service = node.name_services.get("global")
    if not isinstance(service, GlobalNames):
        raise NotDistributed(f"{node.name} has no global names; call global_.start(node) first")
    return service


def _key(name: Any) -> Any:
    return Global(name).name


def _resolver_text(resolve: Resolver) -> str:
    if isinstance(resolve, str):
        if resolve in BUILT_IN:
            return resolve
    elif callable(resolve):
        try:
            return function_text(resolve)
        except (NotSendable, AttributeError):  # a lambda, or an object without a name
            pass
    raise BadArgument(
        f"resolve={resolve!r}; expected random_exit_name, random_notify_name, notify_all_name "
        "or a module-level function (name, pid1, pid2) -> pid or None"
    )


def _register(what: str, name: Any, pid: Any, resolve: Resolver, force: bool) -> bool:
    check_may_wait(f"global_.{what}")
    key = _key(name)
    if not isinstance(pid, Pid):
        raise BadArgument(f"{what}({name!r}, {pid!r}): expected a Pid")
    return _service().register_name(key, pid, _resolver_text(resolve), force)


def register_name(
    name: Any, pid: Pid, resolve: Resolver = DEFAULT, *, quorum: Quorum | None = None
) -> bool:
    """Register ``pid`` under ``name`` in the whole cluster: ``global:register_name/3``.

    Visible on every connected node when it returns True; False when the name, or the
    process, is taken, or the process is on a node that is not connected. ``resolve``
    decides after a netsplit; a function must stand at the top of a module. Raises
    ``NotAName``, ``BadArgument``, ``NotDistributed``.

    With ``quorum``, node names or their number, True says that the process, one of this node,
    holds the name as a lease: see ``lease``. If it loses that, it gets the exit reason
    ``("lease_lost", name)``. False when another holds it, or none was to be had in twice
    ``lease_time``.
    """
    if quorum is not None:
        return _register_leased(name, pid, resolve, quorum)
    return _register("register_name", name, pid, resolve, False)


def _register_leased(name: Any, pid: Any, resolve: Resolver, quorum: Quorum) -> bool:
    check_may_wait("global_.register_name")
    if resolve != DEFAULT:
        raise BadArgument(f"resolve={resolve!r} with a quorum; a lease has no conflicts")
    key, members_ = _key(name), quorum_of(quorum)
    if not isinstance(pid, Pid):
        raise BadArgument(f"register_name({name!r}, {pid!r}): expected a Pid")
    return _service().leased(members_).register_name(key, pid)


def re_register_name(name: Any, pid: Pid, resolve: Resolver = DEFAULT) -> bool:
    """As ``register_name``, replacing whoever has the name: ``global:re_register_name/3``."""
    return _register("re_register_name", name, pid, resolve, True)


def unregister_name(name: Any) -> None:
    """Free a name; an unknown one is fine."""
    check_may_wait("global_.unregister_name")
    _service().unregister_name(_key(name))


def whereis_name(name: Any) -> Pid | None:
    """Who has the name."""
    return _service().whereis_name(_key(name))


def registered_names() -> list[Any]:
    """The names that ``whereis_name`` finds: ``global:registered_names/0``."""
    service = _service()
    known = dict.fromkeys([*service.names.table, *service.leases.names()])
    return [name for name in known if service.whereis_name(name) is not None]


def send(name: Any, message: Any) -> Pid:
    """Send to the holder; its pid. Raises ``NotRegistered``."""
    return _service().send(_key(name), message)


def monitor_name(name: Any) -> Ref:
    """``NameFree(ref, name, reason)`` comes when the name has no holder, at once if it has none."""
    me = current()
    ref = me.node.new_ref(me.pid.number)
    _service().monitor_name(_key(name), me.pid, ref)
    return ref


def sync() -> None:
    """Return when this node and every connected one know each other's names: ``global:sync/0``.

    A node that does not answer is waited for until its session ends, within ``net_ticktime``.
    """
    check_may_wait("global_.sync")
    here = _service().node.name
    # First ours, so that it has told the others; then theirs; then ours, which by now has
    # before it what they had told it.
    _ask([here])
    _ask(peers.visible(current().node))
    _ask([here])


def _ask(nodes: list[str]) -> None:
    """Wait for the name servers of these nodes, all at once: one that is silent costs no more."""
    asked = gen_server.reqids_new()
    for node in nodes:
        gen_server.send_request(At(SERVER, node), ("sync",), node, asked)
    while gen_server.receive_response(asked) != "no_request":
        pass  # also a node that went away has answered: it has nothing to tell


def disconnect() -> list[str]:
    """End the session with every node of the mesh; their names: ``global:disconnect/0``.

    Hidden connections stay. When it returns, the names, locks and claims of those nodes are gone
    here. They are connected to again soon if they are found, as after ``node.disconnect``; no
    other node parts with another because of it. Raises ``NotDistributed``.
    """
    check_may_wait("global_.disconnect")
    here = _service().node
    gone = [name for name in peers.visible(here) if nodes.disconnect(name)]
    return sorted(gone)


__all__ = [
    "NO_TOKEN",
    "Lease",
    "LockId",
    "NoToken",
    "Resolver",
    "add_member",
    "del_lock",
    "disconnect",
    "lease",
    "members",
    "monitor_name",
    "notify_all_name",
    "random_exit_name",
    "random_notify_name",
    "re_register_name",
    "register_name",
    "registered_names",
    "remove_member",
    "send",
    "set_lock",
    "start",
    "sync",
    "trans",
    "unregister_name",
    "whereis_name",
]
