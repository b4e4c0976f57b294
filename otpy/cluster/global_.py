"""Names and locks of the whole cluster: OTP's ``global``.

The decisions are ``machines/global_.py``. ``start(node)`` gives a node its part;
from then on ``name=Global(...)`` works there.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Literal, assert_never

from otpy.behaviours import gen_server
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import NoReply, Ok, Reply
from otpy.machines.global_ import (
    DEFAULT,
    NOTIFY_ALL,
    RANDOM_EXIT,
    RANDOM_NOTIFY,
    Answer,
    Effects,
    ExitPid,
    Freed,
    Names,
    Notify,
    Resolve,
    Send,
    Unwatch,
    Watch,
)
from otpy.runtime import process
from otpy.runtime._current import check_may_wait, current, current_or_none
from otpy.runtime.mail import From
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument, CallExit, NotDistributed, NotRegistered, ReceiveTimeout
from otpy.terms.messages import Down, NameFree, NodeDown, NodeUp
from otpy.terms.names import At, Global
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import is_tuple
from otpy.terms.signals import Message

SERVER = "global_name_server"
RESOLVER_DEADLINE = 5.0  # seconds a resolver function may take
FIRST_WAIT, LAST_WAIT = 0.01, 8.0  # seconds between attempts to get a lock
random_exit_name = RANDOM_EXIT
random_notify_name = RANDOM_NOTIFY
notify_all_name = NOTIFY_ALL
Resolver = str | Callable[[Any, Pid, Pid], Pid | None]


class _Server(GenServer["_State"], kernel=True):
    """The process around the machine of one node."""

    def init(self, arg: "GlobalNames") -> Ok["_State"]:
        process.flag(trap_exit=True)
        me = current()
        me.node.node_watchers[me.pid] = 1
        state = _State(arg)
        for peer in list(me.node.peers):
            state.do(state.names.node_up(peer))
        return Ok(state)

    def handle_call(self, request: Any, from_: From, state: "_State") -> Any:
        match request:
            case ("register", name, pid, resolver, force):
                state.do(state.names.register(from_, name, pid, resolver, force))
                return NoReply()
            case ("unregister", name):
                state.do(state.names.unregister(name))
                return Reply(None)
            case ("lock", resource, requester, pid):
                return Reply(state.lock(resource, requester, pid))
            case ("unlock", resource, requester):
                state.unlock(resource, requester)
                return Reply(None)
            case ("sync",):
                return Reply(None)
            case _:
                return super().handle_call(request, from_, state)

    def handle_cast(self, request: Any, state: "_State") -> None:
        match request:
            case ("monitor", name, pid, ref):
                state.do(state.names.monitor(name, pid, ref))

    def handle_info(self, message: Any, state: "_State") -> None:
        match message:
            case ("global", str(sender), body):
                if sender in state.names.peers:
                    state.do(state.names.message(sender, body))
            case NodeUp(peer):
                if peer not in state.names.peers:
                    state.do(state.names.node_up(peer))
            case NodeDown(peer):
                state.do(state.names.node_down(peer))
                state.unlock_of(lambda pid: pid.node == peer)
            case Down(ref, pid, reason):
                state.down(ref, pid, reason)
            case ("resolved", name, first, second, winner):
                state.do(state.names.resolved(name, first, second, winner))


class _State:
    """The machine, the locks of this node, and who is watched."""

    def __init__(self, service: "GlobalNames") -> None:
        self.node = current().node
        self.names = service.names
        self.watched: dict[Pid, Ref] = {}
        self.locks: dict[Any, tuple[Any, Pid, Ref]] = {}

    def do(self, effects: Effects) -> None:
        """Carry out what the machine decided."""
        me = current()
        for effect in effects:
            match effect:
                case Send(node, message):
                    body = ("global", self.node.name, message)
                    self.node.send_signal(me, Message(me.pid, At(SERVER, node), body))
                case Answer(request, value):
                    gen_server.reply(request, value)
                case Watch(pid):
                    if pid not in self.watched:
                        self.watched[pid] = process.monitor(pid)
                case Unwatch(pid):
                    ref = self.watched.pop(pid, None)
                    if ref is not None:
                        process.demonitor(ref, flush=True)
                case Freed(name, reason, watchers):
                    for pid, ref in watchers:
                        process.send(pid, NameFree(ref, name, reason))
                case ExitPid(pid, reason):
                    process.exit(pid, reason)
                case Notify(pid, message):
                    process.send(pid, message)
                case Resolve(name, first, second, resolver):
                    _resolve(me.pid, name, first, second, resolver)
                case _:
                    assert_never(effect)

    def down(self, ref: Ref, pid: Any, reason: Any) -> None:
        """A watched process ended."""
        if self.watched.get(pid) == ref:
            del self.watched[pid]
            self.do(self.names.pid_down(pid, reason))
        self.unlock_of(lambda holder: holder == pid)

    def lock(self, resource: Any, requester: Any, pid: Pid) -> bool:
        """Take this node's lock; the same requester may take it again."""
        held = self.locks.get(resource)
        if held is not None:
            return bool(held[0] == requester)
        self.locks[resource] = (requester, pid, process.monitor(pid))
        return True

    def unlock(self, resource: Any, requester: Any) -> None:
        """Give this node's lock back."""
        held = self.locks.get(resource)
        if held is not None and held[0] == requester:
            del self.locks[resource]
            process.demonitor(held[2], flush=True)

    def unlock_of(self, whose: Callable[[Pid], bool]) -> None:
        """Give back the locks of processes that are gone."""
        for resource, (requester, pid, _) in list(self.locks.items()):
            if whose(pid):
                self.unlock(resource, requester)


