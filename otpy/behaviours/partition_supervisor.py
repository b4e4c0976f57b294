"""PartitionSupervisor: the same child several times, and each key belongs to one of them.

Elixir's ``PartitionSupervisor``. ``Via(partition_supervisor, (name, key))`` is an address
for every function that takes a server: an int belongs to the partition
``abs(key) % partitions``, any other key to one by a hash that is the same in every run.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from otpy.behaviours import gen_server, supervisor
from otpy.behaviours._children import ChildCount, ChildInfo
from otpy.behaviours._flags import Flags
from otpy.behaviours._module import SupervisorClass
from otpy.behaviours._own_server import told
from otpy.behaviours.child_spec import ChildSpec, keywords
from otpy.behaviours.child_spec import child_spec as checked
from otpy.behaviours.gen_server import GenServer
from otpy.behaviours.results import Reply
from otpy.behaviours.supervisor import Driver
from otpy.machines.partition import partition_of
from otpy.machines.restart import Restarts, Strategy
from otpy.runtime import process
from otpy.runtime._current import current, waiter
from otpy.runtime.cpus import usable_cpus
from otpy.runtime.names import where
from otpy.terms.errors import BadArgument, CallExit
from otpy.terms.names import Global, Via
from otpy.terms.pid import Pid
from otpy.terms.values import is_tuple, is_whole

Name = str | type | Global | Via
WithArguments = Callable[[list[Any], int], Any]
scope = "node"  # of the names that ``Via`` reaches through this module


class PartitionSupervisor(SupervisorClass, kernel=True):
    """As a child: ``(PartitionSupervisor, {"child_spec": Worker, "name": "workers"})``."""

    @classmethod
    def start_link(cls, arg: Mapping[str, Any], /) -> Pid:
        """``partition_supervisor.start_link`` with these keywords."""
        return start_link(**_options(arg))

    @classmethod
    def child_spec(cls, arg: Any, /) -> ChildSpec:
        """Its specification; the id is the name."""
        options = _options(arg)
        return ChildSpec(options["name"], (cls.start_link, (options,)), type="supervisor")


def _options(arg: Any) -> dict[str, Any]:
    options = keywords("PartitionSupervisor", "partition_supervisor.start_link", arg)
    for needed in ("name", "child_spec"):
        if needed not in options:
            raise BadArgument(f"{needed}= must be given to PartitionSupervisor, got {options!r}")
    return options


class _Driver(Driver):
    """The supervisor of the partitions; whoever has its pid may look at its ``table``."""

    title = "PartitionSupervisor"

    def __init__(self) -> None:
        self.table: dict[int, Pid] = {}
        self.count = 0
        self.most = 0

    def callback_class(self) -> type:
        return PartitionSupervisor

    def init(self, arg: tuple[Any, Flags]) -> Any:
        self.count = self.most = len(arg[1].children)
        return super().init(arg)

    def handle_call(self, request: Any, from_: Any, state: Restarts) -> Any:
        match told(request):
            case ("resize", wanted) if is_whole(wanted, 0):
                return Reply(self._resize(wanted, from_, state))
            case _:
                return super().handle_call(request, from_, state)

    def _resize(self, wanted: int, from_: Any, state: Restarts) -> tuple[bool, Any]:
        before = self.count
        if wanted > self.most:
            return False, ("too_many", self.most)
        self.count = min(before, wanted)
        for partition in reversed(range(wanted, before)):
            self.handle_call(("terminate_child", partition), from_, state)
        for partition in range(before, wanted):
            ok, value = self.handle_call(("restart_child", partition), from_, state).reply
            if not ok and value != "running":
                return False, value
            self.count = partition + 1
        return True, before


def _start_partition(partition: int, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Start one partition, in its supervisor, and tell where it is."""
    result = function(*args)
    pid = result[0] if is_tuple(result) else result
    server: Any = current().server
    if isinstance(pid, Pid):
        server.module.table[partition] = pid
    else:
        server.module.table.pop(partition, None)
    return result


def start_link(
    *,
    child_spec: Any,
    name: Name,
    partitions: int | None = None,
    with_arguments: WithArguments | None = None,
    strategy: Strategy = "one_for_one",
    max_restarts: int = 3,
    max_seconds: float = 5.0,
) -> Pid:
    """Start a supervisor of ``partitions`` children, by default one for each CPU.

    ``child_spec`` is a child in any form; its id is not used: that of a partition is its
    number. ``with_arguments(args, partition)`` may change the list of arguments that one
    partition's start function gets, and returns a list.

    Raises ``BadArgument``, ``BadChildSpec``, ``BadFlags``, ``AlreadyStarted`` or
    ``StartError``. In a coroutine it raises ``WouldBlockLoop``, as every function here that
    asks a supervisor.
    """
    waiter("partition_supervisor.start_link")
    driver, given = plan(
        child_spec,
        name,
        partitions,
        with_arguments,
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
    )
    return gen_server.start_link(driver, given, name=name)


