"""What is behind a registry: its tables, the processes of its partitions, its supervisor."""

import threading
from collections.abc import Sequence
from typing import Any, Literal, cast

from otpy.behaviours import gen_server, supervisor
from otpy.behaviours._own_server import OwnServer
from otpy.behaviours.child_spec import ChildSpec
from otpy.behaviours.results import Ok
from otpy.behaviours.supervisor import Supervisor
from otpy.machines.patterns import exact
from otpy.machines.registry import DuplicateEntries, Entries, UniqueEntries, share
from otpy.machines.restart import Strategy
from otpy.runtime import process
from otpy.runtime._current import HERE, current
from otpy.runtime.node import Node
from otpy.terms.errors import BadArgument, NotRegistered
from otpy.terms.messages import Exit
from otpy.terms.names import local_key
from otpy.terms.pid import Pid
from otpy.terms.values import is_mapping, is_tuple, is_whole

Name = str | type
TABLE = "$registry"  # the key in the dictionary of the supervisor's process
AT_ONCE = 1000  # entries of a dead process that are removed before others get their turn


class Partition:
    """The entries of some processes, and the process that is linked with those."""

    __slots__ = ("entries", "lock", "owner")

    def __init__(self, entries: Entries, lock: threading.Lock, owner: Pid | None) -> None:
        self.entries = entries
        self.lock = lock
        self.owner = owner


class Table:
    """One registry."""

    __slots__ = ("kind", "listeners", "meta", "name", "partitions")

    def __init__(self, options: "dict[str, Any]") -> None:
        self.kind: str = options["keys"]
        self.name: Name = options["name"]
        self.listeners: tuple[Name, ...] = tuple(options["listeners"])
        self.meta: dict[Any, Any] = {exact(key): value for key, value in _pairs(options["meta"])}
        self.partitions: list[Partition] = []
        for _ in range(options["partitions"]):
            self.partitions.append(self._make(len(self.partitions), None))

    def _make(self, index: int, owner: Pid | None) -> Partition:
        if self.kind == "duplicate":
            return Partition(DuplicateEntries(), threading.Lock(), owner)
        if index == 0:
            return Partition(UniqueEntries({}), threading.Lock(), owner)
        first = self.partitions[0]
        assert isinstance(first.entries, UniqueEntries)
        return Partition(UniqueEntries(first.entries.table), first.lock, owner)

    def renew(self, index: int, owner: Pid) -> Partition:
        """A partition's process has begun: with nothing, as an ETS table would."""
        made = self.partitions[index] = self._make(index, owner)
        return made

    def of(self, pid: Pid) -> Partition:
        """The partition that keeps what a process registers."""
        partitions = self.partitions
        if len(partitions) == 1:
            return partitions[0]
        return partitions[share(pid, len(partitions))]

    def readable(self) -> list[Partition]:
        """All entries: those of a unique registry stand in one dict."""
        return self.partitions if self.kind == "duplicate" else self.partitions[:1]


class Keeper(OwnServer[Partition], kernel=True):
    """The process of a partition."""

    title = "Registry"

    def init(self, arg: tuple[Table, int]) -> Any:
        process.flag(trap_exit=True)
        table, index = arg
        return Ok(table.renew(index, process.self_pid()))

    def handle_info(self, message: Any, state: Partition) -> None:
        match message:
            case Exit(Pid() as pid, _) | (str("$forget"), Pid() as pid):
                # It may be an exit signal that somebody sent to a keeper by hand.
                if pid not in current().node.procs:
                    self.forget(pid, state)
            case _:
                super().handle_info(message, state)

    def forget(self, pid: Pid, state: Partition) -> None:
        """Remove what a dead process has: some of it, and soon the rest."""
        with state.lock:
            more = state.entries.forget(pid, AT_ONCE)
        if more:
            process.send(process.self_pid(), ("$forget", pid))


class Registry(Supervisor):
    """The supervisor behind a registry, as a child: ``(Registry, {"keys": ..., "name": ...})``."""

    def init(self, arg: dict[str, Any], /) -> Any:
        table = Table(arg)
        process.put(TABLE, table)
        children = [
            ChildSpec(name, (_start_keeper, (name, table, index)), modules=(Keeper,))
            for index, name in enumerate(keeper_names(table.name, arg["partitions"]))
        ]
        # The dict of a unique registry has entries of all partitions' processes.
        strategy: Strategy = "one_for_all" if table.kind == "unique" else "one_for_one"
        return supervisor.init(children, strategy=strategy)

    @classmethod
    def start_link(cls, arg: Any = None, /) -> Pid:
        checked = options(**arg)
        return supervisor.start_link(cls, checked, name=checked["name"])

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        if not is_mapping(arg):
            raise BadArgument(f"Registry: {arg!r}; expected a dict with keys and name")
        return spec_of(options(**arg))


def _start_keeper(name: str, table: Table, index: int) -> Pid:
    return gen_server.start_link(Keeper, (table, index), name=name)


def keeper_names(name: Name, partitions: int) -> list[str]:
    return [f"{local_key(name)}.PIDPartition{index}" for index in range(partitions)]


def _pairs(meta: object) -> list[tuple[Any, Any]]:
    pairs = list(meta.items()) if is_mapping(meta) else meta
    if isinstance(pairs, (list, tuple)):
        given = cast("Sequence[Any]", pairs)
        if all(is_tuple(pair) and len(pair) == 2 for pair in given):
            return list(given)
    raise BadArgument(f"expected meta= to be a dict or a list of pairs, got: {meta!r}")


Keys = Literal["unique", "duplicate"]


def options(
    *, keys: Any, name: Any, partitions: Any = 1, listeners: Any = (), meta: Any = ()
) -> dict[str, Any]:
    """The checked options of a registry; raises ``BadArgument`` and ``NotAName``."""
    if keys not in ("unique", "duplicate"):
        raise BadArgument(f"expected keys= to be 'unique' or 'duplicate', got: {keys!r}")
    if not is_whole(partitions, 1):
        raise BadArgument(f"expected partitions= to be a positive integer, got: {partitions!r}")
    if not isinstance(listeners, (list, tuple)) or not all(
        isinstance(listener, (str, type)) for listener in cast("Sequence[Any]", listeners)
    ):
        raise BadArgument(f"expected listeners= to be a list of local names, got: {listeners!r}")
    for keeper in keeper_names(name, partitions)[-1:]:
        local_key(keeper)  # a name that is too long for them
    for key, _ in _pairs(meta):
        exact(key)
    return {
        "keys": keys,
        "name": name,
        "partitions": partitions,
        "listeners": listeners,
        "meta": meta,
    }


def spec_of(checked: dict[str, Any]) -> ChildSpec:
    """A registry as a child."""
    return ChildSpec(checked["name"], (Registry.start_link, (checked,)), type="supervisor")


def find(node: Node, name: Name) -> Table:
    """The registry of that name; raises ``NotRegistered``."""
    key = name if type(name) is str else local_key(name)
    pid = node.names.table.get(key)
    proc = node.procs.get(pid) if pid is not None else None
    found = proc.dictionary.get(TABLE) if proc is not None and proc.dictionary else None
    if found is None:
        raise NotRegistered(f"unknown registry: {name!r}")
    table: Table = found
    return table


def here(name: Name) -> tuple[Node, Table]:
    """The current process's node, and its registry of that name."""
    me = HERE.proc
    if me is None or me.sched is None:
        me = current()
    elif not me.alive:
        me.raise_dead()
    return me.node, find(me.node, name)