def _resolve(server: Pid, name: Any, first: Pid, second: Pid, resolver: Any) -> None:
    """Run a user's resolver in a thread process of its own, with a deadline."""

    def work(boss: Pid) -> None:
        process.send(boss, ("decided", resolver(name, first, second)))

    def watch() -> None:
        pid, ref = process.spawn_monitor(work, process.self_pid())
        winner: Pid | None = first
        try:
            match process.receive(timeout=RESOLVER_DEADLINE):
                case ("decided", decided):
                    winner = decided if decided in (first, second) else None
        except ReceiveTimeout:
            process.exit(pid, "kill")
        process.demonitor(ref, flush=True)
        process.send(server, ("resolved", name, first, second, winner))

    process.spawn(watch, green=True)


class GlobalNames:
    """The name service behind ``Global(...)`` on one node."""

    scope: Literal["node", "cluster"] = "cluster"

    def __init__(self, node: Node) -> None:
        self.node = node
        self.names = Names(node.name)
        self.pid: Pid | None = None

    def _server(self) -> Pid:
        pid = self.node.names.whereis(SERVER)
        if pid is None:
            raise NotDistributed(f"the global name server of {self.node.name} does not run")
        return pid

    def register_name(
        self, name: Any, pid: Pid, resolver: Any = DEFAULT, force: bool = False
    ) -> bool:
        """Register on every connected node; False when another has the name."""
        request = ("register", name, pid, resolver, force)
        done: bool = gen_server.call(self._server(), request, timeout=None)
        return done

    def unregister_name(self, name: Any) -> None:
        """Free the name everywhere."""
        gen_server.call(self._server(), ("unregister", name), timeout=None)

    def whereis_name(self, name: Any) -> Pid | None:
        """The holder; never a pid whose death this node has been told of."""
        for pid in sorted(self.names.table.get(name, ())):
            if pid.node == self.node.name:
                if pid in self.node.procs:
                    return pid
            elif pid.node in self.node.peers:
                return pid
        return None

    def send(self, name: Any, message: Any) -> Pid:
        """Send to the holder; ``NotRegistered`` when there is none."""
        pid = self.whereis_name(name)
        if pid is None:
            raise NotRegistered(f"no process is registered globally as {name!r}")
        process.send(pid, message)
        return pid

    def monitor_name(self, name: Any, pid: Pid, ref: Ref) -> None:
        """Send ``NameFree(ref, name, reason)`` to ``pid`` when the name is free."""
        gen_server.cast(self._server(), ("monitor", name, pid, ref))


def start(node: Node) -> None:
    """Start the global name server of a node; twice is once."""
    if "global" in node.name_services:
        return
    check_may_wait("global_.start")
    service = GlobalNames(node)
    here = current_or_none()
    with nullcontext() if here is not None and here.node is node else node.attached():
        service.pid = gen_server.start(_Server, service, name=SERVER)
    node.name_services["global"] = service


def _service() -> GlobalNames:
    node = current().node
    service = node.name_services.get("global")
    if not isinstance(service, GlobalNames):
        raise NotDistributed(f"{node.name} has no global names; call global_.start(node) first")
    return service


def _key(name: Any) -> Any:
    return Global(name).name


def _check_resolver(resolve: Resolver) -> Resolver:
    if resolve in (DEFAULT, RANDOM_EXIT, RANDOM_NOTIFY, NOTIFY_ALL) or callable(resolve):
        return resolve
    raise BadArgument(
        f"resolve={resolve!r}; expected random_exit_name, random_notify_name, notify_all_name "
        "or a module-level function (name, pid1, pid2) -> pid or None"
    )


