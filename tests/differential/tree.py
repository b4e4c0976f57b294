"""The processes of a case on otpy: the collector of its log, and the children of its tree."""

from dataclasses import dataclass, field
from typing import Any

from otpy import (
    ChildSpec,
    DynamicSupervisor,
    GenServer,
    Ok,
    Reply,
    dynamic_supervisor,
    gen_server,
    process,
    supervisor,
)
from otpy.behaviours.results import IGNORE, Stop
from otpy.terms.errors import StartError
from otpy.terms.messages import Down
from otpy.terms.pid import Pid
from otpy.terms.reasons import Crash
from otpy.terms.values import is_tuple

Entry = list[str]


def text_of(value: Any) -> str:
    """A reason as both sides write it."""
    if isinstance(value, Crash):
        return "raised"
    if isinstance(value, Pid):
        return "pid"
    if isinstance(value, type):
        return value.__name__
    if is_tuple(value):
        return "{" + ",".join(text_of(item) for item in value) + "}"
    return str(value)


def reason_named(name: str) -> Any:
    """The reason that a case writes as ``name``."""
    return ("shutdown", "x") if name == "shutdown_x" else name


@dataclass
class Book:
    """What the collector knows."""

    log: list[Entry] = field(default_factory=list[Entry])
    incarnations: dict[str, int] = field(default_factory=dict[str, int])
    living: dict[Pid, str] = field(default_factory=dict[Pid, str])
    hung: set[Pid] = field(default_factory=set[Pid])
    labels: dict[Pid, str] = field(default_factory=dict[Pid, str])
    latest: dict[str, tuple[Pid, str]] = field(default_factory=dict[str, tuple[Pid, str]])

    def ended(self, pid: Pid, reason: Any) -> None:
        """A process has ended."""
        self.hung.discard(pid)
        self.log.append(["end", self.living.pop(pid), text_of(reason)])


def reason_of_death(pid: Pid) -> Any:
    """The reason in the ``Down`` of a dead process that the caller monitors."""
    return process.receive(Down, where=lambda down: down.pid == pid).reason


class Collector(GenServer[Book]):
    """Keeps the log of one case."""

    def init(self, arg: Any) -> Any:
        return Ok(Book())

    def handle_info(self, message: Any, state: Book) -> None:
        if isinstance(message, Down) and message.pid in state.living:
            state.ended(message.pid, message.reason)

    def handle_call(self, request: Any, from_: Any, state: Book) -> Any:
        for pid in list(state.living):
            if not process.alive(pid):
                state.ended(pid, reason_of_death(pid))
        return Reply(self._answer(request, state))

    def _answer(self, request: Any, book: Book) -> Any:
        match request:
            case ("begin", name, starts, boss, extra):
                number = book.incarnations.get(name, 0) + 1
                book.incarnations[name] = number
                outcome = starts[number - 1] if number <= len(starts) else "ok"
                book.log.append(["start", f"{name}#{number}", outcome, boss, *extra])
                return f"{name}#{number}", outcome
            case ("up", name, label, pid, alone):
                process.monitor(pid)
                book.living[pid] = book.labels[pid] = label
                book.latest[name] = pid, label
                if alone:
                    book.hung.add(pid)
            case ("stopping", label, reason, pid, hangs):
                book.log.append(["stopping", label, text_of(reason)])
                if hangs:
                    book.hung.add(pid)
            case ("note", entry):
                book.log.append(entry)
            case ("find", name):
                pid, label = book.latest.get(name, (None, ""))
                return (pid, label) if pid in book.living and pid not in book.hung else None
            case ("latest", name):
                return book.latest[name][0] if name in book.latest else None
            case ("look",):
                busy = [pid for pid in book.living if pid not in book.hung]
                return len(book.log), busy, dict(book.labels)
            case ("hung",):
                return [(pid, label) for pid, label in book.living.items() if pid in book.hung]
            case _:
                return book.log
        return None


class GreenCollector(Collector, green=True):
    """The same, green."""


