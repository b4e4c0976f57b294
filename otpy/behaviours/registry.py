"""Registry: processes of this node by keys, with values: Elixir's ``Registry``.

A ``"unique"`` registry gives a key to one process, a ``"duplicate"`` one to any number,
as for pub/sub. Reading is a few reads of dicts by the caller, no message; registering
writes them under the partition's lock. The partition's own process is linked with all that
have entries in it, and removes those of the dead.

As an ETS table does, a registry belongs to its supervisor's process and ends with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from otpy.behaviours._registry import (
    Keys,
    Name,
    Partition,
    Registry,
    Table,
    find,
    here,
    options,
    spec_of,
)
from otpy.behaviours.child_spec import ChildSpec
from otpy.machines.patterns import ANY, Var, clauses, exact, selected, value_test
from otpy.machines.registry import Entry, Row, UniqueEntries
from otpy.runtime import process
from otpy.runtime._current import current, waiter
from otpy.runtime.arguments import check_flag, check_function
from otpy.runtime.locked import LockedProcess
from otpy.runtime.record import Process
from otpy.terms.errors import (
    AlreadyRegistered,
    BadArgument,
    CallExit,
    NoProcess,
    NotRegistered,
    ReceiveTimeout,
)
from otpy.terms.messages import Down, Exit
from otpy.terms.pid import Pid, Ref
from otpy.terms.reasons import NORMAL, is_word
from otpy.terms.values import is_tuple

MISSING = object()
Guards = Sequence[Callable[[Any], Any]]
RowGuards = Sequence[Callable[[Any, Pid, Any], Any]]

# What ``Via`` asks of a name service.
scope = "node"
waits = False


def start_link(
    *,
    keys: Keys,
    name: Name,
    partitions: int = 1,
    listeners: list[Name] | tuple[Name, ...] = (),
    meta: Mapping[Any, Any] | list[tuple[Any, Any]] | tuple[tuple[Any, Any], ...] = (),
) -> Pid:
    """Start a registry, linked to the caller: the pid of its supervisor. ``Registry.start_link/1``.

    ``keys`` is "unique" or "duplicate". ``listeners`` are local names of processes that get
    ``("register", name, key, pid, value)`` and ``("unregister", name, key, pid)``. Raises
    ``BadArgument``, ``NotAName`` and ``AlreadyStarted``; in a coroutine ``WouldBlockLoop``.
    """
    waiter("registry.start_link")
    return Registry.start_link(
        options(keys=keys, name=name, partitions=partitions, listeners=listeners, meta=meta)
    )


def child_spec(
    *,
    keys: Keys,
    name: Name,
    partitions: int = 1,
    listeners: list[Name] | tuple[Name, ...] = (),
    meta: Mapping[Any, Any] | list[tuple[Any, Any]] | tuple[tuple[Any, Any], ...] = (),
) -> ChildSpec:
    """A registry as a child; its id is the name. Takes and raises what ``start_link`` does."""
    return spec_of(
        options(keys=keys, name=name, partitions=partitions, listeners=listeners, meta=meta)
    )


# Registering.


def register(registry: Name, key: Any, value: Any) -> Pid:
    """Register the current process under ``key``: the pid of the partition it is linked to.

    Raises ``AlreadyRegistered`` in a unique registry if a live process has the key, also
    the caller itself; ``BadArgument`` for a key without a hash; ``NotRegistered`` if there is
    no such registry and ``NoProcess`` while it restarts. ``Registry.register/3``.
    """
    me = current()
    return _register(me, find(me.node, registry), key, value)


def _register(me: Process, table: Table, key: Any, value: Any) -> Pid:
    pid = me.pid
    procs = me.node.procs
    partition = table.of(pid)
    owner = partition.owner
    links = me.links
    if owner is None or links is None or owner not in links:
        holder = partition.entries.holder(key, procs)
        if holder is not None:
            raise AlreadyRegistered(key, holder)
        owner = _join(me, table, owner)
    # A killer announces the death, to the keeper as well, when the gate is free: so what was
    # written before is removed, and nothing is written after.
    if isinstance(me, LockedProcess):
        with me.gate, partition.lock:
            if not me.alive:
                me.raise_dead()
            holder = partition.entries.add(key, pid, value, procs)
    else:
        with partition.lock:
            holder = partition.entries.add(key, pid, value, procs)
    if holder is not None:
        _leave(pid, partition)
        raise AlreadyRegistered(key, holder)
    if table.listeners:
        _tell(me, table, ("register", table.name, key, pid, value))
    return owner


def _join(me: Process, table: Table, owner: Pid | None) -> Pid:
    if owner is None or owner not in me.node.procs:
        raise NoProcess(f"the registry {table.name!r} is being restarted")
    process.link(owner)
    return owner


def _leave(pid: Pid, partition: Partition) -> None:
    if partition.owner is not None and not partition.entries.has(pid):
        process.unlink(partition.owner)


def _tell(me: Process, table: Table, event: tuple[Any, ...]) -> None:
    node = me.node
    for listener in table.listeners:
        pid = node.names.whereis(listener)
        proc = node.procs.get(pid) if pid is not None else None
        if proc is not None:
            node.put(me, proc, event)


def unregister(registry: Name, key: Any) -> None:
    """Remove the current process's entries of ``key``, if it has any: ``Registry.unregister/2``."""
    _unregister(registry, key, None)