def register_name(name: Any, pid: Pid, resolve: Resolver = DEFAULT) -> bool:
    """Register ``pid`` under ``name`` in the whole cluster: ``global:register_name/3``.

    Visible on every connected node when it returns True; False when the name, or the
    process, is taken. ``resolve`` decides after a netsplit. Raises ``NotAName``.
    """
    check_may_wait("global_.register_name")
    if not isinstance(pid, Pid):
        raise BadArgument(f"register_name({name!r}, {pid!r}): expected a Pid")
    return _service().register_name(_key(name), pid, _check_resolver(resolve))


def re_register_name(name: Any, pid: Pid, resolve: Resolver = DEFAULT) -> bool:
    """As ``register_name``, replacing whoever has the name."""
    check_may_wait("global_.re_register_name")
    return _service().register_name(_key(name), pid, _check_resolver(resolve), force=True)


def unregister_name(name: Any) -> None:
    """Free a name; an unknown one is fine."""
    check_may_wait("global_.unregister_name")
    _service().unregister_name(_key(name))


def whereis_name(name: Any) -> Pid | None:
    """Who has the name."""
    return _service().whereis_name(_key(name))


def registered_names() -> list[Any]:
    """The names in use."""
    return list(_service().names.table)


def send(name: Any, message: Any) -> Pid:
    """Send to the holder; its pid. Raises ``NotRegistered``."""
    return _service().send(_key(name), message)


def monitor_name(name: Any) -> Ref:
    """``NameFree(ref, name, reason)`` comes when the name has no holder, at once if it has none."""
    me = current()
    ref = me.node.new_ref(me.pid.number)
    _service().monitor_name(_key(name), me.pid, ref)
    return ref


# Locks.

LockId = tuple[Any, Any]


def set_lock(
    lock: LockId, nodes: list[str] | None = None, retries: int | float = float("inf")
) -> bool:
    """Take ``(resource, requester)`` on the nodes (default: all known), the first one first.

    The same requester may take it again. Tried ``retries`` more times, with random waits.
    """
    check_may_wait("global_.set_lock")
    resource, requester = _checked_lock(lock)
    wait = FIRST_WAIT
    while True:
        places = sorted(nodes if nodes is not None else _all())
        if _lock_all(places, resource, requester):
            return True
        if retries <= 0:
            return False
        retries -= 1
        process.sleep(wait * current().node.entropy.random())
        wait = min(LAST_WAIT, wait * 2)


def _checked_lock(lock: Any) -> LockId:
    if not (is_tuple(lock) and len(lock) == 2):
        raise BadArgument(f"lock {lock!r}; expected (resource, requester)")
    return lock


def _all() -> list[str]:
    node = current().node
    return [node.name, *node.peers]


def _lock_all(places: list[str], resource: Any, requester: Any) -> bool:
    me = process.self_pid()
    taken: list[str] = []
    for place in places:
        try:
            got = gen_server.call(At(SERVER, place), ("lock", resource, requester, me), None)
        except CallExit:
            continue  # a node that is gone holds no lock
        if not got:
            _unlock_all(taken, resource, requester)
            return False
        taken.append(place)
    return True


def _unlock_all(places: list[str], resource: Any, requester: Any) -> None:
    for place in reversed(places):
        try:
            gen_server.call(At(SERVER, place), ("unlock", resource, requester), None)
        except CallExit:
            continue  # a node that is gone holds no lock


def del_lock(lock: LockId, nodes: list[str] | None = None) -> None:
    """Give a lock back; once, however often it was set."""
    check_may_wait("global_.del_lock")
    resource, requester = _checked_lock(lock)
    _unlock_all(sorted(nodes if nodes is not None else _all()), resource, requester)


def trans(
    lock: LockId,
    fun: Callable[[], Any],
    nodes: list[str] | None = None,
    retries: int | float = float("inf"),
) -> Any:
    """``fun()`` under the lock; "aborted" if it was not to be had."""
    check_may_wait("global_.trans")
    if not set_lock(lock, nodes, retries):
        return "aborted"
    try:
        return fun()
    finally:
        del_lock(lock, nodes)


def sync() -> None:
    """Return when this node and every connected one know each other's names."""
    check_may_wait("global_.sync")
    for node in _all():
        try:
            gen_server.call(At(SERVER, node), ("sync",), None)
        except CallExit:
            continue  # a node that went away has nothing to tell