@dataclass(frozen=True)
class World:
    """Where a case is played."""

    collector: Pid
    green: bool

    def ask(self, *request: Any) -> Any:
        """Ask the collector."""
        answer: Any = gen_server.call(self.collector, request, timeout=None)
        return answer

    def note(self, *entry: str) -> None:
        """An entry of the log."""
        self.ask("note", list(entry))


class Worker(GenServer[Any]):
    """A child that starts and stops as its node says."""

    def init(self, arg: Any) -> Any:
        world, node, label, outcome, boss = arg
        if node["traps"]:
            process.flag(trap_exit=True)
        match outcome:
            case "error":
                return Stop("refused")
            case "ignore":
                return IGNORE
            case "exit":
                process.exit("gone")
            case "bad":
                return "junk"
            case "raise":
                raise RuntimeError("in init")
            case _:
                if node["unlinks"]:
                    process.unlink(boss)
                world.ask("up", node["id"], label, process.self_pid(), node["unlinks"])
        return Ok((world, node, label))

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return Reply("pong")

    def handle_cast(self, request: Any, state: Any) -> Any:
        if request == "raise":
            raise RuntimeError("told to")
        return Stop(request, state)

    def handle_info(self, message: Any, state: Any) -> None:
        """Signals that it traps."""

    def terminate(self, reason: Any, state: Any) -> None:
        world, node, label = state
        stop = node["stop"]
        world.ask("stopping", label, reason, process.self_pid(), stop == "never")
        match stop:
            case "slow":
                process.sleep(0.02)
            case "never":
                process.sleep(float("inf"))
            case "raise":
                raise RuntimeError("in terminate")
            case "other":
                process.exit("other")
            case _:
                pass


class GreenWorker(Worker, green=True):
    """The same, green."""


class Boss(supervisor.Supervisor):
    """A supervisor that its node describes."""

    def init(self, arg: Any) -> Any:
        world, node, label, _, _ = arg
        if instead := not_up(*arg):
            return instead
        return supervisor.init(
            [spec(world, child, label) for child in node["children"]],
            strategy=node["strategy"],
            max_restarts=node["intensity"],
            max_seconds=float(node["period"]),
            auto_shutdown=node["auto"],
        )


class Pool(DynamicSupervisor):
    """A dynamic supervisor that its node describes."""

    def init(self, arg: Any) -> Any:
        node = arg[1]
        most = node["max_children"]
        return not_up(*arg) or dynamic_supervisor.init(
            max_restarts=node["intensity"],
            max_seconds=float(node["period"]),
            max_children=None if most == "infinity" else most,
            extra_arguments=node["extra"],
        )


def not_up(world: World, node: Any, label: str, outcome: str, _boss: Pid) -> Any:
    """What a supervisor's ``init`` returns instead of flags; None, and the log has it, if flags."""
    match outcome:
        case "ignore":
            return IGNORE
        case "bad":
            return "junk"
        case "raise":
            raise RuntimeError("in init")
        case _:
            world.ask("up", node["id"], label, process.self_pid(), False)
            return None


def spec(world: World, node: Any, boss: str) -> ChildSpec:
    """The child specification of a node."""
    shutdown: Any = node["shutdown"]
    return ChildSpec(
        id=node["id"],
        start=(start, (world, node, boss)),
        restart=node["restart"],
        shutdown=shutdown / 1000 if isinstance(shutdown, int) else shutdown,
        type="worker" if node["kind"] == "worker" else "supervisor",
        significant=node["significant"],
    )


def start(*args: Any) -> Any:
    """The start function of every node; a dynamic supervisor's extra arguments come first."""
    *extra, world, node, boss = args
    label, outcome = world.ask("begin", node["id"], node["starts"], boss, extra)
    arg = (world, node, label, outcome, process.self_pid())
    match outcome:
        case "start_raise":
            raise RuntimeError("in start")
        case "start_error":
            raise StartError("refused")
        case "start_bad":
            return "junk"
        case _:
            pass
    if node["kind"] == "worker":
        return gen_server.start_link(GreenWorker if world.green else Worker, arg)
    if node["kind"] == "dynamic":
        return dynamic_supervisor.start_link(Pool, arg, green=world.green)
    return supervisor.start_link(Boss, arg, green=world.green)