def unregister_match(registry: Name, key: Any, pattern: Any, guards: Guards = ()) -> None:
    """Remove the current process's entries of ``key`` whose values match.

    Patterns and guards are those of ``match``. ``Registry.unregister_match/4``.
    """
    _unregister(registry, key, value_test(pattern, guards))


def _unregister(registry: Name, key: Any, test: Callable[[Any], bool] | None) -> None:
    me = current()
    table = find(me.node, registry)
    pid = me.pid
    partition = table.of(pid)
    entries = partition.entries
    # Users' functions run before the lock is taken. Only the process itself changes what it has.
    numbers = (
        None
        if test is None
        else [number for number, value in entries.held(key, pid) if test(value)]
    )
    with partition.lock:
        gone = entries.drop(key, pid, numbers)
    if gone:
        _leave(pid, partition)
    if table.listeners and (gone or test is None):
        _tell(me, table, ("unregister", table.name, key, pid))


def update_value(registry: Name, key: Any, callback: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Set the value of a key of the current process to ``callback(value)``: ``(new, old)``.

    Raises ``NotRegistered`` if the process has not the key, and ``BadArgument`` for a
    duplicate registry or what is no function. ``Registry.update_value/3``.
    """
    check_function("registry.update_value", callback)
    me = current()
    table = find(me.node, registry)
    partition = table.of(me.pid)
    entries = partition.entries
    if not isinstance(entries, UniqueEntries):
        raise BadArgument("registry.update_value is not supported for duplicate registries")
    held = entries.held(key, me.pid)
    if not held:
        raise NotRegistered(f"{me.pid!r} has not registered {key!r} in {registry!r}")
    old = held[0][1]
    new = callback(old)
    current()  # it may have been ended meanwhile
    with partition.lock:
        entries.replace(key, me.pid, new)
    return new, old


# Looking.


def lookup(registry: Name, key: Any) -> list[Entry]:
    """``(pid, value)`` of each live process that has ``key``: ``Registry.lookup/2``."""
    node, table = here(registry)
    partitions = table.partitions
    if table.kind == "unique" or len(partitions) == 1:
        return partitions[0].entries.lookup(key, node.procs)
    return [entry for part in partitions for entry in part.entries.lookup(key, node.procs)]


def keys(registry: Name, pid: Pid) -> list[Any]:
    """The keys of a process, one as often as it has entries of it: ``Registry.keys/2``."""
    node, table = here(registry)
    return table.of(pid).entries.keys_of(pid) if _pid("keys", pid) in node.procs else []


def values(registry: Name, key: Any, pid: Pid) -> list[Any]:
    """The values that a process has under ``key``: ``Registry.values/3``."""
    node, table = here(registry)
    if _pid("values", pid) not in node.procs:
        return []
    return [value for _, value in table.of(pid).entries.held(key, pid)]


def _pid(what: str, value: object) -> Pid:
    if not isinstance(value, Pid):
        raise BadArgument(f"registry.{what}: {value!r}; expected a Pid")
    return value


def match(registry: Name, key: Any, pattern: Any, guards: Guards = ()) -> list[Entry]:
    """``(pid, value)`` of the entries of ``key`` whose value matches: ``Registry.match/4``.

    ``pattern``: ``ANY``; ``Var(name)``, the same value wherever the name stands; a class
    (its instances); a function of the value; a tuple of patterns; else a value, by equality
    with 1, 1.0 and True apart. ``guards`` are functions of the value. The key is always
    meant as it is. What a function raises comes up here.
    """
    test = value_test(pattern, guards)
    return [entry for entry in lookup(registry, key) if test(entry[1])]


def count_match(registry: Name, key: Any, pattern: Any, guards: Guards = ()) -> int:
    """How many entries ``match`` would give: ``Registry.count_match/4``."""
    return len(match(registry, key, pattern, guards))


def count(registry: Name) -> int:
    """How many entries there are; of a process that has just died, perhaps still: ``count/1``."""
    return sum(part.entries.size() for part in here(registry)[1].readable())


def select(registry: Name, spec: Sequence[tuple[Any, RowGuards, Any]]) -> list[Any]:
    """What the clauses of ``spec`` make of the entries: ``Registry.select/2``.

    A clause is ``(pattern, guards, body)``. The pattern is ``(key, pid, value)``, as those of
    ``match``, or ``ANY``; guards are functions of key, pid and value, and so may the body
    be; else it is a ``Var``, a tuple with some in it, or a constant. The first clause that
    matches counts. Raises ``BadArgument`` for a wrong specification.
    """
    made = clauses("registry.select", spec, 3, 3)
    return [result for row in _rows(registry) for result in selected(made, row)]


def count_select(registry: Name, spec: Sequence[tuple[Any, RowGuards]]) -> int:
    """How many entries match ``spec``, clauses ``(pattern, guards)``: ``count_select/2``."""
    made = clauses("registry.count_select", spec, 2, 3)
    return sum(len(selected(made, row)) for row in _rows(registry))


def _rows(registry: Name) -> Iterator[Row]:
    node, table = here(registry)
    for part in table.readable():
        yield from part.entries.rows(node.procs)


# Dispatching.


def dispatch(
    registry: Name, key: Any, fn: Callable[[list[Entry]], Any], *, parallel: bool = False
) -> None:
    """Call ``fn([(pid, value), ...])`` in the caller for each partition that has ``key``.

    ``parallel=True`` with several partitions: in a process for each, linked to the caller
    meanwhile; raises ``CallExit`` if one crashes and the caller traps exits, and in a
    coroutine ``WouldBlockLoop``. ``Registry.dispatch/4``.
    """
    if not callable(fn):
        raise BadArgument(f"registry.dispatch: {fn!r}; expected a function of a list")
    check_flag("parallel", parallel)
    me = waiter("registry.dispatch") if parallel else current()
    table, procs = find(me.node, registry), me.node.procs
    if parallel and table.kind == "duplicate" and len(table.partitions) > 1:
        _dispatch_apart(me, [part.entries.lookup(key, procs) for part in table.partitions], fn)
        return
    for part in list(table.readable()):
        entries = part.entries.lookup(key, procs)
        if entries:
            fn(entries)


def _dispatch_apart(
    me: Process, parts: list[list[Entry]], fn: Callable[[list[Entry]], Any]
) -> None:
    def work(entries: list[Entry]) -> None:
        fn(entries)
        process.unlink(me.pid)  # done: its end is no news to a caller that traps exits

    green = me.kind == "green"
    started = [
        process.spawn(work, entries, link=True, monitor=True, green=green)
        for entries in parts
        if entries
    ]
    failed = [reason for pid, ref in started if not is_word(reason := _ended(pid, ref), NORMAL)]
    if failed:
        raise CallExit(failed[0], ("registry", "dispatch", (fn,)))


def _ended(pid: Pid, ref: Ref) -> Any:
    down: Down = process.receive(Down, where=lambda down: down.ref == ref)
    if not is_word(down.reason, NORMAL):
        try:
            process.take(Exit, where=lambda exit_: exit_.pid == pid)
        except ReceiveTimeout:
            pass  # it had taken the link away before it failed
    return down.reason


# Metadata.


def meta(registry: Name, key: Any) -> Any:
    """The registry's metadata of ``key``; raises ``NotRegistered``: ``Registry.meta/2``."""
    found = here(registry)[1].meta.get(exact(key), MISSING)
    if found is MISSING:
        raise NotRegistered(f"the registry {registry!r} has no metadata {key!r}")
    return found


def put_meta(registry: Name, key: Any, value: Any) -> None:
    """Set metadata: ``Registry.put_meta/3``."""
    here(registry)[1].meta[exact(key)] = value


def delete_meta(registry: Name, key: Any) -> None:
    """Remove metadata, if there is any: ``Registry.delete_meta/2``."""
    here(registry)[1].meta.pop(exact(key), None)


# Names: ``Via(registry, (name, key))`` or ``Via(registry, (name, key, value))``.


def _via(name: Any) -> tuple[Process, Table, Any]:
    if not is_tuple(name) or len(name) not in (2, 3):
        raise _bad_via(name)
    me = current()
    table = find(me.node, name[0])
    if table.kind != "unique":
        raise _no_name()
    return me, table, name[1]


def _bad_via(name: object) -> BadArgument:
    return BadArgument(f"Via(registry, {name!r}): expected (name, key) or (name, key, value)")


def _no_name() -> BadArgument:
    return BadArgument("Via(registry, ...) is not supported for duplicate registries")


def register_name(name: tuple[Any, ...], pid: Pid) -> bool:
    """Register ``pid``, the current process; whether the key was free."""
    me, table, key = _via(name)
    if pid != me.pid:
        raise BadArgument(f"register_name({name!r}, {pid!r}): a process registers itself only")
    try:
        _register(me, table, key, name[2] if len(name) == 3 else None)
    except AlreadyRegistered:
        return False
    return True


def unregister_name(name: tuple[Any, ...]) -> None:
    """As ``unregister``."""
    key = _via(name)[2]
    unregister(name[0], key)


def whereis_name(name: tuple[Any, ...]) -> Pid | None:
    """The live process that has the key."""
    if not is_tuple(name) or not 2 <= len(name) <= 3:
        raise _bad_via(name)
    node, table = here(name[0])
    if table.kind != "unique":
        raise _no_name()
    return table.partitions[0].entries.holder(name[1], node.procs)


def send(name: tuple[Any, ...], message: Any) -> Pid:
    """Send to the process that has the key: its pid. Raises ``NotRegistered``."""
    pid = whereis_name(name)
    if pid is None:
        raise NotRegistered(f"no process has {name[1]!r} in {name[0]!r}")
    process.send(pid, message)
    return pid


__all__ = [
    "ANY",
    "Registry",
    "Var",
    "child_spec",
    "count",
    "count_match",
    "count_select",
    "delete_meta",
    "dispatch",
    "keys",
    "lookup",
    "match",
    "meta",
    "put_meta",
    "register",
    "register_name",
    "select",
    "send",
    "start_link",
    "unregister",
    "unregister_match",
    "unregister_name",
    "update_value",
    "values",
    "whereis_name",
]