def plan(
    child: Any, name: Any, count: Any, with_arguments: Any, **flags: Any
) -> tuple[type[GenServer[Restarts]], Any]:
    """The server behind one, and what it is started with; ``flags`` as for a supervisor."""
    if not isinstance(name, (str, type, Global, Via)):
        raise BadArgument(f"name={name!r}; expected a str, a class, Global(...) or Via(...)")
    if count is None:
        count = usable_cpus()
    if not is_whole(count, 1):
        raise BadArgument(f"partitions={count!r}; expected an int of at least 1, or None")
    if with_arguments is not None and not callable(with_arguments):
        raise BadArgument(
            f"with_arguments={with_arguments!r}; expected a function of two arguments, the "
            "arguments and the partition"
        )
    spec = checked(child)
    children = [_partition(spec, number, with_arguments) for number in range(count)]
    return _Driver, (None, supervisor.init(children, **flags))


def _partition(spec: ChildSpec, number: int, with_arguments: WithArguments | None) -> ChildSpec:
    function, args = spec.start
    if with_arguments is not None:
        given = with_arguments(list(args), number)
        if not isinstance(given, (list, tuple)):
            raise BadArgument(f"with_arguments returned {given!r}; expected a list of arguments")
        args = tuple(cast("list[Any]", given))
    start = (_start_partition, (number, function, args))
    return replace(spec, id=number, start=start, modules=spec.code)


# Names: what ``Via(partition_supervisor, (name, key))`` calls.


def _driver(name: Name) -> _Driver | None:
    me = current()
    pid = where(me, name)
    proc = me.node.procs.get(pid) if pid is not None else None
    module = getattr(proc.server, "module", None) if proc is not None else None
    return module if isinstance(module, _Driver) else None


def whereis_name(key: tuple[Name, Any]) -> Pid | None:
    """The pid of the partition that ``(name, key)`` belongs to; None if it does not run.

    Raises ``BadArgument`` for a key without a stable hash.
    """
    if not (is_tuple(key) and len(key) == 2):
        raise BadArgument(f"Via(partition_supervisor, {key!r}): expected (name, key)")
    found = _driver(key[0])
    if found is None:
        return None
    pid = found.table.get(partition_of(key[1], found.count))
    return pid if pid in current().node.procs else None


def send(key: tuple[Name, Any], message: Any) -> Pid:
    """Send a message to the partition; its pid. Raises ``CallExit("noproc")``."""
    pid = whereis_name(key)
    if pid is None:
        raise CallExit("noproc", ("partition_supervisor", "send", (key, message)))
    process.send(pid, message)
    return pid


def register_name(key: tuple[Name, Any], pid: Pid) -> bool:
    """Nobody can: raises ``BadArgument``."""
    raise BadArgument(f"{key!r} is a partition's address and cannot be the name of {pid!r}")


def unregister_name(key: tuple[Name, Any]) -> None:
    """Nobody can: raises ``BadArgument``."""
    raise BadArgument(f"{key!r} is a partition's address and cannot be given up")


# The other public functions.


def partitions(name: Name) -> int:
    """How many partitions there are. Raises ``CallExit("noproc")``."""
    found = _driver(name)
    if found is None:
        raise CallExit("noproc", ("partition_supervisor", "partitions", (name,)))
    return found.count


def check_size(wanted: Any) -> int:
    """Raise ``BadArgument`` unless it is a number of partitions to resize to."""
    if not is_whole(wanted, 0):
        raise BadArgument(f"resize to {wanted!r} partitions; expected an int of at least 0")
    return wanted


def resized(answer: tuple[bool, Any], wanted: int) -> int:
    """What ``resize`` returns, or raises."""
    match answer:
        case (False, ("too_many", most)):
            raise BadArgument(f"resize to {wanted} partitions; it was started with {most}")
        case _:
            before: int = supervisor.done(answer)
            return before


def resize(name: Name, wanted: int) -> int:
    """Stop or start partitions until there are ``wanted``; how many there were.

    ``PartitionSupervisor.resize!``. At most as many as at the start: else ``BadArgument``. Keys
    then belong to other partitions than before.
    """
    waiter("partition_supervisor.resize")
    answer = gen_server.call(name, ("resize", check_size(wanted)), timeout=None)
    return resized(answer, wanted)


def which_children(name: Name) -> list[ChildInfo]:
    """A row for each partition, the last one first; the ids are the partitions' numbers."""
    waiter("partition_supervisor.which_children")
    rows: list[ChildInfo] = gen_server.call(name, ("which_children",), timeout=None)
    return rows


def count_children(name: Name) -> ChildCount:
    """How many partitions, live ones, supervisors and workers there are."""
    waiter("partition_supervisor.count_children")
    count: ChildCount = gen_server.call(name, ("count_children",), timeout=None)
    return count


def stop(name: Name, reason: Any = "normal", timeout: float | None = None) -> None:
    """Stop it and its partitions; its name is free afterwards."""
    waiter("partition_supervisor.stop")
    gen_server.stop(name, reason, timeout)


__all__ = [
    "ChildCount",
    "ChildInfo",
    "PartitionSupervisor",
    "count_children",
    "partitions",
    "register_name",
    "resize",
    "send",
    "start_link",
    "stop",
    "unregister_name",
    "whereis_name",
    "which_children",
]
